"""When which fault comes: by the seed alone, and every kind at least once."""

from __future__ import annotations

from collections import Counter

import pytest
from campaign.schedule import TABLE_LOSS, Kind, schedule


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("seconds", [30, 120, 600])
def test_every_kind_comes_within_the_time(seconds: float, seed: int) -> None:
    planned = schedule(seconds, seed)
    assert {one.kind for one in planned} == set(Kind)
    times = [one.at_s for one in planned]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < seconds


def test_ten_minutes_have_more_than_thirty_faults_evenly_spread_over_the_kinds() -> None:
    kinds = Counter(one.kind for one in schedule(600, 1))
    assert kinds.total() >= 30
    assert max(kinds.values()) - min(kinds.values()) <= 1


def test_the_seed_decides() -> None:
    assert schedule(120, 7) == schedule(120, 7)
    assert schedule(120, 7) != schedule(120, 8)


def test_what_is_left_out_does_not_come() -> None:
    assert {one.kind for one in schedule(120, 1, without=TABLE_LOSS)} == set(Kind) - TABLE_LOSS
