"""What may be committed while messages finish in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagas.runtime.offsets import OffsetTracker


def test_a_slow_message_holds_back_the_commit_and_nothing_else() -> None:
    tracker = OffsetTracker()
    for offset in (3, 4, 7):
        tracker.begin(offset)
    tracker.finish(4)
    tracker.finish(7)
    assert tracker.committable() is None
    assert tracker.unfinished == 1
    tracker.finish(3)
    assert tracker.committable() == 8
    tracker.committed(8)
    assert tracker.committable() is None


@given(st.lists(st.integers(0, 200), unique=True, min_size=1), st.randoms())
def test_nothing_unfinished_is_ever_committed(offsets: list[int], chance: object) -> None:
    tracker, begun = OffsetTracker(), sorted(offsets)
    for offset in begun:
        tracker.begin(offset)
    left = list(begun)
    chance.shuffle(order := list(begun))  # type: ignore[attr-defined]
    for offset in order:
        tracker.finish(offset)
        left.remove(offset)
        committable = tracker.committable()
        assert committable is None or all(committable <= unfinished for unfinished in left)
    assert tracker.committable() == begun[-1] + 1


@given(st.lists(st.sampled_from(["begun", "passed over"]), min_size=1), st.randoms())
def test_what_concerns_nobody_is_committed_with_what_is_before_it(
    kinds: list[str], chance: object
) -> None:
    tracker, left = OffsetTracker(), []
    for offset, kind in enumerate(kinds):
        if kind == "begun":
            tracker.begin(offset)
            left.append(offset)
        else:
            tracker.pass_over(offset)
        assert (tracker.committable() or 0) == min(left, default=offset + 1)
        assert tracker.unfinished == len(left)
    chance.shuffle(order := list(left))  # type: ignore[attr-defined]
    for offset in order:
        tracker.finish(offset)
        left.remove(offset)
        assert (tracker.committable() or 0) == min(left, default=len(kinds))
