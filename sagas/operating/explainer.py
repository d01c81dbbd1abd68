"""One saga explained: its row looked for, what is around it gathered, and told.

Owns which of the project's sagas is meant, and what is looked at for which. Never changes anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sagas.core.errors import ContractViolation
from sagas.core.saga import Saga
from sagas.core.starts import key_of_instance, run_of, saga_id_of
from sagas.operating.errors import Misasked
from sagas.operating.explaining import (
    About,
    Explanation,
    Mend,
    Sentence,
    StuckRules,
    Surroundings,
    explain_missing,
    explain_row,
    explain_table,
)
from sagas.operating.lookout import Lookout
from sagas.ports import Row
from sagas.restoring import TableLost, TableRebuilding
from sagas.wire.stored import decode_instance

__all__ = ["Explainer", "Where"]


@dataclass(frozen=True, slots=True)
class Where:
    """Where is looked, to be told where nothing is found; ``keep_ended_ms`` None keeps for ever."""

    namespace: str
    address: str
    keep_ended_ms: int | None


class Explainer:
    """Explains instances of these sagas, which are the project's."""

    def __init__(
        self,
        lookout: Lookout,
        sagas: Sequence[type[Saga]],
        where: Where,
        *,
        rules: StuckRules | None = None,
    ) -> None:
        self._lookout = lookout
        self._sagas = tuple(sagas)
        self._where = where
        self._rules = rules or StuckRules()

    async def explain(self, saga_id: str) -> Explanation:
        """Where that instance stands, whatever is known of it.

        Raises Misasked where several sagas have one of this id, and TableUnavailable for a Redis that is
        away.
        """
        found = await asyncio.gather(*(self._row(saga, saga_id) for saga in self._sagas))
        there = [
            (saga, row)
            for saga, row in zip(self._sagas, found, strict=True)
            if isinstance(row, Row)
        ]
        if len(there) > 1:
            names = " or ".join(f"--saga {saga.name}" for saga, _ in there)
            raise Misasked(f"{saga_id!r} is in several sagas: say {names}.")
        if there:
            ((saga, row),) = there
            return await self._explained(saga, saga_id, row)
        for saga, lost in zip(self._sagas, found, strict=True):
            if lost is not None:
                return explain_table(
                    saga.name,
                    saga_id,
                    rebuilding=isinstance(lost, TableRebuilding),
                    now_ms=self._lookout.clock.now_ms(),
                )
        return await self._missing(saga_id)

    async def _row(
        self, saga: type[Saga], saga_id: str
    ) -> Row | TableLost | TableRebuilding | None:
        try:
            return await self._lookout.table.load(saga.name, saga_id, events=True)
        except (TableLost, TableRebuilding) as error:
            return error

    async def _explained(self, saga: type[Saga], saga_id: str, row: Row) -> Explanation:
        around, later = await asyncio.gather(
            self._around(saga, saga_id, row), self._later_run(saga, saga_id)
        )
        told = explain_row(
            saga,
            saga_id,
            row,
            now_ms=self._lookout.clock.now_ms(),
            around=around,
            rules=self._rules,
            several=len(self._sagas) > 1,
        )
        if later is None:
            return told
        said = Sentence(About.TABLE, (f"Its key was used again: a later run is {later}.",))
        choice = Mend(f"sagas explain {later}", "explains that run")
        return replace(told, sentences=(*told.sentences, said), choices=(*told.choices, choice))

    async def _around(self, saga: type[Saga], saga_id: str, row: Row) -> Surroundings:
        """Of one that has ended and owes nothing nobody has to be asked."""
        definition, keep_ended_ms = saga.definition, self._where.keep_ended_ms
        try:
            instance = decode_instance(definition, saga_id, row.state)
        except ContractViolation:
            return Surroundings(keep_ended_ms=keep_ended_ms)
        if instance.phase.is_terminal and not any(map(instance.owed_epoch, definition.steps)):
            return Surroundings(keep_ended_ms=keep_ended_ms)
        services, usual, letters = await asyncio.gather(
            self._lookout.services(definition.services),
            self._lookout.usual(saga),
            self._lookout.letters(saga_id, definition.services),
        )
        return Surroundings(
            services=services, usual=usual, letters=letters, keep_ended_ms=keep_ended_ms
        )

    async def _later_run(self, saga: type[Saga], saga_id: str) -> str | None:
        """The id of the next run of the same key, if there is one."""
        following = saga_id_of(key_of_instance(saga_id), run_of(saga_id) + 1)
        row = await self._row(saga, following)
        return following if isinstance(row, Row) else None

    async def _missing(self, saga_id: str) -> Explanation:
        services = {name for saga in self._sagas for name in saga.definition.services}
        return explain_missing(
            saga_id,
            self._sagas,
            now_ms=self._lookout.clock.now_ms(),
            namespace=self._where.namespace,
            address=self._where.address,
            keep_ended_ms=self._where.keep_ended_ms,
            around=Surroundings(letters=await self._lookout.letters(saga_id, services)),
        )
