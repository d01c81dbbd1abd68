"""The invariants, asked of one instance once everything is at rest.

Owns what must hold, and nothing of how it is brought about: these functions read a declaration and what
was seen from outside, and share no code with the runtime. I12 is the user's own; I13 is asked of the
whole table, in ``rebuilding``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sagas.core.definition import START, Direction, Join, StepDefinition
from sagas.testing.simulation.evidence import Evidence, Seen
from sagas.testing.simulation.world import Effect

__all__ = ["INVARIANTS", "violations"]

INVARIANTS = {
    "I1": "every saga ends, or is parked with a reason; an end absorbs everything",
    "I2": "completed: each required effect once; compensated: each committed one undone once",
    "I3": "only what took effect is undone",
    "I4": "at most one effect per step and direction",
    "I5": "compensations go from the frontier backwards",
    "I6": "no forward action takes effect after its own compensation",
    "I7": "nothing is undone past the pivot",
    "I8": "what is committed, recorded and on the topics is the same, and in the same bytes",
    "I9": "a participant's journal accepts nothing after the undo",
    "I10": "nobody acts on an event that is not on a topic",
    "I11": "of reply and timeout one wins",
    "I12": "the workload's own books balance",
    "I13": "the table is what the topics say, and comes back from them",
}
"""What is checked, by its name in the reports."""

_ENDED = ("COMPLETED", "COMPENSATED", "FAILED")
_PARKED = "sagas.SagaParked.v1"
_UNDO_FAILED = "sagas.UndoFailed.v1"
_TIMED_OUT = "sagas.StepTimedOut.v1"


def violations(evidence: Evidence) -> list[str]:
    """Every broken invariant in words. Counts in ``evidence.seen`` what was there to be broken."""
    tallies = {step.name: _tally(evidence, step) for step in evidence.definition.steps}
    _count(evidence)
    return [
        *_ends(evidence),
        *_effects(evidence, tallies),
        *_failed(evidence, tallies),
        *_order(evidence),
        *_late(evidence),
        *_log(evidence, tallies),
        *_races(evidence, tallies),
    ]


@dataclass(frozen=True, slots=True)
class _Tally:
    """How often a step took effect and was undone; without a journal, how its last call left it.

    Somebody may have had it undone once more: that counts for each epoch by itself.
    """

    done: int
    undone: int
    journaled: bool


def _tally(evidence: Evidence, step: StepDefinition) -> _Tally:
    mine = [effect for effect in evidence.effects if effect.step == step.name]
    start = int(step.name == START and bool(set(step.done) & evidence.types))
    if any(effect.journaled for effect in mine):
        return _Tally(
            start + sum(_is_done(effect, step) for effect in mine),
            max(Counter(effect.epoch for effect in mine if _is_undone(effect)).values(), default=0),
            journaled=True,
        )
    changing = [effect for effect in mine if _is_done(effect, step) or _is_undone(effect)]
    done = start or int(any(_is_done(effect, step) for effect in changing))
    undone = int(bool(changing) and _is_undone(changing[-1]))
    return _Tally(done, undone, journaled=False)


def _is_done(effect: Effect, step: StepDefinition) -> bool:
    return effect.direction is Direction.FORWARD and effect.outcome in step.done


def _is_undone(effect: Effect) -> bool:
    return effect.direction is Direction.UNDO and (not effect.null or effect.step == START)


def _count(evidence: Evidence) -> None:
    seen, types = evidence.seen, evidence.types
    for effect in evidence.effects:
        if effect.direction is Direction.UNDO:
            null = effect.null and effect.step != START
            seen["null compensation" if null else "compensation"] += 1
    seen["parked"] += _PARKED in types
    seen["refused"] += any(types & set(step.refused) for step in evidence.definition.steps)
    for event in evidence.log:
        if event.type.startswith("sagas."):
            seen[event.type.split(".")[1]] += 1
    for step in evidence.definition.steps:
        timed_out = any(
            event.type == _TIMED_OUT and event.says.get("step") == step.name
            for event in evidence.log
        )
        gone_on = step.otherwise in types
        seen["otherwise"] += gone_on
        seen["timer race"] += bool(types & set(step.done)) and (timed_out or gone_on)


def _ends(evidence: Evidence) -> Iterator[str]:
    """I1."""
    status = evidence.status
    if status is None:
        yield "I1: nothing was ever recorded"
        return
    ended = [one for one in evidence.statuses if one in _ENDED]
    if ended and set(evidence.statuses[evidence.statuses.index(ended[0]) :]) != {ended[0]}:
        yield f"I1: it had ended {ended[0]} and is {status}"
    if status == "PARKED":
        parkings = [event for event in evidence.log if event.type == _PARKED]
        if not any(event.says.get("error") and event.says.get("step") for event in parkings):
            yield "I1: it is parked, and nobody says why"
    elif status not in _ENDED:
        yield f"I1: it is left {status}"


def _effects(evidence: Evidence, tallies: dict[str, _Tally]) -> Iterator[str]:
    """I2, I3, I4, I7."""
    pivots = {step.name for step in evidence.definition.steps if step.pivot}
    past = any(tallies[pivot].done for pivot in pivots)
    for step in evidence.definition.steps:
        name, tally = step.name, tallies[step.name]
        if tally.done > 1 or tally.undone > 1:
            yield f"I4: {name} took effect {tally.done} times and was undone {tally.undone} times"
        if tally.undone > tally.done:
            yield f"I3: {name} was undone without having been done"
        if evidence.status == "COMPLETED":
            yield from _completed(evidence, step, tally)
        left = step.otherwise in evidence.types
        if evidence.status == "COMPENSATED":
            if step.undone is not None and tally.done != tally.undone:
                yield f"I2: the saga is compensated and {name} is not undone"
            if name in pivots and tally.done:
                yield f"I7: the saga is compensated past its pivot {name}"
        if tally.undone and past and not left:
            yield f"I7: {name} is undone past a pivot"


def _failed(evidence: Evidence, tallies: dict[str, _Tally]) -> Iterator[str]:
    """I2: what a saga that has failed leaves behind is in its ledger."""
    if evidence.status != "FAILED":
        return
    given_up = _given_up(evidence)
    for step in evidence.definition.steps:
        tally = tallies[step.name]
        if step.undone is not None and tally.done > tally.undone and step.name not in given_up:
            yield f"I2: the saga failed, {step.name} is not undone, and nobody is told"


def _given_up(evidence: Evidence) -> set[object]:
    """The steps whose undo the saga has given up."""
    return {one.says.get("step") for one in evidence.log if one.type == _UNDO_FAILED}


def _completed(evidence: Evidence, step: StepDefinition, tally: _Tally) -> Iterator[str]:
    left, required = step.otherwise in evidence.types, _required(evidence, step)
    if tally.undone and not left:
        yield f"I2: the saga completed and {step.name} is undone"
    if left and step.undone and tally.done != tally.undone:
        yield f"I2: the saga went on without {step.name}, which is not undone"
    if required and not tally.done:
        yield f"I2: the saga completed without {step.name}"
    if tally.done and not required and not left and step.name != START:
        yield f"I2: {step.name} took effect, but what triggers it never counted"


def _required(evidence: Evidence, step: StepDefinition) -> bool:
    """Whether a step had to take effect: its triggers are there and count, and it was not left out."""
    if step.waits or step.otherwise in evidence.types:
        return False
    return _triggered(step, _counting(evidence))


def _counting(evidence: Evidence) -> set[str]:
    """The types that count as triggers: not what came after the saga had gone on without the step, and
    not the answer to a step that waits before that step was triggered. Of several answers to one step the
    first counts; which that was, only the row says.
    """
    there, recorded = evidence.types, {event.type for event in evidence.recorded}
    for step in evidence.definition.steps:
        if step.otherwise in there:
            there -= set(step.done)
        if step.waits and len(there.intersection(step.done)) > 1:
            there -= set(step.done) - recorded
    for step in evidence.definition.steps:  # in order: a wait counts once it is triggered
        if step.waits and not _triggered(step, there):
            there -= set(step.done)
    return there


def _triggered(step: StepDefinition, there: set[str]) -> bool:
    found = [trigger in there for trigger in step.triggers]
    return any(found) if step.join is Join.ANY else all(found)


def _order(evidence: Evidence) -> Iterator[str]:
    """I5: a step is undone after everything that came after it. What is run once more has no order, nor has
    a late success that is undone at once after its undo had been given up.
    """
    undone = [one.step for one in evidence.effects if _is_undone(one) and not one.epoch]
    position = {name: index for index, name in enumerate(undone) if undone.count(name) == 1}
    steps, types = evidence.definition.by_name, evidence.types
    given_up = _given_up(evidence)
    for name, index in position.items():
        if steps[name].otherwise in types or name in given_up:
            continue
        for before in _ancestors(evidence, name):
            early = position.get(before, len(undone)) < index
            if early and steps[before].otherwise not in types:
                yield f"I5: {before} was undone before {name}, which followed it"


def _ancestors(evidence: Evidence, name: str) -> list[str]:
    emitter = {
        type_: step.name
        for step in evidence.definition.steps
        for type_ in (*step.done, step.otherwise or "")
    }
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        for trigger in evidence.definition.by_name[waiting.pop()].triggers:
            if emitter[trigger] not in found:
                found[emitter[trigger]] = None
                waiting.append(emitter[trigger])
    return list(found)


def _late(evidence: Evidence) -> Iterator[str]:
    """I6, I9: where effects go through a journal, nothing takes effect after its undo."""
    undone: set[str] = set()
    epochs: dict[str, int] = {}
    for effect in evidence.effects:
        if not effect.journaled:
            continue
        if effect.direction is Direction.UNDO:
            undone.add(effect.step)
            if effect.epoch < epochs.get(effect.step, 0):
                yield f"I9: {effect.step} was undone under an epoch that had been superseded"
            epochs[effect.step] = effect.epoch
        elif effect.step in undone and _is_done(effect, evidence.definition.by_name[effect.step]):
            yield f"I9: {effect.step} took effect after it had been undone"


def _is_superseded(evidence: Evidence, event: Seen) -> bool:
    """Whether it was decided, lost with the table, and came after the end that was reached without it."""
    return evidence.status in _ENDED and 0 < event.generation < evidence.generation


def _log(evidence: Evidence, tallies: dict[str, _Tally]) -> Iterator[str]:
    """I8, I10."""
    recorded = {event.id for event in evidence.recorded}
    on_log = {event.id for event in evidence.log}
    for event in evidence.log:
        if event.id in recorded or event.type in evidence.outside:
            continue
        if _is_superseded(evidence, event):
            evidence.seen["superseded"] += 1
        else:
            yield f"I8: {event.type} was emitted and is not recorded"
    for event in evidence.recorded:
        if event.id not in on_log:
            yield f"I8: {event.type} is recorded and was never emitted"
    for step in evidence.definition.steps:
        tally = tallies[step.name]
        said = bool(evidence.types & set(step.done))
        if tally.journaled and said and not tally.done and not step.waits:
            yield f"I8: {step.name} is said to be done, and had no effect"
    yield from (f"I10: {words}" for words in evidence.unfounded)


def _races(evidence: Evidence, tallies: dict[str, _Tally]) -> Iterator[str]:
    """I11: after a reply and a timeout, one of the two ways was gone, and not both."""
    for step in evidence.definition.steps:
        if step.otherwise not in evidence.types or not evidence.types & set(step.done):
            continue
        by_reply, by_timeout = (
            [other.name for other in evidence.definition.steps if other.triggers
             and set(other.triggers) <= set(types) and tallies[other.name].done]
            for types in (step.done, (step.otherwise,))
        )  # fmt: skip
        if by_reply and by_timeout:
            yield f"I11: {step.name}: both {by_reply[0]} and {by_timeout[0]} followed"
