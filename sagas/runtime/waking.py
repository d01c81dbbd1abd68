"""Wakes every participant of an instance that was put back: what it waited for may have been lost."""

from __future__ import annotations

from sagas.core.definition import START, Direction
from sagas.core.framework_events import WakeRequested
from sagas.ports import Broker, Clock, OutgoingRecord
from sagas.wire.envelope import Envelope, encode_headers
from sagas.wire.ids import event_id
from sagas.wire.topics import Topics

__all__ = ["GENERATION_BEGAN", "Waker"]

GENERATION_BEGAN = "sagas.GenerationBegan.v1"
"""A generation of the table begins. Said on the control topic, of no instance: workers pass it over."""


class Waker:
    """Publishes wake-ups. Holds nothing."""

    def __init__(self, *, topics: Topics, broker: Broker, clock: Clock) -> None:
        self._topics = topics
        self._broker = broker
        self._clock = clock

    async def announce(self, saga: str, generation: int) -> None:
        """Tell the topics of a generation before anybody can act under it, so that it never comes again.

        Returns once that is acknowledged. Safe to repeat. Raises BrokerUnavailable.
        """
        envelope = Envelope(
            id=f"{saga}/{generation}",
            type=GENERATION_BEGAN,
            source="rebuild",
            time_ms=self._clock.now_ms(),
            saga=None,
            saga_id=None,
            payload=b"{}",
            generation=generation,
        )
        key, headers = b"generation", encode_headers(envelope)
        topic = self._topics.control(saga)
        await self._broker.publish(OutgoingRecord(topic, key, envelope.payload, headers))

    async def wake(self, saga: str, saga_id: str, generation: int) -> None:
        """Have every participant run what is enabled for it; returns once that is acknowledged.

        The record carries the generation. Safe to repeat. Raises BrokerUnavailable.
        """
        event = WakeRequested(by="sagas", why=f"rebuilt from the topics, generation {generation}")
        what = f"{event.event_type}/{generation}"
        envelope = Envelope(
            id=event_id(saga, saga_id, what, step=START, direction=Direction.FORWARD),
            type=event.event_type,
            source="rebuild",
            time_ms=self._clock.now_ms(),
            saga=saga,
            saga_id=saga_id,
            payload=event.model_dump_json().encode(),
            generation=generation,
        )
        await self._broker.publish(
            OutgoingRecord(
                self._topics.control(saga),
                saga_id.encode(),
                envelope.payload,
                encode_headers(envelope),
            )
        )
