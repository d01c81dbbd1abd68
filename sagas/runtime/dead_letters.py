"""Dead letters: what could not be handled, bytes untouched, the failure in headers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from sagas.ports import Broker, Clock, MessageTooLarge, OutgoingRecord, Record
from sagas.ports.telemetry import Telemetry
from sagas.runtime.execution import words_of
from sagas.runtime.patience import Patience
from sagas.wire.headers import Headers
from sagas.wire.topics import Topics

__all__ = ["DeadLetters"]

_log = structlog.get_logger()


class DeadLetters:
    """The dead-letter topic of one service."""

    def __init__(
        self,
        service: str,
        *,
        topics: Topics,
        broker: Broker,
        clock: Clock,
        patience: Patience,
        heard: Callable[[Exception], None] = lambda _: None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._service = service
        self._topic = topics.dead_letters(service)
        self._broker = broker
        self._clock = clock
        self._patience = patience
        self._heard = heard
        self._telemetry = telemetry

    async def add(self, record: Record, error: Exception) -> None:
        """Publish the record as it was read and return once it is acknowledged.

        At-least-once: after a crash the same record may be there twice, told apart from others by its
        original topic, partition and offset. Where the record leaves no room for the failure's headers,
        they stand alone and say where it is.
        """
        self._heard(error)
        reason = words_of(error)[:1000]
        failure = {
            "dlq-reason": reason,
            "dlq-exception": type(error).__qualname__,
            "dlq-service": self._service,
            "dlq-topic": record.topic,
            "dlq-partition": str(record.partition),
            "dlq-offset": str(record.offset),
            "dlq-time-ms": str(self._clock.now_ms()),
        }
        try:
            await self._publish(record.key, record.value, record.headers, failure)
        except MessageTooLarge:
            size = str(len(record.value or b""))
            failure |= {"dlq-omitted": "key, value, headers", "dlq-value-bytes": size}
            await self._publish(None, None, (), failure)
        if self._telemetry is not None:
            self._telemetry.dead_lettered(self._service, error)
        _log.error(
            "message.dead_lettered",
            reason=reason,
            error_type=type(error).__qualname__,
            dlq=self._topic,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )

    async def _publish(
        self, key: bytes | None, value: bytes | None, headers: Headers, failure: Mapping[str, str]
    ) -> None:
        said = tuple((name, text.encode()) for name, text in failure.items())
        if key is None and value is None:
            value = b""  # the broker wants one of them; a record from outside may have neither
        outgoing = OutgoingRecord(self._topic, key, value, (*headers, *said))
        await self._patience.insist(lambda: self._broker.publish(outgoing))
