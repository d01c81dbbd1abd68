"""What is looked up is what would be found: ``Position`` against the functions that it spares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sagas.core.decide import ActionResult, ResultKind, decide
from sagas.core.definition import SAGA_CANCELLED, Direction, Role, StepDefinition
from sagas.core.enabled import answered_early, enabled, must_store, unproven
from sagas.core.evolve import evolve
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.core.timers import timers_of
from sagas.core.unfolding import places_of
from sagas.wire.stored import decode_position, encode_position
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.model import Model
from tests.simulation.parts import Faults

SEEDS = 150


class Compared(Model):
    """Asks every question twice wherever a row is written, of every message that there was so far."""

    asked: Counter[str]
    earlier: Sequence[Position] = ()

    def store(self, at: Position, recorded: Fact | None) -> Position | None:
        stored = super().store(at, recorded)
        if stored is not None:
            self.compare(stored)
        return stored

    def compare(self, at: Position) -> None:
        instance, definition = at.instance, self.definition
        assert Position.of(instance) == at
        state = encode_position(at)
        read = decode_position(definition, at.saga_id, state)
        assert read.stamped(at.generation, at.version) == at
        assert at.timers() == timers_of(instance)
        assert at.status is instance.status
        for before in (None, *self.earlier):
            had = {} if before is None else before.timers()
            timers_set, cleared = at.timers_since(before)
            assert {**had, **timers_set}.items() >= at.timers().items()
            assert timers_set.items() <= at.timers().items()
            assert cleared == had.keys() - at.timers().keys()
        self.earlier = [*self.earlier, at][-3:]
        assert at.place.past_pivot == instance.past_pivot
        strange = Fact("?", self.log[0].type, self.log[0].step, self.log[0].role, "?", at_ms=7)
        for fact in (*self.log, *instance.facts.values(), strange):
            message = fact._replace(published=True)
            known = at.index_of(message)
            assert known == (
                list(instance.facts).index(message.slot) if message.slot in instance.facts else None
            )
            folded = evolve(instance, message)
            for service in definition.services:
                after, stores, owed = at.receive(message, service)
                assert after.instance == folded
                assert stores == must_store(instance, folded, message, service)
                for standing, said in ((at, at.unproven(service, message)), (after, owed)):
                    full = standing.instance
                    again = tuple(
                        (one, answered_early(full, service, message, one))
                        for one in unproven(full, service, message)
                    )
                    assert tuple((standing.fact(index), early) for index, early in said) == again
                    self.asked["unproven"] += len(again)
            self.asked["folds"] += folded is not instance
        for service in definition.services:
            actions = enabled(instance, service)
            assert at.enabled(service) == tuple(actions)
            for action in actions:
                for result in _results(action.step):
                    assert at.decide(action, result) == decide(instance, action, result)
                    self.asked["decisions"] += 1


def _results(step: StepDefinition) -> list[ActionResult]:
    returned = [ActionResult(ResultKind.RETURNED, type_) for type_, _ in step.outcomes]
    return [
        *returned,
        *(ActionResult(kind) for kind in ResultKind if kind is not ResultKind.RETURNED),
    ]


def test_a_position_answers_as_the_instance_in_full() -> None:
    asked: Counter[str] = Counter()
    for seed in range(SEEDS):
        definition = random_definition(seed, alternatives=seed % 2 == 1)
        faults = Faults(crashes=2, duplicates=2, timers=3, cancels=1, agains=1)
        for run in range(2):  # the second finds places that the first one made
            model = Compared(definition, random_plans(definition, seed), seed=run, faults=faults)
            model.asked = asked
            model.run()
    assert asked["folds"] > 1000
    assert asked["unproven"] > 1000
    assert asked["decisions"] > 1000


def test_places_are_shared_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    definition = random_definition(1)
    start = definition.start.done[0]
    one, other = (
        Position.new(definition, saga_id, None).fold(
            Fact(f"{saga_id}-id", start, "start", definition.outcome_of[start].role)
        )
        for saga_id in ("1", "2")
    )
    assert one.place is other.place
    assert one.instance != other.instance
    monkeypatch.setattr("sagas.core.unfolding._PLACES_MAX", 1)
    places_of(definition).forget()
    assert Position.of(one.instance) is not None
    assert Position.of(one.instance).instance == one.instance


def test_only_a_start_brings_a_deadline_to_an_instance_without_one() -> None:
    """It began under a definition that had none; an operator's word has its time from the saga, too."""
    before = random_definition(1)
    after = replace(before, deadline_ms=9_000)
    start = Fact("s", before.start.done[0], "start", Role.DONE, at_ms=100)
    began = Position.new(before, "1", None).fold(start)
    at = decode_position(after, "1", encode_position(began))
    cancelled = Fact("c", SAGA_CANCELLED, "start", Role.CANCELLED, at_ms=700)
    assert at.deadline_ms is None
    assert at.fold(cancelled).instance == evolve(at.instance, cancelled)
    assert at.fold(cancelled).deadline_ms is None
    assert Position.new(after, "1", None).fold(start).deadline_ms == 9_100


@pytest.mark.parametrize("causes", [(None, "client-1"), ("client-1", None)])
def test_an_event_without_a_cause_is_not_taken_for_one_with_a_cause_that_is_not_recorded(
    causes: tuple[str | None, str | None],
) -> None:
    definition = replace(random_definition(1))  # its places are its own
    for number, cause in enumerate(causes):
        at = Position.new(definition, f"o-{number}", None)
        type_ = definition.start.done[0]
        start = Fact(f"start-{number}", type_, "start", Role.DONE, cause, published=True, at_ms=7)
        assert at.receive(start, definition.host)[0].instance == evolve(at.instance, start)


def test_who_makes_up_epochs_does_not_fill_the_memory() -> None:
    definition = random_definition(1)
    step = next(step for step in definition.steps if step.undone is not None)
    at = Position.new(definition, "o-1", None)
    for epoch in range(1, 3_000):
        undone = Fact(
            f"undone-{epoch}",
            step.undone or "",
            step.name,
            Role.UNDONE,
            "other",
            Direction.UNDO,
            published=True,
            epoch=epoch,
        )
        at.receive(undone, step.service)
        at.unproven(step.service, undone)
    place = at.place
    assert all(len(known) <= 1_000 for known in (place.received, place.folds, place.unproven))
