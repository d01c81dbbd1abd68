"""The envelope: an event's headers and payload, as CloudEvents 1.0 in Kafka's binary mode.

Owns the names and encodings of the headers. Decoding trusts nothing: whatever an outside producer may
send ends in an envelope or in an InvalidMessage that says what was seen and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

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


class Trail(NamedTuple):
    """What travels with a saga over every hop."""

    correlation_id: str | None = None
    tenant: str | None = None
    deadline_ms: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Envelope(NamedTuple):
    """An event on its way. ``payload`` is its JSON, untouched.

    ``seq`` and ``generation`` are the instance's version and the table's generation after this event,
    ``status`` is the saga's; ``assumed`` marks an otherwise event that no handler returned. They are empty
    (0, None) on an event that a client or an outside producer emitted: nobody had decided anything then.
    ``folded`` holds the marks of the events from outside that were recorded when this one was decided: a
    rebuild puts them back in their places. A tuple, because every message makes several.
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


_VERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")


def encode_headers(envelope: Envelope) -> Headers:
    """The headers of an envelope; what is absent is left out."""
    headers = [
        _VERSION,
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", _rfc3339(envelope.time_ms).encode()),
        _JSON,
    ]
    if envelope.saga is not None:
        headers.append(("ce_saganame", envelope.saga.encode()))
    if envelope.saga_id is not None:
        headers.append(("ce_sagaid", envelope.saga_id.encode()))
    if envelope.fingerprint is not None:
        headers.append(("ce_sagadef", envelope.fingerprint.encode()))
    headers += _of_decided(envelope)
    if envelope.status is not None:
        headers.append(("ce_sagastatus", envelope.status.encode()))
    if envelope.causation_id is not None:
        headers.append(("ce_causationid", envelope.causation_id.encode()))
    headers += _of_trail(*envelope.trail)
    return tuple(headers)


def _of_decided(envelope: Envelope) -> Iterator[tuple[str, bytes]]:
    if envelope.seq:
        yield "ce_sagaseq", b"%d" % envelope.seq
    if envelope.generation:
        yield "ce_sagagen", b"%d" % envelope.generation
    if envelope.epoch:
        yield "ce_sagaepoch", b"%d" % envelope.epoch
    if envelope.assumed:
        yield "ce_sagaassumed", b"1"
    if envelope.folded:
        yield "ce_sagafolded", " ".join(envelope.folded[:_FOLDED_MAX]).encode()


def _of_trail(
    correlation_id: str | None,
    tenant: str | None,
    deadline_ms: int | None,
    traceparent: str | None,
    tracestate: str | None,
) -> Iterator[tuple[str, bytes]]:
    if correlation_id is not None:
        yield "ce_correlationid", correlation_id.encode()
    if tenant is not None:
        yield "ce_tenant", tenant.encode()
    if deadline_ms is not None:
        yield "ce_deadline", _rfc3339(deadline_ms).encode()
    if traceparent is not None:
        yield "traceparent", traceparent.encode()
    if tracestate is not None:
        yield "tracestate", tracestate.encode()


def decode_headers(headers: Headers, payload: bytes, *, time_ms: int) -> Envelope:
    """The envelope of a record.

    ``time_ms`` stands in where the producer set none. Raises InvalidMessage for a header that is not
    text, too long, or not of its form, for too many of them, and for a time that nobody can write down;
    a missing id, type or source gives the empty string.
    """
    text = _texts(headers).get
    time_text, deadline, folded = text("ce_time"), text("ce_deadline"), text("ce_sagafolded")
    state = text("tracestate")
    return Envelope(
        text("ce_id", ""),
        text("ce_type", ""),
        text("ce_source", ""),
        _record_time(time_ms) if time_text is None else _milliseconds("ce_time", time_text),
        text("ce_saganame"),
        text("ce_sagaid"),
        payload,
        text("ce_causationid"),
        text("ce_sagadef"),
        _number("ce_sagaseq", text("ce_sagaseq")),
        _number("ce_sagagen", text("ce_sagagen")),
        _number("ce_sagaepoch", text("ce_sagaepoch")),
        _number("ce_sagaassumed", text("ce_sagaassumed")) > 0,
        text("ce_sagastatus"),
        () if folded is None else tuple(folded.split()),
        Trail(
            text("ce_correlationid"),
            text("ce_tenant"),
            None if deadline is None else _milliseconds("ce_deadline", deadline),
            text("traceparent"),
            None if state is None else _state(state),
        ),
    )


def _texts(headers: Headers) -> dict[str, str]:
    """The headers of ours as text, the last one of a name; raises for any that is too large or no text."""
    if len(headers) > _HEADERS_MAX:
        raise InvalidMessage(f"The record has {len(headers)} headers; at most {_HEADERS_MAX} fit.")
    raw = dict(headers)
    # All at once, where no value is long or has a line break: ours never are.
    joined = b"\n".join(raw.values())
    if len(raw) == len(headers) and len(joined) <= _VALUE_MAX and sum(map(len, raw)) <= _VALUE_MAX:
        try:
            texts = joined.decode().split("\n")
        except UnicodeDecodeError:
            texts = []
        if len(texts) == len(raw):
            return dict(zip(raw, texts, strict=True))
    return _texts_one_by_one(headers)


def _texts_one_by_one(headers: Headers) -> dict[str, str]:
    size_bytes = sum(len(name) + len(value) for name, value in headers)
    if size_bytes > _HEADERS_BYTES_MAX:
        raise InvalidMessage(
            f"The record's headers have {size_bytes} bytes; at most {_HEADERS_BYTES_MAX} fit. What is "
            "large belongs into the value."
        )
    given = dict(headers)
    texts = {name: header_text(name, value) for name, value in given.items() if name in _OURS}
    if (state := given.get("tracestate")) is not None:
        texts["tracestate"] = state.decode(errors="replace")
    return texts


def _state(text: str) -> str | None:
    """What tracers hand on, where it is in order: it is no reason to refuse a message."""
    return text if len(text) <= _STATE_MAX and text.isascii() and text.isprintable() else None


_STATE_MAX = 512
"""So much of it has to be handed on, says the W3C."""


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
    if len(text) == _OURS_CHARS and text[19] == "." and text[23] == "Z":
        second, rest = _second_of(text[:19]), text[20:23]
        if second is not None and rest.isdecimal() and rest.isascii():
            return second * 1000 + int(rest)
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


_OURS_CHARS = len("2026-01-31T12:00:00.000Z")


@lru_cache(maxsize=1024)
def _second_of(text: str) -> int | None:
    """A second as we write it, since the epoch; None for anything else."""
    try:
        second = round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except (ValueError, OverflowError):
        return None
    return second if 0 <= second < TIME_MS_MAX // 1000 and _second(second) == text else None


def _record_time(ms: int) -> int:
    """Kafka takes whatever time a producer puts on a record, and -1 says that there is none."""
    if not 0 <= ms < TIME_MS_MAX:
        raise InvalidMessage(
            f"The record's own time is {ms} ms after 1970, which is no time, and it has no header "
            "ce_time; set one such as 2026-01-31T12:00:00Z."
        )
    return ms
