"""Whether instances of one definition can finish under another: computed for every state, not guessed.

Owns the question and its answer. Each state that the old definition can reach is taken over as its row would
be: what is recorded stays, what it means is what the new definition says. From there everything that can
happen under the new one is walked. Messages that were handled before the change do not come again, so a
service runs something that only the change has enabled no sooner than another event wakes it, and never by
an event of which no row is sure to say that it was published (rule 4).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sagas.change.carrying import carried, now_called, strangeness
from sagas.change.walking import actions, identity, moves, walk
from sagas.core.definition import (
    STEP_TIMED_OUT,
    Definition,
    Direction,
    Role,
)
from sagas.core.enabled import Action
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance, SagaStatus

__all__ = [
    "STATES_MAX",
    "Finishing",
    "Hindrance",
    "Place",
    "effects_of",
    "finishing",
    "hindrance_once_woken",
]

STATES_MAX = 20_000
"""So many states of each definition are looked at; a saga of ten steps has some thousand."""


class Hindrance(StrEnum):
    """Why an instance can not finish."""

    UNKNOWN = "unknown"
    """Something that it has recorded means nothing to the new definition, or something else."""
    STUCK = "stuck"
    """It comes to where nothing can happen any more."""
    ASLEEP = "asleep"
    """It comes to where a service has something to do and no message wakes it: `sagas retry` does."""
    EFFECT = "effect"
    """It is compensated, and an effect of the old definition stays."""


@dataclass(frozen=True, slots=True)
class Place:
    """States of the old definition that look alike: where they stand, and what is in the way of finishing.

    ``recorded`` is an example, the shortest: the events of an instance there; ``way`` is what happens then.
    ``states`` counts the states.
    """

    status: str
    waits_for: tuple[str, ...]
    states: int
    hindrance: Hindrance | None = None
    reason: str = ""
    recorded: tuple[str, ...] = ()
    way: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finishing:
    """``complete`` is false where not all was looked at: then ``can_finish`` is no proof."""

    places: tuple[Place, ...]
    states: int
    complete: bool

    @property
    def can_finish(self) -> bool:
        """Whether every instance, wherever it stands, comes to an end under the new definition."""
        return self.complete and not any(place.hindrance for place in self.places)


@dataclass(frozen=True, slots=True)
class _Node:
    """``awake`` are the services that a message wakes after the change, ``effects`` the steps that the old
    definition would undo. ``blocked`` are steps that follow a recorded event of which no row says yet that it
    was published; those events are ``unmarked``.
    """

    instance: Instance
    awake: frozenset[str]
    effects: frozenset[str]
    blocked: frozenset[str]
    unmarked: frozenset[str]

    def runs(self, action: Action) -> bool:
        """Whether a service does this: it is awake, and knows that what the step follows was published."""
        step = action.step
        blocked = action.direction is Direction.FORWARD and step.name in self.blocked
        return step.service in self.awake and not blocked

    @property
    def key(self) -> tuple[object, ...]:
        return (*identity(self.instance), self.awake, self.effects, self.blocked, self.unmarked)


@dataclass(slots=True)
class _Ground:
    """Everything that was walked under the new definition: where each node leads, and what is wrong."""

    states_max: int
    nodes: dict[tuple[object, ...], _Node] = field(default_factory=dict)
    after: dict[tuple[object, ...], list[tuple[str, tuple[object, ...]]]] = field(
        default_factory=dict
    )
    wrong: dict[tuple[object, ...], tuple[Hindrance, str]] = field(default_factory=dict)
    complete: bool = True


def finishing(old: Definition, new: Definition, *, states_max: int = STATES_MAX) -> Finishing:
    """What becomes of the instances of ``old``, wherever they stand, once ``new`` runs instead."""
    seen = walk(old, states_max=states_max)
    ground = _Ground(states_max * 5)
    found: dict[tuple[str, tuple[str, ...]], Place] = {}
    for state in seen.states:
        if state.phase.is_terminal:
            continue
        place = _place(state, new, ground)
        key = place.status, place.waits_for
        known = found.get(key)
        if known is None:
            found[key] = place
        else:
            worse = place if known.hindrance is None and place.hindrance else known
            found[key] = replace(worse, states=known.states + 1)
    return Finishing(
        tuple(found.values()),
        states=len(seen.states) + len(ground.nodes),
        complete=seen.complete and ground.complete,
    )


def hindrance_once_woken(
    instance: Instance, effects: Iterable[str] = (), *, states_max: int = STATES_MAX
) -> str | None:
    """Why this very instance can not finish under the definition that it has, in words, if every participant
    is woken and what is recorded is known to be published. ``effects`` are what an older definition would
    undo.
    """
    services = instance.definition.services
    facts = {slot: fact._replace(published=True) for slot, fact in instance.facts.items()}
    instance = instance._replace(facts=facts)
    ground = _Ground(states_max)
    first = _Node(instance, frozenset(services), frozenset(effects), frozenset(), frozenset())
    found = _hindered(first, ground)
    if found is not None:
        return found[1]
    return None if ground.complete else "it has more states than could be looked at"


def _place(state: Instance, new: Definition, ground: _Ground) -> Place:
    recorded = tuple(fact.type for fact in state.facts.values())
    shown = str(state.status), tuple(_open(state))
    strange = strangeness(state, new)
    if strange is not None:
        return Place(*shown, 1, Hindrance.UNKNOWN, strange, recorded)
    unmarked = list(_unmarked(state, new))
    first = _Node(
        carried(state, new),
        awake=frozenset(_woken(state, new)),
        effects=frozenset(effects_of(state)),
        blocked=frozenset(step for step, _ in unmarked),
        unmarked=frozenset(type_ for _, type_ in unmarked),
    )
    found = _hindered(first, ground)
    if found is None:
        return Place(*shown, 1)
    hindrance, reason, way = found
    return Place(*shown, 1, hindrance, reason, recorded, way)


def _open(state: Instance) -> Iterator[str]:
    """What the instance waits for, in words."""
    for action in actions(state):
        verb = "undo" if action.direction is Direction.UNDO else "perform"
        yield f"{action.step.service} to {verb} {action.step.name}"
    if state.phase is SagaStatus.RUNNING:
        for step in state.definition.steps:
            if step.waits and state.triggered(step) and not state.resolved(step):
                yield f"an answer to {step.name}"


def _woken(state: Instance, new: Definition) -> Iterator[str]:
    """The services for which a message is under way that they still read under the new definition.

    Whoever has something to do has not handled yet what enables it: any of a forward step's triggers may
    come last; of what enables an undo, the event that was recorded last.
    """
    for action in actions(state):
        step, wakes = action.step, new.wakes.get(action.step.service, frozenset())
        awaited = {type_ for type_ in step.triggers if type_ in state.facts}
        if action.direction is Direction.UNDO:
            enablers = state.definition.undo_enablers[step.name]
            recorded = [fact.type for fact in state.facts.values() if fact.type in enablers]
            awaited = set(recorded[-1:])
        if now_called(awaited, new) <= wakes:
            yield step.service


def _unmarked(state: Instance, new: Definition) -> Iterator[tuple[str, str]]:
    """The steps that follow a recorded event which they can not know to be published, with the event.

    They know it if it is on its way to their service or if they have followed it before, and if a step that
    followed it has ended: that write has marked it.
    """
    old, there = state.definition, now_called(state.facts, new)
    before_it = [type_ for fact in state.facts.values() for type_ in _marked_by(fact, old)]
    marked = now_called(before_it, new)
    coming = {
        (action.step.service, type_)
        for action in actions(state)
        if action.direction is Direction.FORWARD
        for type_ in now_called(action.step.triggers, new)
    }
    for step in new.steps:
        before = old.by_name.get(step.name)
        same = before is not None and before.service == step.service
        followed = now_called(before.triggers, new) if before is not None and same else frozenset()
        for type_ in step.triggers:
            known = type_ in marked or type_ in followed or (step.service, type_) in coming
            if type_ in there and not known:
                yield step.name, type_


def _marked_by(fact: Fact, definition: Definition) -> tuple[str, ...]:
    """The triggers that a service had in hand when it wrote this; timers and undos prove none."""
    step = definition.by_name.get(fact.step)
    forward = fact.direction is Direction.FORWARD and not fact.assumed
    if step is None or step.waits or not forward or fact.type == STEP_TIMED_OUT:
        return ()
    return step.triggers


def effects_of(state: Instance) -> Iterator[str]:
    """The steps of which the old definition would undo an effect, or what may be one."""
    for step in state.definition.steps:
        unknown = step.name in state.in_flight or state.failed(step)
        if step.undone is not None and (state.done(step) or unknown) and not state.undone(step):
            yield step.name


def _hindered(first: _Node, ground: _Ground) -> tuple[Hindrance, str, tuple[str, ...]] | None:
    """The nearest place from which there is no end, and the way to it."""
    _explore(first, ground)
    seen: dict[tuple[object, ...], tuple[str, ...]] = {first.key: ()}
    waiting = deque([first.key])
    while waiting:
        key = waiting.popleft()
        if key in ground.wrong:
            return (*ground.wrong[key], seen[key])
        for type_, after in ground.after.get(key, ()):
            if after not in seen:
                seen[after] = (*seen[key], type_)
                waiting.append(after)
    return None


def _explore(first: _Node, ground: _Ground) -> None:
    if first.key in ground.after:
        return
    waiting = [first]
    ground.nodes[first.key] = first
    while waiting:
        node = waiting.pop()
        if node.key in ground.after:
            continue
        if len(ground.after) >= ground.states_max:
            ground.complete = False
            return
        found = ground.after[node.key] = []
        goes_on = False
        for move in moves(node.instance, node.runs):
            after = _after(node, move.fact)
            goes_on = goes_on or not move.asked
            if after.key == node.key:
                continue
            found.append((move.fact.type, after.key))
            if after.key not in ground.nodes:
                ground.nodes[after.key] = after
                waiting.append(after)
        wrong = _wrong(node, goes_on=goes_on)
        if wrong is not None:
            ground.wrong[node.key] = wrong


def _after(node: _Node, fact: Fact) -> _Node:
    instance = evolve(node.instance, fact)
    wakes, steps = instance.definition.wakes, instance.definition.by_name
    woken = {service for service in instance.definition.services if fact.type in wakes[service]}
    unmarked = node.unmarked.difference(_marked_by(fact, instance.definition))
    blocked = frozenset(
        name
        for name in node.blocked
        if steps[name].service not in woken or not unmarked.isdisjoint(steps[name].triggers)
    )
    return _Node(instance, node.awake | woken, node.effects, blocked, unmarked)


def _wrong(node: _Node, *, goes_on: bool) -> tuple[Hindrance, str] | None:
    instance = node.instance
    if instance.phase is SagaStatus.COMPENSATED:
        kept = sorted(name for name in node.effects if _stays(instance, name))
        if kept:
            return (
                Hindrance.EFFECT,
                f"it ends as COMPENSATED, and what {kept[0]} has done is undone by nobody",
            )
        return None
    if instance.phase.is_terminal or goes_on:
        return None
    asleep = [action for action in actions(instance) if not node.runs(action)]
    if asleep:
        step, verb = asleep[0].step, "undo" if asleep[0].direction is Direction.UNDO else "perform"
        return (
            Hindrance.ASLEEP,
            f"{step.service} has to {verb} {step.name}, and no message wakes it",
        )
    return Hindrance.STUCK, f"it is {instance.status}, and nothing can happen any more"


def _stays(instance: Instance, name: str) -> bool:
    """Whether a step has, or may have, an effect that nobody has undone."""
    step = instance.definition.by_name.get(name)
    if step is None:
        return True
    ends = {Role.UNDONE, Role.UNDO_FAILED, Role.REFUSED}
    ended = any(fact.step == name and fact.role in ends for fact in instance.facts.values())
    return not ended and step.undone is None
