"""What a consumer asks for next is what aiokafka would ask for."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any, NamedTuple

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.consumer.fetcher import Fetcher, FetchError
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.errors import KafkaError
from aiokafka.structs import PartitionMetadata
from hypothesis import given
from hypothesis import strategies as st

from sagas.adapters.kafka.fetches import Seldom
from sagas.adapters.kafka.planning import plan_swiftly

TOPICS = ("orders.events", "orders.control", "payments.events")


class Standing(NamedTuple):
    """How one partition stands."""

    leader: int | None
    position: int | None
    paused: bool = False
    held_s: float | None = None
    """Whether it has something that nobody has taken yet, and for how long that holds the others back."""


STANDING = st.builds(
    Standing,
    leader=st.sampled_from([1, 1, 1, 2, 3, -1, None]),
    position=st.none() | st.integers(0, 9),
    paused=st.sampled_from([False, False, True]),
    held_s=st.sampled_from([None, None, None, 0.0, 30.0, 50.0]),
)
STANDINGS = st.dictionaries(
    st.tuples(st.sampled_from(TOPICS), st.integers(0, 3)), STANDING, min_size=1
)


def fetcher_of(standings: dict[tuple[str, int], Standing], in_flight: set[int]) -> Any:
    """aiokafka's own, at rest, and the assignment that it looks at."""
    names = {KafkaPartition(*place): one for place, one in standings.items()}
    assignment, cluster = Assignment(list(names)), ClusterMetadata()
    fetcher = Fetcher.__new__(Fetcher)
    fetcher._records, fetcher._in_flight = {}, in_flight
    fetcher._preferred_read_replica, fetcher._client_rack = {}, None
    fetcher._client = SimpleNamespace(cluster=cluster)
    fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes = 500, 1
    fetcher._fetch_max_bytes, fetcher._isolation_level = 1 << 20, 0
    fetcher._max_partition_fetch_bytes, fetcher._fetcher_timeout = 1 << 16, 60.0
    for name, one in names.items():
        state = assignment.state_value(name)
        if one.position is not None:
            state.seek(one.position)
        if one.paused:
            state.pause()
        if one.held_s is not None:
            fetcher._records[name] = FetchError(error=KafkaError(), backoff=one.held_s)
        if one.leader is not None:
            known = cluster._partitions.setdefault(name.topic, {})
            known[name.partition] = PartitionMetadata(*name, one.leader, [], [], None)
    return fetcher, assignment


def told(actions: tuple[Any, ...]) -> tuple[Any, ...]:
    """The actions in an order of ours: aiokafka draws its own."""
    requests, unset, timeout_s, is_unknown, resumed = actions
    asked = {
        node: sorted((topic, one) for topic, named in request._topics for one in named)
        for node, request in requests
    }
    limits = {
        (request._max_wait_ms, request._min_bytes, request._max_bytes, request._rack_id)
        for _, request in requests
    }
    without = {node: sorted(names) for node, names in unset.items()}
    return asked, limits, without, round(timeout_s), is_unknown, set(resumed)


@given(standings=STANDINGS, in_flight=st.sets(st.integers(1, 3)))
async def test_the_same_is_asked_for_as_aiokafka_asks(
    standings: dict[tuple[str, int], Standing], in_flight: set[int]
) -> None:
    fetcher, assignment = fetcher_of(standings, in_flight)
    expected = told(fetcher._get_actions_per_node(assignment))
    plan_swiftly(SimpleNamespace(_fetcher=fetcher), Seldom({}))
    assert fetcher._get_actions_per_node.__func__ is not Fetcher._get_actions_per_node
    assert told(fetcher._get_actions_per_node(assignment)) == expected


async def test_each_partition_comes_first_in_its_turn() -> None:
    standings = {(topic, n): Standing(1, 0) for topic in TOPICS for n in range(3)}
    fetcher, assignment = fetcher_of(standings, set())
    plan_swiftly(SimpleNamespace(_fetcher=fetcher), Seldom({}))
    first = Counter[tuple[str, int]]()
    for _ in range(90):
        ((_, request),) = fetcher._get_actions_per_node(assignment)[0]
        assert len(request._topics) == len(TOPICS)
        first[request._topics[0][0], request._topics[0][1][0][0]] += 1
    assert set(first.values()) == {10}


async def test_another_assignment_is_looked_at_anew() -> None:
    fetcher, assignment = fetcher_of({("a", 0): Standing(1, 0)}, set())
    plan_swiftly(SimpleNamespace(_fetcher=fetcher), Seldom({}))
    fetcher._get_actions_per_node(assignment)
    other, others = fetcher_of({("b", 1): Standing(1, 7)}, set())
    fetcher._client = other._client
    ((_, request),) = fetcher._get_actions_per_node(others)[0]
    assert list(request._topics) == [("b", [(1, 7, 1 << 16)])]


async def test_who_may_read_from_followers_is_left_alone() -> None:
    fetcher, _ = fetcher_of({("a", 0): Standing(1, 0)}, set())
    fetcher._client_rack = "here"
    plan_swiftly(SimpleNamespace(_fetcher=fetcher), Seldom({}))
    assert fetcher._get_actions_per_node.__func__ is Fetcher._get_actions_per_node


async def test_what_is_in_no_hurry_is_looked_at_when_its_turn_comes() -> None:
    fetcher, assignment = fetcher_of({("a", 0): Standing(1, 0), ("rare", 0): Standing(1, 5)}, set())
    seldom = Seldom({"rare": 3_600.0})
    plan_swiftly(SimpleNamespace(_fetcher=fetcher), seldom)

    def asked() -> list[str]:
        ((_, request),) = fetcher._get_actions_per_node(assignment)[0]
        seldom.ask(request._topics, of=1, now=asyncio.get_running_loop().time())
        return sorted(topic for topic, _ in request._topics)

    assert asked() == ["a", "rare"]
    seldom.answered(of=1, with_records=True)
    assert asked() == ["a"]
    assert 0 < fetcher._get_actions_per_node(assignment)[2] <= fetcher._fetcher_timeout
    seldom.answered(of=1, with_records=False)
    assert asked() == ["a", "rare"]
