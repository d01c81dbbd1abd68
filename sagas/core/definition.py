"""A choreography as plain data, and what follows from it.

Owns the compiled form of a declaration: steps, who performs them, what triggers them, what each outcome
is, and the relations that the semantics need (successors, subscriptions, what can enable what). Never
looks at an instance, a class or a handler: a definition can as well come from JSON or from a test.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sagas.core.branches import Conditions, chosen, combined, together
from sagas.core.canonical import canonical
from sagas.core.kinds import Direction, Join, Role, StepKind, UndoPolicy

__all__ = [
    "DEADLINE",
    "SAGA_CANCELLED",
    "SAGA_EXPIRED",
    "SAGA_PARKED",
    "SAGA_RESUMED",
    "START",
    "STEP_FAILED",
    "STEP_TIMED_OUT",
    "UNDO_AGAIN",
    "UNDO_FAILED",
    "Definition",
    "Direction",
    "Join",
    "Outcome",
    "Role",
    "StepDefinition",
    "StepKind",
    "UndoPolicy",
]

START = "start"
"""The name of the step that stands for the start of a saga: no trigger, done when its event is there."""

DEADLINE = "deadline"
"""The name of the timer that bounds the way to the pivot."""

STEP_FAILED = "sagas.StepFailed.v1"
STEP_TIMED_OUT = "sagas.StepTimedOut.v1"
SAGA_CANCELLED = "sagas.SagaCancelled.v1"
SAGA_EXPIRED = "sagas.SagaExpired.v1"
SAGA_PARKED = "sagas.SagaParked.v1"
SAGA_RESUMED = "sagas.SagaResumed.v1"
UNDO_FAILED = "sagas.UndoFailed.v1"
UNDO_AGAIN = "sagas.UndoAgain.v1"


_TURNING = frozenset({STEP_FAILED, STEP_TIMED_OUT, SAGA_CANCELLED, SAGA_EXPIRED})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event type means in one saga: the outcome ``role`` of ``step``."""

    step: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """One step as data. Event types are names on the wire.

    ``done`` holds one type, or several for a choice. ``undone`` is None where there is nothing to undo.
    ``otherwise`` is where the saga goes on when the step is not done: the handler may return it, and a
    timeout or a final failure records it. A step that ``waits`` has no handler: it is completed, or
    refused, from outside. ``timeout_ms`` None means never.
    Only ``pivot`` is said of the step's kind; the definition derives the rest. ``if_undo_fails`` is of
    no meaning where nothing is undone.
    """

    name: str
    service: str
    triggers: tuple[str, ...] = ()
    join: Join = Join.ALL
    done: tuple[str, ...]
    refused: tuple[str, ...] = ()
    otherwise: str | None = None
    undone: str | None = None
    pivot: bool = False
    waits: bool = False
    timeout_ms: int | None = None
    reads: tuple[str, ...] = ()
    state: str | None = None
    if_undo_fails: UndoPolicy = UndoPolicy.BLOCK
    ends: frozenset[str] = field(init=False, repr=False, compare=False)
    """The slots of the events of which any says that the forward action has an outcome."""
    failures: tuple[str, str] = field(init=False, repr=False, compare=False)
    """The slots of its failures: what every message looks up is put together once."""

    def __post_init__(self) -> None:
        failures = (f"{STEP_FAILED}/{self.name}", f"{STEP_TIMED_OUT}/{self.name}")
        otherwise = () if self.otherwise is None else (self.otherwise,)
        ends = frozenset((*self.done, *self.refused, *otherwise, *failures))
        object.__setattr__(self, "failures", failures)
        object.__setattr__(self, "ends", ends)

    @property
    def outcomes(self) -> Iterable[tuple[str, Role]]:
        """Every event type that this step emits, with its role."""
        yield from ((type_, Role.DONE) for type_ in self.done)
        yield from ((type_, Role.REFUSED) for type_ in self.refused)
        if self.otherwise is not None:
            yield self.otherwise, Role.OTHERWISE
        if self.undone is not None:
            yield self.undone, Role.UNDONE


