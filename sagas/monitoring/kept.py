"""A board and its progress as keys and values: what is kept over a restart.

Owns the form. What was kept by another version, for other sagas or under another policy is good for nothing:
it is left aside, and everything is read from the topics again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b

from sagas.core.definition import Direction, Role
from sagas.core.instance import Fact
from sagas.core.refold import Found
from sagas.monitoring.board import Board, Events
from sagas.monitoring.contracts import shared
from sagas.monitoring.progress import Place, Progress
from sagas.ports import TopicPartition

__all__ = ["Changes", "changes_of", "put_back"]

Changes = dict[str, bytes | None]
"""Values by key; None for a key that goes."""

_FORMAT = 1
"""Goes up when the form changes, or what an instance adds to counts: that is taken back as it was added."""
_SEPARATOR = "\x1f"


def changes_of(board: Board, progress: Progress) -> Changes:
    """What has changed since this was asked last. Written at once, or not at all, it is a state from which
    to go on: offsets and counts belong together.
    """
    changes: Changes = {
        "meta": _bytes([_fingerprint(board), board.passed_ms, board.windows.floor_ms])
    }
    for (saga, saga_id), events in board.touched():
        changes[_key("saga", saga, saga_id)] = None if events is None else _bytes_of_events(events)
    for saga, start_ms, counts in board.windows.touched():
        value = None if counts is None else _bytes([[*key, n] for key, n in counts.items()])
        changes[_key("window", saga, str(start_ms))] = value
    for digest, number in board.touched_ended().items():
        changes[_key("ended", str(digest))] = None if number is None else b"%d" % number
    for partition, place in progress.touched():
        key = _key("place", partition.topic, str(partition.partition))
        changes[key] = _bytes(place)
    return changes


def put_back(kept: Mapping[str, bytes], board: Board, progress: Progress) -> bool:
    """Fill an empty board with what was kept; False, leaving it empty, if that fits no more."""
    fingerprint, passed_ms, floor_ms = json.loads(kept.get("meta", b'["", 0, 0]'))
    if fingerprint != _fingerprint(board):
        return False
    board.passed_ms, board.windows.floor_ms = int(passed_ms), int(floor_ms)
    ended: dict[int, int] = {}
    places: dict[TopicPartition, Place] = {}
    for key, value in kept.items():
        kind, *names = key.split(_SEPARATOR, 2)
        match kind:
            case "saga":
                board.put((names[0], names[1]), dict(_events_of(value)))
            case "window":
                counts = {tuple(key): n for *key, n in json.loads(value)}
                board.windows.put(names[0], int(names[1]), counts)
            case "ended":
                ended[int(names[0])] = int(value)
            case "place":
                places[TopicPartition(names[0], int(names[1]))] = Place(*json.loads(value))
            case _:
                pass
    board.put_ended(ended)
    progress.put(places)
    return True


def _fingerprint(board: Board) -> str:
    """Of whatever the counts depend on."""
    policy = board.policy
    said = [
        _FORMAT,
        sorted((saga, one.fingerprint) for saga, one in board.definitions.items()),
        [policy.window_ms, policy.keep_ms],
        [objective.model_dump() for objective in policy.objectives],
    ]
    return blake2b(_bytes(said), digest_size=16).hexdigest()


def _bytes_of_events(events: Events) -> bytes:
    return _bytes(
        [
            [
                *(place, [*one.fact], one.generation, one.seq, [*one.folded]),
                *(one.deadline_ms, one.published_ms),
            ]
            for place, one in events.items()
        ]
    )


def _events_of(value: bytes) -> Iterator[tuple[str, Found]]:
    for place, fact, generation, seq, folded, deadline_ms, published_ms in json.loads(value):
        id_, type_, step, role, cause, direction, *rest = fact
        event = Fact(id_, type_, step, Role(role), cause, Direction(direction), *rest)
        yield (
            place,
            Found(
                shared(event),
                *(generation, seq, ""),
                folded=tuple(folded),
                deadline_ms=deadline_ms,
                published_ms=published_ms,
            ),
        )


def _key(*parts: str) -> str:
    return _SEPARATOR.join(parts)


def _bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
