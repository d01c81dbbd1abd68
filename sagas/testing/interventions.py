"""What a test does to handlers: let them fail, take long, answer something else, or die after it.

Owns the wrapping of a service's handlers and of its journal. Works on a copy of the service: the
user's own, often a module's global, is never changed.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sagas.context import EventContext
from sagas.core.definition import Direction
from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.steps import Start, Step
from sagas.ports import Journal, JournalKey, JournalOutcome, Outbox
from sagas.runtime.execution import invoke
from sagas.service import Handler, Lifespan, Service
from sagas.testing.clock import VirtualClock
from sagas.testing.rewiring import Place, rewired

__all__ = ["Answer", "AnyStep", "InjectedFailure", "Interventions", "Place"]

AnyStep = Start[Any, Any] | Step[Any, Any, Any, Any, Any]

Answer = Event | Callable[..., Event | Awaitable[Event]]
"""What stands in for a handler: an event, or a function of what the handler would get."""


class InjectedFailure(Exception):
    """What a handler raises because a test said so."""


@dataclass(slots=True)
class _Failure:
    left: int | None
    error: Exception


class Interventions:
    """All that a test has ordered. ``running`` says in words what each message's task is about.

    ``crash`` is called with a service's name when that service is to vanish after an action.
    """

    def __init__(self, clock: VirtualClock, *, crash: Callable[[str], None]) -> None:
        self._clock = clock
        self._crash = crash
        self._failures: dict[Place, _Failure] = {}
        self._delays: dict[Place, float] = {}
        self._answers: dict[Place, Answer] = {}
        self._crashes: set[Place] = set()
        self._journaled: set[str] = set()
        self.running: dict[asyncio.Task[object] | None, str] = {}

    def fail(self, place: Place, *, times: int | None, error: Exception | None) -> None:
        """The next calls raise before the handler is reached."""
        self._failures[place] = _Failure(times, error or InjectedFailure("as the test ordered"))

    def delay(self, place: Place, seconds: float) -> None:
        """Every call waits first."""
        self._delays[place] = seconds

    def answer(self, place: Place, returns: Answer) -> None:
        """Every call is answered without the handler."""
        if isinstance(returns, type):
            raise ContractViolation(
                f"returns= is the class {returns.__name__}; give an event, such as "
                f"{returns.__name__}(...), or a function that returns one."
            )
        self._answers[place] = returns

    def crash_after(self, place: Place) -> None:
        """The service vanishes as soon as the next call has returned."""
        self._crashes.add(place)

    def service(self, service: Service) -> Service:
        """A copy of the service whose handlers do what the test ordered."""
        return rewired(service, lambda handler, place: self._handler(handler, service.name, place))

    def lifespan(
        self, service: str, lifespan: Lifespan, outboxes: Callable[[list[Outbox]], None]
    ) -> Lifespan:
        """The lifespan with its journal wrapped: a delay must not hold its transaction.

        The journal itself stays among the resources. ``outboxes`` is told of those opened.
        """

        @asynccontextmanager
        async def opened() -> AsyncIterator[Iterable[object]]:
            async with lifespan() as resources:
                listed = list(resources)
                outboxes([resource for resource in listed if isinstance(resource, Outbox)])
                journal = next((one for one in listed if isinstance(one, Journal)), None)
                if journal is not None:
                    self._journaled.add(service)
                    listed.insert(0, _WatchedJournal(journal, service, self))
                yield listed

        return opened

    def _handler(self, handler: Handler, service: str, place: Place | None) -> Handler:
        async def call(*arguments: object) -> object:
            self._clock.own_sleeps()
            task = asyncio.current_task()
            self.running[task] = _words(service, handler, place, arguments)
            try:
                if place is None:
                    return await invoke(handler, *arguments)
                if service not in self._journaled:
                    await self.before(place)
                outcome = await self._call(handler, place, arguments)
                if service not in self._journaled:
                    await self.after(service, place)
                return outcome
            finally:
                self.running.pop(task, None)

        return Handler(call, is_async=True, name=handler.name)

    async def _call(self, handler: Handler, place: Place, arguments: tuple[object, ...]) -> object:
        failure = self._failures.get(place)
        if failure is not None and failure.left != 0:
            failure.left = None if failure.left is None else failure.left - 1
            raise failure.error
        answer = self._answers.get(place)
        if answer is None:
            return await invoke(handler, *arguments)
        if isinstance(answer, Event):
            return answer
        answered = answer(*arguments)
        return await answered if inspect.isawaitable(answered) else answered

    async def before(self, place: Place) -> None:
        """Wait as ordered."""
        await self._clock.sleep(self._delays.get(place, 0))

    async def after(self, service: str, place: Place) -> None:
        """Vanish if that was ordered; then this never returns, because the task is cancelled."""
        if place in self._crashes:
            self._crashes.discard(place)
            self._crash(service)
            await asyncio.sleep(0)


class _WatchedJournal:
    """A ``Journal``: waits before the transaction, and may vanish after it was committed."""

    def __init__(self, journal: Journal, service: str, interventions: Interventions) -> None:
        self._journal = journal
        self._service = service
        self._interventions = interventions

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        place = (key.saga, key.step, key.direction)
        await self._interventions.before(place)
        outcome = await self._journal.forward(key, action, since_ms=since_ms)
        await self._interventions.after(self._service, place)
        return outcome

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        place = (key.saga, key.step, key.direction)
        await self._interventions.before(place)
        outcome = await self._journal.undo(key, action, since_ms=since_ms)
        await self._interventions.after(self._service, place)
        return outcome


def _words(
    service: str, handler: Handler, place: Place | None, arguments: tuple[object, ...]
) -> str:
    context = arguments[-1] if arguments else None
    where = f" of {context.saga} {context.saga_id!r}" if isinstance(context, EventContext) else ""
    if place is None:
        return f"{service} observes with {handler.name}{where}"
    does = "undoes" if place[2] is Direction.UNDO else "performs"
    return f"{service} {does} {place[1]}{where}"
