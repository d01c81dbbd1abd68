"""Dead letters: what could not be handled, bytes untouched, the failure in headers."""

from __future__ import annotations

import structlog

from sagas.ports import Broker, Clock, OutgoingRecord, Record
from sagas.runtime.patience import Patience
from sagas.wire.topics import Topics

__all__ = ["DeadLetters"]

_log = structlog.get_logger()


class DeadLetters:
    """The dead-letter topic of one service."""

    def __init__(
        self, service: str, *, topics: Topics, broker: Broker, clock: Clock, patience: Patience
    ) -> None:
        self._service = service
        self._topic = topics.dead_letters(service)
        self._broker = broker
        self._clock = clock
        self._patience = patience

    async def add(self, record: Record, error: Exception) -> None:
        """Publish the record as it was read and return once it is acknowledged.

        At-least-once: after a crash the same record may be there twice, told apart from others by its
        original topic, partition and offset.
        """
        failure = {
            "dlq-reason": str(error)[:1000],
            "dlq-exception": type(error).__qualname__,
            "dlq-service": self._service,
            "dlq-topic": record.topic,
            "dlq-partition": str(record.partition),
            "dlq-offset": str(record.offset),
            "dlq-time-ms": str(self._clock.now_ms()),
        }
        headers = (*record.headers, *((name, text.encode()) for name, text in failure.items()))
        outgoing = OutgoingRecord(self._topic, record.key, record.value, headers)
        await self._patience.insist(lambda: self._broker.publish(outgoing))
        _log.error(
            "message.dead_lettered",
            reason=str(error),
            exception=type(error).__qualname__,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
