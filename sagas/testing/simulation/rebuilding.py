"""I13: once all is at rest, the table is what the topics say, and comes back from them after a wipe.

Owns the comparison of rows before and after. What is published, tried or heard of is
no more than a hint, and is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sagas.core.saga import Saga
from sagas.ports import Clock
from sagas.runtime.histories import Histories
from sagas.runtime.rebuild import Means, Rebuild
from sagas.runtime.verification import Verification
from sagas.runtime.waking import Waker
from sagas.testing.simulation.member import Place
from sagas.testing.simulation.world import Servers
from sagas.wire.stored import decode_instance

__all__ = ["Rebuilding"]


class _Kept(NamedTuple):
    """What a rebuild has to bring back of an instance."""

    status: str
    phase: str
    turned_by: str | None
    in_flight: tuple[str, ...]
    parked: tuple[str, ...]
    events: frozenset[str]
    timers: frozenset[str]


class Rebuilding:
    """Asks it of every saga of a run, once nobody works any more."""

    def __init__(
        self, sagas: Iterable[type[Saga]], servers: Servers, place: Place, clock: Clock
    ) -> None:
        self._table = servers.table
        listed, topics, broker = tuple(sagas), place.topics, servers.broker
        self._definitions = {saga.name: saga.definition for saga in listed}
        self._waker = Waker(topics=topics, broker=broker, clock=clock)
        self._means = [
            Means(
                saga=saga,
                histories=Histories(saga, listed, topics=topics, reader=broker),
                table=servers.table,
                waker=self._waker,
                clock=clock,
                ids=place.ids,
            )
            for saga in listed
        ]

    async def announce(self) -> None:
        """The topics tell of the first generation, as after the first start on a new server."""
        for means in self._means:
            await self._waker.announce(means.saga.name, 1)

    async def violations(self) -> list[str]:
        """What differs, in words. Wipes the table and fills it again."""
        found = []
        for means in self._means:
            async for one in Verification(means).differences():
                said = f"table: {one.table or 'nothing'}; topics: {one.topics or 'nothing'}"
                found.append(f"I13: {one.saga} {one.saga_id}: {one.kind}: {said}")
        before = self._kept()
        self._table.wipe()
        for means in self._means:
            await Rebuild(means).run()
        return [*found, *_differences(before, self._kept())]

    def _kept(self) -> dict[tuple[str, str], _Kept]:
        return {key: self._of(*key) for key in self._table.keys}

    def _of(self, saga: str, saga_id: str) -> _Kept:
        state = self._table.state(saga, saga_id)
        instance = decode_instance(self._definitions[saga], saga_id, state)
        ids = {slot: fact.id for slot, fact in instance.facts.items()}
        turned_by = instance.turned_by
        return _Kept(
            self._table.status(saga, saga_id) or "",
            instance.phase,
            None if turned_by is None else ids[turned_by],
            tuple(sorted(instance.in_flight)),
            tuple(ids[slot] for slot in instance.parked),
            frozenset(ids.values()),
            frozenset(self._table.timer_names(saga, saga_id)),
        )


def _differences(
    before: dict[tuple[str, str], _Kept], after: dict[tuple[str, str], _Kept]
) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        was, is_ = before.get(key), after.get(key)
        if was is None or is_ is None:
            yield f"I13: {' '.join(key)} is {'not there' if is_ is None else 'new'} after a rebuild"
            continue
        for name, one, other in zip(_Kept._fields, was, is_, strict=True):
            if one != other:
                said = f"{name} was {one!r:.80}, is {other!r:.80}"
                yield f"I13: {' '.join(key)} differs after a rebuild: {said}"
