"""The worker: one service's member of its consumer group.

Owns polling, the bounds on what is in flight, the order within a saga, what may be committed, and the
drain. Never looks into a record beyond the filter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from sagas.core.errors import InvalidMessage, RetriableError
from sagas.core.lifecycle import Happening, WorkerState
from sagas.ports import Broker, Clock, Consumer, Record, TopicPartition
from sagas.runtime.commits import Commits
from sagas.runtime.dispatch import Dispatch
from sagas.runtime.intake import Intake
from sagas.runtime.isolation import IsolationSettings
from sagas.runtime.lifecycle import Lifecycle
from sagas.runtime.patience import Patience
from sagas.runtime.retry_topics import original_of
from sagas.runtime.shares import Share
from sagas.runtime.subscription import Interest, Subscription
from sagas.runtime.turns import Turns
from sagas.wire.retried import Retried

__all__ = ["Worker", "WorkerSettings"]

_log = structlog.get_logger()

_POLL_PAUSE_S = 0.5
_POLLS_FAILED_MAX = 5
_CANCELLED_WITHIN_S = 5.0
"""So long may a cancelled message clean up; one that ignores its cancellation is left to itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Bounds of a worker. A partition with ``in_flight_max`` messages begun and not finished is paused; with
    ``backlog_max`` in all, every partition is, and the worker says so.
    """

    in_flight_max: int = 500
    backlog_max: int = 5_000
    records_max: int = 500
    poll_timeout_ms: int = 200
    commit_interval_s: float = 0.1
    drain_timeout_s: float = 25.0
    isolation: IsolationSettings = field(default_factory=IsolationSettings)


class Worker:
    """Runs one service: create it, ``run`` it once, ``stop`` it from anywhere.

    Implements ``RebalanceListener`` for its own consumer.
    """

    def __init__(
        self,
        name: str,
        *,
        group: str,
        subscription: Subscription,
        dispatch: Dispatch,
        broker: Broker,
        clock: Clock,
        patience: Patience,
        settings: WorkerSettings,
        lifecycle: Lifecycle,
        waits_for: Callable[[asyncio.Task[None]], asyncio.Task[Any] | None] = lambda _: None,
    ) -> None:
        self._name = name
        self._subscription = subscription
        self._dispatch = dispatch
        self._clock = clock
        self._patience = patience
        self._settings = settings
        self._new_consumer = partial(
            broker.consumer,
            subscription.topics,
            group=group,
            listener=self,
            seldom=subscription.unhurried,
        )
        self._consumer: Consumer = self._new_consumer()
        self._let_go: set[asyncio.Task[None]] = set()
        self._polls_failed = 0
        self.is_outside = False
        """Whether it has lost its group, and is about to join it again."""
        self._shares: dict[TopicPartition, Share] = {}
        self._intake = Intake(
            lambda: self._consumer,
            partition_max=settings.in_flight_max,
            backlog_max=settings.backlog_max,
        )
        self._turns = Turns(dispatch)
        self._waiting: set[asyncio.Task[None]] = set()
        self._commits = Commits(
            name,
            self._shares,
            lambda: self._consumer,
            clock=clock,
            interval_s=settings.commit_interval_s,
        )
        self._stopping = asyncio.Event()
        self._lifecycle = lifecycle
        self._waits_for = waits_for
        self.dropped = 0
        self._turned_at_ms = 0
        self._failure: BaseException | None = None

    @property
    def in_flight(self) -> int:
        """How many messages are begun and not finished."""
        return sum(len(share.tasks) for share in self._shares.values())

    @property
    def state(self) -> WorkerState:
        """What it does."""
        return self._lifecycle.state

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        """Those that its group has given to it."""
        return frozenset(self._shares)

    @property
    def backlog(self) -> int:
        """How many messages are begun and not finished, those left out that only wait for their time."""
        return self.in_flight - len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether it takes no new messages until some have ended."""
        return self._intake.is_full

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to stop, or has to; it does once its poll returns."""
        return self._stopping.is_set()

    async def lags(self) -> Mapping[TopicPartition, int]:
        """How many records of each of its partitions are not finished. Raises BrokerUnavailable."""
        behind = await self._consumer.behind()
        return {one: ahead + self._begun_of(one) for one, ahead in behind.items()}

    def _begun_of(self, partition: TopicPartition) -> int:
        share = self._shares.get(partition)
        return 0 if share is None else len(share.tasks)

    def is_alive(self, *, within_ms: int) -> bool:
        """Whether it runs and its poll loop has turned within that time."""
        recent = self._clock.now_ms() - self._turned_at_ms <= within_ms
        return self.state is WorkerState.RUNNING and recent

    @property
    def begun(self) -> dict[asyncio.Task[None], asyncio.Task[Any] | None]:
        """The messages begun and not finished, as tasks, each with the task whose end it waits for.

        For those who watch a worker, and for a test that lets it vanish.
        """
        return {
            task: self._turns.waits.get(task) or self._waits_for(task)
            for share in self._shares.values()
            for task in share.tasks
        }

    def stop(self) -> None:
        """Ask the worker to finish what it has begun, commit, and leave its group."""
        self._stopping.set()

    async def run(self, on_running: Callable[[], None] = lambda: None) -> None:
        """Work until stopped, then drain. Whoever runs it has said that it is launched, and says when all is
        closed.

        The drain is bounded by ``drain_timeout_s``; what is unfinished then is cancelled, stays
        uncommitted, and is delivered to another member.
        """
        if not await self._joined():
            return
        committer = asyncio.create_task(self._commits.forever(), name=f"{self._name}-commit")
        self._turned_at_ms = self._clock.now_ms()
        self._lifecycle.happened(Happening.JOINED, topics=sorted(self._subscription.topics))
        on_running()
        try:
            while not self._stopping.is_set():
                self._take(await self._poll())
                self._intake.taken(self.backlog)
                if committer.done():
                    await committer
        except Exception as error:
            self._lifecycle.failed(error)
            raise
        finally:
            committer.cancel()
            await asyncio.gather(committer, return_exceptions=True)
            try:
                await self._drain(frozenset(self._shares))
            finally:
                await self._consumer.stop()
        if self._failure is not None:
            raise self._failure

    async def _joined(self) -> bool:
        """Join the group, for as long as it takes; False if the worker is stopped meanwhile."""
        joining = asyncio.create_task(self._patience.insist(self._join))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((joining, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not joining.done():
            joining.cancel()
            await asyncio.gather(joining, return_exceptions=True)
            return False
        joining.result()
        return True

    async def _join(self) -> None:
        """One attempt. A consumer that could not start is of no use any more."""
        try:
            await self._consumer.start()
        except RetriableError:
            self._consumer = self._new_consumer()
            raise

    async def _poll(self) -> Sequence[Record]:
        """The next records. A consumer whose polls keep failing is replaced by a new member."""
        self._turned_at_ms = self._clock.now_ms()
        try:
            records = await self._consumer.poll(
                records_max=self._settings.records_max,
                timeout_ms=self._settings.poll_timeout_ms,
            )
        except RetriableError as error:
            self._polls_failed += 1
            _log.warning("poll.failed", service=self._name, error=str(error))
            await self._clock.sleep(_POLL_PAUSE_S)
            if self._polls_failed % _POLLS_FAILED_MAX == 0:
                self.is_outside = True
                await self.revoked(frozenset(self._shares))
                await self._consumer.stop()
                self._consumer = self._new_consumer()
                self.is_outside = not await self._joined()
            return ()
        self._polls_failed = 0
        return records

    def _take(self, records: Sequence[Record]) -> None:
        """Begin what a poll has brought. The records of a partition stand together, and look for it once."""
        topic, number, share, dropped = "", -1, None, self.dropped
        for record in records:
            if record.partition != number or record.topic != topic:
                topic, number = record.topic, record.partition
                share = self._shares.get(record.topic_partition)
            if share is not None:  # else taken away since it was fetched; its next owner gets it
                self._accept(record, share)
        if self.dropped != dropped:
            self._commits.due()

    def _accept(self, record: Record, share: Share) -> None:
        original, retried = record, None
        try:
            if record.topic in self._subscription.retry_topics:
                original, retried = original_of(record)
            interest = self._subscription.interest(original)
        except InvalidMessage as error:
            self._spawn(record, share, self._dispatch.reject(record, error), takes_turn=False)
            return
        if interest is None:
            self.dropped += 1
            share.tracker.pass_over(record.offset)
        elif retried is None:
            self._spawn(record, share, self._turns.handling(record, interest))
        else:
            waiting = self._when_due(original, interest, retried)
            self._waiting.add(self._spawn(record, share, waiting, takes_turn=False))

    async def _when_due(self, original: Record, interest: Interest, retried: Retried) -> None:
        """Wait until a record leaves its retry topic, and only then take a turn: it holds nobody back."""
        while (left_ms := retried.release_ms - self._clock.now_ms()) > 0:
            await self._clock.sleep(left_ms / 1000)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that awaits has one
        self._waiting.discard(task)
        handling = self._turns.handling(original, interest, retried)
        if original.key:
            self._turns.last[original.key] = task
        await handling

    def _spawn(
        self,
        record: Record,
        share: Share,
        work: Coroutine[None, None, None],
        *,
        takes_turn: bool = True,
    ) -> asyncio.Task[None]:
        share.tracker.begin(record.offset)
        task = asyncio.get_running_loop().create_task(work)
        share.tasks[task] = None
        if takes_turn and record.key:
            self._turns.last[record.key] = task
        if len(share.tasks) >= self._settings.in_flight_max:
            self._intake.begun(share.partition, len(share.tasks))
        task.add_done_callback(partial(self._finished, record, share))
        return task

    def _finished(self, record: Record, share: Share, task: asyncio.Task[None]) -> None:
        share.tasks.pop(task, None)
        last, key = self._turns.last, record.key
        if key and last.get(key) is task:
            del last[key]
        if self._waiting:
            self._waiting.discard(task)
        if task.cancelled() or task.exception() is not None:
            self._unfinished(record, task)
            return
        if self._let_go:
            self._let_go.discard(task)
        share.tracker.finish(record.offset)
        self._commits.due()
        if self._intake.holds:
            begun = self._begun_of(share.partition)
            self._intake.finished(share.partition, begun, self.backlog)

    def _unfinished(self, record: Record, task: asyncio.Task[None]) -> None:
        """A message ended badly: its offset stays where it is."""
        let_go = task in self._let_go or self._stopping.is_set()
        self._let_go.discard(task)
        if task.cancelled() and let_go:
            return  # it is delivered again
        # Else not even a dead letter could be written.
        error = _cancelled_from_within(record) if task.cancelled() else task.exception()
        assert error is not None  # noqa: S101 - whoever calls this has seen it
        self._failure = self._failure or error
        self._lifecycle.failed(error)
        self._stopping.set()

    async def _drain(self, partitions: frozenset[TopicPartition]) -> None:
        """Finish what is begun of these partitions, bounded in time, and commit it.

        What only waits for its time is let go at once: it stays uncommitted, and waits elsewhere.
        """
        shares = [self._shares[one] for one in sorted(partitions) if one in self._shares]
        tasks = [task for share in shares for task in share.tasks]
        late: list[asyncio.Task[None]] = []
        begun = len(tasks)
        if waiting := [task for task in tasks if task in self._waiting]:
            self._cancel(waiting)
            await asyncio.wait(waiting, timeout=_CANCELLED_WITHIN_S)
            tasks = [task for task in tasks if task not in waiting]
        if tasks:
            await asyncio.wait(tasks, timeout=self._settings.drain_timeout_s)
            late = [task for task in tasks if not task.done()]
            if late:
                _log.warning("drain.timeout", service=self._name, cancelled=len(late))
                self._cancel(late)
                await asyncio.wait(late, timeout=_CANCELLED_WITHIN_S)
        if begun:
            let_go = len(waiting) + len(late)
            _log.info("drain.finished", service=self._name, finished=begun - let_go, let_go=let_go)
        await self._commits.commit(partitions)

    def _cancel(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        for task in tasks:
            if task.cancel():
                self._let_go.add(task)

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """New partitions: nothing of them is in flight."""
        for partition in partitions:
            self._shares[partition] = Share(partition)
        self._intake.assigned(frozenset(self._shares), self.backlog)

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Partitions go elsewhere: finish and commit first, so that nothing is handled again needlessly."""
        try:
            await self._drain(partitions)
        finally:  # also when the broker waits no longer: they are no longer ours, come what may
            for partition in sorted(partitions):
                share = self._shares.pop(partition, None)
                self._cancel(() if share is None else tuple(share.tasks))
            self._intake.assigned(frozenset(self._shares), self.backlog)


def _cancelled_from_within(record: Record) -> Exception:
    """Going on would leave the message begun for ever, and nobody would know."""
    return RuntimeError(
        f"The handling of {record.topic}-{record.partition}-{record.offset} was cancelled, and not by "
        "the worker: a handler has cancelled its own task. Let it cancel a task that it made instead."
    )
