"""The envelope: an event's headers and payload, as CloudEvents 1.0 in Kafka's binary mode.

Owns the names and encodings of the headers. Decoding trusts nothing: whatever an outside producer may
send ends in an envelope or in an InvalidMessage that says what was seen and what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from sagas.core.errors import InvalidMessage
from sagas.wire.headers import Headers

__all__ = [
    "TIME_MS_MAX",
    "Envelope",
    "Trail",
    "decode_headers",
    "encode_headers",
    "header_text",
]

_VALUE_MAX = 4096
"""No header of ours is longer; a longer one is refused before it is decoded."""
_HEADERS_MAX = 200
_HEADERS_BYTES_MAX = 64 * 1024
"""Ours are twenty of some hundred bytes. What else comes along, of proxies and tracers, has plenty of room,
and a record of nothing but headers is refused before they are looked at."""
TIME_MS_MAX = 250_000_000_000_000
"""Some time before the year 9999, the last one that can be written down."""

_FOLDED_MAX = 100
"""So many marks fit into a header."""


@dataclass(frozen=True, slots=True)
class Trail:
    """What travels with a saga over every hop."""

    correlation_id: str | None = None
    tenant: str | None = None
    deadline_ms: int | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An event on its way. ``payload`` is its JSON, untouched.

    ``seq`` and ``generation`` are the instance's version and the table's generation after this event,
    ``status`` is the saga's; ``assumed`` marks an otherwise event that no handler returned. They are empty
    (0, None) on an event that a client or an outside producer emitted: nobody had decided anything then.
    ``folded`` holds the marks of the events from outside that were recorded when this one was decided: a
    rebuild puts them back in their places.
    """

    id: str
    type: str
    source: str
    time_ms: int
    saga: str | None
    saga_id: str | None
    payload: bytes
    causation_id: str | None = None
    fingerprint: str | None = None
    seq: int = 0
    generation: int = 0
    epoch: int = 0
    assumed: bool = False
    status: str | None = None
    folded: tuple[str, ...] = ()
    trail: Trail = Trail()


def encode_headers(envelope: Envelope) -> Headers:
    """The headers of an envelope; what is absent is left out."""
    trail = envelope.trail
    optional = (
        ("ce_saganame", envelope.saga),
        ("ce_sagaid", envelope.saga_id),
        ("ce_sagadef", envelope.fingerprint),
        ("ce_sagaseq", envelope.seq or None),
        ("ce_sagagen", envelope.generation or None),
        ("ce_sagaepoch", envelope.epoch or None),
        ("ce_sagaassumed", 1 if envelope.assumed else None),
        ("ce_sagastatus", envelope.status),
        ("ce_sagafolded", " ".join(envelope.folded[:_FOLDED_MAX]) or None),
        ("ce_causationid", envelope.causation_id),
        ("ce_correlationid", trail.correlation_id),
        ("ce_tenant", trail.tenant),
        ("ce_deadline", None if trail.deadline_ms is None else _rfc3339(trail.deadline_ms)),
        ("traceparent", trail.traceparent),
    )
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", _rfc3339(envelope.time_ms).encode()),
        ("content-type", b"application/json"),
        *((name, str(value).encode()) for name, value in optional if value is not None),
    )


def decode_headers(headers: Headers, payload: bytes, *, time_ms: int) -> Envelope:
    """The envelope of a record.

    ``time_ms`` stands in where the producer set none. Raises InvalidMessage for a header that is not
    text, too long, or not of its form, for too many of them, and for a time that nobody can write down;
    a missing id, type or source gives the empty string.
    """
    text = _texts(headers).get
    time_text, deadline = text("ce_time"), text("ce_deadline")
    return Envelope(
        id=text("ce_id", ""),
        type=text("ce_type", ""),
        source=text("ce_source", ""),
        time_ms=_record_time(time_ms) if time_text is None else _milliseconds("ce_time", time_text),
        saga=text("ce_saganame"),
        saga_id=text("ce_sagaid"),
        payload=payload,
        causation_id=text("ce_causationid"),
        fingerprint=text("ce_sagadef"),
        seq=_number("ce_sagaseq", text("ce_sagaseq")),
        generation=_number("ce_sagagen", text("ce_sagagen")),
        epoch=_number("ce_sagaepoch", text("ce_sagaepoch")),
        assumed=_number("ce_sagaassumed", text("ce_sagaassumed")) > 0,
        status=text("ce_sagastatus"),
        folded=tuple(text("ce_sagafolded", "").split()),
        trail=Trail(
            correlation_id=text("ce_correlationid"),
            tenant=text("ce_tenant"),
            deadline_ms=None if deadline is None else _milliseconds("ce_deadline", deadline),
            traceparent=text("traceparent"),
        ),
    )


def _texts(headers: Headers) -> dict[str, str]:
    """The headers of ours as text, the last one of a name; raises for any that is too large or no text."""
    if len(headers) > _HEADERS_MAX:
        raise InvalidMessage(f"The record has {len(headers)} headers; at most {_HEADERS_MAX} fit.")
    size_bytes = 0
    raw: dict[str, bytes] = {}
    for name, value in headers:
        size_bytes += len(name) + len(value)
        if name in _OURS:
            raw[name] = value
    if size_bytes > _HEADERS_BYTES_MAX:
        raise InvalidMessage(
            f"The record's headers have {size_bytes} bytes; at most {_HEADERS_BYTES_MAX} fit. What is "
            "large belongs into the value."
        )
    return {name: header_text(name, value) for name, value in raw.items()}


_OURS = frozenset(
    {
        *("ce_id", "ce_type", "ce_source", "ce_time", "ce_deadline", "traceparent", "ce_tenant"),
        *("ce_saganame", "ce_sagaid", "ce_sagadef", "ce_sagaseq", "ce_sagagen", "ce_sagaepoch"),
        *("ce_sagaassumed", "ce_sagastatus", "ce_sagafolded", "ce_causationid"),
        "ce_correlationid",
    }
)


def header_text(name: str, value: bytes) -> str:
    """A header's value as text. Raises InvalidMessage for one that is too long, or no text."""
    if len(value) > _VALUE_MAX:
        raise InvalidMessage(f"The header {name} has {len(value)} bytes; at most {_VALUE_MAX} fit.")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(
            f"The header {name} is not UTF-8 text ({error.reason} at byte {error.start}); "
            "encode header values as UTF-8."
        ) from error


def _number(name: str, text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004 - fits a float
        raise InvalidMessage(f"The header {name} is {text[:80]!r}; expected a whole number.")
    return int(text)


def _rfc3339(ms: int) -> str:
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    """The same second is written many times: events, deadlines, and what they lead to."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def _milliseconds(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        ms = round(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        ms = -1
    if not 0 <= ms < TIME_MS_MAX:
        raise InvalidMessage(
            f"The header {name} is {text[:80]!r}; expected a time such as 2026-01-31T12:00:00Z."
        )
    return ms


def _record_time(ms: int) -> int:
    """Kafka takes whatever time a producer puts on a record, and -1 says that there is none."""
    if not 0 <= ms < TIME_MS_MAX:
        raise InvalidMessage(
            f"The record's own time is {ms} ms after 1970, which is no time, and it has no header "
            "ce_time; set one such as 2026-01-31T12:00:00Z."
        )
    return ms
