"""The envelope: an event's headers and payload, as CloudEvents 1.0 in Kafka's binary mode.

Owns the names and encodings of the headers. Decoding trusts nothing: whatever an outside producer may
send ends in an envelope or in an InvalidMessage that says what was seen and what was expected.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sagas.core.errors import InvalidMessage
from sagas.wire.headers import Headers, Names, remember
from sagas.wire.times import (
    FRACTIONS,
    FRACTIONS_MS,
    TIME_MS_MAX,
    milliseconds,
    second_ms,
    second_text,
    time_text,
)

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


_Header = tuple[str, bytes]

_VERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")


def encode_headers(envelope: Envelope) -> Headers:
    """The headers of an envelope; what is absent is left out."""
    # fmt: off
    (id_, type_, source, time_ms, saga, saga_id, _, cause, fingerprint, seq, generation, epoch,
     assumed, status, folded, trail) = envelope
    # fmt: on
    kind = _of_kind(type_, source, saga, fingerprint, seq, generation, status)
    if kind is None or saga_id is None or cause is None or epoch or assumed or folded:
        headers = _of_event(envelope)
    else:
        # What participants decide on, and little of it differs within a kind: 0.8 us instead of 2.2.
        of_type, of_source, of_saga, of_fingerprint, of_seq, of_generation, of_status = kind
        headers = [
            _VERSION,
            ("ce_id", id_.encode()),
            of_type,
            of_source,
            ("ce_time", second_text(time_ms // 1000) + FRACTIONS[time_ms % 1000]),
            _JSON,
            of_saga,
            ("ce_sagaid", saga_id.encode()),
            of_fingerprint,
            of_seq,
            of_generation,
            of_status,
            ("ce_causationid", cause.encode()),
        ]
    correlation_id, tenant, deadline_ms, traceparent, tracestate = trail
    if correlation_id is not None:
        headers.append(("ce_correlationid", correlation_id.encode()))
    if tenant is not None:
        headers.append(("ce_tenant", tenant.encode()))
    if deadline_ms is not None:
        deadline = second_text(deadline_ms // 1000) + FRACTIONS[deadline_ms % 1000]
        headers.append(("ce_deadline", deadline))
    if traceparent is not None:
        headers.append(("traceparent", traceparent.encode()))
    if tracestate is not None:
        headers.append(("tracestate", tracestate.encode()))
    return tuple(headers)


@lru_cache(maxsize=512)
def _of_kind(*values: str | int | None) -> tuple[_Header, ...] | None:
    """The headers that many events share; None where one of them is missing."""
    if None in values or 0 in values:
        return None
    return tuple((name, f"{value}".encode()) for name, value in zip(_KIND, values, strict=True))


_KIND = (
    *("ce_type", "ce_source", "ce_saganame", "ce_sagadef"),
    *("ce_sagaseq", "ce_sagagen", "ce_sagastatus"),
)


def _of_event(envelope: Envelope) -> list[_Header]:
    """All of an envelope but its trail, whatever is there."""
    headers = [
        _VERSION,
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", time_text(envelope.time_ms)),
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
    return headers


def _of_decided(envelope: Envelope) -> Iterator[_Header]:
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


def decode_headers(headers: Headers, payload: bytes, *, time_ms: int) -> Envelope:
    """The envelope of a record.

    ``time_ms`` stands in where the producer set none. Raises InvalidMessage for a header that is not
    text, too long, or not of its form, for too many of them, and for a time that nobody can write down;
    a missing id, type or source gives the empty string.
    """
    # Names that came before, and values as we write them, are looked up: 2.7 us instead of 5. Whatever is not
    # so is left to ``_decode_any``, which has all the rules.
    try:
        names, values = zip(*headers)  # noqa: B905 - pairs
        usual, rare = _LAYOUTS[names]
        joined = b"\n".join(values)
        texts: list[str | None] = [*joined.decode().split("\n"), None]
        if len(joined) <= _VALUE_MAX and len(texts) == len(values) + 1:
            # fmt: off
            (id_, type_, source, time, saga, saga_id, cause, fingerprint, seq, generation, status,
             correlation_id, tenant, deadline, traceparent) = usual(texts)
            epoch, assumed, folded, tracestate = _USUAL if rare is None else _rare(*rare(texts))
            ms = second_ms(time[:19]) + FRACTIONS_MS[time[19:]]
            if deadline is not None:
                deadline = second_ms(deadline[:19]) + FRACTIONS_MS[deadline[19:]]
            # The Python function that makes a named tuple costs as much again as the tuple.
            trail = tuple.__new__(
                Trail, (correlation_id, tenant, deadline, traceparent, tracestate)
            )
            return tuple.__new__(
                Envelope,
                (id_, type_, source, ms, saga, saga_id, payload, cause, fingerprint, _COUNTS[seq],
                 _COUNTS[generation], epoch, assumed, status, folded, trail),
            )
            # fmt: on
    except (KeyError, ValueError, InvalidMessage):
        pass
    return _decode_any(headers, payload, time_ms)


class _Layout(NamedTuple):
    """Where the values are that an envelope is made of, of headers with certain names; the last but one
    stands for what is not there.
    """

    usual: itemgetter[Any]
    rare: itemgetter[Any] | None


_LAYOUTS: dict[Names, _Layout] = {}
_NEEDED = ("ce_id", "ce_type", "ce_source", "ce_time")
_USUAL_NAMES = (
    *(*_NEEDED, "ce_saganame", "ce_sagaid", "ce_causationid", "ce_sagadef", "ce_sagaseq"),
    *("ce_sagagen", "ce_sagastatus", "ce_correlationid", "ce_tenant", "ce_deadline", "traceparent"),
)
_RARE_NAMES = ("ce_sagaepoch", "ce_sagaassumed", "ce_sagafolded", "tracestate")
_USUAL: tuple[int, bool, tuple[str, ...], str | None] = (0, False, (), None)
_COUNTS: dict[str | None, int] = {None: 0, **{str(count): count for count in range(1000)}}


def _layout_of(names: Names) -> _Layout | None:
    """None where something is missing that every event of ours has."""
    if not set(names).issuperset(_NEEDED):
        return None
    at = {name: number for number, name in enumerate(names)}
    usual = itemgetter(*(at.get(name, -1) for name in _USUAL_NAMES))
    rare = itemgetter(*(at.get(name, -1) for name in _RARE_NAMES))
    return _Layout(usual, None if at.keys().isdisjoint(_RARE_NAMES) else rare)


def _decode_any(headers: Headers, payload: bytes, time_ms: int) -> Envelope:
    """By all the rules, whatever is there and in whatever form."""
    text = _texts(headers).get
    time_text, deadline = text("ce_time"), text("ce_deadline")
    sent_ms = _record_time(time_ms) if time_text is None else milliseconds("ce_time", time_text)
    seq, generation = (
        _number("ce_sagaseq", text("ce_sagaseq")),
        _number("ce_sagagen", text("ce_sagagen")),
    )
    epoch, assumed, folded, tracestate = _rare(*map(text, _RARE_NAMES))
    deadline_ms = None if deadline is None else milliseconds("ce_deadline", deadline)
    envelope = Envelope(
        text("ce_id", ""),
        text("ce_type", ""),
        text("ce_source", ""),
        sent_ms,
        text("ce_saganame"),
        text("ce_sagaid"),
        payload,
        text("ce_causationid"),
        text("ce_sagadef"),
        seq,
        generation,
        epoch,
        assumed,
        text("ce_sagastatus"),
        folded,
        Trail(
            text("ce_correlationid"),
            text("ce_tenant"),
            deadline_ms,
            text("traceparent"),
            tracestate,
        ),
    )
    remember(_LAYOUTS, tuple(name for name, _ in headers), _layout_of)
    return envelope


def _rare(
    epoch: str | None, assumed: str | None, folded: str | None, tracestate: str | None
) -> tuple[int, bool, tuple[str, ...], str | None]:
    return (
        _number("ce_sagaepoch", epoch),
        _number("ce_sagaassumed", assumed) > 0,
        () if folded is None else tuple(folded.split()),
        None if tracestate is None else _state(tracestate),
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


def _record_time(ms: int) -> int:
    """Kafka takes whatever time a producer puts on a record, and -1 says that there is none."""
    if not 0 <= ms < TIME_MS_MAX:
        raise InvalidMessage(
            f"The record's own time is {ms} ms after 1970, which is no time, and it has no header "
            "ce_time; set one such as 2026-01-31T12:00:00Z."
        )
    return ms
