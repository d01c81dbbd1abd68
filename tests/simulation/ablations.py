"""Every safeguard of the semantics, and how to take it away from outside; and which run misses it.

The seeds are pinned: with the safeguard each of these runs is green, without it red.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from sagas.adapters.memory.journal import MemoryJournal
from sagas.adapters.memory.markers import Markers
from sagas.adapters.memory.table import MemorySagaTable
from sagas.core import controls, decide, enabled, position, timers
from sagas.core.definition import (
    STEP_FAILED,
    STEP_TIMED_OUT,
    Direction,
    Role,
    StepDefinition,
)
from sagas.core.handling import Handling
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.unfolding import forget_places
from sagas.ports import JournalKey, JournalOutcome, Record, RowChange
from sagas.runtime import rebuild
from sagas.runtime.shares import Share
from sagas.runtime.worker import Worker
from sagas.testing.simulation import Faults, Simulation
from tests.simulation.planted import emit_then_store, nothing, run_one_action, without_flight
from tests.simulation.workloads import WORKLOADS

__all__ = ["ABLATIONS", "Ablation", "table"]

Patch = tuple[object, str, Any]

_USUAL = Faults()


@dataclass(frozen=True, slots=True)
class Ablation:
    """A safeguard, what stands in its place, and where it is missed: a workload, sagas a run, a seed."""

    rule: str
    safeguard: str
    patches: tuple[Patch, ...]
    workload: str = "generated"
    sagas: int = 1
    seed: int = 0
    faults: Faults = _USUAL

    @contextmanager
    def off(self) -> Iterator[None]:
        """Without the safeguard."""
        before = [(owner, name, getattr(owner, name)) for owner, name, _ in self.patches]
        for owner, name, instead in self.patches:
            setattr(owner, name, instead)
        forget_places()
        try:
            yield
        finally:
            for owner, name, original in before:
                setattr(owner, name, original)
            forget_places()

    def violations(self, seed: int | None = None) -> list[str]:
        """What the pinned run, or another one, breaks as things are."""
        module, _, name = WORKLOADS[self.workload].partition(":")
        workload = getattr(importlib.import_module(module), name)
        simulation = Simulation(workload, faults=self.faults, sagas_per_seed=self.sagas)
        try:
            return simulation.run(self.seed if seed is None else seed).violations
        except Exception as error:  # noqa: BLE001 - a crash of the runtime is red as well
            return [f"{type(error).__name__}: {error}"]

    def first_red(self, seeds: range) -> tuple[int, list[str]] | None:
        """The first seed that misses it: for finding another one when the runs have changed."""
        with self.off():
            for seed in seeds:
                if found := self.violations(seed):
                    return seed, found
        return None


def _without_marks(before: Instance, after: Instance, fact: Fact, _: str) -> bool:
    return fact.slot not in before.facts and fact.slot in after.facts


_store = MemorySagaTable.store


async def _store_whatever_is_there(self: MemorySagaTable, change: RowChange) -> bool:
    row = self._rows.get((change.saga, change.saga_id))
    return await _store(self, change._replace(expected=None if row is None else row.stamp))


def _accepts_at_once(self: Instance, type_: str) -> bool:
    return type_ in self.facts


def _nobody(_: Fact) -> bool:
    return False


def _fails_anywhere(instance: Instance, step: StepDefinition) -> decide.Decision:
    if instance.phase is not SagaStatus.RUNNING or instance.resolved(step):
        return decide.Decision()
    emission = decide.Emission(STEP_FAILED, step.name, Role.FAILED, Direction.FORWARD)
    return decide.Decision(emission)


def _times_out_anywhere(instance: Instance, step: StepDefinition) -> decide.Emission:
    return decide.Emission(STEP_TIMED_OUT, step.name, Role.FAILED, Direction.FORWARD)


_forward, _undo = MemoryJournal.forward, MemoryJournal.undo


async def _forget_outcomes(
    self: MemoryJournal, key: JournalKey, action: Any, **more: int
) -> JournalOutcome:
    self._outcomes.pop(key, None)
    return await _forward(self, key, action, **more)


async def _leave_no_tombstone(
    self: MemoryJournal, key: JournalKey, action: Any, **more: int
) -> JournalOutcome:
    outcome = await _undo(self, key, action, **more)
    self._tombstones.clear()
    return outcome


_spawn = Worker._spawn


def _acknowledge_first(
    self: Worker, record: Record, share: Share, work: Any, *, takes_turn: bool = True
) -> Any:
    task = _spawn(self, record, share, work, takes_turn=takes_turn)
    share.tracker.finish(record.offset)
    self._commits.due()
    return task


def _look_at_no_marker(self: Markers, saga: str, bucket: int) -> int:
    marker = self.of(saga)[bucket]
    return 1 if marker is None else marker.generation


_change_of, _finish = rebuild.change_of, Markers.finish


def _with_the_stamp_of_before(refolded: Any, stamp: Any, **given: Any) -> RowChange:
    return _change_of(refolded, stamp._replace(generation=1, version=refolded.seq or 1), **given)


def _finish_as_before(self: Markers, saga: str, buckets: Any, token: str, _: int) -> bool:
    return _finish(self, saga, buckets, token, 1)


def _patch(owner: object, name: str, instead: object) -> tuple[Patch, ...]:
    return ((owner, name, instead),)


_past_the_pivot: tuple[Patch, ...] = (
    (decide, "_decide_failed", _fails_anywhere),
    (controls, "_timed_out", _times_out_anywhere),
    (Instance, "past_pivot", False),
)

_HARSH = replace(
    Faults.none(), exceptions=8, delays=4, crashes=6, unheard=8, lost=4, pauses=2, rebalances=3
)
"""Handlers that mostly fail: where a saga goes on without a step, it is left to nobody."""

_PAUSING = replace(Faults.none(), pauses=8, cancellations=1, exceptions=2)
_LOSING = replace(Faults(), table_losses=6)

ABLATIONS = (
    Ablation("2", "store before emitting", _patch(Handling, "_commit", emit_then_store), seed=1),
    Ablation(
        "2", "the event is stored with the state", _patch(position, "unproven", nothing), seed=86
    ),
    Ablation("2", "acknowledge last", _patch(Worker, "_spawn", _acknowledge_first), seed=72),
    Ablation(
        "3", "a fold is stored first", _patch(position, "must_store", lambda *_: False), seed=334
    ),
    Ablation("4", "marks are stored", _patch(position, "must_store", _without_marks), seed=334),
    Ablation("5", "ask again after an emission", _patch(Handling, "run", run_one_action), seed=60),
    Ablation(
        "7", "compare and set", _patch(MemorySagaTable, "store", _store_whatever_is_there), seed=13
    ),
    Ablation(
        "8",
        "from the frontier backwards",
        _patch(enabled, "_at_frontier", lambda *_: True),
        seed=19,
    ),
    Ablation(
        "8",
        "a step in flight is undone",
        _patch(Instance, "needs_undo", without_flight),
        seed=20,
    ),
    Ablation(
        "9",
        "the tombstone",
        _patch(MemoryJournal, "undo", _leave_no_tombstone),
        seed=286,
        faults=_PAUSING,
    ),
    Ablation(
        "6",
        "an answer counts once its wait is triggered",
        _patch(Instance, "accepts", _accepts_at_once),
        seed=2945,
        faults=_HARSH,
    ),
    Ablation(
        "6",
        "what nobody returned is asked for",
        ((enabled, "awaits_proof", _nobody), (timers, "awaits_proof", _nobody)),
        seed=2901,
        faults=_HARSH,
    ),
    Ablation(
        "10", "outcomes are stable", _patch(MemoryJournal, "forward", _forget_outcomes), seed=21
    ),
    Ablation("12", "nothing turns back past the pivot", _past_the_pivot, seed=75),
    Ablation(
        "15",
        "another server is noticed",
        _patch(Markers, "condemn", lambda _: None),
        seed=6,
        faults=_LOSING,
    ),
    Ablation(
        "16",
        "nobody writes while a rebuild goes on",
        _patch(Markers, "look", _look_at_no_marker),
        seed=9,
        faults=_LOSING,
    ),
    Ablation(
        "16",
        "a new generation",
        (
            (rebuild, "change_of", _with_the_stamp_of_before),
            (Markers, "finish", _finish_as_before),
        ),
        seed=811,
        faults=_LOSING,
    ),
)


def table() -> tuple[list[str], int]:
    """Each safeguard with the seed that misses it, as lines of 80 columns; and how many nobody missed."""
    lines, missed = [f"{'rule':4}  {'safeguard taken away':44}  {'run':16} broken"], 0
    for one in ABLATIONS:
        with one.off():
            found = one.violations()
        missed += not found
        run = f"{one.workload} {one.seed}"
        broken = found[0].partition(":")[0] if found else "NOTHING"
        lines.append(f"{one.rule:4}  {one.safeguard:44}  {run:16} {broken}")
    return lines, missed
