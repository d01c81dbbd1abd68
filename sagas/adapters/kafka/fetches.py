"""Makes aiokafka's fetches cheap: packed and unpacked in one go, and without what need not be asked for now.

A fetch names all its partitions, and so does its answer, the empty ones included. aiokafka packs and unpacks
each of their fields by a call of its own, and then looks at every partition; where little batches, at tens
of sagas a second, a worker spends most of its time on that. By private names: the version is pinned, and
``tests/unit/test_fetches.py`` compares with what aiokafka does itself. Owns no connection, and keeps nothing
of a record.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from struct import Struct, error
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11

__all__ = ["Asked", "Asking", "Seldom", "swift"]

Asked = Sequence[tuple[str, Sequence[tuple[int, int, int]]]]
"""Topics, and of each the partitions with the offset and the most bytes that are asked for."""


class Asking(NamedTuple):
    """What a broker is asked for, and how long it may keep the question; ``after_s`` is to pass before."""

    asked: Asked
    after_s: float = 0.0
    within_s: float | None = None


class Seldom:
    """Topics that are in no hurry, and after how many seconds each is asked for again while records come.

    Each broker is asked for its own partitions, so each has turns of its own. Where none of them is in a
    hurry, the question itself waits for the first turn: so what comes meanwhile comes together.
    """

    def __init__(self, every_s: Mapping[str, float]) -> None:
        self._every_s = every_s
        self._busy: set[object] = set()
        self._next: dict[object, dict[float, float]] = {}

    def period(self, topic: str) -> float | None:
        """In which turns a topic is asked for; None for each time."""
        return self._every_s.get(topic)

    def ask(self, asked: Asked, *, of: object, now: float) -> Asking:
        """What a broker is to be asked for now, in seconds of any clock that only goes on."""
        waiting, every_s = self._waiting(of, now), self._every_s
        kept = [one for one in asked if every_s.get(one[0]) not in waiting]
        after_s = 0.0
        if asked and not kept:
            after_s = min(waiting[every_s[topic]] for topic, _ in asked)
            waiting = {period: left for period, left in waiting.items() if left > after_s}
            kept = [one for one in asked if every_s[one[0]] not in waiting]
        turns = self._next.setdefault(of, {})
        periods = {every_s[topic] for topic, _ in kept if topic in every_s}
        turns.update((period, now + after_s + period) for period in periods)
        # Whoever plans leaves out what is not due, and yet it must not wait for the end of this one.
        within_s = min(waiting.values()) - after_s if waiting else None
        return Asking(kept, after_s, within_s)

    def answered(self, *, of: object, with_records: bool) -> None:
        """While nothing comes, everything is asked for: then it costs nothing."""
        (self._busy.add if with_records else self._busy.discard)(of)

    def waiting(self, now: float) -> Mapping[float, float]:
        """The periods whose turn has not come at any broker, each with the seconds that are left."""
        found: Mapping[float, float] | None = None
        for broker in self._next:
            here = self._waiting(broker, now)
            if found is not None:
                here = {one: min(left, found[one]) for one, left in here.items() if one in found}
            found = here
        return found or {}

    def _waiting(self, of: object, now: float) -> dict[float, float]:
        if of not in self._busy:
            return {}
        return {period: at - now for period, at in self._next[of].items() if at > now}


def swift(client: AIOKafkaClient, seldom: Seldom) -> None:
    """Let this client's fetches be cheap. Call it before the client starts."""
    send = client.send

    async def swift_send(node_id: Any, request: Any, **how: Any) -> Any:
        if type(request) is not FetchRequest:
            return await send(node_id, request, **how)
        now = asyncio.get_running_loop().time()
        asking = seldom.ask(request._topics, of=node_id, now=now)
        if asking.after_s:
            await asyncio.sleep(asking.after_s)
        response = await send(node_id, _Swift(request, asking), **how)
        # Nothing within a shortened wait says nothing of those that were left out.
        if asking.within_s is None or _has_records(response):
            seldom.answered(of=node_id, with_records=_has_records(response))
        return response

    client.send = swift_send


def _has_records(response: Any) -> bool:
    return any(partition[-1] for _, partitions in response.topics for partition in partitions)


