"""Dead letters: what services could not handle; sent again, or set aside for good.

Owns the forms. What is resolved, and once, is ``sagas.operating.resolving``'s, as on the command line.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.core.errors import SagaError
from sagas.operating.errors import Misasked, NotFound, Unanswered
from sagas.operating.letters import Parked, Wanted, safe
from sagas.operating.payloads import contracts_of, shown_payload
from sagas.operating.resolving import Resolved, Resolving, parked_sagas
from sagas.ports import TableUnavailable
from sagas.runtime.dead_letter_box import Letter
from sagas.web.console.forms import form_of
from sagas.web.console.guard import user_of
from sagas.web.console.rendering import page
from sagas.web.console.servers import TIMEOUT_S, Away, Boxes
from sagas.web.console.state import Console, console_of, required
from sagas.web.console.users import Role

__all__ = ["letter", "letters", "look", "resolve"]

_SHOWN_MAX = 200
_VALUE_MAX = 20_000
_SINCE_MS = {"1h": 3_600_000, "1d": 86_400_000, "7d": 7 * 86_400_000}
SINCES = {"": "at any time", "1h": "within the last hour", "1d": "a day", "7d": "seven days"}
_WHY_MAX = 1_000


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which letters are meant: one by its id, or all that fit."""

    id: str
    service: str
    reason: str
    saga_id: str
    since: str

    @property
    def query(self) -> dict[str, str]:
        """For addresses and forms."""
        return {
            "id": self.id,
            "service": self.service,
            "reason": self.reason,
            "saga_id": self.saga_id,
            "since": self.since,
        }

    @property
    def wanted(self) -> Wanted:
        """The same for the boxes."""
        span_ms = _SINCE_MS.get(self.since)
        now_ms = time.time_ns() // 1_000_000
        return Wanted(
            id=self.id or None,
            reason=self.reason or None,
            saga_id=self.saga_id or None,
            since_ms=0 if span_ms is None else now_ms - span_ms,
        )

    def services(self, console: Console) -> Sequence[str]:
        """The services that are meant. Raises Misasked."""
        if not self.service:
            return console.service_names
        if self.service not in console.service_names:
            raise Misasked(f"There is no service {self.service!r}.")
        return [self.service]


def _filter(said: Mapping[str, str]) -> _Filter:
    names = ("id", "service", "reason", "saga_id", "since")
    return _Filter(*(said.get(name, "").strip() for name in names))


async def _found(boxes: Boxes, wanted: Wanted, *, resolved: bool) -> list[Letter]:
    reading = (box.letters(include_resolved=resolved) for box in boxes.boxes)
    read = await asyncio.gather(*reading)
    found = [letter for letters in read for letter in letters if wanted.matches(letter)]
    return sorted(found, key=lambda one: one.time_ms, reverse=True)


async def letters(request: Request) -> HTMLResponse:
    """The open letters, newest first."""
    console, asked = console_of(request), _filter(request.query_params)
    resolved = request.query_params.get("resolved") == "yes"
    async with console.servers.boxes(asked.services(console), writes=False) as boxes:
        found = await _found(boxes, asked.wanted, resolved=resolved)
    return page(
        request,
        "letters.html",
        asked=asked,
        resolved=resolved,
        letters=found[:_SHOWN_MAX],
        count=len(found),
        missing=boxes.missing,
        services=console.service_names,
        sinces=SINCES,
        safe=safe,
    )


async def letter(request: Request) -> HTMLResponse:
    """One record, of each service that could not handle it."""
    console, asked = console_of(request), _filter(request.query_params)
    async with console.servers.boxes(asked.services(console), writes=False) as boxes:
        found = await _found(boxes, Wanted(id=asked.id), resolved=True)
    if not found:
        raise NotFound(
            f"There is no dead letter {asked.id}: it was never there, or its topic has let go."
        )
    user = user_of(request)
    sees_all = user is not None and user.role >= Role.ADMIN
    return page(
        request,
        "letter.html",
        asked=asked,
        letters=found,
        safe=safe,
        value=_value(console, found[0], sees_all=sees_all),
        headers=[(safe(name), safe(value)) for name, value in found[0].headers],
    )


