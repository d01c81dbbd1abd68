"""The order desk: what customers can ask of the orders service, whatever they ask it through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy.ext.asyncio import AsyncEngine

from events.choreographies.order_fulfilment import OrderFulfilment
from events.orders import OrderPlaced
from sagas.application import SagaClient, SagaView
from services.orders import store

__all__ = ["Answer", "Desk", "Standing"]


class Answer(Enum):
    """What the desk says to an order."""

    ACCEPTED = auto()
    KNOWN = auto()
    """The very same order was accepted before."""
    CONFLICT = auto()
    """Another order was accepted under this id."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An order, and how far its fulfilment is; None before it was first seen."""

    order: store.Order
    saga: SagaView | None


class Desk:
    """Takes orders and tells how they stand."""

    def __init__(self, engine: AsyncEngine, client: SagaClient) -> None:
        self._engine = engine
        self._client = client

    async def place(self, placed: OrderPlaced) -> Answer:
        """Store the order and start its saga, in one transaction: both happen or neither.

        Safe to repeat with the same order. The start event goes out through the outbox, at least
        once, soon after the commit.
        """
        async with self._engine.begin() as connection:
            if await store.add(connection, placed):
                await self._client.start(placed, within=connection)
                return Answer.ACCEPTED
            known = await store.find(connection, placed.order_id)
        same = known is not None and (known.customer_id, known.lines) == (
            placed.customer_id,
            placed.lines,
        )
        return Answer.KNOWN if same else Answer.CONFLICT

    async def look(self, order_id: str) -> Standing | None:
        """How the order stands, or None if there is none. Waits for a saga table that is away."""
        async with self._engine.begin() as connection:
            order = await store.find(connection, order_id)
        if order is None:
            return None
        return Standing(order, await self._client.get(OrderFulfilment, order_id))
