"""The test environment: services on an in-memory broker and table, in virtual time.

Owns what a test may do and see. It must never leave a worker running, nor hide what a test raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType, TracebackType
from typing import Never, Self

from sagas.adapters.memory.broker import MemoryBroker
from sagas.application import client_of
from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.observability.logs import plain_logs
from sagas.ports import Clock, OutgoingRecord
from sagas.ports.telemetry import Telemetry
from sagas.runtime.assembly import Platform
from sagas.runtime.operator import Operator
from sagas.runtime.timers import Timers
from sagas.runtime.views import SagaView, view_of
from sagas.runtime.worker import WorkerSettings
from sagas.service import Lifespan, Service
from sagas.testing.accounting import WatchedBroker
from sagas.testing.clock import START_TIME, NumberedIds, VirtualClock
from sagas.testing.history import (
    DeadLetter,
    FailedAttempt,
    RecordedEvent,
    RecordedTable,
    history_of,
)
from sagas.testing.interventions import Answer, AnyStep, Interventions, Place
from sagas.testing.publishing import dead_letter_of, outside_record
from sagas.testing.report import dead_letters_wrong, not_seen, unfinished, waits, where
from sagas.testing.rest import Rest
from sagas.testing.running import RunningService
from sagas.testing.stub import stub_of
from sagas.testing.taking import services_of
from sagas.wire.topics import Topics

__all__ = ["SagaTestEnvironment"]

_NOTHING: Mapping[str, Lifespan] = MappingProxyType({})


class SagaTestEnvironment:
    """Runs services as they run in production, on memory and without waiting.

    ``async with SagaTestEnvironment([orders, inventory]) as env:`` on the test's own event loop.
    ``resources`` replaces the lifespan of a service by name.

    Leaving the block asserts that every saga has ended, every message is acknowledged and nothing
    became a dead letter, unless the test said so; it hides no exception of the block, and stops the
    services either way. ``stuck_after_s`` is real time: so long may handlers take without any
    progress (threads, databases) before the test fails. ``telemetry`` makes who watches, such as ``Tracing``.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *more: Never,
        resources: Mapping[str, Lifespan] = _NOTHING,
        start_time: datetime = START_TIME,
        stuck_after_s: float = 10.0,
        telemetry: Callable[[Clock], Telemetry | None] = lambda _: None,
    ) -> None:
        services = services_of(services, more)
        self.clock = VirtualClock(start_time)
        self._broker = WatchedBroker(
            MemoryBroker(self.clock, auto_create=True, poll_timeouts=False)
        )
        self._table = RecordedTable()
        self.platform = Platform(
            topics=Topics("test"),
            broker=self._broker,
            table=self._table,
            clock=self.clock,
            ids=NumberedIds(),
            settings=WorkerSettings(commit_interval_s=0.0, drain_timeout_s=0.0),
            timer_duty=False,
            telemetry=telemetry(self.clock),
        )
        self._interventions = Interventions(self.clock, crash=self.crash)
        self._sagas = {saga.name: saga for service in services for saga in service.sagas}
        self._services: dict[str, RunningService] = {}
        for service in services:
            self._add(service, resources.get(service.name))
        if unknown := resources.keys() - self._services.keys():
            raise ContractViolation(
                f"resources= names {', '.join(sorted(unknown))}, which is none of the services "
                f"{', '.join(self._services)}."
            )
        self.client = client_of(self.platform, self._sagas.values())
        at = self.platform
        self.operator = Operator(
            topics=at.topics, broker=at.broker, table=at.table, clock=at.clock, ids=at.ids
        )
        self._rest = Rest(
            self._services,
            clock=self.clock,
            broker=self._broker,
            table=self._table,
            timers=Timers(topics=at.topics, broker=at.broker, table=at.table, clock=self.clock),
            stuck_after_s=stuck_after_s,
        )
        self._started: dict[tuple[str, str], None] = {}
        self._may_be_unfinished: set[str] = set()
        self._dead_letters_expected = 0
        self._problems: list[str] = []
        self.begun_sentences: dict[object, str] = {}
        self._logs = plain_logs()

    def _add(self, service: Service, resources: Lifespan | None) -> None:
        if service.name in self._services:
            raise ContractViolation(f"Two services are called {service.name!r}; give each once.")
        self._services[service.name] = RunningService(
            service,
            self.platform,
            self._broker,
            self._interventions,
            resources=resources,
        )

    async def __aenter__(self) -> Self:
        self._logs.__enter__()
        for service in self._services.values():
            service.launch()
        try:
            await self._rest.settle()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        complaints: list[str] = []
        stopping: list[Exception] = []
        try:
            if error is None:
                await self._rest.settle()
                complaints = list(self._complaints())
        finally:
            stopping = await self._stop()
        if error is not None:
            for other in stopping:
                error.add_note(f"Stopping the test environment raised {other!r}.")
        elif complaints:
            raise AssertionError("The test leaves things unfinished.\n" + "\n".join(complaints))
        elif stopping:
            raise stopping[0]

    # --- what happens -----------------------------------------------------------------------------

    async def start(self, event: Event) -> str:
        """Start a saga with its start event, as a client does, and return the saga id."""
        saga_id = await self.client.start(event)
        for saga in self._sagas.values():
            if event.event_type in saga.definition.start.done:
                self._started[saga.name, saga_id] = None
        return saga_id

    async def publish(self, event: Event, *, saga_id: str | None = None) -> None:
        """Publish an event from outside, on the topic of the service that its name says.

        With ``saga_id`` it is an event of that saga, as its service would emit it; without, it
        carries its type and nothing else, as an outside producer's would.
        """
        saga = None if saga_id is None else self._saga_of(saga_id)
        now_ms = self.clock.now_ms()
        record = outside_record(self.platform.topics, event, saga, saga_id, now_ms)
        await self._broker.publish(record)

    async def ask(self, saga_id: str, request: Event) -> None:
        """Ask as an operator would: by a ``ResumeRequested``, a ``CancelRequested`` and so on."""
        await self.operator.ask(self._saga_of(saga_id).name, saga_id, request)
        await self.run()

    async def redeliver(self, saga_id: str) -> None:
        """Deliver every message of a saga once more: the same bytes, at a new offset."""
        key = saga_id.encode()
        records = [
            record
            for topic in tuple(self._broker.topics)
            if not topic.endswith(".dlq")
            for record in tuple(self._broker.records(topic))
            if record.key == key
        ]
        for record in records:
            await self._broker.publish(
                OutgoingRecord(record.topic, record.key, record.value, record.headers)
            )

    async def run(self) -> None:
        """Run until everything is at rest, skipping whatever time anybody sleeps through.

        Time does not move to a saga's own timers: a wait goes on waiting. See ``advance``.
        """
        await self._rest.run_until(lambda: False)

    async def wait_for_end(self, saga_id: str, *, saga: type[Saga] | None = None) -> SagaView:
        """Run until a saga has ended, its timeouts and waits included, and return it as a reader sees it.

        Raises AssertionError, with what it waits for, if everything comes to rest before.
        """

        def has_ended() -> bool:
            seen = self.view(saga_id, saga=saga)
            return seen is not None and seen.has_ended

        await self._rest.run_until(has_ended, timers=True)
        view = self.view(saga_id, saga=saga)
        if view is None:
            raise AssertionError(f"No saga {saga_id!r} was seen by any service.")
        if not view.has_ended:
            raise AssertionError(self._unfinished(view))
        return view

    async def advance(self, seconds: float) -> None:
        """Let that much virtual time pass, and whatever happens in it happen."""
        await self._rest.advance(seconds)

    def crash(self, service: Service | str) -> None:
        """Let a service's worker vanish: what is begun is cut off, nothing is committed."""
        self._running(service).crash()

    async def restart(self, service: Service | str) -> None:
        """Start a service again, whether it has crashed or not, with newly opened resources; another
        ``Service`` of its name takes its place, as in a rolling deployment.
        """
        running = self._running(service)
        if (error := await running.stop()) is not None:
            raise error
        if isinstance(service, Service):
            running.take(service)
            self._sagas.update({saga.name: saga for saga in service.sagas})
        running.launch()
        await self._rest.settle()

    # --- what handlers do -------------------------------------------------------------------------

    def fail(
        self,
        step: AnyStep,
        times: int | None = 1,
        *,
        error: Exception | None = None,
        undo: bool = False,
    ) -> None:
        """Let a step's handler raise that many times (None: for ever) before the real one runs."""
        self._interventions.fail(self._place(step, undo=undo), times=times, error=error)

    def delay(self, step: AnyStep, seconds: float, *, undo: bool = False) -> None:
        """Let virtual time pass before each call of a step's handler."""
        self._interventions.delay(self._place(step, undo=undo), seconds)

    def replace(self, step: AnyStep, *, returns: Answer, undo: bool = False) -> None:
        """Answer for a step's handler: with an event, or a function of what the handler would get.

        A participant that is not among the services is stood in for; what it is asked beyond the
        replaced steps is a problem of the test, and reported as one.
        """
        if step.service not in self._services:
            stub = stub_of(step.service, self._sagas.values(), self._problems.append)
            self._add(stub, None)
            self._services[step.service].launch()
        self._interventions.answer(self._place(step, undo=undo), returns)

    def crash_after(self, step: AnyStep, *, undo: bool = False) -> None:
        """Let the step's service vanish once its next effect is there and nobody knows of it."""
        self._interventions.crash_after(self._place(step, undo=undo))

    # --- what is expected -------------------------------------------------------------------------

    def expect_unfinished(self, saga_id: str) -> None:
        """This saga has not ended when the block is left; its messages may be in flight."""
        self._may_be_unfinished.add(saga_id)

    def expect_dead_letters(self, count: int) -> None:
        """So many records have become dead letters when the block is left."""
        self._dead_letters_expected = count

    # --- what is seen -----------------------------------------------------------------------------

    def view(self, saga_id: str, *, saga: type[Saga] | None = None) -> SagaView | None:
        """A saga as a reader sees it now, or None if no service has seen it yet.

        Raises ContractViolation where several sagas have this id; name one with ``saga=``.
        """
        found = [
            (self._sagas[name], row)
            for (name, id_), row in self._table.rows.items()
            if id_ == saga_id and (saga is None or name == saga.name)
        ]
        if len(found) > 1:
            names = ", ".join(saga.__name__ for saga, _ in found)
            raise ContractViolation(f"{saga_id!r} is an instance of {names}; say which with saga=.")
        return view_of(found[0][0].definition, saga_id, found[0][1]) if found else None

    def status(self, saga_id: str, *, saga: type[Saga] | None = None) -> SagaStatus | None:
        """Where a saga stands; None if no service has seen it yet."""
        view = self.view(saga_id, saga=saga)
        return None if view is None else view.status

    def history(self, saga_id: str, *, saga: type[Saga] | None = None) -> list[RecordedEvent]:
        """The events of a saga, in the order in which they were recorded."""
        view = self.view(saga_id, saga=saga)
        return [] if view is None else history_of(self._sagas[view.saga], view, self.clock)

    def attempts(self, saga_id: str, *, saga: type[Saga] | None = None) -> list[FailedAttempt]:
        """The attempts of a saga's handlers that failed and were followed by another, in order."""
        view = self.view(saga_id, saga=saga)
        return [] if view is None else self._table.attempts(view.saga, saga_id, self.clock)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """What could not be handled so far, by service."""
        topics = self.platform.topics
        return [
            dead_letter_of(name, record)
            for name in self._services
            for record in self._broker.records(topics.dead_letters(name))
        ]

    # --- words ------------------------------------------------------------------------------------

    def _complaints(self) -> Iterator[str]:
        yield from self._problems
        yield from self.begun_sentences.values()
        seen = {saga_id for _, saga_id in self._table.rows}
        for (name, saga_id), row in self._table.rows.items():
            view = view_of(self._sagas[name].definition, saga_id, row)
            expected = saga_id in self._may_be_unfinished
            if expected and view.has_ended:
                yield f"{where(view)}, but it was expected to be unfinished."
            elif not expected and not view.has_ended:
                yield self._unfinished(view)
        for name, saga_id in self._started:
            if saga_id not in seen:
                yield not_seen(self._sagas[name], saga_id, self._services)
        if not self._may_be_unfinished:
            for service in self._services.values():
                yield from service.unacknowledged()
        yield from dead_letters_wrong(self.dead_letters, self._dead_letters_expected)

    def _unfinished(self, view: SagaView) -> str:
        history = history_of(self._sagas[view.saga], view, self.clock)
        return unfinished(view, history, self._services, self._rest.asleep())

    def why(self, saga_id: str) -> str:
        """What keeps a saga from going on, in words; empty where nothing does."""
        if (view := self.view(saga_id)) is not None:
            return "\n".join(waits(view, self._services))
        names = [name for name, id_ in self._started if id_ == saga_id]
        return "\n".join(not_seen(self._sagas[name], saga_id, self._services) for name in names)

    # --- inside -----------------------------------------------------------------------------------

    async def _stop(self) -> list[Exception]:
        errors = await asyncio.gather(*(service.stop() for service in self._services.values()))
        await self._broker.stop()
        self._logs.__exit__(None, None, None)
        return [error for error in errors if error is not None]

    def _running(self, service: Service | str) -> RunningService:
        name = service if isinstance(service, str) else service.name
        if name not in self._services:
            raise ContractViolation(
                f"{name!r} is not in this environment, which has {', '.join(self._services)}."
            )
        return self._services[name]

    def _saga_of(self, saga_id: str) -> type[Saga]:
        view = self.view(saga_id)
        if view is not None:
            return self._sagas[view.saga]
        if len(self._sagas) == 1:
            return next(iter(self._sagas.values()))
        raise ContractViolation(f"No saga {saga_id!r} was seen yet; start it first.")

    def _place(self, step: AnyStep, *, undo: bool) -> Place:
        self._running(step.service)
        if undo and step.undone is None:
            raise ContractViolation(f"{step!r} declares nothing to undo.")
        return step.saga.name, step.name, Direction.UNDO if undo else Direction.FORWARD
