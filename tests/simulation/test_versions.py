"""F16, I14: an event changes its version while sagas run, among all other faults."""

from __future__ import annotations

import pytest

from sagas.testing.simulation import Simulation
from tests.simulation.workloads.parcels import (
    knowing_workload,
    telling_workload,
    unready_workload,
)


@pytest.mark.parametrize("workload", [knowing_workload, telling_workload])
def test_versions_of_an_event_are_mixed_in_a_rolling_deployment(workload: object) -> None:
    report = Simulation(workload, sagas_per_seed=6).campaign(range(40), jobs=2)  # type: ignore[arg-type]
    assert report.ok, report
    assert report.missing("deployments", "COMPLETED", "COMPENSATED", "rebuild") == []


def test_a_version_that_is_told_before_everybody_knows_it_is_noticed() -> None:
    simulation = Simulation(unready_workload, sagas_per_seed=6)
    assert any(simulation.run(seed).violations for seed in range(60))
