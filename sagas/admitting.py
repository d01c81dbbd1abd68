"""May a worker start beside the sagas that run? Asks the table and the book of definitions, once, at start.

Owns the calls; the decision is ``sagas.change.admission``'s. A start costs one read of the book, a count that
the indexes know, and one write for each saga, however many sagas run.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from pydantic import SecretStr

from sagas.adapters.redis.definitions import RedisDefinitionBook
from sagas.adapters.redis.settings import RedisTableSettings
from sagas.change.admission import admitted, misfits, refusal
from sagas.change.kept import encode_definition
from sagas.core.errors import ContractViolation, DefinitionError
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.ports import Listed, SagaTable
from sagas.ports.definitions import DefinitionBook
from sagas.runtime.migration import MIGRATED
from sagas.settings import SagaSettings
from sagas.wire.stored import fingerprint_of

__all__ = ["UNKNOWN", "NotAdmitted", "admit", "count_definitions", "definition_book", "live_count"]

UNKNOWN = "unknown"
"""Stands for the definition of a saga none of whose events says which it was."""
_LIVE = tuple(status.value for status in SagaStatus if not status.is_terminal)
_AT_ONCE = 500


class NotAdmitted(DefinitionError):
    """A worker does not start: it would meet sagas that it can not finish. Says what the choices are."""


def definition_book(settings: SagaSettings) -> DefinitionBook:
    """The book on the server that has the saga table."""
    url = SecretStr(settings.redis)
    return RedisDefinitionBook(RedisTableSettings(url=url, namespace=settings.namespace))


async def admit(
    sagas: Iterable[type[Saga]],
    table: SagaTable,
    book: DefinitionBook,
    *,
    accepted: Collection[str] = (),
) -> None:
    """Write the definitions of these sagas into the book; safe to repeat, and by many workers at once.

    Raises NotAdmitted, having written nothing of that saga, if sagas run that may be of a definition which
    theirs can not finish, but for those of the fingerprints that are ``accepted``. Raises TableUnavailable.
    """
    for saga in sagas:
        definition = saga.definition
        kept = await book.kept(saga.name)
        found = misfits(definition, kept, accepted=accepted)
        live = await live_count(table, saga.name) if found else 0
        if not admitted(found, live):
            raise NotAdmitted(refusal(definition, found, live))
        for misfit in found:
            await book.forget(saga.name, misfit.fingerprint)
        if definition.fingerprint not in kept:
            await book.keep(saga.name, definition.fingerprint, encode_definition(definition))


async def live_count(table: SagaTable, saga: str) -> int:
    """How many sagas have not ended, as the indexes know."""
    return sum((await table.count_sagas(saga, statuses=_LIVE)).values())


async def count_definitions(table: SagaTable, saga: str, *, limit: int) -> Mapping[str, int]:
    """How many sagas that have not ended are of which definition; looks at every one of them.

    A saga is of the definition under which its first event was recorded, or to which it was migrated. Raises
    TableUnavailable.
    """
    listed = await table.list_sagas(saga, statuses=_LIVE, limit=limit)
    found: Counter[str] = Counter()
    for begin in range(0, len(listed), _AT_ONCE):
        page = listed[begin : begin + _AT_ONCE]
        found.update(await asyncio.gather(*(_fingerprint(table, one) for one in page)))
    return found


async def _fingerprint(table: SagaTable, listed: Listed) -> str:
    """A row that is damaged says nothing; `sagas show` tells what is wrong with it."""
    try:
        row = await table.load(listed.saga, listed.saga_id, events=True)
        if row is None:
            return UNKNOWN
        return row.notes.get(MIGRATED) or fingerprint_of(row.events.values()) or UNKNOWN
    except ContractViolation:
        return UNKNOWN
