"""One saga by its id, among the project's sagas. Owns what is said when there is none, or several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core.instance import Instance
from sagas.core.saga import Saga
from sagas.operating.errors import Misasked, NotFound, Unanswered
from sagas.operating.standing import standing_of, unprepared_words
from sagas.restoring import TableLost
from sagas.wire.stored import decode_instance

if TYPE_CHECKING:
    from sagas.ports import Row
    from sagas.restoring import RestorableTable

__all__ = ["Found", "find_saga"]


@dataclass(frozen=True, slots=True)
class Found:
    """A saga instance as the table has it; ``several`` says that the project has other sagas, too."""

    saga: type[Saga]
    saga_id: str
    row: Row
    instance: Instance
    several: bool


async def find_saga(
    table: RestorableTable, sagas: Sequence[type[Saga]], saga_id: str, namespace: str
) -> Found:
    """The one saga with this id, loaded with its events. Raises OperatingError, TableUnavailable, and
    ContractViolation for one that another version of the saga has written.
    """
    try:
        rows = await asyncio.gather(*(table.load(one.name, saga_id, events=True) for one in sagas))
    except TableLost as error:
        blank = [one.saga for one in await standing_of(table, sagas) if one.is_blank]
        if not blank:
            raise
        raise Unanswered(unprepared_words(blank, namespace)) from error
    there = [(saga, row) for saga, row in zip(sagas, rows, strict=True) if row is not None]
    if not there:
        raise _missing(sagas, saga_id, namespace)
    if len(there) > 1:
        names = " or ".join(f"--saga {saga.name}" for saga, _ in there)
        raise Misasked(f"{saga_id!r} is in several sagas: say {names}.")
    ((saga, row),) = there
    instance = decode_instance(saga.definition, saga_id, row.state, notes=row.notes)
    return Found(saga, saga_id, row, instance, len(sagas) > 1)


def _missing(sagas: Sequence[type[Saga]], saga_id: str, namespace: str) -> NotFound:
    looked = ", ".join(saga.name for saga in sagas)
    return NotFound(
        f"There is no {saga_id!r} in {looked} (namespace {namespace}): not started, not seen by a "
        "worker yet, or expired. `sagas list` shows which there are; SAGAS_NAMESPACE and "
        "SAGAS_REDIS say where it looks.",
    )
