"""The model checker: what it proves, what it finds, and that it never says more than it knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from sagas.checks.model import (
    ALL_GUARDS,
    FAULTS,
    Bounds,
    Guards,
    explore,
    mermaid,
    pytest_module,
    replay,
)
from sagas.checks.model.moves import Moves
from sagas.checks.model.search import _Search
from sagas.core import decide, enabled, position
from sagas.core.decide import Decision, Emission
from sagas.core.definition import (
    START,
    STEP_FAILED,
    Definition,
    Direction,
    Role,
    StepDefinition,
)
from sagas.core.errors import ContractViolation
from sagas.core.handling import Handling
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.position import Position
from tests.simulation.definitions import random_definition
from tests.simulation.test_explorer import PARALLEL

PAYING = Definition(
    "paying",
    "id",
    (
        StepDefinition(name=START, service="a", done=("a.Started.v1",), undone="a.Cancelled.v1"),
        StepDefinition(
            name="reserve",
            service="b",
            triggers=("a.Started.v1",),
            done=("b.Reserved.v1",),
            refused=("b.No.v1",),
            undone="b.Released.v1",
        ),
        StepDefinition(
            name="pay",
            service="c",
            triggers=("b.Reserved.v1",),
            done=("c.Paid.v1",),
            refused=("c.No.v1",),
            pivot=True,
        ),
    ),
)


# --- what is proven --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "faults"),
    [(PAYING, FAULTS), (PARALLEL, ("reordering", "crash")), (PAYING, ("crash", "timer"))],
    ids=["in turn", "in parallel", "in order"],
)
def test_small_sagas_are_proven(definition: Definition, faults: Iterable[str]) -> None:
    result = explore(definition, Bounds.of(faults))
    assert result.proven, result.counterexample
    assert {"COMPLETED", "COMPENSATED"} <= set().union(*(run.ends for run in result.runs))
    assert all(run.cyclic == 0 for run in result.runs)


def test_a_limit_is_no_proof() -> None:
    result = explore(PAYING, Bounds(states_max=100))
    assert (result.states, result.complete, result.proven) == (100, False, False)
    assert result.counterexample is None


def test_a_fault_that_there_is_not_is_told() -> None:
    with pytest.raises(ContractViolation, match="no fault 'flood'"):
        Bounds.of(["flood"])


# --- what is taken away is missed --------------------------------------------------------------------


async def _emit_then_store(self: Handling, at: Position, fact: Fact) -> Position | None:
    await self._world.emit(fact)
    self._confirmed.add(fact.id)
    return await self._world.store(at.fold(fact), fact)


async def _run_one_action(self: Handling) -> Position:
    at = await self._refresh()
    if self._control is not None:
        return await self._obey(at, self._control)
    for action in at.enabled(self._service)[:1]:
        at = await self._act(at, action)
    return at


def _nothing(*_: object) -> Iterator[Fact]:
    return iter(())


def _fails_anywhere(instance: Instance, step: StepDefinition) -> Decision:
    if instance.phase is not SagaStatus.RUNNING or instance.resolved(step):
        return Decision()
    return Decision(Emission(STEP_FAILED, step.name, Role.FAILED, Direction.FORWARD))


_needs_undo = Instance.needs_undo


def _without_flight(instance: Instance, step: StepDefinition) -> bool:
    return _needs_undo(instance._replace(in_flight=frozenset()), step)


def _never(*_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True


Patches = tuple[tuple[object, str, Any], ...]

DEFECTS: dict[str, tuple[Definition, Patches, str]] = {
    "emit before storing": (PAYING, ((Handling, "_commit", _emit_then_store),), "I8"),
    "what was lost is not emitted again": (PAYING, ((position, "unproven", _nothing),), "I1"),
    "a fold is not stored first": (
        random_definition(1, alternatives=True),
        ((position, "must_store", _never),),
        "I11",
    ),
    "what is not published counts": (
        PAYING,
        (
            (enabled, "_knows_triggers", lambda instance, step: instance.triggered(step)),
            (enabled, "_knows_failure", _always),
        ),
        "I10",
    ),
    "nobody asks again": (random_definition(6), ((Handling, "run", _run_one_action),), "I1"),
    "from the frontier or not": (PAYING, ((enabled, "_at_frontier", _always),), "I5"),
    "a step in flight is left": (PARALLEL, ((Instance, "needs_undo", _without_flight),), "I5"),
    "back past the pivot": (
        random_definition(2),
        ((decide, "_decide_failed", _fails_anywhere), (Instance, "past_pivot", False)),
        "I7",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found_and_replayed(
    defect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition, patches, code = DEFECTS[defect]
    for owner, name, instead in patches:
        monkeypatch.setattr(owner, name, instead)
    found = explore(definition, Bounds(states_max=6000)).counterexample
    assert found is not None
    assert any(violation.startswith(f"{code}:") for violation in found.violations)
    schedule = [str(move) for move in found.moves]
    assert replay(definition, schedule) == list(found.violations)
    monkeypatch.undo()
    position.forget_places()
    try:
        assert replay(definition, schedule) == []
    except ContractViolation as error:
        assert "can not happen there any more" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("definition", "guards"),
    [
        (PARALLEL, Guards(checks_stamps=False)),
        (PAYING, Guards(remembers_refusals=False)),
        (PAYING, Guards(leaves_tombstones=False)),
    ],
    ids=["compare and set", "refusals", "tombstones"],
)
def test_what_servers_and_participants_do_is_needed(definition: Definition, guards: Guards) -> None:
    found = explore(definition, Bounds(states_max=6000), guards=guards).counterexample
    assert found is not None
    schedule = [str(move) for move in found.moves]
    assert replay(definition, schedule, guards=guards) == list(found.violations)
    assert guards != ALL_GUARDS


# --- how it is told ----------------------------------------------------------------------------------


def test_a_counterexample_is_a_diagram_and_a_test() -> None:
    guards = Guards(remembers_refusals=False)
    found = explore(PAYING, guards=guards).counterexample
    assert found is not None
    diagram = mermaid(PAYING, found.moves, found.violations)
    assert diagram.startswith("sequenceDiagram\n    participant outside\n    participant a\n")
    assert "    b->>table: b.No.v1\n" in diagram
    assert "    b-)a: b.No.v1\n" in diagram
    text = pytest_module("shop.paying:Paying", found.moves, found.violations)
    compile(text, "test_found.py", "exec")
    assert "from shop.paying import Paying\n" in text
    assert all(repr(str(move)) in text for move in found.moves)


# --- what holds for every saga -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [2, 4, 5, 6, 7, 9, 10, 11, 12])
def test_random_sagas_that_import_takes_are_proven(seed: int) -> None:
    definition = random_definition(seed, alternatives=seed % 2 > 0)
    result = explore(definition, Bounds(states_max=15_000))
    assert result.proven, (result.states, result.counterexample)


def _ends(definition: Definition, fault: str, *, reduced: bool) -> set[tuple[object, ...]]:
    """Every end within the bounds: what is recorded, and what participants have."""
    bounds = Bounds.of(["reordering", fault], states_max=60_000)
    moves = Moves(definition, bounds, reduced=reduced)
    run = _Search(moves, bounds.counted, bounds.states_max, None)
    assert run.run().complete
    rows, stores = moves.stretches.register.rows.values, moves.stretches.stores.values
    return {
        (frozenset(rows[row].ids), rows[row].status, stores[number])
        for row, number, _ in run._judged
    }


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "reordering"])
@pytest.mark.parametrize("seed", [2, 5, 10, 12])
def test_what_is_left_out_reaches_no_other_end(seed: int, fault: str) -> None:
    definition = random_definition(seed, alternatives=seed % 2 > 0)
    assert _ends(definition, fault, reduced=True) == _ends(definition, fault, reduced=False)
