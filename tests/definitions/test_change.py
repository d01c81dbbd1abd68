"""S16, and the walk of `sagas diff`, against the semantics: random sagas of which the definition changes
half-way, at any moment.

Workers of the new definition go on with what the old one has recorded. What was handled does not come again;
what was not is read by those whom the new definition wakes. Whenever the check finds nothing, the saga ends.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sagas.change.finishing import finishing
from sagas.checks import Declared, Deployed, Severity, Subject
from sagas.checks.versions import finishable
from sagas.core.definition import Definition, StepDefinition
from sagas.core.position import Position
from sagas.core.validation import problems
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.model import Model, Unrest
from tests.simulation.parts import NO_FAULTS, Faults, Participant, Plan

SEEDS = st.integers(min_value=0, max_value=2**32)


class Changing(Model):
    """A model of which all workers are replaced once, after so many calls, when none is at work."""

    def __init__(
        self,
        old: Definition,
        new: Definition,
        plans: dict[str, Plan],
        *,
        seed: int,
        after: int,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__(old, plans, seed=seed, faults=faults)
        self._new, self._after = new, after
        self.changed_at: str | None = None

    def _deliver(self) -> None:
        """What is being handled is handled to its end first: then nobody is at work."""
        if self.calls >= self._after and self.definition is not self._new:
            if self._tasks:
                self._step(self._random.choice(self._tasks))
                return
            self._change()
        if self._queue:
            super()._deliver()

    def _move_on(self) -> bool:
        if self.definition is not self._new:
            self._change()
        return bool(self._queue) or super()._move_on()

    def _change(self) -> None:
        self.definition = self._new
        for step in self._new.steps:
            self.participants.setdefault(step.name, Participant())
        if self.stored is not None:
            row = self.stored.instance
            self.changed_at = row.status.value
            self.stored = Position.of(row._replace(definition=self._new))
        self._queue = [
            (service, message)
            for service, message in self._queue
            if message.control is not None or message.fact.type in self._new.wakes.get(service, ())
        ]


def changes(chance: random.Random, old: Definition) -> Definition:
    """The same saga with one or two things different."""
    kinds: tuple[Callable[[random.Random, list[StepDefinition]], None], ...] = (
        *(
            _more,
            _more,
            _fewer,
            _elsewhere,
            _triggered,
            _refused,
            _otherwise,
            _undone,
            _timed,
            _moved,
        ),
    )
    steps = list(old.steps)
    for _ in range(chance.choice([1, 1, 2])):
        chance.choice(kinds)(chance, steps)
    return replace(old, steps=tuple(steps))


def _any(chance: random.Random, steps: list[StepDefinition]) -> int:
    return chance.randrange(1, len(steps))


def _events(steps: list[StepDefinition]) -> list[str]:
    return [t for step in steps for t in (*step.done, step.otherwise) if t is not None]


def _more(chance: random.Random, steps: list[StepDefinition]) -> None:
    name, events = f"n{len(steps)}", _events(steps)
    types = chance.sample(events, min(len(events), chance.choice([1, 1, 2])))
    steps.append(
        StepDefinition(
            name=name,
            service=chance.choice(steps).service,
            triggers=tuple(types),
            done=(f"svc.{name.upper()}.v1",),
        )
    )  # fmt: skip


def _fewer(chance: random.Random, steps: list[StepDefinition]) -> None:
    if len(steps) > 2:
        del steps[_any(chance, steps)]


def _elsewhere(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    steps[at] = replace(steps[at], service=chance.choice(steps).service)


def _triggered(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    steps[at] = replace(steps[at], triggers=(chance.choice(_events(steps)),))


def _refused(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    more = () if steps[at].refused else (f"svc.No{at}.v1",)
    steps[at] = replace(steps[at], refused=more)


def _otherwise(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    steps[at] = replace(steps[at], otherwise=None if steps[at].otherwise else f"svc.Else{at}.v1")


def _undone(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    steps[at] = replace(steps[at], undone=None if steps[at].undone else f"svc.Back{at}.v1")


def _timed(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    steps[at] = replace(steps[at], timeout_ms=chance.choice([None, 500]))


def _moved(chance: random.Random, steps: list[StepDefinition]) -> None:
    at = _any(chance, steps)
    steps[at] = replace(steps[at], pivot=not steps[at].pivot)


def errors(old: Definition, new: Definition) -> list[str]:
    subject = Subject(sagas=(Declared(definition=new),), deployed=(Deployed(old),))
    return [one.reason for one in finishable(subject) if one.severity is Severity.ERROR]


def run(old: Definition, new: Definition, seed: int, after: int) -> Changing:
    plans = random_plans(old, seed)
    model = Changing(old, new, plans, seed=seed, after=after)
    model.run()
    return model


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, after=st.integers(0, 25), alternatives=st.booleans())
def test_what_is_said_to_be_finishable_finishes(seed: int, after: int, alternatives: bool) -> None:
    old = random_definition(seed, alternatives=alternatives)
    new = changes(random.Random(seed), old)
    assume(old != new and not problems(new) and not errors(old, new))
    for schedule in range(5):
        model = run(old, new, seed + schedule, after)
        assert model.row is not None
        assert model.row.phase.is_terminal, (model.changed_at, model.trace)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, after=st.integers(0, 25), alternatives=st.booleans())
def test_what_is_walked_to_its_end_finishes(seed: int, after: int, alternatives: bool) -> None:
    """The walk sees fewer dangers than the rules: neither two versions at work, nor stored outcomes."""
    old = random_definition(seed, alternatives=alternatives)
    new = changes(random.Random(seed), old)
    kept = {t for step in new.steps for t, _ in step.outcomes}
    answered = all(t in kept for step in old.steps for t, _ in step.outcomes)
    assume(old != new and not problems(new) and answered)
    assume(finishing(old, new, states_max=1_500).can_finish)
    for schedule in range(5):
        model = run(old, new, seed + schedule, after)
        assert model.row is not None
        assert model.row.phase.is_terminal, (model.changed_at, model.trace)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=SEEDS, alternatives=st.booleans())
def test_the_rules_are_the_stricter_of_the_two(seed: int, alternatives: bool) -> None:
    """`sagas check --against` never lets pass what `sagas diff` reports."""
    old = random_definition(seed, alternatives=alternatives)
    new = changes(random.Random(seed), old)
    assume(not problems(new) and not errors(old, new))
    outlook = finishing(old, new, states_max=1_500)
    assert [place for place in outlook.places if place.hindrance] == []


def test_what_was_proven_by_mistake_is_so_no_more() -> None:
    """Joins, and steps behind one of two ends, may never know that what they follow was published."""
    for seed in (47, 181, 226):
        old = random_definition(seed, alternatives=seed % 2 == 0)
        new = changes(random.Random(seed), old)
        assert not finishing(old, new).can_finish
        ends = [run(old, new, seed + 1000 * s, n).row for s in range(6) for n in range(0, 26, 3)]
        assert any(row is not None and not row.phase.is_terminal for row in ends)


def test_what_is_reported_can_be_stuck() -> None:
    """The model can tell: sagas are left for ever where the check says so, and changes come in the middle."""
    seen: Counter[str] = Counter()
    for seed in range(600):
        old = random_definition(seed, alternatives=seed % 2 == 0)
        new = changes(random.Random(seed), old)
        if not problems(new) and errors(old, new):
            try:
                model = run(old, new, seed, after=seed % 20)
            except (KeyError, Unrest):  # it has recorded what the new definition does not know
                seen["broken"] += 1
                continue
            seen[f"changed while {model.changed_at}"] += 1
            seen["stuck"] += model.row is not None and not model.row.phase.is_terminal
    assert seen["changed while RUNNING"] > 5
    assert seen["changed while COMPENSATING"]
    assert seen["stuck"] + seen["broken"] > 5


@given(seed=SEEDS)
def test_the_same_definition_has_nothing_to_finish(seed: int) -> None:
    definition = random_definition(seed, alternatives=True)
    assert errors(definition, definition) == []
