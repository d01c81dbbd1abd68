"""The model checker: what it proves, what it finds, and that it never says more than it knows."""

from __future__ import annotations

import pytest

from sagas.checks.model import Bounds, Guards, explore, pytest_module, replay
from sagas.core import enabled, position
from sagas.core.definition import START, Definition, StepDefinition
from sagas.core.handling import Handling
from sagas.core.instance import Fact, Instance
from sagas.core.position import Position
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


@pytest.mark.parametrize("definition", [PAYING, PARALLEL], ids=["in turn", "in parallel"])
def test_small_sagas_are_proven(definition: Definition) -> None:
    result = explore(definition)
    assert result.proven, result.counterexample
    assert {"COMPLETED", "COMPENSATED"} <= set().union(*(run.ends for run in result.runs))
    assert result.states > 500
    assert all(run.cyclic == 0 for run in result.runs)


def test_a_limit_is_no_proof() -> None:
    result = explore(PAYING, Bounds(states_max=100))
    assert (result.states, result.complete, result.proven) == (100, False, False)
    assert result.counterexample is None
