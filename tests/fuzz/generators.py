"""Records, rows and texts that are nearly right, and some that are nothing at all."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.instance import SagaStatus
from sagas.ports import Record
from sagas.wire.headers import Headers
from tests.fuzz.judging import TOPICS
from tests.samples import OrderFulfilment

__all__ = ["bodies", "headers", "letters", "records", "rows", "texts"]

SERVICES = ("orders", "inventory", "payments", "shipping", "notifications", "strangers")
TYPES = (*OrderFulfilment.events, *CONTROL_EVENTS, "else.Happened.v1", "orders.OrderPlaced.v2", "")

HOSTILE = (
    "",
    "\x00",
    "\ufefforder",
    "a\nb: forged",
    "\x1b[31mred\x1b[2J",
    "\x9b31m",
    "\u202eabc\u2066",
    "[/bold]",
    "[red]a[/red]",
    "\U0001f9e8" * 50,
    "e\u0301" * 100,
    "1" * 30,
    "9" * 15,
    "-1",
    "1e9",
    "\u0661\u0662",
    "NaN",
    "0000-01-01T00:00:00Z",
    "99999-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59",
    "9891-01-01T00:00:00Z",
    "2026-01-31",
    "x" * 5_000,
)
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(max_size=60),
    st.from_regex(r"[a-z0-9-]{1,20}", fullmatch=True),
)
values = st.one_of(
    st.just("o1").map(str.encode),
    texts.map(str.encode),
    st.binary(max_size=40),
    st.sampled_from(
        (b"\xff\xfe", b"\xc3\x28", "o1".encode("utf-16"), b"\xed\xa0\x80", b"x" * 100_000)
    ),
)
"""Of a header."""

NAMES = (
    *("ce_id", "ce_type", "ce_source", "ce_time", "ce_specversion", "ce_saganame", "ce_sagaid"),
    *("ce_sagadef", "ce_sagaseq", "ce_sagagen", "ce_sagaepoch", "ce_sagaassumed", "ce_sagastatus"),
    *("ce_causationid", "ce_correlationid", "ce_tenant", "ce_deadline", "traceparent"),
    "tracestate",
    *("content-type", "dlq-reason", "dlq-resolved", "dlq-topic", "dlq-partition", "dlq-offset"),
)


@st.composite
def headers(draw: st.DrawFn) -> Headers:
    """Those of a good event, with a few changed, doubled or left out."""
    type_ = draw(st.sampled_from(TYPES))
    good = {
        "ce_id": b"e-1",
        "ce_type": type_.encode(),
        "ce_source": b"orders",
        "ce_time": b"2026-01-31T12:00:00Z",
        "ce_saganame": b"order-fulfilment",
        "ce_sagaid": b"o1",
        "ce_causationid": b"e-0",
        "ce_sagaseq": b"1",
        "ce_sagagen": b"1",
        "ce_sagastatus": draw(st.sampled_from([status.encode() for status in SagaStatus])),
    }
    for name in draw(st.lists(st.sampled_from(sorted(good)), max_size=3)):
        good.pop(name, None)
    names = st.one_of(st.sampled_from(NAMES), texts)
    changed = draw(st.lists(st.tuples(names, values), max_size=3))
    padding = draw(st.sampled_from((0, 0, 0, 0, 150, 10_000)))
    return (*good.items(), *((f"h{n}", b"v") for n in range(padding)), *changed)


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    st.sampled_from((10**30, -(10**18), 10**4_000, 1e308, 2**63, "\ud800", "o1")),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)
fields = st.sampled_from(
    ("order_id", "items", "step", "error", "attempts", "direction", "name", "due_ms", "by", "why")
)
objects = st.dictionaries(st.one_of(fields, texts), trees, max_size=8).map(
    lambda made: {"order_id": "o1"} | made
)
RAW = (
    b"",
    b"null",
    b"[]",
    b"{",
    b'{"order_id": "o1"}',
    b'\xef\xbb\xbf{"order_id": "o1"}',
    '{"order_id": "o1"}'.encode("utf-16"),
    b'{"order_id": "\\ud800"}',
    b'{"order_id": "o1", "order_id": "o2"}',
    b'{"order_id": "o1", "items": NaN}',
    b'{"order_id": ' + b"1" * 10_000 + b"}",
    b'{"order_id": "o1", "more": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b'{"order_id": "o1", "items": [' + b"1," * 5_000 + b"1]}",
    b'{"order_id": "o1", "step": "reserve_stock", "error": "\\u001b[2J", "attempts": 1}',
    b'{"order_id": "o1", "step": "no", "direction": "undo", "error": "", "attempts": 1}',
    b'{"by": "me", "why": "x", "name": "deadline", "due_ms": 1' + b"0" * 4_000 + b"}",
)
bodies = st.one_of(
    st.sampled_from(RAW),
    objects.map(lambda made: json.dumps(made).encode()),
    st.binary(max_size=200),
)
keys = st.one_of(st.none(), st.just(b"o1"), values)
moments = st.one_of(
    st.just(1_769_860_800_000), st.sampled_from((-1, 0, 2**63 - 1, -(2**63), 10**15)), st.integers()
)


def _record(
    topic: str, key: bytes | None, value: bytes | None, made: Headers, at_ms: int
) -> Record:
    return Record(topic, 0, 7, key, value, made, at_ms)


topics = st.one_of(
    st.sampled_from([TOPICS.events(name) for name in SERVICES]),
    st.just(TOPICS.control("order-fulfilment")),
)
any_headers = st.one_of(headers(), st.lists(st.tuples(texts, values), max_size=8).map(tuple))
records = st.builds(_record, topics, keys, st.one_of(st.none(), bodies), any_headers, moments)

DLQ = ("topic", "partition", "offset", "reason", "exception", "service", "time-ms", "resolved")
DLQ_MORE = (*DLQ, "by", "why", "omitted", "value-bytes")


@st.composite
def _letter(draw: st.DrawFn) -> Record:
    good = {
        "dlq-reason": b"no good",
        "dlq-exception": b"InvalidMessage",
        "dlq-service": b"inventory",
        "dlq-topic": TOPICS.events("orders").encode(),
        "dlq-partition": b"0",
        "dlq-offset": str(draw(st.integers(0, 3))).encode(),
        "dlq-time-ms": b"1769860800000",
    }
    if draw(st.booleans()):
        good = {name: value for name, value in good.items() if name != "dlq-reason"}
        good |= {"dlq-resolved": b"replayed", "dlq-by": b"me", "dlq-why": b"because"}
    odd = st.one_of(values, st.sampled_from((b"9" * 19, b"9" * 30, b"-1", b"t" * 100_000)))
    names = st.sampled_from([f"dlq-{name}" for name in DLQ_MORE])
    changed = draw(st.lists(st.tuples(names, odd), max_size=3))
    made = (*draw(any_headers), *good.items(), *changed)
    return _record(TOPICS.dead_letters("inventory"), draw(keys), draw(bodies), made, draw(moments))


letters = st.lists(_letter(), max_size=4)

FACT = ["orders.OrderPlaced.v1", "e-1", None, 1_769_860_800_000, 1]
STATE = ["RUNNING", None, [], [], None, [FACT]]


@st.composite
def rows(draw: st.DrawFn) -> tuple[bytes, dict[str, bytes]]:
    """A row of one event with a few values of its state replaced, or its bytes cut or changed."""
    state: list[object] = list(STATE)
    fact: list[object] = [
        *FACT,
        *draw(st.sampled_from(((), ("start", "undo"), (1,), (1, 2, 3, 4)))),
    ]
    for place in draw(st.lists(st.integers(0, 4), max_size=2)):
        fact[place] = draw(trees)
    state[5] = [fact] * draw(st.integers(0, 2))
    for place in draw(st.lists(st.integers(0, 5), max_size=2)):
        state[place] = draw(trees)
    encoded = json.dumps(state).encode()
    cut = draw(st.one_of(st.just(len(encoded)), st.integers(0, len(encoded))))
    event = json.dumps([["ce_id", "e-1"], ["ce_time", draw(texts)], [draw(texts), draw(texts)]])
    stored = draw(st.one_of(st.just(event.encode() + b"\n{}"), st.binary(max_size=60), bodies))
    slots = st.one_of(st.just(FACT[0]), texts)
    row = draw(st.one_of(st.just(encoded[:cut]), st.binary(max_size=60), bodies))
    return row, draw(st.dictionaries(slots.map(str), st.just(stored), max_size=2))
