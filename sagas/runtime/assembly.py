"""One service with everything it runs on: opens its resources, builds its worker, runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sagas.core.errors import RetriableError
from sagas.core.lifecycle import Happening, WorkerState
from sagas.core.saga import Saga
from sagas.ports import Broker, Clock, Ids, Journal, Outbox, PrunableJournal
from sagas.ports.listing import SagaListing
from sagas.ports.telemetry import Gauges, Telemetry
from sagas.ports.workers import WorkerReport
from sagas.restoring import RestorableTable, TopicReader
from sagas.runtime.dead_letters import DeadLetters
from sagas.runtime.dispatch import Dispatch
from sagas.runtime.execution import Execution
from sagas.runtime.gauging import Gauging
from sagas.runtime.health import Health, Vitals, health_of
from sagas.runtime.histories import Histories
from sagas.runtime.isolation import isolation_of
from sagas.runtime.lifecycle import Lifecycle
from sagas.runtime.memory import MemoryBound, watch_memory
from sagas.runtime.message_world import Participant
from sagas.runtime.patience import Patience
from sagas.runtime.pruning import JournalPruning
from sagas.runtime.rebuild import Means, Rebuild
from sagas.runtime.recovery import Recovery
from sagas.runtime.registration import Register, Registration, report_of
from sagas.runtime.relay import OutboxRelay
from sagas.runtime.restorer import Restorer
from sagas.runtime.retry_topics import RetrySettings, RetryTopics
from sagas.runtime.subscription import Subscription
from sagas.runtime.timers import TimerDuty, Timers
from sagas.runtime.waking import Waker
from sagas.runtime.worker import Worker, WorkerSettings
from sagas.service import Lifespan, Service
from sagas.wire.topics import Topics

__all__ = ["Platform", "ServiceRunner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the services of a process share."""

    topics: Topics
    broker: Broker
    table: RestorableTable
    clock: Clock
    ids: Ids
    settings: WorkerSettings = field(default_factory=WorkerSettings)
    retries: RetrySettings = field(default_factory=RetrySettings)
    reader: TopicReader | None = None
    """From where a lost table is rebuilt; without one nobody does."""
    telemetry: Telemetry | None = None
    gauges: Gauges | None = None
    listing: SagaListing | None = None
    """The table's index, in which those are looked for that the gauges tell of."""
    keep_ended_ms: int | None = None
    """For so long instances that have ended are kept; None for ever."""
    register: Register | None = None
    """Where workers say that they are there; without one nobody does."""
    memory: MemoryBound | None = None
    """Above it workers leave; without one they use what there is."""
    timer_duty: bool = True
    """Whether services share in the duty of publishing timers; a test environment does it itself."""


