"""Sagas that were made by chance, as classes that somebody would have written, with their services."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from sagas import NEVER, NOTHING, AllOf, AnyOf, Event, OneOf, Saga, Service, Start, Step, Wait
from sagas.adapters.memory.journal import MemoryJournal
from sagas.core.definition import START, Definition, Join, StepDefinition, UndoPolicy
from sagas.core.starts import key_of_instance
from sagas.signatures import Handler
from sagas.testing.simulation import Setting
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.parts import Plan

__all__ = ["generated_workload", "saga_of", "setting_of"]


def saga_of(definition: Definition) -> type[Saga]:
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
        if not listed:
            return None
        return listed[0] if len(listed) == 1 else combine(*listed)

    body: dict[str, Any] = {"key": "id", "name": definition.saga}
    if definition.deadline_ms is not None:
        body["deadline"] = timedelta(milliseconds=definition.deadline_ms)
    for step in definition.steps:
        done = [event(type_, step) for type_ in step.done]
        undone = NOTHING if step.undone is None else event(step.undone, step)
        if step.name == START:
            body[START] = Start(done[0], by=step.service, undone=undone)
            continue
        join: Any = AnyOf if step.join is Join.ANY else AllOf
        timeout = NEVER if step.timeout_ms is None else timedelta(milliseconds=step.timeout_ms)
        given: dict[str, Any] = {
            "by": step.service,
            "on": one((events[t] for t in step.triggers), join),
            "done": one(done, OneOf),
            "refused": one((event(t, step) for t in step.refused), OneOf),
            "otherwise": None if step.otherwise is None else event(step.otherwise, step),
            "timeout": timeout,
        }
        if not step.waits:
            given |= {"undone": undone, "pivot": step.pivot}
            if step.undone is not None:
                given["if_undo_fails"] = step.if_undo_fails
        given = {name: value for name, value in given.items() if value is not None}
        body[step.name] = Wait(**given) if step.waits else Step(**given)
    return type("Built", (Saga,), body)


def _event(type_: str) -> type[Event]:
    class Built(Event, type=type_):
        id: str
        content: str = ""

    return Built


def services_of(saga: type[Saga], plans: dict[str, Plan]) -> dict[str, Service]:
    """The services, by name. Their handlers do as planned; effects are what their journals commit."""
    services = {name: Service(name) for name in saga.definition.services}
    for step in saga.definition.steps:
        service, key = services[step.service], (saga.name, step.name)
        service._sagas[saga] = None  # its handlers have no signatures to be checked
        if step.name != START and not step.waits:
            perform = partial(_perform, saga, step, plans.get(step.name, Plan()))
            service.performers[key] = Handler(perform, is_async=True, name=step.name)
        if step.undone is not None:
            undo = partial(_undo, saga, step, plans.get(step.name, Plan()))
            service.undoers[key] = Handler(undo, is_async=True, name=f"undo {step.name}")
    return services


def _made(saga: type[Saga], type_: str, id_: str) -> Event:
    return saga.events[type_].model_validate({"id": key_of_instance(id_)})


async def _perform(saga: type[Saga], step: StepDefinition, plan: Plan, *given: Any) -> Event:
    id_ = given[-1].saga_id
    if plan.kind == "refused" and step.refused:
        return _made(saga, step.refused[plan.choice % len(step.refused)], id_)
    if plan.kind == "otherwise" and step.otherwise is not None:
        return _made(saga, step.otherwise, id_)
    return _made(saga, step.done[plan.choice % len(step.done)], id_)


async def _undo(saga: type[Saga], step: StepDefinition, plan: Plan, *given: Any) -> Event:
    if plan.undo_fails and step.if_undo_fails is UndoPolicy.CONTINUE and not given[-1].epoch:
        raise ValueError("it can not be undone")
    return _made(saga, step.undone or "", given[-1].saga_id)


@lru_cache(maxsize=200)
def _built(seed: int) -> tuple[Definition, type[Saga]]:
    definition = random_definition(seed, alternatives=seed % 2 > 0)
    return definition, saga_of(definition)


def generated_workload(seed: int) -> Setting:
    """Another saga for each seed; every second one waits, may go on without a step, and has to hurry."""
    definition, saga = _built(seed)
    return setting_of(saga, random_plans(definition, seed, undos_fail=True))


def setting_of(saga: type[Saga], plans: dict[str, Plan]) -> Setting:
    """The services of a built saga, each with a journal."""
    services = services_of(saga, plans)
    return Setting(
        services=list(services.values()),
        resources={name: [MemoryJournal()] for name in services},
    )
