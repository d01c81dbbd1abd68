"""What people have asked: of sagas, as the control topics have it; and by this console, refusals included."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.core.errors import InvalidMessage
from sagas.core.framework_events import CONTROL_EVENTS, TimerFired, WakeRequested
from sagas.operating.words import short_name
from sagas.ports import Record
from sagas.web.console.rendering import page
from sagas.web.console.servers import REQUESTS_MAX, Away
from sagas.web.console.state import Console, console_of
from sagas.wire.envelope import decode_headers

__all__ = ["history"]

_SHOWN_MAX = 200
_NOBODYS = {TimerFired.event_type, WakeRequested.event_type}


@dataclass(frozen=True, slots=True)
class _Request:
    """What somebody asked of a saga."""

    at_ms: int
    who: str
    what: str
    saga: str
    saga_id: str
    why: str


async def history(request: Request) -> HTMLResponse:
    """The page. A Kafka that is away takes its part only."""
    console = console_of(request)
    away, found = "", []
    try:
        found = await _requests(console)
    except Away as error:
        away = str(error)
    return page(
        request,
        "history.html",
        requests=found[:_SHOWN_MAX],
        requests_max=REQUESTS_MAX,
        kept=console.journal.kept,
        away=away,
    )


async def _requests(console: Console) -> list[_Request]:
    names = [saga.definition.saga for saga in console.sagas]
    found = []
    async with console.servers.requests(names) as records:
        for record in records:
            one = _request(record)
            if one is not None:
                found.append(one)
    return sorted(found, key=lambda one: one.at_ms, reverse=True)


def _request(record: Record) -> _Request | None:
    """What people asked; None for what timers asked, for what was decided, and for what nobody can read."""
    try:
        envelope = decode_headers(record.headers, record.value or b"", time_ms=record.timestamp_ms)
        model = CONTROL_EVENTS.get(envelope.type)
        if model is None or envelope.type in _NOBODYS:
            return None
        said = model.model_validate_json(envelope.payload).model_dump(mode="json")
    except (InvalidMessage, ValidationError):
        return None
    what = short_name(envelope.type).removesuffix("Requested").lower()
    return _Request(
        envelope.time_ms,
        str(said.get("by", "")),
        what,
        envelope.saga or "",
        envelope.saga_id or "",
        str(said.get("why", "")),
    )
