"""Three agree on random sagas: checks, model checker, random explorer. Many more by scripts/soundness."""

from __future__ import annotations

from tests.simulation.breaking import BREAKS
from tests.simulation.planted import GUARDS, PATCHES
from tests.simulation.soundness import DECLARED, NOTHING, Answer, sweep, table


def test_they_agree_on_random_sagas() -> None:
    tally = sweep(range(8), states_max=1500)
    assert tally.wrong == []
    assert tally.answers[NOTHING][Answer.PROVEN] >= 1
    assert tally.answers[NOTHING][Answer.REPORTED] == 0
    planted = [name for name in tally.answers if name in {*PATCHES, *GUARDS}]
    assert sum(tally.answers[name][Answer.REPORTED] for name in planted) >= 3
    declared = [name for name in tally.answers if name.startswith(DECLARED)]
    assert len(declared) >= len(BREAKS) - 2
    assert all(tally.answers[name].keys() == {Answer.REPORTED} for name in declared)


def test_the_rates_are_a_table_in_the_order_of_what_was_planted() -> None:
    first, _, *rows = table(sweep([1], states_max=50))
    assert first.count("|") == 8
    assert rows[0].startswith("| nothing | 1 | 0 | 0 | 1 |")
