"""What the simulator has found in the runtime and in itself, each with the seed that found it."""

from __future__ import annotations

import pytest

from sagas.testing.simulation import Faults, Simulation
from tests.simulation.workloads.generated import generated_workload


@pytest.mark.parametrize("seed", [71, 83])
def test_a_timeout_of_a_wait_keeps_its_bytes_when_it_comes_again_after_the_end(seed: int) -> None:
    """It was published once more with another status, as an answer from outside is, under the same id."""
    assert Simulation(generated_workload, faults=Faults.none()).run(seed).violations == []


@pytest.mark.parametrize("seed", [362, 680])
def test_a_run_rests_only_once_every_worker_has_joined_and_what_was_lost_is_decided_again(
    seed: int,
) -> None:
    assert Simulation(generated_workload).run(seed).violations == []
