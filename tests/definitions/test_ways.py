"""The algebra behind the checks against going through every way of a random saga, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas.checks import Declared, Severity, Subject, check
from sagas.checks.locksets import holds, may_hold
from sagas.checks.ways import certain_somewhere, done_under, uncovered, ways_of
from sagas.core.data import Locks, Unlocks
from sagas.core.definition import Definition, Join
from tests.simulation.definitions import random_definition

SEEDS = st.integers(min_value=0, max_value=2**32)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


class Way(NamedTuple):
    """The steps that run on one way forward, in order, and which are done: not gone on without."""

    ran: list[str]
    done: set[str]

    def before(self, name: str) -> set[str]:
        return set(self.ran[: self.ran.index(name)]) & self.done


def ways(definition: Definition) -> Iterator[Way]:
    """Every way forward, step by step."""
    choices = [ways_of(step) for step in definition.steps]
    for chosen in itertools.product(*choices):
        happened: set[str] = set()
        way = Way([], set())
        for _ in definition.steps:
            for step, type_ in zip(definition.steps, chosen, strict=True):
                every = any if step.join is Join.ANY else all  # of no trigger: the start
                if step.name not in way.ran and every(t in happened for t in step.triggers):
                    way.ran.append(step.name)
                    happened.add(type_)
                    if step.waits or type_ in step.done:
                        way.done.add(step.name)
        yield way


@QUICK
@given(seed=SEEDS, data=st.data())
def test_a_way_that_leaves_a_step_out_is_found(seed: int, data: st.DataObject) -> None:
    definition = random_definition(seed, alternatives=True)
    first, *others = data.draw(st.lists(st.sampled_from(definition.steps), min_size=1, max_size=3))
    covers = [condition for one in others for condition in done_under(definition, one)]
    missed = [
        uncovered(definition, condition, covers) for condition in done_under(definition, first)
    ]
    names = {one.name for one in others}
    really = any(first.name in way.done and not names & way.done for way in ways(definition))
    assert really == any(way is not None for way in missed)


@QUICK
@given(seed=SEEDS)
def test_what_is_certain_before_a_step(seed: int) -> None:
    definition = random_definition(seed, alternatives=True)
    for step in definition.steps:
        surely = frozenset.intersection(*certain_somewhere(definition, step))
        assert all(
            surely <= way.before(step.name) for way in ways(definition) if step.name in way.ran
        )


@QUICK
@given(seed=SEEDS, data=st.data())
def test_a_lock_that_is_held_for_sure_may_be_held(seed: int, data: st.DataObject) -> None:
    definition = random_definition(seed, alternatives=True)
    names = st.sampled_from([step.name for step in definition.steps])
    taken, back = data.draw(names), data.draw(names)
    said: dict[str, tuple[Locks | Unlocks, ...]] = {taken: (Locks("l"),)}
    said[back] = (*said.get(back, ()), Unlocks("l"))
    saga = Declared(definition=definition, data=said)
    for step in definition.steps:
        if "l" in holds(saga, step) and step.name != taken:
            assert "l" in may_hold(saga, step)
            for way in ways(definition):
                if step.name in way.ran:
                    assert taken in way.before(step.name)
                    assert back not in way.before(step.name)


@QUICK
@given(seed=SEEDS)
def test_a_definition_alone_can_be_checked(seed: int) -> None:
    """Without classes, handlers or data there is only the graph, in which import leaves no error."""
    subject = Subject(sagas=(Declared(definition=random_definition(seed, alternatives=True)),))
    assert [one for one in check(subject) if one.severity is Severity.ERROR] == []
