"""The loop in virtual time by itself: its order, its moments, and processes that stand still."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from sagas.testing.simulation.loop import Process, SeededLoop

SEEDS = range(5)


def loop_of(seed: int) -> SeededLoop:
    return SeededLoop(random.Random(seed))


def run_out(loop: SeededLoop, until_s: float = 100.0) -> None:
    assert not loop.run_until(lambda: False, until_s)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("count", [2, 3, 5, 8, 40])
def test_what_is_ready_at_once_is_shuffled_as_random_shuffles(seed: int, count: int) -> None:
    """Other draws would make every pinned seed another run."""
    loop, seen = loop_of(seed), list[int]()
    for number in range(count):
        loop.call_soon(seen.append, number)
    run_out(loop)
    expected = list(range(count))
    random.Random(seed).shuffle(expected)
    assert seen == expected
    loop.close()


def test_calls_come_at_their_moments_and_the_loop_skips_to_them() -> None:
    loop, seen = loop_of(0), list[float]()

    def note() -> None:
        seen.append(loop.time())

    for delay in (3.0, 1.0, 60.0, 2.0):
        loop.call_later(delay, note)
    late = loop.call_at(200.0, note)
    run_out(loop)
    assert seen == [1.0, 2.0, 3.0, 60.0]
    assert {type(moment) for moment in seen} == {float}
    assert (loop.time(), late.when()) == (100.0, 200.0)
    loop.close()


def test_a_cancelled_call_is_not_made() -> None:
    loop, seen = loop_of(0), list[str]()
    calls = [loop.call_soon(seen.append, "soon"), loop.call_later(1.0, seen.append, "later")]
    loop.call_later(2.0, seen.append, "kept")
    for call in calls:
        call.cancel()
    run_out(loop)
    assert seen == ["kept"]
    assert [call.cancelled() for call in calls] == [True, True]
    loop.close()


@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError()])
def test_a_call_that_raises_is_told_and_the_others_go_on(error: BaseException) -> None:
    loop, seen, told = loop_of(0), list[int](), list[object]()
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))

    def fail() -> None:
        raise error

    for number in range(3):
        loop.call_soon(seen.append, number)
        loop.call_soon(fail)
    run_out(loop)
    assert sorted(seen) == [0, 1, 2]
    assert told == [error] * 3
    loop.close()


def test_who_is_held_stands_still_and_goes_on_where_it_was() -> None:
    loop, seen = loop_of(0), list[tuple[str, float]]()
    held, free = Process(), Process()

    def noting(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, loop.time()))

    loop.hold(held)
    loop.call_later(1.0, noting("held"), context=held.context())
    loop.call_later(1.0, noting("free"), context=free.context())
    loop.call_later(5.0, loop.release, held)
    loop.call_later(6.0, noting("held again"), context=held.context())
    run_out(loop)
    assert seen == [("free", 1.0), ("held", 5.0), ("held again", 6.0)]
    loop.close()


def test_the_tasks_that_are_left_are_told_in_the_order_of_their_starts() -> None:
    loop = loop_of(0)
    tasks = [loop.create_task(asyncio.sleep(delay)) for delay in (50.0, 1.0, 150.0, 120.0)]
    run_out(loop)
    assert loop.left == [tasks[2], tasks[3]]
    for task in loop.left:
        task.cancel()
    run_out(loop)
    assert loop.left == []
    loop.close()


def test_a_closed_loop_takes_no_calls() -> None:
    loop = loop_of(0)
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon(print)
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_later(1.0, print)
