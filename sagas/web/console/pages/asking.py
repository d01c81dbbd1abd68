"""What can be asked of one saga: looked at first, then confirmed with a reason, then waited for.

Owns the forms. What is asked, refused and waited for is ``sagas.operating.asking``'s, as on the command line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.core.errors import SagaError
from sagas.core.events import Event
from sagas.core.framework_events import (
    CancelRequested,
    CompensateRequested,
    ResumeRequested,
    RetryRequested,
)
from sagas.core.instance import Instance
from sagas.operating.asking import Wish, effect_of, outlook_for, payload_of, skip_request
from sagas.operating.errors import Misasked, Refused
from sagas.operating.lookup import Found, find_saga
from sagas.operating.mending import blank_payload, skip_words, skippable
from sagas.operating.words import short_name, waiting_text
from sagas.runtime.operator import Outlook
from sagas.runtime.views import waits_for
from sagas.web.console.forms import form_of
from sagas.web.console.rendering import page
from sagas.web.console.state import Console, console_of, required
from sagas.web.console.users import Role

__all__ = ["Choice", "ask", "choices_for", "look"]

_WHY_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """Something that can be asked; ``verb`` as in "is not cancelled"."""

    verb: str
    label: str
    does: str
    request: Callable[..., Event]


_KINDS: Mapping[str, _Kind] = {
    "resume": _Kind("resumed", "Resume", "What failed is tried again.", ResumeRequested),
    "retry": _Kind(
        "tried again",
        "Retry now",
        "Everything that is open is tried now, also what waits for its next attempt.",
        RetryRequested,
    ),
    "cancel": _Kind(
        "cancelled",
        "Cancel",
        "What was done is undone; a parked saga stays parked.",
        CancelRequested,
    ),
    "compensate": _Kind(
        "turned back",
        "Give up and compensate",
        "What was done is undone; a parked saga goes on from there.",
        CompensateRequested,
    ),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be asked now, or why it can not. ``event`` is what is given by hand, if anything."""

    what: str
    label: str
    does: str
    refusal: str = ""
    event: str = ""


def choices_for(found: Found) -> Sequence[Choice]:
    """All that can be asked of a saga, what is possible first."""
    return sorted(_choices(found), key=lambda one: bool(one.refusal))


