"""Records stored in a service's own transaction, and published after it.

Owns the outbox table between a service's commit and the broker's acknowledgement. Must never delete
what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from sqlalchemy import Row as SqlRow
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.sql.tables import SqlTables
from sagas.adapters.sql.transactions import transaction
from sagas.core.errors import ContractViolation
from sagas.ports import OutgoingRecord
from sagas.wire.headers import Headers

__all__ = ["SqlOutbox"]

_Publish = Callable[[OutgoingRecord], Awaitable[None]]
_Stored = SqlRow[Any]


class SqlOutbox:
    """An ``Outbox`` on PostgreSQL or SQLite.

    Order: records of one topic and key are published in the order of their ids, by any number of
    relays; a record that fails holds back those behind it. Ids are given when a record is added, so
    two transactions that add to one key at the same time have no order between them. Records
    without a key have none either.

    On PostgreSQL a relay keeps the rows that it publishes locked, and others pass over them:
    several relays share the work, and a record is published twice only after a crash. On SQLite the
    write lock would stop the service for as long as the broker takes, so nothing is held: relays of
    different processes publish the same records, at least once each.
    """

    def __init__(self, engine: AsyncEngine, tables: SqlTables | None = None) -> None:
        self._engine = engine
        self._table = (tables or SqlTables()).outbox
        self._turn = asyncio.Lock()

    async def add(self, transaction: object, record: OutgoingRecord) -> None:
        """Store the record in the caller's transaction, an ``AsyncConnection``: it goes if that
        commits.
        """
        if not isinstance(transaction, AsyncConnection):
            raise ContractViolation(
                "The outbox stores in the service's own transaction, SQLAlchemy's AsyncConnection; "
                f"it was given {type(transaction).__name__}. Of a session, that is "
                "`await session.connection()`."
            )
        await transaction.execute(
            insert(self._table),
            {
                "topic": record.topic,
                "key": record.key,
                "value": record.value,
                "headers": _to_json(record.headers),
            },
        )

    async def relay(self, publish: _Publish, *, records_max: int) -> int:
        """Publish the oldest records, delete what was acknowledged, return how many.

        At-least-once: after a crash before the deletion commits, they are published again. If
        ``publish`` raises, the other keys' records are finished and deleted before it is raised.
        """
        if self._engine.dialect.name == "postgresql":
            published, error = await self._relay_locked(publish, records_max)
        else:
            published, error = await self._relay_unlocked(publish, records_max)
        if error is not None:
            raise error
        return published

    async def _relay_locked(
        self, publish: _Publish, records_max: int
    ) -> tuple[int, Exception | None]:
        async with transaction(self._engine) as begun:
            oldest = self._oldest(records_max).with_for_update(skip_locked=True)
            found = sorted((await begun.connection.execute(oldest)).all(), key=lambda row: row.id)
            rows = await self._without_overtaking(begun.connection, found)
            begun.foreign = True
            published, error = await _publish_in_order(rows, publish)
            begun.foreign = False
            await self._delete(begun.connection, published)
        return len(published), error

    async def _relay_unlocked(
        self, publish: _Publish, records_max: int
    ) -> tuple[int, Exception | None]:
        async with self._turn:
            async with transaction(self._engine) as begun:
                rows = (await begun.connection.execute(self._oldest(records_max))).all()
            published, error = await _publish_in_order(rows, publish)
            if published:
                async with transaction(self._engine) as begun:
                    await self._delete(begun.connection, published)
        return len(published), error

    def _oldest(self, records_max: int) -> Any:
        return select(self._table).order_by(self._table.c.id).limit(records_max)

    async def _without_overtaking(
        self, connection: AsyncConnection, rows: Sequence[_Stored]
    ) -> Sequence[_Stored]:
        """Leave out rows with an older one of their key that is not ours: another relay has it."""
        if not rows:
            return rows
        table = self._table
        others = await connection.execute(
            select(table.c.id, table.c.topic, table.c.key).where(
                table.c.id < rows[-1].id,
                table.c.id.not_in([row.id for row in rows]),
                table.c.key.is_not(None),
            )
        )
        first: dict[tuple[str, bytes], int] = {}
        for id_, topic, key in others:
            first[topic, key] = min(id_, first.get((topic, key), id_))
        return [row for row in rows if first.get((row.topic, row.key), row.id) >= row.id]

    async def _delete(self, connection: AsyncConnection, ids: Sequence[int]) -> None:
        if ids:
            await connection.execute(delete(self._table).where(self._table.c.id.in_(ids)))


async def _publish_in_order(
    rows: Sequence[_Stored], publish: _Publish
) -> tuple[list[int], Exception | None]:
    """Publish keys side by side, each key's records one after the other; the ids that
    went, and the first error.
    """
    lanes: dict[object, list[_Stored]] = {}
    for row in rows:
        lanes.setdefault(row.id if row.key is None else (row.topic, row.key), []).append(row)
    results = await asyncio.gather(*(_publish_lane(lane, publish) for lane in lanes.values()))
    ids = [id_ for lane_ids, _ in results for id_ in lane_ids]
    return ids, next((error for _, error in results if error is not None), None)


async def _publish_lane(
    lane: Sequence[_Stored], publish: _Publish
) -> tuple[list[int], Exception | None]:
    published: list[int] = []
    for row in lane:
        record = OutgoingRecord(row.topic, row.key, row.value, _from_json(row.headers))
        try:
            await publish(record)
        except Exception as error:  # noqa: BLE001 - raised by relay, once the rest is safe
            return published, error
        published.append(row.id)
    return published, None


def _to_json(headers: Headers) -> str:
    # Latin-1 gives every byte a character and back, and leaves text readable in the table.
    return json.dumps([[name, value.decode("latin-1")] for name, value in headers])


def _from_json(stored: str) -> Headers:
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(stored))