@dataclass(frozen=True)
class Definition:
    """A saga: its name, the field of its events that holds the business key, and its steps.

    ``steps[0]`` is the start (named ``START``). ``cancelled_by`` is the event, of whichever publisher, that
    asks the saga to turn back. ``upcasts`` pairs each former version of an event with the current one, which
    is what it is taken for wherever it is met; ``retired`` are events of former steps, which mean nothing any
    more. The derived relations are computed once, on first use;
    they assume a definition in which ``sagas.core.validation`` finds no problem.
    """

    saga: str
    key: str
    steps: tuple[StepDefinition, ...]
    deadline_ms: int | None = None
    cancelled_by: str | None = None
    upcasts: tuple[tuple[str, str], ...] = ()
    retired: tuple[str, ...] = ()
    by_name: Mapping[str, StepDefinition] = field(init=False, repr=False, compare=False)
    outcome_of: Mapping[str, Outcome] = field(init=False, repr=False, compare=False)
    current_of: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {step.name: step for step in self.steps})
        object.__setattr__(self, "current_of", dict(self.upcasts))
        outcomes = {
            type_: Outcome(step.name, role) for step in self.steps for type_, role in step.outcomes
        }
        object.__setattr__(self, "outcome_of", outcomes)

    @property
    def start(self) -> StepDefinition:
        """The step that stands for the start."""
        return self.steps[0]

    @cached_property
    def services(self) -> tuple[str, ...]:
        """Every participant, in order of appearance."""
        return tuple(dict.fromkeys(step.service for step in self.steps))

    @cached_property
    def host(self) -> str:
        """The participant that decides what becomes of a message that the saga may have no room for: another
        start of a key, or a cancellation of what is not known.

        The start's own service, or the first that the start wakes where that one does nothing else in the
        saga, so that it may have no worker.
        """
        start = self.start
        if start.undone is not None or len(self.steps_of[start.service]) > 1:
            return start.service
        woken = (step.service for step in self.steps if set(step.triggers) & set(start.done))
        return next(woken, start.service)

    @cached_property
    def steps_of(self) -> Mapping[str, tuple[StepDefinition, ...]]:
        """The steps that each participant performs."""
        return {
            service: tuple(step for step in self.steps if step.service == service)
            for service in self.services
        }

    @cached_property
    def predecessors(self) -> Mapping[str, frozenset[str]]:
        """The direct and indirect predecessors of each step."""
        found = {step.name: self._direct_predecessors(step) for step in self.steps}
        for _ in self.steps:  # a fixed point: each round looks one step further back
            found = {
                name: known.union(*(found[before] for before in known))
                for name, known in found.items()
            }
        return found

    def _direct_predecessors(self, step: StepDefinition) -> frozenset[str]:
        return frozenset(
            self.outcome_of[trigger].step for trigger in step.triggers if trigger in self.outcome_of
        )

    @cached_property
    def successors(self) -> Mapping[str, frozenset[str]]:
        """The direct and indirect successors of each step, also through steps without an effect."""
        return {
            step.name: frozenset(
                other.name for other in self.steps if step.name in self.predecessors[other.name]
            )
            for step in self.steps
        }

    @cached_property
    def conditions(self) -> Mapping[str, Conditions]:
        """For each step the combinations of choices under which it is triggered; none if it never can be."""
        found: dict[str, Conditions] = {}
        for _ in self.steps:  # a fixed point: at most one round for each step, in any order
            for step in self.steps:
                branches = [self._branches(trigger, found) for trigger in step.triggers]
                found[step.name] = combined(branches, merges=step.join is Join.ANY)
        return found

    def _branches(self, type_: str, conditions: Mapping[str, Conditions]) -> Conditions:
        outcome = self.outcome_of.get(type_)
        if outcome is None:
            return frozenset()
        emitter = self.by_name[outcome.step]
        ways = len(emitter.done) + (emitter.otherwise is not None)
        choice = (emitter.name, type_) if ways > 1 else None
        return chosen(conditions.get(emitter.name, frozenset()), choice)

    def exclusive(self, left: str, right: str) -> bool:
        """Whether two steps can never both be triggered in one instance."""
        return not together(self.conditions[left], self.conditions[right])

    def branches(self, type_: str) -> Conditions:
        """The combinations of choices under which an event happens."""
        return self._branches(type_, self.conditions)

    @cached_property
    def kinds(self) -> Mapping[str, StepKind]:
        """The kind of each step.

        A step behind a pivot is retriable. So is one that stands beside a pivot, has nothing to undo and
        cannot refuse: it never turns the saga back.
        """
        return {step.name: self._kind_of(step) for step in self.steps}

    def _kind_of(self, step: StepDefinition) -> StepKind:
        if step.pivot:
            return StepKind.PIVOT
        pivots = [other.name for other in self.steps if other.pivot]
        if any(pivot in self.predecessors[step.name] for pivot in pivots):
            return StepKind.RETRIABLE
        beside = any(self.beside(step.name, pivot) for pivot in pivots)
        if beside and step.undone is None and not step.refused and step.name != START:
            return StepKind.RETRIABLE
        return StepKind.COMPENSATABLE

    def beside(self, left: str, right: str) -> bool:
        """Whether two steps may be in flight together: neither precedes the other, nor excludes it."""
        return (
            left != right
            and left not in self.predecessors[right]
            and right not in self.predecessors[left]
            and not self.exclusive(left, right)
        )

    @cached_property
    def pivots(self) -> tuple[StepDefinition, ...]:
        """The points of no return, at most one on each path."""
        return tuple(step for step in self.steps if step.pivot)

    @cached_property
    def failure_types(self) -> frozenset[str]:
        """The event types that can turn the saga back: every refusal, and the framework's own."""
        return frozenset(t for step in self.steps for t in step.refused) | _TURNING

    @cached_property
    def undo_enablers(self) -> Mapping[str, frozenset[str]]:
        """For each step with an undo: the event types that can enable it (design.md, rule 5).

        A failure event, the step's own trigger or otherwise event, or the undone event of a direct or
        indirect successor, or that it failed for good where the others go on (then see ``enables_undo``).
        """
        return {
            step.name: self.failure_types.union(
                step.triggers,
                () if step.otherwise is None else (step.otherwise,),
                self._ends_of_successors(step),
            )
            for step in self.steps
            if step.undone is not None
        }

    def _ends_of_successors(self, step: StepDefinition) -> Iterator[str]:
        for name in self.successors[step.name]:
            successor = self.by_name[name]
            if successor.undone is not None:
                yield successor.undone
                if successor.if_undo_fails is UndoPolicy.CONTINUE:
                    yield UNDO_FAILED

    def enables_undo(self, type_: str, of: str, step: StepDefinition) -> bool:
        """Whether an event, of the step ``of``, can enable the undo of ``step``.

        The relation has to be acyclic, or events would wake each other without end (rule 5).
        """
        if type_ == UNDO_FAILED and of not in self.successors[step.name]:
            return False
        return type_ in self.undo_enablers.get(step.name, ())

    @cached_property
    def wakes(self) -> Mapping[str, frozenset[str]]:
        """For each participant the event types that concern one of its steps: what it subscribes to."""
        return {service: self._wakes_of(service) for service in self.services}

    def _wakes_of(self, service: str) -> frozenset[str]:
        types: set[str] = {SAGA_PARKED, SAGA_RESUMED}
        if any(step.undone is not None for step in self.steps_of[service]):
            types.add(UNDO_AGAIN)
        for step in self.steps_of[service]:
            types.update(step.done if step is self.start or step.waits else ())
            types.update(step.refused if step.waits else ())
            types.update(step.triggers)
            types.update(() if step.otherwise is None else (step.otherwise,))
            types.update(self.undo_enablers.get(step.name, ()))
        return frozenset(types)

    @cached_property
    def leads_forward(self) -> Mapping[str, frozenset[str]]:
        """Of what wakes each participant, what its own steps wait for on the way forward."""
        return {
            service: frozenset(
                type_
                for step in steps
                for type_ in (*step.triggers, *((*step.done, *step.refused) if step.waits else ()))
            )
            for service, steps in self.steps_of.items()
        }

    @cached_property
    def looks_back(self) -> Mapping[str, frozenset[str]]:
        """Of what wakes each participant, what may lead to an action that is given other recorded events too:
        those that it reads, the other triggers of a join, the outcome that it undoes.
        """
        found = {}
        for service, steps in self.steps_of.items():
            types: set[str] = set()
            for step in steps:
                types.update(step.triggers if step.reads or len(step.triggers) > 1 else ())
                types.update(self.undo_enablers.get(step.name, frozenset()) - {*step.triggers})
            found[service] = frozenset(types)
        return found

    @cached_property
    def leaves(self) -> frozenset[str]:
        """The event types that nothing follows, of which no handler is given one: once on Kafka, nobody
        needs them from the row.

        That a step is done, where that triggers nothing, is read by none and has no undo; and that one is
        undone, unless it turns the saga back. Answers to a wait are told again, and the start is compared.
        """
        needed = {type_ for step in self.steps for type_ in (*step.triggers, *step.reads)}
        done = (
            type_
            for step in self.steps
            if step is not self.start and not step.waits and step.undone is None
            for type_ in step.done
        )
        undone = (step.undone for step in self.steps if step.undone is not None)
        return frozenset((*done, *undone)) - needed

    @cached_property
    def is_plain(self) -> bool:
        """Whether every recorded outcome is accepted: no step waits or has an otherwise event."""
        return not any(step.waits or step.otherwise for step in self.steps)

    @cached_property
    def conditional(self) -> frozenset[str]:
        """The outcomes that count only under conditions, once recorded (``Instance.accepts``)."""
        return frozenset(
            type_
            for type_, outcome in self.outcome_of.items()
            if self.by_name[outcome.step].waits
            or (outcome.role is Role.DONE and self.by_name[outcome.step].otherwise is not None)
        )

    @cached_property
    def timed(self) -> tuple[StepDefinition, ...]:
        """The steps whose time can be up."""
        return tuple(s for s in self.steps if s.timeout_ms is not None and s.name != START)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with anything that is declared, and with nothing else: not with
        the order in which steps, or several events in one place, are written.
        """
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]

    def canonical(self) -> str:
        """The definition as one line of JSON with a fixed order: what the fingerprint is taken of."""
        return canonical(self)
