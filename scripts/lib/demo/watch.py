"""Watching the sagas of a run as anybody may: as one more service that only observes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from events.choreographies.order_fulfilment import OrderFulfilment
from events.inventory import StockReleased, StockReserved, StockUnavailable
from events.orders import OrderCancelled, OrderPlaced, ReceiptAssumed, ReceiptConfirmed
from events.payments import PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentVoided
from events.shipping import ShipmentCreated
from sagas import Event, EventContext, SagaEnded, Service

__all__ = ["STATES", "Watch"]

_BACK = "COMPENSATING"
_REACHED = {
    type_: step.state
    for step in OrderFulfilment.definition.steps
    for type_ in (*step.done, *((step.otherwise,) if step.otherwise else ()))
    if step.state
}
STATES = ("PLACED", *dict.fromkeys(_REACHED.values()), _BACK, "COMPLETED", "COMPENSATED", "FAILED")
"""In the order in which a saga passes through them."""

_UNFINISHED_MAX = 200
"""So many orders are under way at the same time: a step's time runs while it is queued, too."""

_RANK = {state: rank for rank, state in enumerate(STATES)}


class Watch:
    """Knows of each order how far it is. Must be used in one event loop."""

    def __init__(self, orders: int) -> None:
        self.service = Service("demo")
        self.orders = orders
        self.started_s = time.perf_counter()
        self.ended_s = self.started_s
        self.ended: dict[str, str] = {}
        self.durations_s: list[float] = []
        self.all_ended = asyncio.Event()
        self.paid = asyncio.Queue[str]()
        """Orders whose money was taken, each at least once: it is the customer's turn."""
        self.confirmed: set[str] = set()
        self.unfinished = asyncio.Semaphore(_UNFINISHED_MAX)
        self._states: dict[str, str] = {}
        self._placed_s: dict[str, float] = {}
        see, end = self._see, self._end
        self.service.observes(OrderPlaced, StockReserved, PaymentAuthorized, ShipmentCreated)(see)
        self.service.observes(ReceiptConfirmed, ReceiptAssumed, PaymentDeclined)(see)
        self.service.observes(StockUnavailable, PaymentVoided, StockReleased, OrderCancelled)(see)
        self.service.observes(PaymentCaptured)(self._pay)
        self.service.observes(OrderFulfilment.ended)(end)

    @property
    def elapsed_s(self) -> float:
        """From the first order to now, or to the end."""
        return (self.ended_s if self.all_ended.is_set() else time.perf_counter()) - self.started_s

    @property
    def rate(self) -> float:
        """Sagas ended per second."""
        return len(self.ended) / max(self.elapsed_s, 0.001)

    @property
    def by_state(self) -> Counter[str]:
        """How many sagas stand where."""
        return Counter(self._states.values())

    def placing(self, order_id: str) -> None:
        """An order is about to be placed."""
        if not self._placed_s:
            self.started_s = time.perf_counter()
        self._placed_s[order_id] = time.perf_counter()
        self._move(order_id, "PLACED")

    async def _see(self, event: Event, context: EventContext) -> None:
        self._move(context.saga_id, _REACHED.get(event.event_type, _BACK))

    async def _pay(self, _event: PaymentCaptured, context: EventContext) -> None:
        self.paid.put_nowait(context.saga_id)

    async def _end(self, ended: SagaEnded, _context: EventContext) -> None:
        self._move(ended.saga_id, ended.status)
        if ended.saga_id in self.ended:
            return
        self.ended[ended.saga_id] = ended.status
        self.ended_s = time.perf_counter()
        self.unfinished.release()
        self.durations_s.append(self.ended_s - self._placed_s[ended.saga_id])
        if len(self.ended) == self.orders:
            self.all_ended.set()

    def _move(self, order_id: str, state: str) -> None:
        # Events of different services arrive in any order; a saga is where it is furthest.
        before = self._states.get(order_id, "PLACED")
        self._states[order_id] = max(before, state, key=_RANK.__getitem__)
