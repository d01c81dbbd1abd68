"""What a record in a retry topic carries on top of its own headers: why it waits, and until when.

Owns the names of these headers. The record's own headers, key and value are untouched.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagas.core.definition import Direction
from sagas.core.errors import InvalidMessage
from sagas.wire.headers import Headers

__all__ = ["Retried", "decode_retried", "encode_retried"]

_PREFIX = "retry-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried:
    """Where a record was read first, which action failed with it how often, and when it is due again.

    It leaves its topic at ``release_ms``, the next attempt is made at ``due_ms``: the same, but for a
    pause that is longer than the longest delay. ``time_ms`` is the timestamp of the original record.
    """

    topic: str
    partition: int
    offset: int
    time_ms: int
    step: str
    direction: Direction
    epoch: int
    attempts: int
    resumed: int
    error: str
    release_ms: int
    due_ms: int


def encode_retried(headers: Headers, retried: Retried) -> Headers:
    """The headers of a record that waits: its own, then ours."""
    said = (
        ("topic", retried.topic),
        ("partition", retried.partition),
        ("offset", retried.offset),
        ("time-ms", retried.time_ms),
        ("step", retried.step),
        ("direction", retried.direction),
        ("epoch", retried.epoch),
        ("attempts", retried.attempts),
        ("resumed", retried.resumed),
        ("error", retried.error),
        ("release-ms", retried.release_ms),
        ("due-ms", retried.due_ms),
    )
    return (*headers, *((f"{_PREFIX}{name}", str(value).encode()) for name, value in said))


def decode_retried(headers: Headers) -> tuple[Headers, Retried]:
    """The record's own headers, and why it waits. Raises InvalidMessage."""
    own = tuple((name, value) for name, value in headers if not name.startswith(_PREFIX))
    said = {name[len(_PREFIX) :]: value for name, value in headers if name.startswith(_PREFIX)}
    try:
        text = {name: value.decode() for name, value in said.items()}
        return own, Retried(
            topic=text["topic"],
            partition=int(text["partition"]),
            offset=int(text["offset"]),
            time_ms=int(text["time-ms"]),
            step=text["step"],
            direction=Direction(text["direction"]),
            epoch=int(text["epoch"]),
            attempts=int(text["attempts"]),
            resumed=int(text["resumed"]),
            error=text["error"],
            release_ms=int(text["release-ms"]),
            due_ms=int(text["due-ms"]),
        )
    except (KeyError, ValueError) as error:
        raise InvalidMessage(
            f"The record waits in a retry topic, and its retry headers can not be read ({error!r}). Only "
            "the framework writes there; publish to the topic of a service instead."
        ) from error
