"""The handlers of a run: the user's own, made to fail now and then, and their effects written down.

Owns what happens around a handler. It never changes what a handler returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from sagas.context import EventContext, StepContext
from sagas.core.definition import Direction, Join
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.ports import Journal, JournalKey
from sagas.runtime.execution import invoke
from sagas.service import Handler, Lifespan, Service
from sagas.testing.interventions import InjectedFailure
from sagas.testing.rewiring import Place, rewired
from sagas.testing.simulation.faults import Chance
from sagas.testing.simulation.journals import FaultyJournal
from sagas.testing.simulation.line import Line
from sagas.testing.simulation.world import Effect, Story

__all__ = ["Participants"]

_FAILS = 0.08
_LATE = 0.05
_UNDO_FAILS = 0.3
_LONG_S = 45.0
_TURNING = frozenset(
    {
        "sagas.StepFailed.v1",
        "sagas.StepTimedOut.v1",
        "sagas.SagaCancelled.v1",
        "sagas.SagaExpired.v1",
    }
)
"""The framework's events that turn a saga back, written down here once more: checkers trust nobody."""


class Participants:
    """What becomes of the handlers of all services in one run."""

    def __init__(self, sagas: Iterable[type[Saga]], chance: Chance, story: Story) -> None:
        self._definitions = {saga.name: saga.definition for saga in sagas}
        self._turning = {
            name: _TURNING.union(
                type_ for step in definition.steps for type_ in (*step.refused, step.undone or "")
            )
            for name, definition in self._definitions.items()
        }
        self._chance = chance
        self._story = story
        self._broken: dict[tuple[str, Place], int | None] = {}
        self._hanging: list[asyncio.Future[None]] = []
        self._journaled: set[str] = set()

    def heal(self) -> None:
        """No handler fails by our doing any more; those that hang go on."""
        self._broken.clear()
        for hanging in self._hanging:
            if not hanging.done():
                hanging.set_result(None)

    def service(self, service: Service, line: Line) -> Service:
        """The service with its handlers watched. ``line`` is that of the worker that runs them."""
        return rewired(
            service, lambda handler, place: self._handler(service.name, handler, place, line)
        )

    def lifespan(self, service: str, lifespan: Lifespan, line: Line) -> Lifespan:
        """The lifespan with its journal put behind the worker's line; the journal itself stays too."""

        @asynccontextmanager
        async def opened() -> AsyncIterator[Iterable[object]]:
            async with lifespan() as resources:
                listed = list(resources)
                journal = next((one for one in listed if isinstance(one, Journal)), None)
                if journal is not None:
                    self._journaled.add(service)
                    listed.insert(0, FaultyJournal(journal, line, self._story, self._done))
                yield listed

        return opened

    def _done(self, key: JournalKey, type_: str) -> bool:
        definition = self._definitions[key.saga]
        return definition.current_of.get(type_, type_) in definition.by_name[key.step].done

    def _handler(self, service: str, handler: Handler, place: Place | None, line: Line) -> Handler:
        async def call(*arguments: object) -> object:
            context = arguments[-1]
            if place is None or not isinstance(context, StepContext):
                return await self._observe(handler, arguments)
            self._look_at_causes(place, context.saga_id)
            await self._stumble(place, context.saga_id)
            returned = await invoke(handler, *arguments)
            line.check()
            if service not in self._journaled and isinstance(returned, Event):
                self._without_journal(place, context, returned, arguments, line)
            return returned

        return Handler(call, is_async=True, name=handler.name)

    async def _observe(self, handler: Handler, arguments: tuple[object, ...]) -> object:
        context = arguments[-1]
        if isinstance(context, EventContext) and self._chance.hits("exceptions", _FAILS):
            self._story.seen["observer failed"] += 1
            raise InjectedFailure("the observer stumbles")
        return await invoke(handler, *arguments)

    def _without_journal(
        self,
        place: Place,
        context: StepContext,
        returned: Event,
        arguments: tuple[object, ...],
        line: Line,
    ) -> None:
        """Who has no journal takes an effect when the handler returns; the key makes it the same one."""
        _, step, direction = place
        null = direction is Direction.UNDO and arguments[-2] is None
        effect = Effect(step, direction, context.epoch, returned.event_type, null, journaled=False)
        self._story.effect(context.saga, context.saga_id, effect)
        what = "undid" if direction is Direction.UNDO else "performed"
        line.note("effect", f"{what} {step}: {returned.event_type}")

    # --- what goes wrong --------------------------------------------------------------------------

    async def _stumble(self, place: Place, saga_id: str) -> None:
        chance, story = self._chance, self._story
        if chance.hits("delays", _LATE):
            story.seen["handler late"] += 1
            await asyncio.sleep(_LONG_S)
        self._raise_if_broken(place, saga_id)
        undo = place[2] is Direction.UNDO
        if undo and chance.hits("failing_undos", _UNDO_FAILS):
            times = chance.of("how").choice([1, 2, 5, None])
            story.seen["undo fails " + ("for ever" if times is None else "for a while")] += 1
            self._broken[saga_id, place] = times
            self._raise_if_broken(place, saga_id)
        if chance.hits("exceptions", _FAILS):
            await self._fail(place, saga_id)

    async def _fail(self, place: Place, saga_id: str) -> None:
        how = self._chance.of("how").choice(["once", "for good", "hang", "cancelled", "suicide"])
        self._story.seen[f"handler {how}"] += 1
        if how == "for good":
            self._broken[saga_id, place] = None
        elif how == "hang":
            hanging = asyncio.get_running_loop().create_future()
            self._hanging.append(hanging)
            await hanging
            raise InjectedFailure("it hung, and nothing came of it")
        elif how == "cancelled":
            raise asyncio.CancelledError
        elif how == "suicide":
            task = asyncio.current_task()
            if task is not None:
                task.cancel()
            await asyncio.sleep(0)
        raise InjectedFailure(how)

    def _raise_if_broken(self, place: Place, saga_id: str) -> None:
        key = (saga_id, place)
        if key not in self._broken:
            return
        left = self._broken[key]
        if left is not None and left <= 1:
            del self._broken[key]
        elif left is not None:
            self._broken[key] = left - 1
        raise InjectedFailure("as the seed wants it")

    # --- what is looked at ------------------------------------------------------------------------

    def _look_at_causes(self, place: Place, saga_id: str) -> None:
        """No one acts on an event that is not on a topic (I10)."""
        saga, name, direction = place
        definition = self._definitions[saga]
        step = definition.by_name[name]
        told = self._story.published.get((saga, saga_id), set())
        there = {definition.current_of.get(type_, type_) for type_ in told}
        if direction is Direction.FORWARD:
            found = [trigger in there for trigger in step.triggers]
            founded = any(found) if step.join is Join.ANY else all(found)
        else:
            founded = not self._turning[saga].isdisjoint(there) or step.otherwise in there
        if not founded:
            words = f"{direction} of {name} ran before its cause was on a topic"
            self._story.unfounded.setdefault((saga, saga_id), []).append(words)
