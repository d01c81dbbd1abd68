"""A member of a consumer group on the memory broker.

Owns its positions, what is paused, and the waiting of ``poll``. Never moves a committed offset but
by ``commit``.
"""

from __future__ import annotations

import asyncio
import enum
from bisect import bisect_left
from collections.abc import Mapping, Sequence

import structlog

from sagas.adapters.memory.group import Group
from sagas.adapters.memory.topic import Partition
from sagas.core.errors import ContractViolation
from sagas.ports import BrokerUnavailable, Clock, RebalanceListener, Record, TopicPartition

__all__ = ["MemoryConsumer"]

logger = structlog.get_logger(__name__)


class _Status(enum.Enum):
    NEW = "new"
    JOINING = "joining"
    ACTIVE = "active"
    RELEASING = "releasing"
    GONE = "gone"


class _Cursor:
    """Where the consumer stands in one partition that it owns, which is in this place of its order."""

    __slots__ = ("_consumer", "partition", "paused", "place", "position")

    def __init__(self, consumer: MemoryConsumer, partition: Partition, position: int) -> None:
        self._consumer = consumer
        self.partition = partition
        self.position = position
        self.paused = False
        self.place = 0

    @property
    def has_more(self) -> bool:
        """Whether there is something to take."""
        return not self.paused and self.position < len(self.partition.log)

    def arrived(self) -> None:
        """A record was appended to the partition."""
        if not self.paused:
            consumer = self._consumer
            consumer.fresh.add(self.place)
            if consumer.waiter is not None:
                consumer.wake()


