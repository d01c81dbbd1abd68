"""Random sagas on the real runtime while everything around it fails: each ends, and the books balance.

The explorer knows every interleaving of the core on a model; here are the workers themselves, with their
polls, commits, drains and rebalances, and the adapters on memory. A failing example names its four seeds:
``Storm(random_definition(saga), ..., seed=seed)`` replays it to the last byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagas.core.instance import SagaStatus
from tests.simulation.definitions import random_definition, random_plans
from tests.simulation.storm import Storm, Weather

SEEDS = st.integers(min_value=0, max_value=2**32)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of warnings about servers that are away are the point, and nobody reads them."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    yield
    structlog.configure(**before)


def _drop(logger: object, method: str, event: object) -> str:
    raise structlog.DropEvent


def storm(saga: int, plans: int, seed: int, weather: Weather) -> Storm:
    definition = random_definition(saga)
    return Storm(definition, random_plans(definition, plans), seed=seed, weather=weather).run()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    saga=SEEDS,
    plans=SEEDS,
    seed=SEEDS,
    lost=st.sampled_from([0.0, 0.05, 0.2]),
    happenings=st.integers(0, 12),
)
def test_every_saga_ends_and_the_books_balance(
    saga: int, plans: int, seed: int, lost: float, happenings: int
) -> None:
    run = storm(saga, plans, seed, Weather(lost=lost, happenings=happenings))
    assert run.violations() == [], (saga, plans, seed, lost, happenings, run.story)


PATIENT = Weather(lost=0.05, happenings=10, pause_s=8.0, stumbles=6)
"""Attempts are far apart: the first pauses of 8, 32 and 128 seconds are spent in topics."""


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(saga=SEEDS, plans=SEEDS, seed=SEEDS)
def test_so_it_does_while_messages_wait_for_another_attempt(
    saga: int, plans: int, seed: int
) -> None:
    run = storm(saga, plans, seed, PATIENT)
    assert run.violations() == [], (saga, plans, seed, run.story)


def test_the_same_seed_tells_the_same_story() -> None:
    one, other = (storm(7, 7, 7, Weather()) for _ in range(2))
    assert one.story == other.story
    assert one.seen == other.seen
    assert one.books == other.books


def test_the_storm_sees_what_it_is_there_to_see() -> None:
    """A campaign in which nothing interesting happens proves nothing."""
    seen: Counter[str] = Counter()
    for seed in range(24):
        run = storm(seed, seed, seed, Weather(lost=0.1, happenings=10))
        assert run.violations() == [], (seed, run.story)
        seen.update(run.seen)
        seen.update(str(status) for status in run.statuses)
    for seed in range(6):
        run = storm(seed, seed, seed, PATIENT)
        assert run.violations() == [], (seed, run.story)
        seen.update(run.seen)
    lost = {"load", "store", "publish", "commit", "forward", "undo", "start", "poll"}
    interesting = {
        *("die", "join", "leave", "forgotten", "again", "conflict", "waited"),
        *(f"{name} lost" for name in lost),
        *(f"{name} unheard" for name in lost),
        *(SagaStatus.COMPLETED, SagaStatus.COMPENSATED, SagaStatus.PARKED),
    }
    missed = {name for name in interesting if not seen[str(name)]}
    assert not missed
