"""The check that the books balance, counted in the participants' own databases.

Owns what must be true of stock, money, parcels and messages once every saga has ended. It takes
nobody's word: it imports no service, no event and nothing of the framework, and knows the tables by
their names only. It reads; it never repairs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Books", "findings", "read"]

_FINDINGS_MAX = 20
"""Of one kind; the rest is counted."""


@dataclass(kw_only=True)
class Books:
    """What the five databases say. Lists keep duplicates: those are what is looked for."""

    orders: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Order id to status and amount."""
    endings: dict[str, str] = field(default_factory=dict)
    stock: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Article to received, available, reserved."""
    movements: list[tuple[str, str, int]] = field(default_factory=list)
    """Order, article, pieces: positive when set aside, negative when given back."""
    ledger: list[tuple[str, str, int]] = field(default_factory=list)
    """Order, entry, cents."""
    parcels: list[str] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    """Order and kind of message."""


async def read(databases: Mapping[str, AsyncEngine]) -> Books:
    """Read the books from the services' databases, by service. They should be at rest."""

    async def rows(service: str, query: str) -> list[Any]:
        async with databases[service].connect() as connection:
            return list((await connection.execute(text(query))).all())

    return Books(
        orders={
            id_: (status, amount)
            for id_, status, amount in await rows(
                "orders", "SELECT order_id, status, amount_cents FROM orders"
            )
        },
        endings=dict(
            map(tuple, await rows("notifications", "SELECT saga_id, status FROM endings"))
        ),
        stock={
            sku: (received, available, reserved)
            for sku, received, available, reserved in await rows(
                "inventory", "SELECT sku, received, available, reserved FROM stock"
            )
        },
        movements=[
            (id_, sku, quantity)
            for id_, sku, quantity in await rows(
                "inventory", "SELECT order_id, sku, quantity FROM movements"
            )
        ],
        ledger=[
            (id_, entry, amount)
            for id_, entry, amount in await rows(
                "payments", "SELECT order_id, entry, amount_cents FROM ledger"
            )
        ],
        parcels=[id_ for (id_,) in await rows("shipping", "SELECT order_id FROM shipments")],
        messages=[
            (id_, kind)
            for id_, kind in await rows("notifications", "SELECT order_id, kind FROM messages")
        ],
    )


def findings(books: Books) -> list[str]:
    """What does not balance, in words; empty if all is well."""
    return [
        *_short(_ends(books)),
        *_short(_stock(books)),
        *_short(_money(books)),
        *_short(_once(books)),
        *_short(_fulfilled(books)),
        *_short(_cancelled(books)),
    ]


def _short(found: Iterable[str]) -> Iterator[str]:
    listed = list(found)
    yield from listed[:_FINDINGS_MAX]
    if len(listed) > _FINDINGS_MAX:
        yield f"… and {len(listed) - _FINDINGS_MAX} more of this kind."


def _ends(books: Books) -> Iterator[str]:
    for id_ in sorted(books.orders.keys() - books.endings.keys()):
        yield f"The order {id_} was placed, but its saga has not ended."
    for id_ in sorted(books.endings.keys() - books.orders.keys()):
        yield f"The saga of {id_} has ended, but no such order was placed."
    for id_, status in sorted(books.endings.items()):
        if status not in {"COMPLETED", "COMPENSATED"}:
            yield f"The saga of {id_} ended {status}."
    said = {"COMPLETED": {"RECEIVED", "ASSUMED"}, "COMPENSATED": {"CANCELLED"}}
    for id_, (status, _) in sorted(books.orders.items()):
        ending = books.endings.get(id_, "")
        if status not in said.get(ending, {status}):
            yield f"The order {id_} is {status}, but its saga ended {ending}."


