"""The sagas that are stuck, found within a bound, each with the reason.

Owns where is looked. No index says which sagas are stuck, so rows are looked at: all that are parked, those
that have changed longest ago, those that changed last but not just now, and those whose timers are due.
Whoever asks is told how many of how many that were.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sagas.core.errors import ContractViolation
from sagas.core.saga import Saga
from sagas.operating.explaining import (
    Explanation,
    ServiceFact,
    StuckReason,
    StuckRules,
    Surroundings,
    Why,
    awaited,
    explain_row,
    explain_unreadable,
    stuck_reasons,
    unreadable,
)
from sagas.operating.lookout import Lookout
from sagas.ports import BUCKETS, Listed
from sagas.runtime.timers import AGAIN_AFTER_MS
from sagas.wire.stored import decode_instance

__all__ = ["LOOK", "UNFINISHED", "StuckList", "StuckSaga", "find_stuck"]

LOOK: Final = 2_000
"""So many rows of each saga are looked at where nobody says more."""
UNFINISHED: Final = ("RUNNING", "COMPENSATING", "PARKED")
_UNDER_WAY: Final = ("RUNNING", "COMPENSATING")
_CHUNK: Final = 500
_ORDER: Final = list(Why)


@dataclass(frozen=True, slots=True)
class StuckSaga:
    """A stuck saga: its line in the index, and all that is said of it, the reasons included."""

    listed: Listed
    told: Explanation

    @property
    def reason(self) -> StuckReason:
        """The surest one."""
        return self.told.stuck[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckList:
    """What was found, the surest and oldest first, at most as many as asked for; ``by_why`` counts all that
    are stuck of the ``looked_at``. ``unfinished`` have not ended in all.
    """

    lines: Sequence[StuckSaga]
    by_why: Mapping[Why, int]
    looked_at: int
    unfinished: int

    @property
    def found(self) -> int:
        """How many are stuck."""
        return sum(self.by_why.values())

    @property
    def is_complete(self) -> bool:
        """Whether every saga that has not ended was looked at, as far as one can say while they go on."""
        return self.looked_at >= self.unfinished


class _Suspect(NamedTuple):
    """A stuck instance before anything is said of it."""

    listed: Listed
    reason: StuckReason


class _Searched(NamedTuple):
    saga: type[Saga]
    around: Surroundings
    suspects: Sequence[_Suspect]
    looked_at: int
    unfinished: int


async def find_stuck(
    lookout: Lookout,
    sagas: Sequence[type[Saga]],
    *,
    limit: int,
    look: int = LOOK,
    rules: StuckRules | None = None,
) -> StuckList:
    """Look for stuck sagas at up to ``look`` rows of each that are not parked, and as many that are.

    Raises TableUnavailable.
    """
    rules = rules or StuckRules()
    services = await lookout.services(
        sorted({name for saga in sagas for name in saga.definition.services})
    )
    searched = await asyncio.gather(
        *(_search(lookout, saga, services, look, rules) for saga in sagas)
    )
    suspects = sorted(
        ((found, one) for found in searched for one in found.suspects),
        key=lambda pair: _severity(pair[1]),
    )
    explained = await asyncio.gather(
        *(
            _explained(lookout, found, one, rules, several=len(sagas) > 1)
            for found, one in suspects[:limit]
        )
    )
    return StuckList(
        lines=[one for one in explained if one is not None],
        by_why=dict(Counter(one.reason.why for _, one in suspects)),
        looked_at=sum(found.looked_at for found in searched),
        unfinished=sum(found.unfinished for found in searched),
    )


def _severity(one: _Suspect) -> tuple[int, int, str]:
    return _ORDER.index(one.reason.why), one.reason.since_ms, one.listed.saga_id


async def _search(
    lookout: Lookout,
    saga: type[Saga],
    services: Mapping[str, ServiceFact],
    look: int,
    rules: StuckRules,
) -> _Searched:
    counts, usual, listed = await asyncio.gather(
        lookout.table.count_sagas(saga.name, statuses=UNFINISHED),
        lookout.usual(saga),
        _candidates(lookout, saga, look, rules),
    )
    around = Surroundings(services=services, usual=usual)
    suspects: list[_Suspect] = []
    for first in range(0, len(listed), _CHUNK):
        found = await asyncio.gather(
            *(_suspect(lookout, saga, one, around, rules) for one in listed[first : first + _CHUNK])
        )
        suspects += (one for one in found if one is not None)
    return _Searched(saga, around, suspects, len(listed), sum(counts.values()))


async def _candidates(
    lookout: Lookout, saga: type[Saga], look: int, rules: StuckRules
) -> list[Listed]:
    """What is looked at, each once."""
    table, now_ms = lookout.table, lookout.clock.now_ms()
    page, half = table.listing.page, max(1, look // 2)
    settled_ms = now_ms - min(rules.absent_ms, rules.least_ms)
    parked, oldest, latest, due = await asyncio.gather(
        page(saga.name, statuses=("PARKED",), limit=look, oldest_first=True),
        page(saga.name, statuses=_UNDER_WAY, limit=half, oldest_first=True),
        page(saga.name, statuses=_UNDER_WAY, limit=half, until_ms=settled_ms),
        # A timer that was published and not handled is put off by so much.
        table.due_timers(
            buckets=range(BUCKETS), now_ms=now_ms + AGAIN_AFTER_MS, limit=max(1, look // 4)
        ),
    )
    found = {one.saga_id: one for one in (*parked, *oldest, *latest)}
    for timer in due:
        if timer.saga == saga.name and timer.saga_id not in found:
            found[timer.saga_id] = Listed(
                saga=saga.name, saga_id=timer.saga_id, status="RUNNING", changed_at_ms=0
            )
    return list(found.values())


async def _suspect(
    lookout: Lookout, saga: type[Saga], listed: Listed, around: Surroundings, rules: StuckRules
) -> _Suspect | None:
    try:
        row = await lookout.table.load(saga.name, listed.saga_id)
        if row is None:
            return None
        instance = decode_instance(saga.definition, listed.saga_id, row.state, notes=row.notes)
    except ContractViolation as error:
        reason = unreadable(saga.name, str(error), listed.changed_at_ms)
        return _Suspect(listed, reason)
    now_ms = lookout.clock.now_ms()
    waits = awaited(instance, row.notes)
    reasons = stuck_reasons(instance, waits, around, now_ms=now_ms, rules=rules)
    changed_ms = max((fact.at_ms for fact in instance.facts.values()), default=0)
    seen = replace(listed, status=instance.status.value, changed_at_ms=changed_ms)
    return _Suspect(seen, reasons[0]) if reasons else None


async def _explained(
    lookout: Lookout, found: _Searched, one: _Suspect, rules: StuckRules, *, several: bool
) -> StuckSaga | None:
    """None for one that has gone on meanwhile."""
    try:
        row = await lookout.table.load(found.saga.name, one.listed.saga_id, events=True)
    except ContractViolation as error:
        now_ms = lookout.clock.now_ms()
        return StuckSaga(
            one.listed,
            explain_unreadable(found.saga, one.listed.saga_id, str(error), now_ms=now_ms),
        )
    if row is None:
        return None
    told = explain_row(
        found.saga,
        one.listed.saga_id,
        row,
        now_ms=lookout.clock.now_ms(),
        around=found.around,
        rules=rules,
        several=several,
    )
    return StuckSaga(one.listed, told) if told.stuck else None
