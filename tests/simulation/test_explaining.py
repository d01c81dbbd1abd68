"""Whatever a saga comes to, something is said of it, and what may be run is among what it waits for."""

from __future__ import annotations

import re
from collections import Counter

from sagas.core.enabled import enabled
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.position import Position
from sagas.core.timers import timers_of
from sagas.operating.explaining import About, Situation, document_of, explain, usual_of
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.model import Model
from tests.simulation.parts import Faults

SEEDS = 120
_ENDED = {
    SagaStatus.COMPLETED: Situation.COMPLETED,
    SagaStatus.COMPENSATED: Situation.COMPENSATED,
    SagaStatus.FAILED: Situation.FAILED,
    SagaStatus.PARKED: Situation.PARKED,
}


class Explained(Model):
    """Has every state that is stored explained."""

    seen: Counter[str]
    ended: list[Instance]

    def store(self, at: Position, recorded: Fact | None) -> Position | None:
        stored = super().store(at, recorded)
        if stored is not None:
            self.explain(stored.instance)
        return stored

    def explain(self, instance: Instance) -> None:
        now_ms = max(fact.at_ms for fact in instance.facts.values()) + 4_000
        told = explain(instance, now_ms=now_ms)
        self.seen[told.situation] += 1
        assert told.situation is _ENDED.get(instance.status, told.situation)
        heads = told.about(About.HEAD)
        assert heads
        for sentence in told.sentences:
            text = sentence.text(str)
            assert text.endswith(".")
            assert not text.endswith("..")
            assert not re.search(r"None|\{|\}|nothing happens|undoes nothing", text), text
        assert document_of(told, str)["text"] == told.text(str)
        waits = {(one.awaited.step, one.awaited.direction) for one in told.expects}
        for service in instance.definition.services:
            for action in enabled(instance, service):
                assert (action.step.name, action.direction) in waits
                self.seen[action.direction] += 1
        timed = {one.awaited.step for one in told.expects if one.awaited.due_ms is not None}
        assert timed == {
            name for name in timers_of(instance) if name in instance.definition.by_name
        }
        assert not instance.phase.is_terminal or not told.stuck or waits
        assert set(told.to_undo) >= {
            step.name
            for step in instance.definition.steps
            if instance.phase is SagaStatus.COMPENSATING and instance.needs_undo(step)
        }
        if instance.phase.is_terminal:
            self.ended.append(instance)


def test_something_is_said_of_every_state() -> None:
    seen: Counter[str] = Counter()
    usual = 0
    for seed in range(SEEDS):
        definition = random_definition(seed, alternatives=seed % 2 == 1)
        faults = Faults(crashes=2, duplicates=2, timers=3, cancels=1, agains=1)
        ended: list[Instance] = []
        for run in range(4):
            model = Explained(definition, random_plans(definition, seed), seed=run, faults=faults)
            model.seen, model.ended = seen, ended
            model.run()
        usual += len(usual_of(ended))
    wanted = {*Situation} - {
        Situation.UNREADABLE,
        Situation.REBUILDING,
        Situation.LOST,
        Situation.NOT_FOUND,
        Situation.RETRYING,
        Situation.INCOMPLETE,
    }
    assert {name for name in wanted if not seen[name]} == set()
    assert seen["undo"] > 100
    assert usual > 100
