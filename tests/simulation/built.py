"""A saga class, its services and their handlers, built from a definition that was made by chance."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sagas import NOTHING, AllOf, AnyOf, Event, OneOf, Retry, Saga, Service, Start, Step
from sagas.core.definition import START, Definition, Direction, Join, StepDefinition
from sagas.core.starts import key_of_instance
from sagas.signatures import Handler
from tests.simulation.parts import Plan

__all__ = ["Books", "Participants", "saga_of"]


@dataclass
class Books:
    """What took effect, by saga id, step and direction; ``order`` holds undone steps by saga id."""

    effects: Counter[tuple[str, str, Direction]] = field(default_factory=Counter)
    order: dict[str, list[str]] = field(default_factory=dict)


def saga_of(definition: Definition, retry: Retry | None = None) -> type[Saga]:
    """The class that somebody would have written for the definition."""
    events: dict[str, type[Event]] = {}

    def event(type_: str, step: StepDefinition) -> type[Event]:
        """Events are named after the service that emits them."""
        if type_ not in events:
            name = type_.split(".")[1]
            events[type_] = _event(f"{step.service}.{name}.v1")
        return events[type_]

    def one(types: Iterable[type[Event]], combine: Callable[..., Any]) -> Any:
        listed = tuple(types)
        return listed[0] if len(listed) == 1 else combine(*listed)

    body: dict[str, Any] = {"key": "id", "name": definition.saga}
    for step in definition.steps:
        done = [event(type_, step) for type_ in step.done]
        undone = NOTHING if step.undone is None else event(step.undone, step)
        if step.name == START:
            body[START] = Start(done[0], by=step.service, undone=undone)
            continue
        body[step.name] = Step(
            by=step.service,
            on=one((events[t] for t in step.triggers), AnyOf if step.join is Join.ANY else AllOf),
            done=one(done, OneOf),
            refused=one((event(t, step) for t in step.refused), OneOf) if step.refused else None,
            undone=undone,
            pivot=step.pivot,
            retry=retry,
        )
    return type("Built", (Saga,), body)


def _event(type_: str) -> type[Event]:
    class Built(Event, type=type_):
        id: str
        content: str = ""

    return Built


class Transient(Exception):
    """What a handler raises now and then."""


@dataclass
class Participants:
    """The handlers of all services. An effect is counted in the transaction in which it is made."""

    saga: type[Saga]
    plans: dict[str, Plan]
    books: Books
    chance: random.Random
    stumbles: int = 2
    """Fewer than a handler has attempts, so that only a plan fails a step for good."""

    def services(self) -> dict[str, Service]:
        """The services, by name."""
        services = {name: Service(name) for name in self.saga.definition.services}
        for step in self.saga.definition.steps:
            service, key = services[step.service], (self.saga.name, step.name)
            service._sagas[self.saga] = None  # its handlers have no signatures to be checked
            if step.name != START:
                handler = partial(self._perform, step)
                service.performers[key] = Handler(handler, is_async=True, name=step.name)
            if step.undone is not None:
                handler = partial(self._undo, step)
                service.undoers[key] = Handler(handler, is_async=True, name=f"undo {step.name}")
        return services

    def _stumble(self) -> None:
        if self.stumbles and self.chance.random() < 0.2:
            self.stumbles -= 1
            raise Transient("try again")

    def _event(self, type_: str, id_: str) -> Event:
        return self.saga.events[type_].model_validate({"id": key_of_instance(id_)})

    async def _perform(self, step: StepDefinition, *given: Any) -> Event:
        self._stumble()
        plan, id_ = self.plans.get(step.name, Plan()), given[-1].saga_id
        if plan.kind == "failed":
            raise ValueError("for good")
        if plan.kind == "refused":
            return self._event(step.refused[plan.choice], id_)
        self.books.effects[id_, step.name, Direction.FORWARD] += 1
        return self._event(step.done[plan.choice], id_)

    async def _undo(self, step: StepDefinition, *given: Any) -> Event:
        self._stumble()
        id_ = given[-1].saga_id
        if step.name == START or given[-2] is not None:
            self.books.effects[id_, step.name, Direction.UNDO] += 1
            self.books.order.setdefault(id_, []).append(step.name)
        return self._event(step.undone or "", id_)
