"""The framework's parts as operations to be counted and timed: the core, the codec, the dispatch.

Each operation is a plain call. What is asynchronous runs on a table in memory and a broker that accepts
everything, neither of which ever suspends: to be called while an event loop runs, which takes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from itertools import count
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import TracerProvider
from pydantic_core import to_json

from benchmarks.framework import handlers
from benchmarks.framework.declaration import OrderToNotification, PaymentAuthorized, ShipmentCreated
from benchmarks.live import paid
from benchmarks.orders import order
from sagas.adapters.clock import RandomIds, SystemClock
from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.table import MemorySagaTable
from sagas.core.decide import ActionResult, ResultKind, decide
from sagas.core.definition import Role
from sagas.core.enabled import enabled
from sagas.core.evolve import evolve
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.observability.prometheus import Metrics
from sagas.observability.tracing import Tracing
from sagas.ports import OutgoingRecord, Record
from sagas.ports.telemetry import Telemetry
from sagas.runtime.dead_letters import DeadLetters
from sagas.runtime.dispatch import Dispatch
from sagas.runtime.execution import Execution
from sagas.runtime.message_world import Participant
from sagas.runtime.patience import Patience
from sagas.runtime.retry_topics import RetrySettings, RetryTopics
from sagas.runtime.subscription import Subscription
from sagas.wire.envelope import decode_headers, encode_headers
from sagas.wire.stored import decode_event, decode_position, encode_event, encode_position
from sagas.wire.topics import Topics

__all__ = ["Part", "finish", "parts", "reference"]

_AT_MS = 1_767_225_600_000


class Part(NamedTuple):
    """An operation, and what has to be called with a number before so many calls of it."""

    run: Callable[[], object]
    prepare: Callable[[int], None] = lambda _: None


class _AcceptsAll(MemoryBroker):
    """A broker that keeps nothing."""

    async def publish(self, record: OutgoingRecord) -> None:
        """It is there."""


def reference() -> int:
    """A fixed piece of ordinary Python, to compare with: dictionaries, strings, calls, a sort."""
    words = [f"order-{number % 17}" for number in range(200)]
    seen: dict[str, int] = {}
    for word in words:
        seen[word] = seen.get(word, 0) + len(word)
    return sum(value for _, value in sorted(seen.items()))


def finish(work: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine that never suspends."""
    try:
        work.send(None)
    except StopIteration:
        return
    raise RuntimeError("this was not meant to wait for anything")


def parts() -> Mapping[str, Part]:
    """Each part by name."""
    payload = to_json(order(1, payload_bytes=300, declined=0)._asdict())
    instance, change = paid("o-1", payload, at_ms=_AT_MS)
    definition = OrderToNotification.definition
    trigger = instance.facts[PaymentAuthorized.event_type]._replace(published=True)
    ready = evolve(instance, trigger)
    action = enabled(ready, "shipping")[0]
    returned = ActionResult(ResultKind.RETURNED, ShipmentCreated.event_type)
    shipped = Fact("id", ShipmentCreated.event_type, "create_shipment", Role.DONE, trigger.id)
    position = Position.of(instance)
    state, stored = encode_position(position), change.events[trigger.slot]
    envelope = decode_event(stored, definition.saga, "o-1", trigger)
    headers, body = encode_headers(envelope), envelope.payload
    subscription = Subscription(handlers.shipping, Topics("bench"))
    record = Record("bench.payments.events", 0, 0, b"o-1", body, headers, _AT_MS)
    return {
        "evolve": Part(lambda: evolve(ready, shipped)),
        "enabled": Part(lambda: enabled(ready, "shipping")),
        "decide": Part(lambda: decide(ready, action, returned)),
        "encode headers": Part(lambda: encode_headers(envelope)),
        "decode headers": Part(lambda: decode_headers(headers, body, time_ms=_AT_MS)),
        "receive": Part(lambda: position.receive(trigger, "shipping")),
        "encode position": Part(lambda: encode_position(position)),
        "decode position": Part(lambda: decode_position(definition, "o-1", state)),
        "encode event": Part(lambda: encode_event(envelope)),
        "filter a record": Part(lambda: subscription.interest(record)),
        "handle a step": _step(payload, subscription),
        "handle a step, with metrics": _step(payload, subscription, Metrics()),
        "handle a step, with traces": _step(payload, subscription, _traces()),
    }


def _traces() -> Tracing:
    """What a worker's own thread does for them; they are encoded and sent by another."""
    provider = TracerProvider(shutdown_on_exit=False)
    return Tracing(lambda _: provider)


def _step(payload: bytes, subscription: Subscription, telemetry: Telemetry | None = None) -> Part:
    """Shipping handles an authorized payment, of another order each time."""
    table, clock, ids, topics = MemorySagaTable(), SystemClock(), RandomIds(), Topics("bench")
    broker, patience = _AcceptsAll(clock), Patience(clock)
    participant = Participant(
        service=handlers.shipping,
        topics=topics,
        broker=broker,
        table=table,
        clock=clock,
        ids=ids,
        patience=patience,
        execution=Execution(resources={}, journal=None, clock=clock, ids=ids, patience=patience),
        resources={},
        retries=RetryTopics(
            "shipping",
            topics=topics,
            broker=broker,
            clock=clock,
            patience=patience,
            settings=RetrySettings(),
        ),
        telemetry=telemetry,
    )
    letters = DeadLetters("shipping", topics=topics, broker=broker, clock=clock, patience=patience)
    dispatch, numbers = Dispatch(participant, letters), count()
    waiting: list[Record] = []

    def prepare(calls: int) -> None:
        for _ in range(calls):
            key = f"o-{next(numbers):08}"
            own = payload.replace(b"o-00000001", key.encode())
            # The deadline of a saga that started long ago has passed: it starts now.
            instance, change = paid(key, own, at_ms=clock.now_ms())
            finish(table.store(change))
            stored = change.events[PaymentAuthorized.event_type]
            fact = instance.facts[PaymentAuthorized.event_type]
            envelope = decode_event(stored, OrderToNotification.name, key, fact)
            headers, body = encode_headers(envelope), envelope.payload
            waiting.append(
                Record("bench.payments.events", 0, 0, key.encode(), body, headers, _AT_MS)
            )

    def handle() -> None:
        record = waiting.pop()
        interest = subscription.interest(record)
        assert interest is not None
        finish(dispatch.handle(record, interest))

    return Part(handle, prepare)
