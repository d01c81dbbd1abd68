"""Where one instance stands, for each view's boxes: asked of the instance by its own words."""

from __future__ import annotations

from collections.abc import Mapping

from sagas.core.definition import Role, StepDefinition
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.graph.model import Place, Standing
from sagas.graph.states import BEGIN, COMPENSATED, COMPLETED, undo_id

__all__ = ["event_places", "state_places", "step_places"]

_OPEN = Place(Standing.OPEN, "")


def step_places(instance: Instance) -> dict[str, Place]:
    """For each step, by its name."""
    return {step.name: _step(instance, step) for step in instance.definition.steps}


def event_places(instance: Instance) -> dict[str, Place]:
    """For each event of the saga, by its type."""
    return {
        type_: _event(instance, instance.definition.by_name[outcome.step], type_, outcome.role)
        for type_, outcome in instance.definition.outcome_of.items()
    }


def state_places(instance: Instance) -> dict[str, Place]:
    """For each state, compensation and end of the state machine."""
    definition = instance.definition
    started = definition.start.done[0] in instance.facts
    places = dict.fromkeys((*definition.outcome_of, COMPLETED, COMPENSATED), _OPEN)
    places[BEGIN] = Place(Standing.DONE, "begun") if started else Place(Standing.RUNNING, "here")
    for type_, outcome in definition.outcome_of.items():
        if outcome.role in {Role.DONE, Role.OTHERWISE} and type_ in instance.facts:
            step = definition.by_name[outcome.step]
            undone = instance.undone(step)
            places[type_] = (
                Place(Standing.UNDONE, "undone") if undone else Place(Standing.DONE, "reached")
            )
    for step in definition.steps:
        places[undo_id(step.name)] = _undo(instance, step)
    ends = {SagaStatus.COMPLETED: COMPLETED, SagaStatus.COMPENSATED: COMPENSATED}
    if instance.status in ends:
        places[ends[instance.status]] = Place(Standing.DONE, "ended here")
    elif instance.status is SagaStatus.FAILED:
        places[COMPENSATED] = Place(Standing.FAILED, "FAILED: not all undone")
    return places


def _step(instance: Instance, step: StepDefinition) -> Place:
    if instance.undone(step):
        return Place(Standing.UNDONE, "undone")
    if instance.given_up(step):
        return Place(Standing.FAILED, "undo failed")
    if _is_parked(instance, step):
        return Place(Standing.FAILED, "parked")
    if instance.phase is SagaStatus.COMPENSATING and instance.needs_undo(step):
        return _undo(instance, step)
    if instance.refused(step):
        return Place(Standing.FAILED, "refused")
    if instance.gone_on(step):
        gone_on = "time was up" if step.waits else "gone on without"
        word = "being undone" if instance.undo_beside(step) else gone_on
        return Place(Standing.SKIPPED, word)
    if instance.done(step):
        return Place(Standing.DONE, "done")
    if instance.failed(step):
        return Place(Standing.FAILED, "failed")
    if instance.phase is SagaStatus.RUNNING and step.triggers and instance.triggered(step):
        return (
            Place(Standing.WAITING, "waiting") if step.waits else Place(Standing.RUNNING, "running")
        )
    return _OPEN


def _undo(instance: Instance, step: StepDefinition) -> Place:
    """Where the step's compensation stands."""
    if step.undone is None:
        return _OPEN
    if instance.undone(step):
        return Place(Standing.UNDONE, "undone")
    if instance.given_up(step):
        return Place(Standing.FAILED, "failed")
    if instance.phase is SagaStatus.RUNNING:
        beside = instance.undo_beside(step)
        return Place(Standing.RUNNING, "being undone") if beside else _OPEN
    if instance.phase is not SagaStatus.COMPENSATING or not instance.needs_undo(step):
        return _OPEN
    if _is_parked(instance, step):
        return Place(Standing.FAILED, "parked")
    by_name, after = instance.definition.by_name, instance.definition.successors[step.name]
    if any(instance.needs_undo(by_name[name]) for name in after):
        return Place(Standing.WAITING, "to be undone")
    return Place(Standing.RUNNING, "being undone")


def _is_parked(instance: Instance, step: StepDefinition) -> bool:
    facts: Mapping[str, Fact] = instance.facts
    return any(slot in facts and facts[slot].step == step.name for slot in instance.parked)


def _event(instance: Instance, step: StepDefinition, type_: str, role: Role) -> Place:
    epochs = range(1, instance.again_epoch(step) + 1)
    if type_ not in instance.facts and not any(
        f"{type_}@{one}" in instance.facts for one in epochs
    ):
        return _OPEN
    if role is Role.REFUSED:
        return Place(Standing.FAILED, "refused")
    if role is Role.UNDONE:
        return Place(Standing.UNDONE, "emitted")
    return Place(Standing.DONE, "emitted")
