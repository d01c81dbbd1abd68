"""The order desk: what customers can ask of the orders service, whatever they ask it through."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy.ext.asyncio import AsyncEngine

from events.choreographies.order_fulfilment import OrderFulfilment
from events.orders import OrderCancellationRequested, OrderPlaced, ReceiptConfirmed
from sagas.application import SagaClient, SagaView
from sagas.core.definition import Direction
from sagas.core.instance import SagaStatus
from services.orders import store

__all__ = ["Answer", "Desk", "Standing"]

_TURNED_BACK = {SagaStatus.COMPENSATING, SagaStatus.COMPENSATED, SagaStatus.FAILED}


class Answer(Enum):
    """What the desk says to an order, to its cancellation, or to the receipt of it."""

    ACCEPTED = auto()
    KNOWN = auto()
    """The very same was accepted before."""
    CONFLICT = auto()
    """It is not to be had any more: another order has this id, or this one is settled otherwise."""
    UNKNOWN = auto()
    """There is no such order."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An order, and how far its fulfilment is; None before it was first seen."""

    order: store.Order
    saga: SagaView | None

    @property
    def turned_back(self) -> bool:
        """Whether the order is cancelled, or about to be."""
        if self.order.status is store.OrderStatus.CANCELLED:
            return True
        return self.saga is not None and (
            self.saga.status in _TURNED_BACK
            or any(one.direction is Direction.UNDO for one in self.saga.waits_for)
        )

    @property
    def confirmed(self) -> bool:
        """Whether the customer's word was heard before."""
        if self.order.status is store.OrderStatus.RECEIVED:
            return True
        timeline = () if self.saga is None else self.saga.timeline
        return any(entry.event == ReceiptConfirmed.event_type for entry in timeline)

    @property
    def settled(self) -> bool:
        """Whether the saga has come to its end without the customer's word, or is about to."""
        if self.order.status is store.OrderStatus.ASSUMED:
            return True
        return self.saga is not None and self.saga.has_ended


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

    async def cancel(self, order_id: str, reason: str) -> Answer:
        """The customer does not want the order any more. Accepted until the parcel is about to leave.

        Safe to repeat. Goes out through the outbox, like the order itself, and so behind it; the saga
        decides once it comes there, and may have gone too far meanwhile: ``look`` tells. Waits for a saga
        table that is away.
        """
        standing = await self.look(order_id)
        if standing is None:
            return Answer.UNKNOWN
        if standing.turned_back:
            return Answer.KNOWN
        if standing.saga is not None and not standing.saga.can_be_cancelled:
            return Answer.CONFLICT
        async with self._engine.begin() as connection:
            await self._client.cancel_by(
                OrderCancellationRequested(order_id=order_id, reason=reason), within=connection
            )
        return Answer.ACCEPTED

    async def confirm(self, order_id: str) -> Answer:
        """The customer has the parcel. Accepted as long as the saga can make something of it.

        Safe to repeat. Goes out through the outbox, like the order itself, and so behind it; where
        the time is up in the same moment, the saga decides which of the two came first. Waits for a
        saga table that is away.
        """
        standing = await self.look(order_id)
        if standing is None:
            return Answer.UNKNOWN
        if standing.turned_back:
            return Answer.CONFLICT
        if standing.confirmed:
            return Answer.KNOWN
        if standing.settled:
            return Answer.CONFLICT
        async with self._engine.begin() as connection:
            await self._client.complete(
                OrderFulfilment.confirm_receipt,
                order_id,
                ReceiptConfirmed(order_id=order_id),
                within=connection,
            )
        return Answer.ACCEPTED

    async def look(self, order_id: str) -> Standing | None:
        """How the order stands, or None if there is none. Waits for a saga table that is away."""
        async with self._engine.begin() as connection:
            order = await store.find(connection, order_id)
        if order is None:
            return None
        return Standing(order, await self._client.get(OrderFulfilment, order_id))
