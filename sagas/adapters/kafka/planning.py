"""Decides which partitions a consumer asks for next, as aiokafka does and for a quarter of the work.

aiokafka looks at every assigned partition before and after each fetch: some 80 instructions each, two calls
of a debug log among them, and a shuffle. Where little comes at once, at tens of sagas a second, that was a
third of what a worker executes. Here partitions are sorted once for an assignment, a topic's leaders are
looked up once, and what is asked for first goes round instead of being drawn. By private names: the version
is pinned, and ``tests/unit/test_kafka_planning.py`` compares. Keeps nothing but where the round stands.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from itertools import count
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import Assignment
from aiokafka.protocol.fetch import FetchRequest

from sagas.adapters.kafka.fetches import Seldom

__all__ = ["plan_swiftly"]

_Partitions = Sequence[tuple[int, Any, Any]]
"""Of one topic: number, aiokafka's name of the partition, and what it knows of it."""
_Topic = tuple[str, float | None, _Partitions]
"""Its name, the period of its turns, and its partitions."""


def plan_swiftly(consumer: AIOKafkaConsumer, seldom: Seldom) -> None:
    """Let this consumer plan its fetches so, and look at what is in no hurry when its turn comes. Call it
    once the consumer has started.

    A consumer that names its rack may read from followers: that one is left as it is.
    """
    fetcher = consumer._fetcher
    if fetcher is not None and not fetcher._client_rack:
        fetcher._get_actions_per_node = _Planning(fetcher, seldom).actions


class _Planning:
    def __init__(self, fetcher: Fetcher, seldom: Seldom) -> None:
        self._fetcher = fetcher
        self._seldom = seldom
        self._assignment: Assignment | None = None
        self._topics: Sequence[_Topic] = ()
        self._rounds = count()

    def actions(self, assignment: Assignment) -> tuple[Any, ...]:
        """Requests by node, partitions without a position by node, the most seconds to wait for anything
        else, whether a leader is not known, and what resumes paused partitions.
        """
        topics, timeout_s = self._look_at(assignment)
        fetcher = self._fetcher
        records, in_flight = fetcher._records, fetcher._in_flight
        leaders, most = fetcher._client.cluster._partitions, fetcher._max_partition_fetch_bytes
        fetchable: dict[int, dict[str, list[tuple[int, int, int]]]] = {}
        unset, held, resumed = defaultdict(list), defaultdict(list), []
        is_unknown = False
        for topic, _, partitions in topics:
            known = leaders.get(topic, _NOBODY)
            for number, name, state in partitions:
                node = known[number].leader if number in known else None
                if name in records:
                    if wait_s := records[name].calculate_backoff():
                        held[node].append(wait_s)
                elif node in in_flight:
                    pass
                elif node is None or node == -1:
                    is_unknown = True
                elif state._position is None:
                    unset[node].append(name)
                elif state._paused:
                    resumed.append(state._resume_fut)
                else:
                    asked = fetchable.setdefault(node, {}).setdefault(topic, [])
                    asked.append((number, state._position, most))
        requests = [
            (node, self._request(asked))
            for node, asked in fetchable.items()
            if node not in held and node not in unset
        ]
        if held:
            timeout_s = min(timeout_s, *map(max, held.values()))
        return requests, unset, timeout_s, is_unknown, resumed

    def _look_at(self, assignment: Assignment) -> tuple[Sequence[_Topic], float]:
        """The topics whose turn it is, and the most seconds until another one's comes."""
        if assignment is not self._assignment:
            self._assignment, self._topics = assignment, _by_topic(assignment, self._seldom)
        waiting = self._seldom.waiting(asyncio.get_running_loop().time())
        timeout_s = min((self._fetcher._fetcher_timeout, *waiting.values()))
        return [topic for topic in self._topics if topic[1] not in waiting], timeout_s

    def _request(self, asked: dict[str, list[tuple[int, int, int]]]) -> FetchRequest:
        """What comes first is answered first; so everything does in its turn."""
        fetcher, turn = self._fetcher, next(self._rounds)
        return FetchRequest(
            fetcher._fetch_max_wait_ms,
            fetcher._fetch_min_bytes,
            fetcher._fetch_max_bytes,
            fetcher._isolation_level,
            _from(turn, [(topic, _from(turn // len(asked), one)) for topic, one in asked.items()]),
            rack_id="",
        )


_NOBODY: dict[int, Any] = {}


def _by_topic(assignment: Assignment, seldom: Seldom) -> Sequence[_Topic]:
    found: dict[str, list[tuple[int, Any, Any]]] = {}
    for name in sorted(assignment._tp_state):
        state = assignment._tp_state[name]
        found.setdefault(name.topic, []).append((name.partition, name, state))
    return tuple((topic, seldom.period(topic), one) for topic, one in found.items())


def _from(turn: int, items: list[Any]) -> list[Any]:
    """The same, beginning with another one each time."""
    first = turn % len(items)
    return items[first:] + items[:first] if first else items
