"""The list of sagas: filters, pages, and how far a search has looked."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse

from sagas.operating.searching import LOOKED_AT_MAX, STATUSES, Place, Search, search
from sagas.operating.words import waiting_text
from sagas.web.console.rendering import page, url
from sagas.web.console.state import console_of

__all__ = ["listing"]

_PAGE = 50
_AGES_MS = {
    "newer-1m": 60_000,
    "newer-15m": 15 * 60_000,
    "newer-1h": 3_600_000,
    "newer-1d": 86_400_000,
    "older-1m": 60_000,
    "older-15m": 15 * 60_000,
    "older-1h": 3_600_000,
    "older-1d": 86_400_000,
}
AGES = {
    "": "at any time",
    "newer-1m": "within the last minute",
    "newer-15m": "within the last 15 minutes",
    "newer-1h": "within the last hour",
    "newer-1d": "within the last day",
    "older-1m": "not for a minute",
    "older-15m": "not for 15 minutes",
    "older-1h": "not for an hour",
    "older-1d": "not for a day",
}


async def listing(request: Request) -> HTMLResponse:
    """One page of the sagas that are looked for."""
    console, asked = console_of(request), request.query_params
    name = asked.get("saga", "")
    sagas = console.chosen(name)
    statuses = [one for one in asked.getlist("status") if one in STATUSES]
    wanted = _search(asked, statuses)
    async with console.servers.table() as table:
        found = await search(table, sagas, wanted, limit=_PAGE, after=_place(asked))
    steps = {step.name for saga in console.sagas for step in saga.definition.steps}
    query = {
        "saga": name,
        "status": statuses,
        **{key: asked.get(key, "").strip() for key in ("step", "tenant", "text", "age", "order")},
    }
    return page(
        request,
        "list.html",
        query=query,
        found=found,
        several=len(console.sagas) > 1,
        sagas=[saga.name for saga in console.sagas],
        steps=sorted(steps),
        statuses=STATUSES,
        ages=AGES,
        is_first=_place(asked) is None,
        is_filtered=any(query.values()),
        is_indexed=wanted.is_indexed,
        looked_at_max=LOOKED_AT_MAX,
        first=url("/sagas", **query),
        next=_next(query, found.next),
        waiting_text=waiting_text,
    )


def _search(asked: Mapping[str, str], statuses: list[str]) -> Search:
    age = asked.get("age", "")
    span_ms = _AGES_MS.get(age, 0)
    moment_ms = time.time_ns() // 1_000_000 - span_ms
    return Search(
        statuses=statuses or STATUSES,
        step=asked.get("step", "").strip(),
        tenant=asked.get("tenant", "").strip(),
        text=asked.get("text", "").strip(),
        since_ms=moment_ms if span_ms and age.startswith("newer") else 0,
        until_ms=moment_ms if span_ms and age.startswith("older") else None,
        oldest_first=asked.get("order") == "oldest",
    )


def _place(asked: Mapping[str, str]) -> Place | None:
    at = asked.get("after_ms", "")
    if not (at.isascii() and at.isdigit() and len(at) < len("250000000000000")):
        return None
    return Place(int(at), asked.get("after_id", ""), asked.get("after_saga", ""))


def _next(query: Mapping[str, object], place: Place | None) -> str:
    if place is None:
        return ""
    return url(
        "/sagas",
        **query,
        after_ms=place.changed_at_ms,
        after_id=place.saga_id,
        after_saga=place.saga,
    )
