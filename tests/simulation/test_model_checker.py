"""The model checker: what it proves, what it finds, and that it never says more than it knows."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sagas.checks.model import (
    ALL_GUARDS,
    FAULTS,
    Bounds,
    Guards,
    explore,
    findings,
    mermaid,
    pytest_module,
    replay,
)
from sagas.checks.model.moves import Moves
from sagas.checks.model.search import Run, Search
from sagas.checks.subject import Declared
from sagas.core.definition import START, Definition, StepDefinition
from sagas.core.errors import ContractViolation
from tests.definitions.written import blocks, made
from tests.simulation.definitions import random_definition
from tests.simulation.planted import GUARDS, PATCHES, planted
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


def test_what_is_recorded_and_not_published_yet_has_triggered_a_step_that_is_undone() -> None:
    """A worker stores the trigger of s4 and dies, then the saga turns back: the undo leaves a tombstone."""
    definition = random_definition(1, alternatives=True)
    result = explore(definition, Bounds.of(["reordering", "crash"], states_max=3000))
    assert result.counterexample is None


def test_a_limit_is_no_proof() -> None:
    result = explore(PAYING, Bounds(states_max=100))
    assert (result.states, result.complete, result.proven) == (100, False, False)
    assert result.counterexample is None


def test_a_fault_that_there_is_not_is_told() -> None:
    with pytest.raises(ContractViolation, match="no fault 'flood'"):
        Bounds.of(["flood"])


# --- what is taken away is missed --------------------------------------------------------------------


DEFECTS: dict[str, tuple[Definition, str]] = {
    "emit before storing": (PAYING, "I8"),
    "what was lost is not emitted again": (PAYING, "I1"),
    "a fold is not stored first": (random_definition(1, alternatives=True), "I11"),
    "what is not published counts": (PAYING, "I10"),
    "nobody asks again": (random_definition(6), "I1"),
    "from the frontier or not": (PAYING, "I5"),
    "a step in flight is left": (PARALLEL, "I5"),
    "back past the pivot": (random_definition(2), "I7"),
}
CHECKS = {"I1": "M1", "I5": "M3", "I7": "M3", "I8": "M4", "I10": "M4", "I11": "M5"}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found_and_replayed(defect: str) -> None:
    definition, code = DEFECTS[defect]
    with planted(defect):
        result = explore(definition, Bounds(states_max=6000))
        found = result.counterexample
        assert found is not None
        assert any(violation.startswith(f"{code}:") for violation in found.violations)
        schedule = [str(move) for move in found.moves]
        assert replay(definition, schedule) == list(found.violations)
    told = {one.code: one for one in findings(result, Declared(definition=definition))}
    assert CHECKS[code] in told
    assert told[CHECKS[code]].example.splitlines()[0] == f"1. {schedule[0]}"
    assert told[CHECKS[code]].page == f"docs/checks/{CHECKS[code]}.md"
    try:
        assert replay(definition, schedule) == []
    except ContractViolation as error:
        assert "can not happen there any more" in str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize(
    ("definition", "name"),
    [(PARALLEL, "compare and set"), (PAYING, "refusals"), (PAYING, "tombstones")],
)
def test_what_servers_and_participants_do_is_needed(definition: Definition, name: str) -> None:
    guards = GUARDS[name]
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


def _searched(
    definition: Definition, faults: Iterable[str], *, reduced: bool, guards: Guards = ALL_GUARDS
) -> tuple[Search, Moves, Run]:
    bounds = Bounds.of(["reordering", *faults], states_max=60_000)
    moves = Moves(definition, bounds, guards, reduced=reduced)
    search = Search(moves, bounds.counted)
    return search, moves, search.run(bounds.states_max)


def _ends(definition: Definition, fault: str, *, reduced: bool) -> set[tuple[object, ...]]:
    """Every end within the bounds: what is recorded, and what participants have."""
    search, moves, run = _searched(definition, [fault], reduced=reduced)
    assert run.complete, run
    assert run.counterexample is None
    rows, stores = moves.stretches.register.rows.values, moves.stretches.stores.values
    return {
        (frozenset(rows[end.row].ids), rows[end.row].status, stores[end.stores])
        for end in search.ends()
    }


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "reordering"])
@pytest.mark.parametrize("seed", [2, 5, 10, 12])
def test_what_is_left_out_reaches_no_other_end(seed: int, fault: str) -> None:
    definition = random_definition(seed, alternatives=seed % 2 > 0)
    assert _ends(definition, fault, reduced=True) == _ends(definition, fault, reduced=False)


@pytest.mark.parametrize("fault", ["duplicate", "crash", "timer"])
@pytest.mark.parametrize("example", ["S1", "S10", "S15"])
def test_nor_does_it_in_the_examples_of_the_checks(example: str, fault: str) -> None:
    mended = made(blocks(f"{example}.md")[1])["Ordering"].definition
    assert _ends(mended, fault, reduced=True) == _ends(mended, fault, reduced=False)


@pytest.mark.parametrize("fault", ["duplicate", "crash"])
@pytest.mark.parametrize("defect", [*PATCHES, *GUARDS])
def test_what_is_left_out_hides_no_defect(defect: str, fault: str) -> None:
    with planted(defect) as guards:
        verdicts = []
        for reduced in (True, False):
            _, _, run = _searched(PAYING, [fault], reduced=reduced, guards=guards)
            assert run.complete or run.counterexample is not None
            verdicts.append(run.counterexample is None)
    assert verdicts[0] == verdicts[1]
