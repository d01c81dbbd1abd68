"""The life of a worker: every state, and everything that can happen in it."""

from __future__ import annotations

from itertools import product

import pytest

from sagas.core.errors import ContractViolation
from sagas.core.lifecycle import Happening, WorkerState, after

NEW, STARTING, RUNNING, STOPPING, STOPPED = WorkerState
LAUNCHED, JOINED, ASKED, FAILED, LEFT = Happening

EXPECTED = {
    NEW: {LAUNCHED: STARTING, ASKED: STOPPED},
    STARTING: {JOINED: RUNNING, ASKED: STOPPING, FAILED: STOPPING},
    RUNNING: {JOINED: RUNNING, ASKED: STOPPING, FAILED: STOPPING},
    STOPPING: {JOINED: STOPPING, ASKED: STOPPING, FAILED: STOPPING, LEFT: STOPPED},
    STOPPED: {ASKED: STOPPED, FAILED: STOPPED},
}


@pytest.mark.parametrize(("state", "happening"), list(product(WorkerState, Happening)))
def test_the_table(state: WorkerState, happening: Happening) -> None:
    expected = EXPECTED[state].get(happening)
    if expected is None:
        with pytest.raises(ContractViolation, match=f"that is {state} can not have {happening}"):
            after(state, happening)
    else:
        assert after(state, happening) is expected


def test_it_never_comes_back() -> None:
    """The states are in the order of a life: nothing leads to an earlier one."""
    order = list(WorkerState)
    for state, row in EXPECTED.items():
        assert all(order.index(state) <= order.index(then) for then in row.values())


def test_every_failure_leads_out() -> None:
    assert all(row[FAILED] in {STOPPING, STOPPED} for row in EXPECTED.values() if FAILED in row)
