"""What the simulator has found in the runtime, each with the seed that found it."""

from __future__ import annotations

import pytest

from sagas.testing.simulation import Faults, Simulation
from tests.simulation.workloads.generated import generated_workload


@pytest.mark.parametrize("seed", [71, 83])
def test_a_timeout_of_a_wait_keeps_its_bytes_when_it_comes_again_after_the_end(seed: int) -> None:
    """It was published once more with another status, as an answer from outside is, under the same id."""
    assert Simulation(generated_workload, faults=Faults.none()).run(seed).violations == []
