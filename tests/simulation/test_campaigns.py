"""The campaigns of this repository: every workload, thousands of seeds, and a crash at every call."""

from __future__ import annotations

import importlib
import os
from functools import partial

import pytest

from sagas.testing.simulation import Faults, Report, Simulation, Workload
from tests.simulation.sagas_of_others.eshop import eshop_original
from tests.simulation.sagas_of_others.ftgo import ftgo
from tests.simulation.workloads import WORKLOADS

JOBS = os.cpu_count() or 1
SEEDS = {"orders": 2000, "generated": 2000, "customers-and-orders": 2000}
"""How many seeds each workload is run on; the others a tenth of it."""


def workload(name: str) -> Workload:
    module, _, function = WORKLOADS[name].partition(":")
    found: Workload = getattr(importlib.import_module(module), function)
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", WORKLOADS)
def test_every_saga_ends_and_the_books_balance(name: str) -> None:
    contended = name in {"ftgo", "eshop", "order-check"}
    simulation = Simulation(
        workload(name), sagas_per_seed=2 if contended else 1, again=f"scripts/simulate {name}"
    )
    report = simulation.campaign(range(SEEDS.get(name, 200)), jobs=JOBS)
    report.raise_for_failures()
    assert report.missing("compensation", "conflict", "dead letter", "resumed", "rebuild") == []
    if name == "generated":
        assert report.missing("FAILED", "UndoAgain", "asked again after the end") == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "seeds"), [("orders", 40), ("generated", 40)])
def test_one_crash_at_every_call(name: str, seeds: int) -> None:
    simulation = Simulation(workload(name), crash_every_call=True, again=f"scripts/simulate {name}")
    report = simulation.campaign(range(seeds), jobs=JOBS)
    report.raise_for_failures()
    assert report.runs > 50 * seeds
    assert report.seen["repeated"]


# --- what is wrong in other people's sagas is found -------------------------------------------------


def test_the_original_eshop_is_silent_where_it_should_refuse() -> None:
    simulation = Simulation(eshop_original, faults=Faults.none())
    assert any(_left_running(simulation.run(seed).violations) for seed in range(10))


def _left_running(violations: list[str]) -> bool:
    return any("I1: it is left RUNNING" in words for words in violations)


def test_the_original_eshop_sells_the_last_piece_twice() -> None:
    report = _campaign(Simulation(eshop_original, faults=Faults.none(), sagas_per_seed=3))
    assert any("I12: sold" in words for one in report.failures for words in one.violations)


def test_without_its_semantic_lock_the_revision_meets_a_withdrawn_ticket() -> None:
    lockless = Simulation(partial(ftgo, lockless=True), faults=Faults.none(), sagas_per_seed=4)
    report = _campaign(lockless)
    said = [words for one in report.failures for words in one.violations]
    assert any("revises a ticket that was withdrawn" in words for words in said)


def _campaign(simulation: Simulation) -> Report:
    report = simulation.campaign(range(40), jobs=JOBS)
    assert not report.ok
    return report