def _stock(books: Books) -> Iterator[str]:
    moved = Counter[str]()
    for _, sku, quantity in books.movements:
        moved[sku] += quantity
    for sku in sorted(moved.keys() - books.stock.keys()):
        yield f"The stock of {sku} was moved, but there is no such article."
    for sku, (received, available, reserved) in sorted(books.stock.items()):
        if received != available + reserved:
            yield (
                f"The stock of {sku} is not conserved: {received} pieces were received, "
                f"{available} are available and {reserved} reserved."
            )
        if reserved != moved[sku]:
            yield f"Of {sku} {reserved} pieces are reserved; by the movements it is {moved[sku]}."
        if min(available, reserved) < 0:
            yield f"The stock of {sku} is negative: {available} available, {reserved} reserved."


def _money(books: Books) -> Iterator[str]:
    entries = _ledger_by_order(books)
    for id_, sums in sorted(entries.items()):
        open_cents = sums["AUTHORIZED"] - sums["CAPTURED"] - sums["VOIDED"]
        if open_cents < 0:
            yield f"For {id_} {-open_cents} cents more were taken or set free than were blocked."
        elif open_cents and id_ in books.endings:
            yield f"The saga of {id_} has ended, but {open_cents} cents are still blocked."
    captured = sum(sums["CAPTURED"] for sums in entries.values())
    sold = sum(
        amount for id_, (_, amount) in books.orders.items() if books.endings.get(id_) == "COMPLETED"
    )
    if captured != sold:
        yield f"Captured are {captured} cents; the fulfilled orders come to {sold}."


def _once(books: Books) -> Iterator[str]:
    """No effect of a step is there twice, and none without an order."""
    effects: dict[str, list[str]] = {
        "parcel": books.parcels,
        "message": [f"{id_} ({kind})" for id_, kind in books.messages],
        "ledger entry": [f"{id_} ({entry})" for id_, entry, _ in books.ledger],
        "reservation": [f"{id_} ({sku})" for id_, sku, pieces in books.movements if pieces > 0],
        "release": [f"{id_} ({sku})" for id_, sku, pieces in books.movements if pieces < 0],
    }
    for effect, ids in effects.items():
        for id_, times in sorted(Counter(ids).items()):
            if times > 1:
                yield f"For {id_} there are {times} times a {effect}."
            if id_.partition(" (")[0] not in books.orders:
                yield f"There is a {effect} for {id_}, but no such order."


def _fulfilled(books: Books) -> Iterator[str]:
    done = [id_ for id_, status in books.endings.items() if status == "COMPLETED"]
    entries, held = _ledger_by_order(books), _held_by_order(books)
    parcels, messages = set(books.parcels), set(books.messages)
    for id_ in sorted(done):
        wanting = [
            what
            for what, there in (
                ("reservation", held[id_] > 0),
                ("capture", entries[id_]["CAPTURED"] > 0 or not books.orders.get(id_, ("", 0))[1]),
                ("parcel", id_ in parcels),
                ("message", (id_, "SHIPPED") in messages),
            )
            if not there
        ]
        if wanting:
            yield f"The order {id_} is fulfilled without a {' and a '.join(wanting)}."


def _cancelled(books: Books) -> Iterator[str]:
    undone = [id_ for id_, status in books.endings.items() if status == "COMPENSATED"]
    entries, held = _ledger_by_order(books), _held_by_order(books)
    parcels, messages = set(books.parcels), set(books.messages)
    for id_ in sorted(undone):
        if held[id_]:
            yield f"The order {id_} was cancelled, but {held[id_]} pieces are still set aside."
        if entries[id_]["CAPTURED"]:
            yield f"The order {id_} was cancelled, but {entries[id_]['CAPTURED']} cents were taken."
        if id_ in parcels:
            yield f"The order {id_} was cancelled, but a parcel was sent."
        if (id_, "SHIPPED") in messages:
            yield f"The order {id_} was cancelled, but the customer waits for a parcel."


def _ledger_by_order(books: Books) -> defaultdict[str, Counter[str]]:
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for id_, entry, amount in books.ledger:
        sums[id_][entry] += amount
    return sums


def _held_by_order(books: Books) -> Counter[str]:
    held = Counter[str]()
    for id_, _, quantity in books.movements:
        held[id_] += quantity
    return held