class ServiceRunner:
    """Runs one service on a platform: create it, ``run`` it once, ``stop`` it from anywhere.

    Raises DefinitionError at once for a service with a missing handler.
    """

    def __init__(
        self, service: Service, platform: Platform, *, resources: Lifespan | None = None
    ) -> None:
        service.check()
        self.service = service
        self.worker: Worker | None = None
        self.lifecycle = Lifecycle(service.name, platform.clock)
        self._platform = platform
        self._resources = resources or service.resources
        self._stopped = False
        self._failure: BaseException | None = None
        self._recoveries: list[Recovery] = []
        self._restorers: dict[str, Restorer] = {}
        self._duties: list[TimerDuty] = []
        if platform.reader is not None:
            for saga in service.sagas:
                self._prepare_recovery(saga, platform.reader)

    def stop(self) -> None:
        """Finish what is begun, commit, close the resources."""
        self._stopped = True
        self.lifecycle.happened(Happening.ASKED_TO_STOP)
        if self.worker is not None:
            self.worker.stop()

    def health(self) -> Health:
        """How its worker is at the moment."""
        at, worker = self._platform, self.worker
        bound = at.memory
        vitals = Vitals(
            self.lifecycle.state,
            0 if worker is None else worker.backlog,
            at.settings.backlog_max,
            is_full=worker is not None and worker.is_full,
            is_outside=worker is not None and worker.is_outside,
            memory=None if bound is None else bound.use(),
            memory_share_max=1.0 if bound is None else bound.share_max,
            why=self.lifecycle.why,
        )
        return health_of(vitals)

    async def run(self, on_running: Callable[[], None] = lambda: None) -> None:
        """Open the service's resources, then work until stopped.

        A resource whose server is away (the lifespan raises a RetriableError) is waited for.
        """
        if self.lifecycle.state is not WorkerState.NEW:
            return
        self.lifecycle.happened(Happening.LAUNCHED)
        async with self._registered():
            try:
                await self._run(on_running)
            except Exception as error:
                self.lifecycle.failed(error)
                raise
            finally:
                self.lifecycle.ended()

    def _registered(self) -> AbstractAsyncContextManager[None]:
        at = self._platform
        if at.register is None:
            return nullcontext()
        worker_id = f"{self.service.name}-{at.ids.new()[-12:]}"

        def report() -> WorkerReport:
            worker = self.worker
            return report_of(
                self.lifecycle,
                identity,
                id=worker_id,
                service=self.service.name,
                seen_at_ms=at.clock.now_ms(),
                partitions=frozenset() if worker is None else worker.partitions,
                in_flight=0 if worker is None else worker.in_flight,
                health=self.health(),
            )

        identity = at.register.identity
        return Registration(at.register, self.lifecycle, report, clock=at.clock).kept()

    async def _run(self, on_running: Callable[[], None]) -> None:
        async with AsyncExitStack() as stack:
            opened = await self._opened(stack)
            if opened is None:
                return
            for name, work in self._background(opened):
                task = asyncio.create_task(work, name=f"{self.service.name}-{name}")
                task.add_done_callback(self._background_ended)
                stack.push_async_callback(_cancelled, task)
            self.worker = self._worker(opened)
            if not self._stopped:
                await self.worker.run(on_running)
        if self._failure is not None:
            raise self._failure

    async def _opened(self, stack: AsyncExitStack) -> tuple[object, ...] | None:
        """What the lifespan gives, once it can; None if the service is stopped before.

        Entered in this very task: a lifespan may hold a task group or a timeout.
        """

        async def attempt() -> tuple[object, ...] | None:
            if self._stopped:
                return None
            return tuple(await stack.enter_async_context(self._resources()))

        patience = Patience(self._platform.clock, pause_s=0.5, heard=self.lifecycle.heard)
        return await patience.insist(attempt)

    def _prepare_recovery(self, saga: type[Saga], reader: TopicReader) -> None:
        at = self._platform
        histories = Histories(saga, tuple(self.service.sagas), topics=at.topics, reader=reader)
        means = Means(
            saga=saga,
            histories=histories,
            table=at.table,
            waker=Waker(topics=at.topics, broker=at.broker, clock=at.clock),
            clock=at.clock,
            ids=at.ids,
            keep_ended_ms=at.keep_ended_ms,
        )
        self._recoveries.append(Recovery(saga.name, Rebuild(means), clock=at.clock))
        self._restorers[saga.name] = Restorer(means)

    def _heard(self, error: RetriableError) -> None:
        self.lifecycle.heard(error)
        for recovery in self._recoveries:
            recovery.heard(error)

    def _background(
        self, opened: tuple[object, ...]
    ) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        """What runs beside the worker: the relay of an outbox, the pruning of a journal, a share in the duty
        of timers, and who looks at the memory.
        """
        outbox: Outbox | None = _first(opened, Outbox)
        if outbox is not None:
            yield "relay", self._relay(outbox).run()
        yield from self._pruning(opened)
        if self._platform.timer_duty:
            self._duties = [self._duty(saga.name) for saga in self.service.sagas]
            for duty in self._duties:
                yield f"timers-{duty.saga}", duty.run()
        gauges, listing = self._platform.gauges, self._platform.listing
        if gauges is not None and listing is not None:
            yield "gauges", self._gauging(gauges, listing).run()
        for recovery in self._recoveries:
            yield "recovery", recovery.run()
        if self._platform.memory is not None:
            yield "memory", watch_memory(self._platform.memory, self._platform.clock)

    def _gauging(self, gauges: Gauges, listing: SagaListing) -> Gauging:
        at = self._platform
        return Gauging(
            self.service.name,
            gauges,
            sagas=self.service.sagas,
            duties=self._duties,
            worker=lambda: self.worker,
            table=at.table,
            listing=listing,
            clock=at.clock,
        )

    def _pruning(
        self, opened: tuple[object, ...]
    ) -> Iterator[tuple[str, Coroutine[None, None, None]]]:
        at = self._platform
        journal: PrunableJournal | None = _first(opened, PrunableJournal)
        if journal is not None and at.keep_ended_ms is not None:
            pruning = JournalPruning(
                journal, table=at.table, clock=at.clock, keep_ended_ms=at.keep_ended_ms
            )
            yield "pruning", pruning.run()

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        """Nothing of it ends by itself: a service without it would only look as if it worked."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
            self.lifecycle.failed(error)
            self.stop()

    def _relay(self, outbox: Outbox) -> OutboxRelay:
        at = self._platform
        return OutboxRelay(outbox, broker=at.broker, clock=at.clock, patience=Patience(at.clock))

    def _duty(self, saga: str) -> TimerDuty:
        at = self._platform
        timers = Timers(
            topics=at.topics,
            broker=at.broker,
            table=at.table,
            clock=at.clock,
            keep_ended_ms=at.keep_ended_ms,
            telemetry=at.telemetry,
        )
        return TimerDuty(saga, topics=at.topics, broker=at.broker, clock=at.clock, timers=timers)

    def _worker(self, opened: tuple[object, ...]) -> Worker:
        at, name = self._platform, self.service.name
        patience = Patience(at.clock, heard=self._heard)
        resources = {type(resource): resource for resource in opened}
        journal: Journal | None = _first(opened, Journal)
        retries = self._retries(patience)
        isolation = isolation_of(self.service, at.settings.isolation, clock=at.clock)
        participant = Participant(
            service=self.service,
            topics=at.topics,
            broker=at.broker,
            table=at.table,
            clock=at.clock,
            ids=at.ids,
            patience=patience,
            execution=Execution(
                resources=resources,
                journal=journal,
                clock=at.clock,
                ids=at.ids,
                patience=patience,
                heard=self.lifecycle.heard,
                isolation=isolation,
            ),
            resources=resources,
            retries=retries,
            restorers=self._restorers,
            telemetry=at.telemetry,
            keep_ended_ms=at.keep_ended_ms,
        )
        dead_letters = DeadLetters(
            name,
            topics=at.topics,
            broker=at.broker,
            clock=at.clock,
            patience=patience,
            heard=self.lifecycle.heard,
            telemetry=at.telemetry,
        )
        return Worker(
            name,
            group=at.topics.group(name),
            subscription=Subscription(
                self.service,
                at.topics,
                retry_topics=retries.names if self.service.sagas else frozenset(),
            ),
            dispatch=Dispatch(participant, dead_letters),
            broker=at.broker,
            clock=at.clock,
            patience=patience,
            settings=at.settings,
            lifecycle=self.lifecycle,
            waits_for=(lambda _: None) if isolation is None else isolation.waits_for,
        )

    def _retries(self, patience: Patience) -> RetryTopics:
        at = self._platform
        return RetryTopics(
            self.service.name,
            topics=at.topics,
            broker=at.broker,
            clock=at.clock,
            patience=patience,
            settings=at.retries,
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _first(opened: Iterable[object], port: type) -> Any:
    """The first of the resources that has the port's methods, or None."""
    return next((one for one in opened if _has_methods_of((type(one), port))), None)


@cache
def _has_methods_of(kind_and_port: tuple[type, type]) -> bool:
    """Asked once for each kind of resource: to ask it of a protocol takes 15 us."""
    return issubclass(*kind_and_port)