class MemoryConsumer:
    """Reads as one member of a group. Poll from one task at a time.

    At-least-once: after a rebalance, a stop or a crash, whoever owns a partition starts again at
    the committed offset. ``poll`` lets other tasks run at least once each time, also when records
    never end. With ``poll_timeouts=False`` a poll ends only by a record or by the end of the
    consumer, so that waiting consumers are no timers of a simulated world.
    """

    def __init__(
        self,
        group: Group,
        topics: frozenset[str],
        listener: RebalanceListener,
        *,
        clock: Clock,
        rebalance_timeout_ms: int,
        poll_timeouts: bool,
    ) -> None:
        self.topics = topics
        self._group = group
        self._listener = listener
        self._clock = clock
        self._rebalance_timeout_ms = rebalance_timeout_ms
        self._poll_timeouts = poll_timeouts
        self._status = _Status.NEW
        self._cursors: dict[TopicPartition, _Cursor] = {}
        self._order: list[_Cursor] = []
        self.fresh: set[int] = set()
        """The places in its order where there is something to take."""
        self._turn = 0
        self.waiter: asyncio.Future[None] | None = None
        """The poll that waits."""
        self._interrupted = False
        self._settled: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None

    # --- the Consumer port ---------------------------------------------------------------------

    async def start(self) -> None:
        """Join the group and wait for the first assignment.

        Raises SettingsError for a topic that does not exist.
        """
        if self._status is not _Status.NEW:
            raise ContractViolation("a consumer starts once: ask the broker for a new one")
        loop = asyncio.get_running_loop()
        self._settled, self._gone = loop.create_future(), loop.create_future()
        self._group.join(self)
        self._status = _Status.JOINING
        try:
            await self._settled
        except asyncio.CancelledError:
            self.crash()
            raise
        self._check_member()

    async def stop(self) -> None:
        """Leave the group, committing nothing and telling the listener nothing. Safe to repeat."""
        self.crash()
        await asyncio.sleep(0)

    async def poll(self, *, records_max: int, timeout_ms: int) -> Sequence[Record]:
        """Return what is there, in offset order per partition; wait up to the timeout if empty.

        Returns nothing when the consumer stops meanwhile; raises BrokerUnavailable afterwards.
        """
        self._check_member()
        await asyncio.sleep(0)
        records = self._take(records_max)
        if not records and timeout_ms > 0:
            await self._wait_for_records(timeout_ms)
            records = self._take(records_max)
        return records

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver nothing of these partitions until they are resumed or given out anew."""
        for partition in partitions:
            if cursor := self._cursors.get(partition):
                cursor.paused = True
                self.fresh.discard(cursor.place)

    def resume(self, partitions: frozenset[TopicPartition]) -> None:
        """Deliver these partitions again, from where the consumer stood."""
        for partition in partitions:
            if cursor := self._cursors.get(partition):
                cursor.paused = False
                if cursor.has_more:
                    self.fresh.add(cursor.place)
        self.wake()

    async def behind(self) -> Mapping[TopicPartition, int]:
        """How far the end of each partition is ahead of what was delivered."""
        self._check_member()
        return {
            partition: len(cursor.partition.log) - cursor.position
            for partition, cursor in self._cursors.items()
        }

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offset to read, of all these partitions or of none; safe to repeat."""
        self._check_member()
        if not offsets.keys() <= self._cursors.keys():
            lost = [partition for partition in offsets if partition not in self._cursors]
            raise BrokerUnavailable(
                f"cannot commit {lost}: this consumer does not own them any more; "
                "their new owner starts at the committed offset"
            )
        self._group.committed.update(offsets)

    # --- for tests -----------------------------------------------------------------------------

    def crash(self) -> None:
        """Vanish: nothing is committed, the listener is not told, others get the partitions."""
        if self._status is _Status.NEW or self._status is _Status.GONE:
            self._status = _Status.GONE
            return
        self._status = _Status.GONE
        self._forget_partitions()
        for future in (self._settled, self._gone):
            if future is not None and not future.done():
                future.set_result(None)
        self.wake()
        self._group.leave(self)

    def interrupt(self) -> None:
        """Let the poll that waits return with nothing, as one with a timeout would in the end."""
        if self.waiter is not None:
            self._interrupted = True
            self.wake()

    # --- what the group asks -------------------------------------------------------------------

    async def release(self) -> None:
        """Let the listener finish, then own nothing. A commit is possible until then."""
        if self._status is not _Status.ACTIVE:
            return
        self._status = _Status.RELEASING
        if self._cursors:
            await self._tell_revoked(frozenset(self._cursors))
            self._forget_partitions()

    def own(self, partitions: Sequence[Partition], committed: Mapping[TopicPartition, int]) -> None:
        """Own these partitions, tell the listener, and only then deliver."""
        for partition in partitions:
            cursor = _Cursor(self, partition, committed.get(partition.id, 0))
            self._cursors[partition.id] = cursor
            partition.readers.append(cursor)
        self._order = list(self._cursors.values())
        for place, cursor in enumerate(self._order):
            cursor.place = place
        self.fresh = {cursor.place for cursor in self._order if cursor.has_more}
        if self._cursors:
            try:
                self._listener.assigned(frozenset(self._cursors))
            except Exception:
                logger.exception("rebalance.listener_failed", call="assigned")
        self._status = _Status.ACTIVE
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)
        self.wake()

    def wake(self) -> None:
        """Let a waiting poll look again."""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # --- inside --------------------------------------------------------------------------------

    def _check_member(self) -> None:
        if self._status is _Status.NEW or self._status is _Status.GONE:
            raise BrokerUnavailable(
                "this consumer is not started or stopped: start one to read and commit"
            )

    def _take(self, records_max: int) -> list[Record]:
        """Take from each partition in turn, so that a full one does not starve the others.

        Looks only where something is: going round all of 44 partitions was 480 instructions a poll.
        """
        taken: list[Record] = []
        if self._status is not _Status.ACTIVE:
            return taken
        self._turn += 1
        if not self.fresh:
            return taken
        order, places = self._order, sorted(self.fresh)
        first = bisect_left(places, self._turn % len(order))
        for place in places[first:] + places[:first]:
            cursor = order[place]
            log, position = cursor.partition.log, cursor.position
            records = log[position : position + records_max - len(taken)]
            taken += records
            cursor.position = position + len(records)
            if cursor.position == len(log):
                self.fresh.remove(place)
            if len(taken) >= records_max:
                break
        return taken

    async def _wait_for_records(self, timeout_ms: int) -> None:
        """Sleep until something is there to take, the time is over, or the consumer is gone."""
        if self.waiter is not None and not self.waiter.done():
            raise ContractViolation("two tasks poll one consumer: poll from one")
        loop = asyncio.get_running_loop()
        timer = None
        if self._poll_timeouts:
            timer = loop.create_task(self._end_of(timeout_ms))
        try:
            while not (self._interrupted or self._status is _Status.GONE or self._has_records()):
                waiter = self.waiter = loop.create_future()
                await waiter
                if timer is not None and timer.done():
                    return
        finally:
            self.waiter = None
            self._interrupted = False
            if timer is not None:
                timer.cancel()

    async def _end_of(self, timeout_ms: int) -> None:
        await self._clock.sleep(timeout_ms / 1000)
        # The poll must find this task done when it wakes.
        asyncio.get_running_loop().call_soon(self.wake)

    def _has_records(self) -> bool:
        return self._status is _Status.ACTIVE and bool(self.fresh)

    async def _tell_revoked(self, partitions: frozenset[TopicPartition]) -> None:
        loop = asyncio.get_running_loop()
        timeout_ms = self._rebalance_timeout_ms
        drain = loop.create_task(self._drain(partitions))
        timer = loop.create_task(self._clock.sleep(timeout_ms / 1000))
        gone = self._gone
        waiting = {drain, timer} if gone is None else {drain, timer, gone}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if timer.done() and not drain.done():
                logger.error("rebalance.listener_timed_out", timeout_ms=timeout_ms)
        finally:
            drain.cancel()
            timer.cancel()

    async def _drain(self, partitions: frozenset[TopicPartition]) -> None:
        try:
            await self._listener.revoked(partitions)
        except Exception:
            logger.exception("rebalance.listener_failed", call="revoked")

    def _forget_partitions(self) -> None:
        for cursor in self._cursors.values():
            cursor.partition.readers.remove(cursor)
        self._cursors = {}
        self._order = []
        self.fresh = set()
