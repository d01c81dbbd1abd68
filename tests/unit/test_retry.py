"""Retries as arithmetic: pauses, spread, what is tried again, and which numbers make no sense."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sagas import ContractViolation, DefinitionError, RetriableError, Retry, minutes, seconds

HUGE = Retry(attempts=10**6, backoff=seconds(1), factor=1e9, jitter=0)


@pytest.mark.parametrize(
    ("retry", "attempt", "delay_s"),
    [
        (Retry(), 1, 0.1),
        (Retry(), 2, 0.4),
        (Retry(), 3, None),
        (Retry(), 4, None),
        (Retry(attempts=1), 1, None),
        (Retry(attempts=9, backoff=seconds(1), factor=2), 1, 1.0),
        (Retry(attempts=9, backoff=seconds(1), factor=2), 8, 128.0),
        (Retry(attempts=9, backoff=seconds(1), factor=2, backoff_max=seconds(100)), 8, 100.0),
        (Retry(attempts=9, backoff=seconds(1), factor=1), 8, 1.0),
        (Retry(attempts=9, backoff=seconds(0)), 8, 0.0),
        (HUGE, 2, 600.0),
        (HUGE, 999_999, 600.0),
        (Retry(attempts=10**6, backoff=seconds(0)), 999_999, 0.0),
    ],
)
def test_pauses_grow_up_to_a_bound(retry: Retry, attempt: int, delay_s: float | None) -> None:
    assert retry.delay_s(attempt, 0.5) == (None if delay_s is None else pytest.approx(delay_s))


@pytest.mark.parametrize(
    ("jitter", "chance", "delay_s"),
    [
        (0.1, 0.0, 9.0),
        (0.1, 0.5, 10.0),
        (0.1, 1.0, 11.0),
        (0, 1.0, 10.0),
        (1, 0.0, 0.0),
        (1, 1, 20),
    ],
)
def test_pauses_are_spread(jitter: float, chance: float, delay_s: float) -> None:
    assert Retry(backoff=seconds(10), jitter=jitter).delay_s(1, chance) == pytest.approx(delay_s)


def test_the_longest_pause_is_spread_too() -> None:
    retry = Retry(backoff=minutes(10), backoff_max=minutes(10), jitter=0.5)
    assert [retry.delay_s(1, chance) for chance in (0, 1)] == [300.0, 900.0]


@pytest.mark.parametrize(
    ("retry", "error", "again"),
    [
        (Retry(), ValueError(), True),
        (Retry(), RetriableError(), True),
        (Retry(), ContractViolation("a bug"), False),
        (Retry(on=ContractViolation), ContractViolation("a bug"), False),
        (Retry(on=OSError), ConnectionError(), True),
        (Retry(on=OSError), ValueError(), False),
        (Retry(on=(OSError, KeyError)), KeyError(), True),
        (Retry(on=()), ValueError(), False),
        (Retry(never_on=LookupError), KeyError(), False),
        (Retry(never_on=(LookupError, OSError)), ValueError(), True),
        (Retry(on=OSError, never_on=ConnectionError), ConnectionResetError(), False),
    ],
)
def test_what_is_tried_again(retry: Retry, error: Exception, again: bool) -> None:
    assert retry.is_retriable(error) is again


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"attempts": 0}, "attempts=0 is not a whole number from 1"),
        ({"attempts": 2.5}, "attempts=2.5 is not a whole number"),
        ({"attempts": True}, "attempts=True is not a whole number"),
        ({"backoff": 0.1}, r"backoff=0.1 is not a timedelta .*seconds\(0.1\)"),
        ({"backoff": timedelta(seconds=-1)}, "backoff=.* is not a timedelta of 0 or more"),
        ({"backoff": minutes(11)}, "backoff_max=.* is not a timedelta not below backoff"),
        ({"backoff_max": 600}, "backoff_max=600 is not a timedelta"),
        ({"factor": 0.5}, "factor=0.5 is not a number from 1"),
        ({"factor": float("nan")}, "factor=nan is not"),
        ({"factor": float("inf")}, "factor=inf is not"),
        ({"jitter": 1.5}, "jitter=1.5 is not a share from 0 to 1"),
        ({"on": "ValueError"}, "on='ValueError' is not an exception class"),
        ({"on": BaseException}, "on=.*BaseException.* is not an exception class"),
        ({"never_on": [ValueError]}, "never_on=.* is not an exception class"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        Retry(**wrong)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(DefinitionError, match=r"attempts=0 .*; factor=0 .*; jitter=2 "):
        Retry(attempts=0, factor=0, jitter=2)
