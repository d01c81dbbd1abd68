"""F18 in the storm: several starts of one key at once, from clients and from outside, with faults all
around. One counts for each run, the others harm nobody, and none is lost without a word.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import structlog

from sagas.core.definition import START
from sagas.core.instance import SagaStatus
from sagas.core.starts import Reuse, key_of_instance, run_of
from sagas.ports import OutgoingRecord
from sagas.runtime.outside import start_record
from sagas.wire.envelope import Trail
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.model import Model
from tests.simulation.storm import Storm, Weather

RIVALS = ("a", "b", "c", "d")
SEEDS = 25


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    yield
    structlog.configure(**before)


def _drop(logger: object, method: str, event: object) -> str:
    raise structlog.DropEvent


class Rivals(Storm):
    """Each key is started with several contents, in several ways: some name the run that they mean."""

    def __init__(self, seed: int, reuse: Reuse, weather: Weather) -> None:
        definition = random_definition(seed)
        super().__init__(definition, random_plans(definition, seed), seed=seed, weather=weather)
        self.saga.reuse = reuse
        self.keys = tuple(self._saga_ids)

    async def _start(self, saga_id: str) -> None:
        type_ = self.saga.definition.start.done[0]
        contents = self._random.sample(RIVALS, self._random.randint(1, len(RIVALS)))
        for number, content in enumerate(contents):
            event = self.saga.events[type_].model_validate({"id": saga_id, "content": content})
            run = self._random.choice([0, 0, 1, 1, 2] if number else [0, 1])  # 0: it says none
            _, record = start_record(
                *([self.saga], self._topics, event),
                trail=Trail(),
                now_ms=self._clock.now_ms(),
                run=run or 1,
            )
            if not run:
                headers = (("ce_type", type_.encode()),)
                record = OutgoingRecord(record.topic, record.key, record.value, headers)
            self.seen["named" if len(record.headers) > 1 else "unnamed"] += 1
            await self._broker.publish(record)

    def refused(self) -> list[str]:
        return [
            dict(record.headers)["dlq-exception"].decode()
            for name in self._services
            for record in self._broker.records(self._topics.dead_letters(name))
        ]

    def violations(self) -> list[str]:
        self._saga_ids = [saga_id for _, saga_id in self._table._rows]
        found = [words for words in super().violations() if not words.startswith("dead letter")]
        found += [f"dead letter: {error}" for error in self.refused() if error != "StartRefused"]
        for key in self.keys:
            found += self._wrong_runs(key)
        return found

    def _wrong_runs(self, key: str) -> list[str]:
        """Later runs follow one another without a gap, and each behind one that let it begin."""
        ids = sorted((i for i in self._saga_ids if key_of_instance(i) == key), key=run_of)
        found = []
        if [run_of(saga_id) for saga_id in ids] != list(range(1, len(ids) + 1)):
            found.append(f"{key} has the runs {ids}")
        reuse = self.saga.reuse
        if reuse is Reuse.NEVER and len(ids) > 1:
            found.append(f"{key} was used more than once")
        if reuse is Reuse.AFTER_FAILURE and any(
            self.status(saga_id) is not SagaStatus.COMPENSATED for saga_id in ids[:-1]
        ):
            found.append(f"{key} was begun again behind a run that did not fail")
        return found

    def _as_model(self, saga_id: str) -> Model:
        """Starts that did not count are on the log all the same."""
        model = super()._as_model(saga_id)
        recorded = {fact.id for fact in model.row.facts.values()} if model.row else set()
        model.log = [fact for fact in model.log if fact.step != START or fact.id in recorded]
        return model

    def _differing(self) -> list[str]:
        """A start that asks for a run and the one that begins it are one event, twice told."""
        start = self.saga.definition.start.done[0]
        return [words for words in super()._differing() if start not in words]


@pytest.mark.parametrize("reuse", Reuse)
def test_one_start_counts_for_each_run_and_the_others_harm_nobody(reuse: Reuse) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        storm = Rivals(seed, reuse, Weather(lost=0.1, happenings=8))
        storm.run()
        assert storm.violations() == [], (seed, reuse, storm.story)
        assert set(storm.keys) == set(map(key_of_instance, storm._saga_ids)), (seed, reuse)
        seen.update(storm.seen)
        seen["refused"] += len(storm.refused())
        seen["again"] += sum(run_of(saga_id) > 1 for saga_id in storm._saga_ids)
    expected = {"named", "unnamed", "conflict"}
    expected |= set() if reuse is Reuse.NEVER else {"again"}
    assert not {name for name in {*expected, "refused"} if not seen[name]}, seen


def test_an_older_commit_that_lands_late_does_not_move_the_group_back() -> None:
    """The committer's commit was under way while the drain of a rebalance committed more."""
    storm = Rivals(54, Reuse.SAME_WHILE_RUNNING, Weather(lost=0.1, happenings=8))
    storm.run()
    assert storm.violations() == []
