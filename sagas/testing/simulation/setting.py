"""What a run is about: services, what starts their sagas, and what stands in for their resources.

Owns what a user gives, and the defaults of what is not given.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.saga import Saga
from sagas.core.steps import Start, Wait
from sagas.service import Lifespan, Service
from sagas.testing.simulation.examples import example, key_value

__all__ = [
    "Answers",
    "Resources",
    "Setting",
    "Starts",
    "Workload",
    "answer_of",
    "lifespan_of",
    "start_of",
]

Starts = Callable[[int], Event]
"""The start event of the saga with a number; numbers count from 1 in every run."""

Resources = Mapping[str, Iterable[object] | Lifespan]
"""By service: what its handlers get instead of what its lifespan opens.

A list of objects outlives the service's workers in a run, as a database server does.
"""

Answers = Mapping[Wait[Any], Callable[[str], Event | None]]
"""By step that waits: its answer from outside, made from the saga id; None if nobody answers."""


def _no_problems() -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The world of one run, made anew for each.

    ``check`` is asked when all is over: every sentence that it gives is a violation (I12). What is not
    given is made from the schemas of the events. ``next_services`` are the next versions of some services: in
    the middle of a run they take their places, one after the other (F16). Everything is judged by the
    definitions that they have, so workers of both versions must be able to finish the sagas of both:
    ``sagas diff`` says whether they can.
    """

    services: Sequence[Service]
    next_services: Sequence[Service] = ()
    starts: Starts | None = None
    resources: Resources = field(default_factory=dict)
    answers: Answers = field(default_factory=dict)
    check: Callable[[], Iterable[str]] = _no_problems

    def __post_init__(self) -> None:
        """Raise ContractViolation for what can not be run."""
        names = [service.name for service in self.services]
        if unknown := self.resources.keys() - set(names):
            raise ContractViolation(
                f"resources= names {', '.join(sorted(unknown))}, which is none of the services "
                f"{', '.join(names)}."
            )
        if strange := {one.name for one in self.next_services} - set(names):
            raise ContractViolation(
                f"next_services names {', '.join(sorted(strange))}, which is none of the services "
                f"{', '.join(names)}."
            )
        missing = {
            name for saga in self.sagas for name in saga.definition.services if name not in names
        }
        if missing or not self.sagas:
            raise ContractViolation(
                f"The simulation has the services {', '.join(names) or 'none'}"
                + (
                    f", but {', '.join(sorted(missing))} take part, too: add them."
                    if missing
                    else ", none of which takes part in a saga."
                )
            )

    @property
    def sagas(self) -> tuple[type[Saga], ...]:
        """The sagas in which the services take part, each in its last version."""
        every = (*self.services, *self.next_services)
        return tuple({saga.name: saga for one in every for saga in one.sagas}.values())


Workload = Callable[[int], Setting]
"""The setting of a seed. To be made anew each time: what is kept over runs makes them differ."""


def start_of(setting: Setting, number: int) -> Event:
    """The start event of the saga with this number."""
    if setting.starts is not None:
        return setting.starts(number)
    saga = setting.sagas[number % len(setting.sagas)]
    start = next(value for value in vars(saga).values() if isinstance(value, Start))
    event: type[Event] = start.done[0]
    return example(event, **{saga.key: key_value(event, saga.key, number)})


def answer_of(
    setting: Setting, saga: type[Saga], step: str, saga_id: str, type_: str
) -> Event | None:
    """The answer to a step that waits: as given, or made from the schema; None for silence."""
    given = setting.answers.get(getattr(saga, step))
    if given is not None:
        return given(saga_id)
    event = saga.events[type_]
    key = saga.definition.key
    return example(event, **{key: saga_id})


def lifespan_of(setting: Setting, service: Service) -> Lifespan:
    """What opens the resources of a service in this setting."""
    given = setting.resources.get(service.name)
    if given is None:
        return service.resources
    if callable(given):
        return given
    kept = tuple(given)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Iterable[object]]:
        yield kept

    return opened
