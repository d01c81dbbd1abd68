"""``sagas list --stuck``: the sagas that look as if they were running, and why they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sagas.cli.listing import chosen_sagas

if TYPE_CHECKING:
    from sagas.core.saga import Saga
    from sagas.operating.explaining import StuckRules
    from sagas.operating.standing import Standing
    from sagas.operating.stuck import StuckList, StuckSaga
    from sagas.settings import SagaSettings

__all__ = ["list_stuck"]


class _Bounds(NamedTuple):
    limit: int
    look: int
    timeout_s: float


class _Found(NamedTuple):
    stuck: StuckList
    standings: Sequence[Standing]
    now_ms: int


def list_stuck(
    saga: str | None,
    *,
    limit: int,
    look: int | None,
    factor: float | None,
    as_json: bool,
    project: Path | None,
    timeout_s: float,
) -> None:
    """Look, and print what was found. Raises CommandError."""
    from sagas.cli.project import open_project
    from sagas.cli.servers import read_settings
    from sagas.operating.explaining import StuckRules
    from sagas.operating.stuck import LOOK

    settings = read_settings()
    sagas = chosen_sagas(open_project(project), saga)
    rules = StuckRules(factor=settings.stuck_factor if factor is None else factor)
    bounds = _Bounds(limit, LOOK if look is None else look, timeout_s)
    found = asyncio.run(_look(settings, sagas, bounds, rules))
    if as_json:
        _print_json(found)
    else:
        _print_table(found, settings.namespace, several=len(sagas) > 1)


async def _look(
    settings: SagaSettings,
    sagas: Sequence[type[Saga]],
    bounds: _Bounds,
    rules: StuckRules,
) -> _Found:
    """Rows take their time: the limit for all of it grows with how many are looked at."""
    from sagas.cli.servers import open_table
    from sagas.operating.opening import open_lookout
    from sagas.operating.standing import standing_of
    from sagas.operating.stuck import LOOK, find_stuck

    limit, look, timeout_s = bounds
    patience_s = timeout_s / 2
    async with (
        open_table(settings, timeout_s, within_s=timeout_s * (3 + look / LOOK)) as table,
        open_lookout(
            settings, table, sagas, client_id="sagas-cli", patience_s=patience_s
        ) as lookout,
    ):
        stuck = await find_stuck(lookout, sagas, limit=limit, look=look, rules=rules)
        return _Found(stuck, await standing_of(table, sagas), lookout.clock.now_ms())


def _print_json(found: _Found) -> None:
    from dataclasses import asdict

    from sagas.cli.output import print_json
    from sagas.operating.moments import rfc3339

    stuck = found.stuck
    print_json(
        {
            "stuck": [_document(line) for line in stuck.lines],
            "found": stuck.found,
            "by_why": {why.value: count for why, count in stuck.by_why.items()},
            "looked_at": stuck.looked_at,
            "unfinished": stuck.unfinished,
            "complete": stuck.is_complete,
            "at": rfc3339(found.now_ms),
            "unready": [asdict(one) for one in found.standings if not one.is_ready],
        }
    )


def _document(line: StuckSaga) -> dict[str, object]:
    from sagas.operating.explaining import document_of
    from sagas.operating.moments import rfc3339

    told = document_of(line.told, rfc3339)
    reason = line.reason
    return {
        "id": line.listed.saga_id,
        "saga": line.listed.saga,
        "status": line.listed.status,
        "state": line.told.state,
        "changed_at": rfc3339(line.listed.changed_at_ms),
        "why": reason.why.value,
        "step": reason.step,
        "service": reason.service,
        "since": rfc3339(reason.since_ms),
        "text": reason.sentence.text(rfc3339),
        "reasons": told["stuck"],
    }


def _print_table(found: _Found, namespace: str, *, several: bool) -> None:
    from sagas.cli.output import console, print_rows, recent_time, status_text
    from sagas.operating.moments import span
    from sagas.operating.standing import unprepared_words

    out, stuck = console(), found.stuck
    columns = ("id", *(("saga",) if several else ()), "status", "why", "for", "reason")
    rows = [
        (
            line.listed.saga_id,
            *((line.listed.saga,) if several else ()),
            status_text(line.listed.status),
            line.reason.why.value,
            span(found.now_ms - line.reason.since_ms),
            line.reason.sentence.text(recent_time),
        )
        for line in stuck.lines
    ]
    if rows:
        print_rows(columns, rows, right=frozenset({"for"}))
        out.print()
    out.print(_summary(stuck), soft_wrap=True)
    if stuck.lines:
        out.print("`sagas explain ID` says more of each, and what can be done.", soft_wrap=True)
    for standing in found.standings:
        if not standing.is_ready and not standing.is_blank:
            out.print(standing.words(), soft_wrap=True)
    if blank := [one.saga for one in found.standings if one.is_blank]:
        out.print(unprepared_words(blank, namespace), soft_wrap=True)


def _summary(stuck: StuckList) -> str:
    counted = ", ".join(f"{count:,} {why.value}" for why, count in stuck.by_why.items())
    among = f"{stuck.unfinished:,} that have not ended"
    if not stuck.is_complete:
        among = (
            f"{stuck.looked_at:,} that were looked at, of {among}: those unchanged longest, those that "
            "changed last, and those with timers due. --look N looks at more"
        )
    found = f"{stuck.found:,} stuck ({counted})" if stuck.found else "None is stuck"
    more = ""
    if len(stuck.lines) < stuck.found:
        more = f" {len(stuck.lines)} are shown; --limit shows more."
    return f"{found} among {among}.{more}"
