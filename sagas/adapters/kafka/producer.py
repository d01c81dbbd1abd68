"""Publishes to Kafka: one idempotent aiokafka producer at a time, replaced after any error.

After a rejected batch, aiokafka's sequence numbers are ahead of the broker's, and an idempotent
batch never expires: a producer that saw an error is of no use. It is retired, everybody who waits
for it gets BrokerUnavailable, and the next publisher builds its successor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    UnknownTopicOrPartitionError,
)

from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.closing import close_producer
from sagas.adapters.kafka.connections import guard
from sagas.adapters.kafka.errors import CONNECTION_ERRORS, missing_topic, translated
from sagas.adapters.kafka.sending import partition_of, put_at_once
from sagas.adapters.kafka.settings import Connection, KafkaSettings
from sagas.core.errors import ContractViolation
from sagas.ports import MessageTooLarge, OutgoingRecord

__all__ = ["KafkaProducer"]

logger = structlog.get_logger(__name__)

_RETIRE_GRACE_S = 1.0


@dataclass(slots=True, eq=False)
class _Live:
    """A connected producer, the topics that it knows, and who waits for an acknowledgement."""

    producer: AIOKafkaProducer
    topics: set[str] = field(default_factory=set)
    waiting: deque[tuple[float, asyncio.Future[object]]] = field(default_factory=deque)
    watch: asyncio.TimerHandle | None = None


class KafkaProducer:
    """Batches concurrent ``publish`` calls; acks=all, idempotent within one producer's life."""

    def __init__(self, connection: Connection, settings: KafkaSettings) -> None:
        self._connection = connection
        self._settings = settings
        self._live: _Live | None = None
        self._opening: asyncio.Task[_Live] | None = None
        self._retiring: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Lock()
        self._running = False

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable; nothing stays open then."""
        self._running = True
        try:
            await self._open()
        except BaseException:
            self._running = False
            raise

    async def stop(self) -> None:
        """Flush and close, bounded in time. Safe to repeat."""
        self._running = False
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait({self._opening})
        if (live := self._live) is not None:
            self._live = None
            self._retire(live, grace_s=self._settings.stop_timeout_ms / 1000)
        if self._retiring:
            await asyncio.wait(self._retiring)

    async def publish(self, record: OutgoingRecord) -> None:
        """Return once the record is acknowledged; see ``Broker.publish``."""
        if record.key is None and record.value is None:
            raise ContractViolation(f"a record for {record.topic} needs a key or a value")
        live = self._live or await self._open()
        if record.topic not in live.topics:
            await self._learn(live, record.topic)
        try:
            delivery = put_at_once(live.producer, record)
            if delivery is None:
                # Suspends only while the partition's batch is full; aiokafka bounds that.
                delivery = await live.producer.send(
                    record.topic, record.value, record.key, headers=list(record.headers)
                )
        except MessageSizeTooLargeError as error:
            # Refused before it was put into a batch: the producer is as good as before.
            raise self._too_large(record, error) from error
        except KafkaError as error:
            raise self._given_up(live, record, error) from error
        self._watch(live, delivery)
        try:
            await delivery
        except MessageSizeTooLargeError as error:
            self._given_up(live, record, error)
            await self._publish_alone(record)
        except KafkaError as error:
            raise self._given_up(live, record, error) from error

    # --- the life of a producer ----------------------------------------------------------------

    async def _open(self) -> _Live:
        """Get the live producer; of many callers, one connects and all share the outcome."""
        if not self._running:
            raise ContractViolation(
                "This broker is stopped or was never started: the platform of this client is closed; "
                "use it inside 'async with real_platform(…)'."
            )
        if self._opening is None:
            self._opening = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add_done_callback(self._opened)
        return await asyncio.shield(self._opening)

    async def _connect(self) -> _Live:
        producer = self._build(batch_size_bytes=self._settings.max_batch_size_bytes)
        await self._start(producer)
        self._live = _Live(producer)
        return self._live

    def _opened(self, opening: asyncio.Task[_Live]) -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # whoever waited has it; nobody may have waited

    def _build(self, *, batch_size_bytes: int) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._connection,
            acks="all",
            enable_idempotence=True,
            linger_ms=self._settings.linger_ms,
            max_batch_size=batch_size_bytes,
            max_request_size=self._settings.record_max_bytes,
            request_timeout_ms=self._settings.request_timeout_ms,
            partitioner=partition_of,
        )
        guard(producer.client)
        return producer

    async def _start(self, producer: AIOKafkaProducer) -> None:
        try:
            async with asyncio.timeout(self._settings.connect_timeout_ms / 1000):
                await producer.start()
        except CONNECTION_ERRORS as error:
            await close_producer(producer, grace_s=_RETIRE_GRACE_S)
            raise translated(error, self._connection, "connecting a producer") from error
        except BaseException:
            await close_producer(producer, grace_s=_RETIRE_GRACE_S)
            raise

    def _given_up(self, live: _Live, record: OutgoingRecord, error: Exception) -> Exception:
        """Retire the producer that failed and say so to this publisher and all others."""
        doing = f"a record for {record.topic}"
        if self._live is live:
            self._live = None
            logger.warning("producer.replaced", reason=repr(error), topic=record.topic)
            self._retire(live, grace_s=_RETIRE_GRACE_S)
        return translated(error, self._connection, doing)

    def _retire(self, live: _Live, *, grace_s: float) -> None:
        """Close it in the background; who still waits is told when it could not be flushed."""
        task = asyncio.get_running_loop().create_task(
            close_producer(live.producer, grace_s=grace_s)
        )
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    # --- acknowledgements ----------------------------------------------------------------------

    def _watch(self, live: _Live, delivery: asyncio.Future[object]) -> None:
        """Bound the wait. All have the same timeout, so one timer for the oldest is enough."""
        loop = asyncio.get_running_loop()
        waiting = live.waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()
        timeout_s = self._settings.publish_timeout_ms / 1000
        waiting.append((loop.time() + timeout_s, delivery))
        if live.watch is None:
            live.watch = loop.call_later(timeout_s, self._look, live)

    def _look(self, live: _Live) -> None:
        loop = asyncio.get_running_loop()
        live.watch = None
        waiting = live.waiting
        while waiting and waiting[0][1].done():
            waiting.popleft()
        if not waiting:
            return
        deadline, delivery = waiting[0]
        if deadline > loop.time():
            live.watch = loop.call_at(deadline, self._look, live)
        else:
            timeout_ms = self._settings.publish_timeout_ms
            delivery.set_exception(KafkaError(f"no acknowledgement within {timeout_ms} ms"))

    # --- topics and sizes ----------------------------------------------------------------------

    async def _learn(self, live: _Live, topic: str) -> None:
        """Wait until the producer knows the topic, or say that there is none."""
        doing = f"looking for topic {topic}"
        try:
            async with asyncio.timeout(self._settings.metadata_timeout_ms / 1000):
                await live.producer.partitions_for(topic)
        except (TimeoutError, UnknownTopicOrPartitionError) as error:
            if topic not in await self._topics():
                raise missing_topic(topic, self._connection) from error
            raise translated(error, self._connection, doing) from error
        except CONNECTION_ERRORS as error:
            raise translated(error, self._connection, doing) from error
        live.topics.add(topic)

    async def _topics(self) -> frozenset[str]:
        servers, client_id = self._connection["bootstrap_servers"], self._connection["client_id"]
        admin = KafkaAdmin(servers, client_id=client_id, settings=self._settings)
        return frozenset(await admin.describe_topics())

    async def _publish_alone(self, record: OutgoingRecord) -> None:
        """Publish in a batch of its own: a batch is refused with all that is in it."""
        async with self._alone:
            producer = self._build(batch_size_bytes=1)
            await self._start(producer)
            try:
                async with asyncio.timeout(self._settings.publish_timeout_ms / 1000):
                    await producer.send_and_wait(
                        record.topic, record.value, record.key, headers=list(record.headers)
                    )
            except MessageSizeTooLargeError as error:
                raise self._too_large(record, error) from error
            except CONNECTION_ERRORS as error:
                doing = f"a record for {record.topic}"
                raise translated(error, self._connection, doing) from error
            finally:
                await close_producer(producer, grace_s=_RETIRE_GRACE_S)

    def _too_large(self, record: OutgoingRecord, error: Exception) -> MessageTooLarge:
        size_bytes = len(record.value or b"")
        return MessageTooLarge(
            f"a record for {record.topic} with a value of {size_bytes} bytes is refused ({error}); "
            f"this client sends up to {self._settings.record_max_bytes} bytes, the topic may allow "
            "less: publish a reference instead"
        )
