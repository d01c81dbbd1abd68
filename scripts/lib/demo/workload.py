"""The orders of a run, all decided by its seed: who is declined, and what is short."""

from __future__ import annotations

import random
from dataclasses import dataclass

from events.orders import OrderLine, OrderPlaced

__all__ = ["Workload", "workload"]

_KINDS = {"cup": 1_250, "kettle": 5_400, "pot": 3_900, "tea": 690, "tray": 2_100}
_PRICES_CENTS = {
    f"{kind}-{size:02}": cents + 10 * size for kind, cents in _KINDS.items() for size in range(10)
}
_SHORT = ("samovar", "caddy")
"""Articles that everybody wants and nobody has."""

_LIMIT_CENTS = 10_000_000


@dataclass(frozen=True, slots=True)
class Workload:
    """What is ordered, and the world that it is ordered in."""

    orders: tuple[OrderPlaced, ...]
    stock: dict[str, int]
    accounts: dict[str, int]
    declined: int
    short: int


def workload(orders: int, *, declined: float, short: float, seed: int) -> Workload:
    """So many orders, of which these shares will be declined or are out of stock."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    numbers = chance.sample(range(1, orders + 1), orders)
    refused = round(orders * declined)
    missing = min(round(orders * short), orders - refused)
    poor = set(numbers[:refused])
    wanting = set(numbers[refused : refused + missing])
    placed = tuple(
        _order(chance, number, short=number in wanting) for number in range(1, orders + 1)
    )
    return Workload(
        orders=placed,
        stock=dict.fromkeys(_PRICES_CENTS, 40 * orders) | dict.fromkeys(_SHORT, 0),
        accounts={
            order.customer_id: 0 if number in poor else _LIMIT_CENTS
            for number, order in enumerate(placed, 1)
        },
        declined=refused,
        short=missing,
    )


def _order(chance: random.Random, number: int, *, short: bool) -> OrderPlaced:
    skus = chance.sample(sorted(_PRICES_CENTS), chance.randint(1, 3))
    if short:
        skus.append(chance.choice(_SHORT))
    return OrderPlaced(
        order_id=f"order-{number:05}",
        customer_id=f"customer-{number:05}",
        lines=tuple(
            OrderLine(
                sku=sku,
                quantity=chance.randint(1, 4),
                unit_price_cents=_PRICES_CENTS.get(sku, 24_000),
            )
            for sku in skus
        ),
    )
