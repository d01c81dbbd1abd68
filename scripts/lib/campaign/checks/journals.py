"""A committed effect is exactly one event: the participants' journals against the topics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from campaign.records import Seen

__all__ = ["Entry", "findings", "outboxes", "read"]

_ENTRIES = text("SELECT saga_id, step, direction, epoch, kind, type, payload FROM sagas_journal")
_UNDONE = {"StockReleased", "PaymentVoided", "OrderCancelled"}
_STEPS = {"inventory", "payments", "shipping", "notifications"}


class Entry(NamedTuple):
    """A row of a journal."""

    saga_id: str
    step: str
    direction: str
    epoch: int
    kind: str
    type: str | None
    payload: bytes | None


async def read(databases: Mapping[str, AsyncEngine]) -> list[Entry]:
    """All rows of all journals."""
    found = []
    for engine in databases.values():
        async with engine.connect() as connection:
            found += [Entry(*row) for row in await connection.execute(_ENTRIES)]
    return found


async def outboxes(databases: Mapping[str, AsyncEngine]) -> Iterable[str]:
    """What was not published, though it is committed."""
    async with databases["orders"].connect() as connection:
        left = await connection.scalar(text("SELECT count(*) FROM sagas_outbox"))
    return [f"{left} records are left in the outbox of orders."] if left else []


def findings(entries: Sequence[Entry], events: Sequence[Seen]) -> Iterator[str]:
    """Outcomes without an event, events without an outcome, and outcomes that differ."""
    said: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
    for one in events:
        said[one.saga_id, one.type].add(one.value or b"")
    undone = {(one.saga_id, one.step) for one in entries if one.direction.lower() == "undo"}
    committed: set[tuple[str, str]] = set()
    for entry in entries:
        if entry.kind == "claim":
            yield f"The journal has an unfinished claim of {entry.step} of {entry.saga_id}."
        if entry.type is None:
            continue
        committed.add((entry.saga_id, entry.type))
        told = said.get((entry.saga_id, entry.type))
        if told is None and (entry.saga_id, entry.step) not in undone:
            yield f"{entry.type} of {entry.saga_id} is committed, but was never told."
        elif told is not None and told != {bytes(entry.payload or b"")}:
            yield f"{entry.type} of {entry.saga_id} was told otherwise than it is committed."
    for id_, type_ in sorted(said.keys() - committed):
        publisher, name, _ = type_.split(".")
        if publisher in _STEPS or name in _UNDONE:
            yield f"{type_} of {id_} was told, but no such effect is committed."
