"""The invariants of ``verify.md``, asked of a model at rest. Share no code with the semantics."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.core.definition import START, Direction, Role, StepDefinition
from sagas.core.instance import SagaStatus
from tests.simulation.model import Model

__all__ = ["violations"]


def violations(model: Model) -> list[str]:
    """Every broken invariant in words; empty when all hold."""
    return [*_ends(model), *_effects(model), *_ledger(model), *_order(model), *_log(model)]


def _ends(model: Model) -> Iterator[str]:
    """I1: every saga ends, or is parked with a reason."""
    if model.row is None:
        yield "I1: nothing was ever recorded"
        return
    status = model.row.status
    parked = any(fact.role is Role.PARKED for fact in model.log)
    if not (status.is_terminal or (status is SagaStatus.PARKED and parked)):
        yield f"I1: the saga is left {status}"


def _effects(model: Model) -> Iterator[str]:
    """I2, I3, I4, I7: what took effect, and what was undone."""
    status = model.row.status if model.row else None
    for step in model.definition.steps:
        effects = model.participants[step.name].effects
        done, undone = effects[Direction.FORWARD] + (step.name == START), effects[Direction.UNDO]
        if done > 1 or undone > 1:
            yield f"I4: {step.name} took effect {done} times and was undone {undone} times"
        if undone > done:
            yield f"I3: {step.name} was undone without having been done"
        if status is SagaStatus.COMPLETED:
            yield from _completed(model, step, done, undone)
        yield from _turned_back(model, step, done, undone, status)


def _completed(model: Model, step: StepDefinition, done: int, undone: int) -> Iterator[str]:
    left, required = _left(model, step), _required(model, step.name)
    if undone and not left:
        yield f"I2: the saga completed and {step.name} is undone"
    if left and step.undone and done != undone:
        yield f"I2: the saga went on without {step.name}, which is not undone"
    if required and not done:
        yield f"I2: the saga completed without {step.name}"
    if done and not required and not left and step.name != START:
        yield f"I2: {step.name} took effect, but what triggers it never counted"


def _turned_back(
    model: Model, step: StepDefinition, done: int, undone: int, status: SagaStatus | None
) -> Iterator[str]:
    pivots = {step.name for step in model.definition.steps if step.pivot}
    if status is SagaStatus.COMPENSATED and step.undone is not None and done != undone:
        yield f"I2: the saga is compensated and {step.name} is not undone"
    if status is SagaStatus.COMPENSATED and step.name in pivots and done:
        yield f"I7: the saga is compensated past its pivot {step.name}"
    past = any(model.participants[pivot].effects[Direction.FORWARD] for pivot in pivots)
    if undone and past and not _left(model, step):
        yield f"I7: {step.name} is undone past a pivot"


def _ledger(model: Model) -> Iterator[str]:
    """What a saga has left is in its ledger; what was asked for once more has run once, or is in it."""
    if model.row is None or model.row.phase not in {SagaStatus.COMPENSATED, SagaStatus.FAILED}:
        return
    asked = {fact.step: 0 for fact in model.log if fact.role is Role.AGAIN}
    for fact in model.log:
        if fact.role is Role.AGAIN:
            asked[fact.step] = max(asked[fact.step], fact.epoch)
    for step in model.definition.steps:
        participant, listed = model.participants[step.name], model.row.outstanding(step)
        effects = participant.effects
        left = effects[Direction.FORWARD] + (step.name == START) > effects[Direction.UNDO]
        if step.undone and left and not listed and not participant.again:
            yield f"I2: {step.name} is left, and not in the ledger of the {model.row.phase} saga"
        for epoch, times in participant.again.items():
            if times > 1:
                yield f"I4: {step.name} was undone {times} times under epoch {epoch}"
        if list(participant.undone) != sorted(participant.undone):
            yield f"I4: {step.name} was undone under {list(participant.undone)}, in this order"
        epoch = asked.get(step.name, 0)
        if epoch and not listed and not participant.again[epoch]:
            yield f"I2: {step.name} was to be undone under epoch {epoch}, and was not"


def _required(model: Model, name: str) -> bool:
    """Whether a step had to take effect: its triggers are on the log, and it was not left out."""
    step = model.definition.by_name[name]
    if step.waits or _left(model, step):
        return False
    there = {fact.type for fact in model.log}
    for other in model.definition.steps:
        if _left(model, other):
            there -= set(other.done)
    for other in model.definition.steps:  # in order: a wait counts once it is triggered
        present = [trigger in there for trigger in other.triggers]
        if other.waits and not (any(present) if other.join == "any" else all(present)):
            there -= set(other.done)
    triggers = [trigger in there for trigger in step.triggers]
    return any(triggers) if step.join == "any" else all(triggers)


def _left(model: Model, step: StepDefinition) -> bool:
    """Whether the saga went on without the step."""
    return any(fact.type == step.otherwise for fact in model.log)


def _order(model: Model) -> Iterator[str]:
    """I5: a step is undone after everything that came after it."""
    position = {name: index for index, name in enumerate(model.undo_order)}
    left = {step.name for step in model.definition.steps if _left(model, step)}
    for name, index in position.items():
        if name in left:
            continue
        for before in _ancestors(model, name):
            if before not in left and position.get(before, len(position)) < index:
                yield f"I5: {before} was undone before {name}, which followed it"


def _ancestors(model: Model, name: str) -> set[str]:
    emitter = {
        type_: step.name
        for step in model.definition.steps
        for type_ in (*step.done, step.otherwise or "")
    }
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for trigger in model.definition.by_name[waiting.pop()].triggers:
            if emitter[trigger] not in found:
                found.add(emitter[trigger])
                waiting.append(emitter[trigger])
    return found


def _log(model: Model) -> Iterator[str]:
    """I8, I10: what is recorded is on the log and the other way round; nobody acts on less."""
    recorded = {fact.id for fact in model.row.facts.values()} if model.row else set()
    on_log = {fact.id for fact in model.log}
    for fact in model.log:
        if fact.id not in recorded and fact.type not in model.outside:
            yield f"I8: {fact.type} was emitted and is not recorded"
    if model.row:
        for fact in model.row.facts.values():
            if fact.id not in on_log:
                yield f"I8: {fact.type} is recorded and was never emitted"
    yield from (f"I10: {what} on an event that is not durable" for what in model.unfounded)