def _value(console: Console, one: Letter, *, sees_all: bool) -> str:
    """What the record carries: without what is personal where its contract says what that is."""
    if one.omitted:
        return (
            "The letter does not hold the record; it is on its topic for as long as that keeps it."
        )
    if one.value is None:
        return "Nothing: the record has no value."
    contract = contracts_of(*console.sagas).get(one.event_type or "")
    shown = shown_payload(contract, one.value)
    if isinstance(shown, str) and sees_all:
        return safe(one.value, lines=True)[:_VALUE_MAX]
    text = shown if isinstance(shown, str) else json.dumps(shown, ensure_ascii=False, indent=2)
    return safe(text, lines=True)[:_VALUE_MAX]


def _required(request: Request, asked: _Filter) -> str:
    """Who asks; many at once are an admin's."""
    return required(request, Role.OPERATOR if asked.id else Role.ADMIN).name


async def look(request: Request) -> HTMLResponse:
    """What would be replayed or discarded, and the form that confirms it. Changes nothing."""
    asked = _filter(request.query_params)
    _required(request, asked)
    return await _form(request, asked, request.query_params.get("what", ""))


def _resolving(what: str, by: str, why: str, *, dry_run: bool) -> Resolving:
    if what not in {"replay", "discard"}:
        raise Misasked(f"Dead letters are replayed or discarded, not {what!r}.")
    return Resolving(
        discard=what == "discard", by=by, why=why, dry_run=dry_run, timeout_s=TIMEOUT_S
    )


async def _form(
    request: Request, asked: _Filter, what: str, *, problem: str = "", status: int = 200
) -> HTMLResponse:
    console, done = console_of(request), Resolved()
    resolving = _resolving(what, "", "", dry_run=True)
    async with console.servers.boxes(asked.services(console), writes=False) as boxes:
        await resolving.run(boxes.boxes, asked.wanted, done)
    if asked.id and not done.letters:
        raise NotFound(f"There is no dead letter {asked.id}.")
    return page(
        request,
        "resolve.html",
        status=status,
        asked=asked,
        what=what,
        verb=resolving.verb,
        done=done,
        shown=done.letters[:_SHOWN_MAX],
        problem=problem,
        safe=safe,
    )


async def resolve(request: Request) -> HTMLResponse:
    """Replay or discard, and tell what came of it."""
    console = console_of(request)
    required(request, Role.OPERATOR)
    said = await form_of(request)
    asked, what, why = _filter(said), said.get("what", ""), said.get("why", "").strip()
    by = _required(request, asked)
    if not why or len(why) > _WHY_MAX:
        problem = "Say why, for those who look later."
        return await _form(request, asked, what, problem=problem, status=400)
    done, about = Resolved(), asked.id or f"letters {_words(asked)}"
    resolving = _resolving(what, by, why, dry_run=False)
    try:
        async with console.servers.boxes(asked.services(console), writes=True) as boxes:
            await resolving.run(boxes.boxes, asked.wanted, done)
    except SagaError as error:
        so_far = f"{len(done.letters)} of {done.total}, then: " if done.letters else ""
        console.journal.action(by, what, about, why, f"{so_far}{error}")
        if not done.letters:
            raise
        raise Unanswered(
            f"{error} Before that, {len(done.letters)} of {done.total} were {resolving.verb}; the rest "
            "is open, ask again."
        ) from error
    console.journal.action(by, what, about, why, f"{len(done.letters)} {resolving.verb}")
    return page(
        request,
        "resolved.html",
        asked=asked,
        verb=resolving.verb,
        done=done,
        shown=done.letters[:_SHOWN_MAX],
        parked=[] if resolving.discard else await _parked(console, done.letters),
        safe=safe,
    )


async def _parked(console: Console, found: Sequence[Letter]) -> Sequence[Parked] | None:
    """Their sagas that wait to be resumed; None where nobody knows."""
    try:
        async with console.servers.table() as table:
            return await parked_sagas(table, console.sagas, found)
    except (Away, TableUnavailable):
        return None


def _words(asked: _Filter) -> str:
    said = [f"{name}={value}" for name, value in asked.query.items() if value]
    return " ".join(said) or "(all)"
