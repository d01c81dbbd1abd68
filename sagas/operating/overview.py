"""What goes on in a namespace at a moment: counts, rates, what is oldest, what is stuck, who works.

Owns what is counted, and over which time. Every look costs by what is shown, not by how many sagas there are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.operating.explaining import ServiceFact, StuckRules
from sagas.operating.lookout import Lookout
from sagas.operating.stuck import UNFINISHED, StuckList, find_stuck
from sagas.ports import Listed

__all__ = ["Overview", "SagaCounts", "Watch"]

_STATUSES: Final = tuple(status.value for status in SagaStatus)
_ENDED: Final = tuple(status.value for status in SagaStatus if status.is_terminal)
_WINDOW_MS: Final = 10_000
"""Rates are those of the last so many milliseconds."""
_STUCK_EVERY_MS: Final = 5_000
"""What is stuck is looked for at most so often: it costs more than the rest."""
_STUCK_LOOK: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaCounts:
    """One saga's instances by status, and how many have begun and ended a second lately.

    ``started_per_s`` is None at the first look, for it is told by how the count grows: what is forgotten
    meanwhile makes it less. ``idlest`` is the unfinished instance that changed longest ago.
    """

    saga: str
    by_status: Mapping[str, int]
    started_per_s: float | None
    ended_per_s: float
    idlest: Listed | None

    @property
    def unfinished(self) -> int:
        """How many have not ended."""
        return sum(self.by_status[status] for status in UNFINISHED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All of it, at ``now_ms``, in milliseconds since the epoch."""

    now_ms: int
    sagas: Sequence[SagaCounts]
    services: Sequence[ServiceFact]
    stuck: StuckList


class Watch:
    """Looks again and again; remembers the last looks for rates."""

    def __init__(
        self,
        lookout: Lookout,
        sagas: Sequence[type[Saga]],
        *,
        stuck_max: int = 10,
        rules: StuckRules | None = None,
    ) -> None:
        self._lookout = lookout
        self._sagas = tuple(sagas)
        self._stuck_max = stuck_max
        self._rules = rules
        self._totals: dict[str, deque[tuple[int, int]]] = {saga.name: deque() for saga in sagas}
        self._stuck: tuple[int, StuckList] | None = None

    async def look(self) -> Overview:
        """What goes on now. Raises TableUnavailable; a Kafka that is away only leaves lag unknown."""
        names = {name for saga in self._sagas for name in saga.definition.services}
        counts, services, stuck = await asyncio.gather(
            asyncio.gather(*(self._counts(saga) for saga in self._sagas)),
            self._lookout.services(sorted(names)),
            self._find_stuck(),
        )
        return Overview(
            now_ms=self._lookout.clock.now_ms(),
            sagas=counts,
            services=list(services.values()),
            stuck=stuck,
        )

    async def _counts(self, saga: type[Saga]) -> SagaCounts:
        table, now_ms = self._lookout.table, self._lookout.clock.now_ms()
        by_status, ended, idlest = await asyncio.gather(
            table.count_sagas(saga.name, statuses=_STATUSES),
            table.listing.count_since(saga.name, statuses=_ENDED, since_ms=now_ms - _WINDOW_MS),
            table.listing.page(saga.name, statuses=UNFINISHED, limit=1, oldest_first=True),
        )
        return SagaCounts(
            saga=saga.name,
            by_status=by_status,
            started_per_s=self._growth(saga.name, now_ms, sum(by_status.values())),
            ended_per_s=sum(ended.values()) * 1000 / _WINDOW_MS,
            idlest=idlest[0] if idlest else None,
        )

    def _growth(self, saga: str, now_ms: int, total: int) -> float | None:
        """By how many a second the count has grown since the oldest look of the window."""
        looks = self._totals[saga]
        while len(looks) > 1 and looks[0][0] < now_ms - _WINDOW_MS:
            looks.popleft()
        looks.append((now_ms, total))
        since_ms, before = looks[0]
        if since_ms == now_ms:
            return None
        return max(0, total - before) * 1000 / (now_ms - since_ms)

    async def _find_stuck(self) -> StuckList:
        now_ms = self._lookout.clock.now_ms()
        if self._stuck is None or self._stuck[0] + _STUCK_EVERY_MS <= now_ms:
            found = await find_stuck(
                self._lookout,
                self._sagas,
                limit=self._stuck_max,
                look=_STUCK_LOOK,
                rules=self._rules,
            )
            self._stuck = (now_ms, found)
        return self._stuck[1]
