"""Each safeguard, taken away from the real runtime, is missed by a run that is green with it."""

from __future__ import annotations

import pytest

from tests.simulation.ablations import ABLATIONS, Ablation, table


@pytest.mark.parametrize("one", ABLATIONS, ids=lambda one: f"rule {one.rule}: {one.safeguard}")
def test_a_safeguard_is_missed(one: Ablation) -> None:
    assert one.violations() == []
    with one.off():
        assert one.violations() != []
    assert one.violations() == []


def test_the_table_fits_a_terminal() -> None:
    lines, missed = table()
    assert missed == 0
    assert len(lines) == len(ABLATIONS) + 1
    assert max(map(len, lines)) <= 80
