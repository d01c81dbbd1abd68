"""Records that nobody can handle: what they are, and whether they have to become dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from campaign.records import NAMESPACE, SAGA
from campaign.topics import Draft

__all__ = ["KEY", "Poison", "poison"]

KEY = "poison"
_PLACED = "orders.OrderPlaced.v1"
_RESERVED = "inventory.StockReserved.v1"


@dataclass(frozen=True, slots=True)
class Poison:
    """One record. Where ``is_letter`` is false, it is nobody's business and passed over."""

    name: str
    draft: Draft
    is_letter: bool = True


def poison(run: str, real: str) -> Iterator[Poison]:
    """One of each kind. ``run`` makes their ids its own; ``real`` is the id of a saga that exists."""
    orders, inventory = f"{NAMESPACE}.orders.events", f"{NAMESPACE}.inventory.events"
    placed = json.dumps({"order_id": KEY, "customer_id": "c", "lines": []}).encode()
    other = json.dumps({"order_id": real, "customer_id": "c", "amount_cents": 1}).encode()
    reserved = json.dumps({"order_id": KEY, "customer_id": "c", "amount_cents": 1}).encode()

    def bad(
        name: str,
        value: bytes | None,
        *,
        type_: bytes | None = _PLACED.encode(),
        topic: str = orders,
        key: bytes = KEY.encode(),
        saga: str | None = SAGA,
        is_letter: bool = True,
        **more: bytes,
    ) -> Poison:
        headers = {"ce_id": f"{run}-{name}".encode(), "ce_sagaid": KEY.encode(), **more}
        if type_ is not None:
            headers["ce_type"] = type_
        if saga is not None:
            headers["ce_saganame"] = saga.encode()
        return Poison(name, (topic, key, value, tuple(headers.items())), is_letter)

    stock = {"topic": inventory, "type_": _RESERVED.encode()}
    yield bad("broken JSON", placed[:-5])
    yield bad("deeply nested JSON", b"[" * 100_000)
    yield bad("JSON that is no object", b"17")
    yield bad("no value", None)
    yield bad("a contract broken", b'{"order_id": "poison"}', **stock)  # type: ignore[arg-type]
    yield bad("a type that the saga does not know", placed, type_=b"orders.OrderTeleported.v1")
    yield bad("a type that nobody knows", b"{}", type_=b"w.Changed.v1", saga=None, is_letter=False)
    yield bad("another saga", b"{}", type_=b"o.Done.v1", saga="other", is_letter=False)
    yield bad("no type", reserved, topic=inventory, type_=None, saga=None)
    yield bad("a value that is too large", placed.replace(b'"c"', b'"' + b"c" * 950_000 + b'"'))
    yield bad("a type that is no text", placed, type_=b"\xff\xfe")
    yield bad("a header that is no text", placed, ce_tenant=b"\xff\xfe")
    yield bad("a header that is too long", placed, ce_tenant=b"t" * 5_000)
    yield bad("a number that is none", placed, ce_sagaseq=b"many")
    yield bad("a time that is none", placed, ce_time=b"yesterday")
    yield bad("a saga that never was", reserved, **stock)  # type: ignore[arg-type]
    yield bad("another saga's payload", other, key=real.encode(), **stock)  # type: ignore[arg-type]
    yield bad("another saga's key", reserved, key=real.encode(), **stock)  # type: ignore[arg-type]