class _Swift(FetchRequest):  # type: ignore[misc] # aiokafka has no types
    """A fetch that is packed in one go where the broker knows version 11: Kafka 2.3 and later."""

    def __init__(self, request: FetchRequest, asking: Asking) -> None:
        wait_ms, within_s = request._max_wait_ms, asking.within_s
        if within_s is not None:
            wait_ms = min(wait_ms, max(1, round(within_s * 1000)))
        super().__init__(
            wait_ms,
            request._min_bytes,
            request._max_bytes,
            request._isolation_level,
            list(asking.asked),
            request._rack_id,
        )

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """The request in a version that the broker knows."""
        oldest, newest = versions.get(self.API_KEY, (0, 0))
        if oldest <= FetchRequest_v11.API_VERSION <= newest:
            return _Packed(self)
        return super().prepare(versions)


# The layouts of version 11, without names and lists.
_HEAD = Struct(
    ">iiiibiii"
)  # replica, wait, bytes least and most, isolation, session, its epoch, topics
_ASKED = Struct(">iiqqi")  # partition, leader epoch, offset, start of the log, bytes at most
_COUNT = Struct(">i")
_LENGTH = Struct(">h")
_ANSWER = Struct(">ihii")  # throttled, error, session, topics
_FOUND = Struct(">ihqqqiii")  # partition, error, three offsets, aborted, replica, bytes
_FOUND_HEAD = Struct(">ihqqqi")
_ABORTED = Struct(">qq")
_FOUND_TAIL = Struct(">ii")


class _Answer(FetchResponse_v11):  # type: ignore[misc] # aiokafka has no types
    """An answer without the partitions that have nothing to say: aiokafka has nothing to do for them."""

    @classmethod
    def decode(cls, data: BytesIO | bytes) -> _Answer:
        """Unpack it. Raises ValueError for what is too short."""
        start = 0 if isinstance(data, bytes) else data.tell()
        held = data if isinstance(data, bytes) else data.getvalue()
        try:
            return cls._unpacked(held, start)
        except error as unfit:
            raise ValueError(f"an answer of Kafka of {len(held)} bytes ends too early") from unfit

    @classmethod
    def _unpacked(cls, held: bytes, start: int) -> _Answer:
        throttled, code, session, topics = _ANSWER.unpack_from(held, start)
        at, found = start + _ANSWER.size, []
        for _ in range(topics):
            (length,) = _LENGTH.unpack_from(held, at)
            at += _LENGTH.size + length
            name = held[at - length : at].decode()
            (count,) = _COUNT.unpack_from(held, at)
            at, partitions = _partitions(held, at + _COUNT.size, count)
            if partitions:
                found.append((name, partitions))
        return cls(throttled, code, session, found)


def _partitions(held: bytes, at: int, count: int) -> tuple[int, list[tuple[Any, ...]]]:
    """So many partitions from there on: where they end, and those that have something to say."""
    found = []
    for _ in range(count):
        number, code, *offsets, aborted, replica, size = _FOUND.unpack_from(held, at)
        at += _FOUND.size
        transactions: list[tuple[Any, ...]] | None = None if aborted < 0 else []
        if aborted > 0:
            at += _FOUND_HEAD.size - _FOUND.size
            transactions = list(_ABORTED.iter_unpack(held[at : at + aborted * _ABORTED.size]))
            replica, size = _FOUND_TAIL.unpack_from(held, at + aborted * _ABORTED.size)
            at += aborted * _ABORTED.size + _FOUND_TAIL.size
        records = None
        if size >= 0:
            records = held[at : at + size]
            at += size
            if len(records) != size:
                raise ValueError(f"an answer of Kafka ends within partition {number}")
        if records or code or replica >= 0:
            found.append((number, code, *offsets, transactions, replica, records))
    return at, found


class _Packed(FetchRequest_v11):  # type: ignore[misc] # aiokafka has no types
    RESPONSE_TYPE = _Answer

    def __init__(self, request: _Swift) -> None:
        self._request = request

    def encode(self) -> bytes:
        """The bytes that aiokafka would send."""
        of = self._request
        limits = (of._max_wait_ms, of._min_bytes, of._max_bytes, of._isolation_level)
        parts = [_HEAD.pack(-1, *limits, 0, -1, len(of._topics))]
        for topic, partitions in of._topics:
            parts.append(_text(topic))
            parts.append(_COUNT.pack(len(partitions)))
            parts.extend(
                _ASKED.pack(number, -1, offset, -1, most) for number, offset, most in partitions
            )
        parts.append(_COUNT.pack(0))
        parts.append(_text(of._rack_id))
        return b"".join(parts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._request._topics!r})"


@lru_cache(maxsize=1024)
def _text(name: str) -> bytes:
    encoded = name.encode()
    return _LENGTH.pack(len(encoded)) + encoded