def _choices(found: Found) -> Iterator[Choice]:
    for what, kind in _KINDS.items():
        refusal = ""
        try:
            outlook_for(Wish(found.saga_id, kind.verb, kind.request(by="", why="")), found.instance)
        except Refused as error:
            refusal = str(error)
        yield Choice(what, kind.label, kind.does, refusal)
    for type_ in skippable(found.instance):
        words = skip_words(found.instance, type_)
        yield Choice(
            "skip", f"Skip: {words}", f"Says that {words} by hand; the saga goes on.", event=type_
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request as a page or a form has it."""

    console: Console
    saga: str
    saga_id: str
    what: str
    event: str
    payload: str
    by: str
    why: str

    @property
    def label(self) -> str:
        if self.what == "skip":
            return f"Skip with {short_name(self.event)}"
        return _kind(self.what).label

    async def found(self) -> Found:
        sagas = self.console.chosen(self.saga)
        async with self.console.servers.table() as table:
            return await find_saga(table, sagas, self.saga_id, self.console.servers.namespace)

    def wish(self, found: Found) -> Wish:
        """What is asked. Raises Misasked."""
        if self.what != "skip":
            kind = _kind(self.what)
            return Wish(self.saga_id, kind.verb, kind.request(by=self.by, why=self.why))
        given = _content(self.payload) if self.payload else None
        if given is None:
            type_ = next((one for one in skippable(found.instance) if one == self.event), None)
            given = {} if type_ is None else _blank(found, type_)
        request = skip_request(
            found.saga, found.saga_id, self.event, given or None, by=self.by, why=self.why
        )
        return Wish(self.saga_id, "skipped", request)


def _blank(found: Found, type_: str) -> dict[str, JsonValue]:
    return {**blank_payload(found.saga, found.saga_id, type_)}


def _kind(what: str) -> _Kind:
    if what not in _KINDS:
        raise Misasked(f"Nobody can ask {what!r}; there are {', '.join([*_KINDS, 'skip'])}.")
    return _KINDS[what]


def _content(text: str) -> dict[str, JsonValue]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Misasked(f"What the event carries is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise Misasked('What the event carries is no JSON object such as {"order_id": "o1"}.')
    return content


def _asked(request: Request, said: Mapping[str, str], by: str) -> _Asked:
    names = ("saga", "id", "what", "event", "payload")
    saga, saga_id, what, event, payload = (said.get(name, "") for name in names)
    why = said.get("why", "").strip()
    return _Asked(console_of(request), saga, saga_id, what, event, payload.strip(), by, why)


async def look(request: Request) -> HTMLResponse:
    """What would come of it, and the form that confirms it. Changes nothing."""
    user = required(request, Role.OPERATOR)
    asked = _asked(request, request.query_params, user.name)
    found = await asked.found()
    return _form(request, asked, found)


def _form(
    request: Request, asked: _Asked, found: Found, problem: str = "", status: int = 200
) -> HTMLResponse:
    payload, wish, outlook = asked.payload, None, None
    if asked.what == "skip" and not payload:
        payload = json.dumps(_blank(found, asked.event), ensure_ascii=False, indent=2)
    try:
        wish = asked.wish(found)
        outlook = outlook_for(wish, found.instance)
    except Misasked as error:  # the payload is to be filled in first
        if asked.what != "skip":
            raise
        problem = problem or str(error)
    return page(
        request,
        "ask.html",
        status=status,
        asked=asked,
        saga=found.saga.name,
        problem=problem,
        payload=payload,
        before=found.instance.status.value,
        expected=_expected(outlook, found.instance),
        told=_told(outlook, None if wish is None else _as_shown(wish.request)),
    )


def _as_shown(request: Event) -> Event:
    """With a reason still to be given."""
    return request if getattr(request, "why", "") else request.model_copy(update={"why": "…"})


def _told(outlook: Outlook | None, request: Event | None) -> dict[str, object]:
    """What would come of it, for the template."""
    if outlook is None or request is None:
        return {"known": False, "after": "", "lines": [], "waits": []}
    waits = [] if outlook.after.phase.is_terminal else waits_for(outlook.after)
    return {
        "known": True,
        "after": outlook.after.status.value,
        "lines": [
            {
                "event": one.type,
                "step": one.step,
                "payload": json.dumps(payload_of(one.type, request), ensure_ascii=False),
            }
            for one in outlook.emissions
        ],
        "waits": [waiting_text(one) for one in waits],
    }


def _expected(outlook: Outlook | None, instance: Instance) -> str:
    """What whoever confirms has seen: where the saga stood, and what would follow."""
    if outlook is None:
        return ""
    return " ".join([instance.status, *(one.type for one in outlook.emissions)])


async def ask(request: Request) -> HTMLResponse:
    """Ask it, and tell what came of it."""
    user = required(request, Role.OPERATOR)
    console = console_of(request)
    said = await form_of(request)
    asked = _asked(request, said, user.name)
    about = f"{asked.saga} {asked.saga_id}"
    try:
        found = await asked.found()
        if not asked.why or len(asked.why) > _WHY_MAX:
            return _form(request, asked, found, "Say why, for those who look later.", 400)
        wish = asked.wish(found)
        outlook = outlook_for(wish, found.instance)
        if said.get("expected") and said["expected"] != _expected(outlook, found.instance):
            moved = "It has moved on since this page was shown. What would follow now:"
            return _form(request, asked, found, moved, 409)
        async with console.servers.table() as table:
            async with console.servers.operator(table) as operator:
                id_ = await operator.ask(found.saga.name, asked.saga_id, wish.request)
            timeout_s = console.ask_timeout_s
            after, _ = await effect_of(wish, outlook, id_, table=table, timeout_s=timeout_s)
    except SagaError as error:
        console.journal.action(user.name, asked.what, about, asked.why, f"{error}")
        raise
    result = f"{outlook.before.status} → {after.after.status}"
    console.journal.action(user.name, asked.what, about, asked.why, result)
    return page(
        request,
        "asked.html",
        asked=asked,
        saga=found.saga.name,
        before=outlook.before.status.value,
        told=_told(after, wish.request),
    )
