"""A member of a consumer group on Kafka, through aiokafka.

Owns one aiokafka consumer from ``start`` to ``stop``. Hands out bytes as they are, commits only
what it is told to, and never lets an unreadable record cost the records of other partitions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    UnsupportedCodecError,
)

from sagas.adapters.kafka.admin import KafkaAdmin
from sagas.adapters.kafka.closing import close_consumer, disown_commits
from sagas.adapters.kafka.connections import guard
from sagas.adapters.kafka.ends import undelivered
from sagas.adapters.kafka.errors import CONNECTION_ERRORS, missing_topic, translated
from sagas.adapters.kafka.fetches import Seldom, swift
from sagas.adapters.kafka.planning import plan_swiftly
from sagas.adapters.kafka.rebalance import Rebalance
from sagas.adapters.kafka.records import give_records
from sagas.adapters.kafka.settings import Connection, KafkaSettings
from sagas.core.errors import ContractViolation
from sagas.ports import BrokerUnavailable, RebalanceListener, Record, TopicPartition

__all__ = ["KafkaConsumer"]

logger = structlog.get_logger(__name__)

_UNREADABLE = (CorruptRecordException, UnsupportedCodecError)
_TOPIC_POLL_S = 0.1

_Fetched = tuple[int, Sequence[Sequence[Record]]]
"""Of which generation, and some records of one partition, of another, and so on."""


class KafkaConsumer:
    """Reads as one member of a group. Poll from one task at a time.

    Partitions are assigned by range, so that topics with equally many partitions are shared out
    alike: all messages of a saga, whichever service emitted them, reach the same process, which
    handles them in turn instead of by conflicts in the saga table.

    **Unreadable records** (a checksum or compression that fails, a codec that is not installed):
    the records before it are delivered; then its partition is set aside, an error with topic,
    partition and offset is logged, and it is tried again every ``unreadable_retry_ms``, logged each
    time. Other partitions go on. Nothing is skipped: an operator repairs the log or the
    installation, or moves the group's offset.

    Topics of ``seldom`` are in few fetches while others have records: see ``Seldom``.
    """

    def __init__(
        self,
        connection: Connection,
        settings: KafkaSettings,
        topics: frozenset[str],
        *,
        group: str,
        listener: RebalanceListener,
        seldom: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._topics = topics
        self._asking = Seldom({topic: ms / 1000 for topic, ms in seldom.items()})
        self._group = group
        self._rebalance = Rebalance(
            listener, drain_timeout_ms=settings.drain_timeout_ms, on_change=self._forget
        )
        self._consumer: AIOKafkaConsumer | None = None
        self._stopped: asyncio.Future[None] | None = None
        self._fetch: asyncio.Task[_Fetched] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._positions: dict[TopicPartition, int] = {}
        self._paused: frozenset[TopicPartition] = frozenset()
        self._aside: dict[TopicPartition, float] = {}
        self._suspects: deque[TopicPartition] = deque()
        self._rewind_needed = False

    # --- the Consumer port ---------------------------------------------------------------------

    async def start(self) -> None:
        """Join the group and wait for the first assignment, as long as others drain.

        Raises BrokerUnavailable, and SettingsError for a topic that is missing or not allowed;
        nothing stays open then.
        """
        if self._stopped is not None:
            raise ContractViolation("a consumer starts once: ask the broker for a new one")
        self._stopped = asyncio.get_running_loop().create_future()
        await self._find_topics()
        consumer = self._build()
        consumer.subscribe(topics=sorted(self._topics), listener=self._rebalance)
        settings = self._settings
        timeout_ms = settings.connect_timeout_ms + settings.rebalance_timeout_ms
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await consumer.start()
        except CONNECTION_ERRORS as error:
            await self._close(consumer)
            raise translated(error, self._connection, f"joining group {self._group}") from error
        except BaseException:
            await self._close(consumer)
            raise
        give_records(consumer)
        plan_swiftly(consumer, self._asking)
        self._consumer = consumer

    async def stop(self) -> None:
        """Leave the group, committing nothing and telling the listener nothing. Safe to repeat.

        Bounded by twice the stop timeout, also when Kafka is away. A waiting poll returns nothing.
        """
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)
            self._wake()
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.wait({self._fetch})
        await self._close(consumer)

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        """Return what is there, in offset order per partition; wait up to the timeout if empty.

        While the group rebalances it waits for the end of that. aiokafka reconnects by itself, so
        that a Kafka that is away looks like one with no records. Raises BrokerUnavailable when the
        membership cannot be kept up (if it does so again and again, start a new consumer) or the
        consumer is stopped, and SettingsError when access is refused.
        """
        consumer, stopped = self._member()
        if self._fetch is None:
            fetching = self._fetch_records(consumer, records_max, timeout_ms)
            self._fetch = asyncio.get_running_loop().create_task(fetching)
        fetch = self._fetch
        try:
            if not (fetch.done() or stopped.done()):
                await self._fetched_or_stopped(fetch)
        except asyncio.CancelledError:
            if not fetch.cancel():
                raise  # it has records already: the next poll returns them
            self._fetch = None
            raise
        if stopped.done():
            return ()
        self._fetch = None
        generation, groups = fetch.result()
        if generation != self._rebalance.generation:
            return ()  # a rebalance began: whoever owns these partitions next reads them again
        records: list[Record] = []
        for group in groups:
            last = group[-1]
            self._positions[last.topic_partition] = last.offset + 1
            records += group
        return records

    async def _fetched_or_stopped(self, fetch: asyncio.Future[Any]) -> None:
        """What ``asyncio.wait`` does for a sixth of its instructions: there is one for each poll."""
        self._waiter = asyncio.get_running_loop().create_future()
        fetch.add_done_callback(self._wake)
        try:
            await self._waiter
        finally:
            fetch.remove_done_callback(self._wake)
            self._waiter = None

    def _wake(self, _fetched: object = None) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver nothing of these partitions until they are resumed or given out anew."""
        owned = partitions & self._rebalance.owned
        self._paused |= owned
        self._pause(owned)

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver these partitions again, from where the consumer stood."""
        owned = partitions & self._rebalance.owned
        self._paused -= owned
        self._resume(owned - self._aside.keys())

    async def behind(self) -> Mapping[TopicPartition, int]:
        """How many records of each partition were not delivered yet: asks Kafka where they end."""
        consumer, _ = self._member()
        try:
            async with asyncio.timeout(self._settings.commit_timeout_ms / 1000):
                return await undelivered(consumer, self._rebalance.owned)
        except CONNECTION_ERRORS as error:
            raise translated(
                error, self._connection, f"looking how far {self._group} is"
            ) from error

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offset to read, of all these partitions or of none; safe to repeat.

        Raises BrokerUnavailable when Kafka does not confirm in time, or the group has given one of
        the partitions to somebody else.
        """
        consumer, _ = self._member()
        wanted = {KafkaPartition(*partition): offset for partition, offset in offsets.items()}
        if not wanted:
            return
        try:
            async with asyncio.timeout(self._settings.commit_timeout_ms / 1000):
                await consumer.commit(wanted)
        except CONNECTION_ERRORS as error:
            disown_commits()
            raise translated(error, self._connection, f"a commit of {self._group}") from error

    # --- starting and stopping -----------------------------------------------------------------

    def _build(self) -> AIOKafkaConsumer:
        settings = self._settings
        consumer = AIOKafkaConsumer(
            **self._connection,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            rebalance_timeout_ms=settings.rebalance_timeout_ms,
            request_timeout_ms=settings.consumer_request_timeout_ms,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            fetch_max_bytes=settings.fetch_max_bytes,
        )
        guard(consumer._client)  # noqa: SLF001 - see there
        swift(consumer._client, self._asking)  # noqa: SLF001 - see there
        return consumer

    async def _find_topics(self) -> None:
        """Wait a little for topics that are being created; say which one is missing."""
        servers, client_id = self._connection["bootstrap_servers"], self._connection["client_id"]
        admin = KafkaAdmin(servers, client_id=client_id, settings=self._settings)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + self._settings.metadata_timeout_ms / 1000
        while missing := self._topics - (await admin.describe_topics()).keys():
            if loop.time() > give_up:
                raise missing_topic(min(missing), self._connection)
            await asyncio.sleep(_TOPIC_POLL_S)

    async def _close(self, consumer: AIOKafkaConsumer) -> None:
        await close_consumer(consumer, grace_s=self._settings.stop_timeout_ms / 1000)

    def _member(self) -> tuple[AIOKafkaConsumer, asyncio.Future[None]]:
        if self._consumer is None or self._stopped is None:
            # A listener may commit while ``start`` still waits, but has nothing to commit then.
            raise BrokerUnavailable(
                "this consumer is not started or stopped: start one to read and commit"
            )
        return self._consumer, self._stopped

    # --- fetching ------------------------------------------------------------------------------

    async def _fetch_records(
        self, consumer: AIOKafkaConsumer, records_max: int, timeout_ms: int
    ) -> _Fetched:
        """One call of getmany, never cancelled but at the end, and what must be done around it."""
        generation = self._rebalance.generation
        try:
            if self._rewind_needed:
                await self._rewind(consumer)
            if suspect := self._next_suspect():
                alone = await self._fetch_carefully(consumer, suspect, records_max)
                return generation, [alone] if alone else ()
            batches = await consumer.getmany(timeout_ms=timeout_ms, max_records=records_max)
        except ConsumerStoppedError:
            return generation, ()
        except CONNECTION_ERRORS as error:
            if not isinstance(error, _UNREADABLE):
                doing = f"membership in group {self._group}"
                raise translated(error, self._connection, doing) from error
            self._distrust_all(error)
            return generation, ()
        except Exception as error:  # noqa: BLE001 - codecs raise what they like
            self._distrust_all(error)
            return generation, ()
        return self._rebalance.generation, tuple(batches.values())

    def _pause(self, partitions: frozenset[TopicPartition]) -> None:
        if self._consumer is not None:
            self._consumer.pause(*(KafkaPartition(*partition) for partition in partitions))

    def _resume(self, partitions: frozenset[TopicPartition]) -> None:
        if self._consumer is not None:
            self._consumer.resume(*(KafkaPartition(*partition) for partition in partitions))

    def _forget(self) -> None:
        """Ownership changes: pauses, positions and suspicions are those of the past."""
        self._positions.clear()
        self._paused = frozenset()
        self._aside.clear()
        self._suspects.clear()
        self._rewind_needed = False

    # --- unreadable records --------------------------------------------------------------------

    def _distrust_all(self, error: Exception) -> None:
        """One bad record made aiokafka drop what it had fetched from several partitions.

        Their positions are ahead of what was delivered: they are rewound, and then read one by one
        until the culprit is found.
        """
        logger.warning("records.unreadable", group=self._group, reason=repr(error))
        self._rewind_needed = True
        self._suspects.extend(sorted(self._rebalance.owned - self._aside.keys()))

    async def _rewind(self, consumer: AIOKafkaConsumer) -> None:
        """Go back to what was delivered last or, where nothing was yet, to what was committed."""
        timeout_s = self._settings.commit_timeout_ms / 1000
        with contextlib.suppress(IllegalStateError):  # a rebalance: it rewinds by itself
            async with asyncio.timeout(timeout_s):
                for partition in sorted(self._rebalance.owned):
                    kafka_partition = KafkaPartition(*partition)
                    position = self._positions.get(partition)
                    if position is None:
                        position = await consumer.committed(kafka_partition)
                    if position is None:
                        await consumer.seek_to_beginning(kafka_partition)
                    else:
                        consumer.seek(kafka_partition, position)
        self._rewind_needed = False

    def _next_suspect(self) -> TopicPartition | None:
        """The next partition to be read on its own, one that was set aside long enough included."""
        now = asyncio.get_running_loop().time()
        for partition, retry_at in tuple(self._aside.items()):
            if retry_at <= now:
                del self._aside[partition]
                if partition not in self._paused:
                    self._resume(frozenset({partition}))
                self._suspects.append(partition)
        return self._suspects.popleft() if self._suspects else None

    async def _fetch_carefully(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, records_max: int
    ) -> Sequence[Record]:
        """Read one partition, record by record, so that an error costs none but the bad one."""
        records: list[Record] = []
        kafka_partition = KafkaPartition(*partition)
        wait_ms = 2 * self._settings.fetch_wait_ms
        try:
            while len(records) < records_max:
                batches = await consumer.getmany(
                    kafka_partition, timeout_ms=0 if records else wait_ms, max_records=1
                )
                if not batches:
                    break
                records.extend(batches[kafka_partition])
        except (ConsumerStoppedError, KafkaError, OSError) as error:
            if isinstance(error, _UNREADABLE):
                self._set_aside(partition, records, error)
        except Exception as error:  # noqa: BLE001 - codecs raise what they like
            self._set_aside(partition, records, error)
        return records

    def _set_aside(
        self, partition: TopicPartition, records: Sequence[Record], error: Exception
    ) -> None:
        """Pause the partition, say where it stands, and try it again later."""
        retry_ms = self._settings.unreadable_retry_ms
        offset = records[-1].offset + 1 if records else self._positions.get(partition)
        self._aside[partition] = asyncio.get_running_loop().time() + retry_ms / 1000
        self._pause(frozenset({partition}))
        logger.error(
            "partition.unreadable",
            group=self._group,
            topic=partition.topic,
            partition=partition.partition,
            offset=offset,
            reason=repr(error),
            retry_ms=retry_ms,
            remedy="install the codec, repair the log, or move the group's offset past the record",
        )
