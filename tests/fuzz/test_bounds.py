"""What a record costs is bounded by its size: the worst ones, weighed."""

from __future__ import annotations

import tracemalloc

import pytest
from pydantic import Field

from sagas import Event
from sagas.core.errors import WORDS_MAX, InvalidMessage
from sagas.core.printable import printable
from sagas.ports import Record
from sagas.runtime.incoming import decode_incoming, decode_payload
from sagas.wire.envelope import decode_headers
from sagas.wire.headers import Headers
from tests.fuzz.judging import TOPICS, check_words, judge_record
from tests.samples import OrderFulfilment

PLACED: Headers = (
    ("ce_type", b"orders.OrderPlaced.v1"),
    ("ce_saganame", b"order-fulfilment"),
    ("ce_sagaid", b"o1"),
)
SKIPPED: Headers = (("ce_type", b"sagas.SkipRequested.v1"), *PLACED[1:], ("ce_id", b"e"))


def placed(value: bytes, headers: Headers = PLACED, key: bytes = b"o1", at_ms: int = 1) -> Record:
    return Record(TOPICS.events("orders"), 0, 0, key, value, headers, at_ms)


GOOD = b'{"order_id": "o1"}'
WORST = {
    "440,000 wrong elements": placed(b'{"order_id":"o1","items":[' + b"1," * 440_000 + b"1]}"),
    "100,000 deep": placed(b'{"order_id":"o1","items":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "5 MB": placed(b'{"order_id":"' + b"x" * 5_000_000 + b'"}'),
    "a control message of 5 MB": placed(b'{"by":"' + b"x" * 5_000_000 + b'"}', SKIPPED),
    "a number of 10,000 digits": placed(b'{"order_id":"o1","items":[' + b"9" * 10_000 + b"]}"),
    "a key of 100 KB": placed(b"{", key=b"k" * 100_000),
    "a type of 1 MB": placed(GOOD, (("ce_type", b"\x01" * 1_000_000), *PLACED[1:])),
    "a saga of 1 MB": placed(GOOD, (PLACED[0], ("ce_saganame", b"s" * 1_000_000))),
    "100,000 headers": placed(GOOD, (*PLACED, *((f"h{n}", b"") for n in range(100_000)))),
    "one header of 1 MB": placed(GOOD, (*PLACED, ("other", b"v" * 1_000_000))),
    "the same header 10,000 times": placed(GOOD, PLACED * 10_000),
    "a time in the year 292,278,994": placed(GOOD, at_ms=2**63 - 1),
    "a time before 1970": placed(GOOD, at_ms=-1),
    "an epoch of 30 digits": placed(GOOD, (*PLACED, ("ce_sagaepoch", b"1" * 30))),
    "an id of 4,096 bytes": placed(GOOD, (*PLACED, ("ce_id", b"e" * 4_096))),
    "an id that forges a log line": placed(GOOD, (*PLACED, ("ce_id", b"a\nb"))),
}


@pytest.mark.parametrize("name", WORST)
def test_a_bad_record_costs_a_small_multiple_of_its_size_and_is_refused(name: str) -> None:
    record = WORST[name]
    headers_bytes = sum(200 + len(text) + len(value) for text, value in record.headers)
    size_bytes = len(record.value or b"") + len(record.key or b"") + headers_bytes
    tracemalloc.start()
    try:
        outcome = judge_record(record)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome == "refused"
    assert peak_bytes < 1_000_000 + 3 * size_bytes


class Wide(Event, type="a.Wide.v1"):
    values: dict[str, int] = Field(default_factory=dict)
    either: list[int | str | bool] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (
            b'{"values": {' + b",".join(b'"%d":"x"' % n for n in range(50_000)) + b"}}",
            "50000 values are wrong",
        ),
        (b'{"either": [' + b"{}," * 50_000 + b"{}]}", "either.0.int: Input should be a valid"),
        (b'{"values": {"' + b"k" * 500_000 + b'": "x"}}', "values.kkk"),
        (b'{"values": {"\\u001b[2J": "x"}}', "values.\\x1b[2J: Input should be a valid integer"),
    ],
    ids=["entries", "elements", "a long name", "a name that clears the screen"],
)
def test_what_is_wrong_with_a_payload_is_said_in_a_few_words(payload: bytes, words: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidMessage) as caught:
            decode_payload(Wide, Wide.event_type, payload)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert words in str(caught.value)
    check_words(str(caught.value))
    assert peak_bytes < 8_000_000


def test_every_list_of_an_event_is_refused_at_its_first_wrong_element() -> None:
    class Items(Event, type="a.Items.v1"):
        items: tuple[tuple[int, ...], ...] = ()
        others: frozenset[int] | None = None

    with pytest.raises(InvalidMessage) as caught:
        decode_payload(
            Items, Items.event_type, b'{"items": [["a", "b"], ["c"]], "others": ["d", "e"]}'
        )
    assert "items.0.0:" in str(caught.value)
    assert "others.0:" in str(caught.value)
    assert "items.0.1:" not in str(caught.value)
    assert "items.1" not in str(caught.value)


def test_a_default_that_looks_like_a_schema_is_left_alone() -> None:
    default = {"type": "list"}

    class Odd(Event, type="a.Odd.v1"):
        how: dict[str, str] = default

    assert Odd().how == default == {"type": "list"}


def test_an_id_of_the_most_that_is_taken_can_be_named_as_a_cause() -> None:
    id_ = "\U00010348" * 500  # four bytes each
    headers = (*PLACED, ("ce_id", id_.encode()))
    incoming = decode_incoming(
        decode_headers(headers, GOOD, time_ms=1), OrderFulfilment, "orders.OrderPlaced.v1"
    )
    cause = f"{incoming.fact.id}-dead".encode()
    assert (
        decode_headers((("ce_causationid", cause),), b"", time_ms=1).causation_id == cause.decode()
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本", "plain é 日本"),
        ("a\nb\r\t\x00\x7f", "a\\nb\\r\\t\\x00\\x7f"),
        ("\x1b[31m\x9b1m", "\\x1b[31m\\x9b1m"),
        ("\u202eabc\u2066\ufeff", "\\u202eabc\\u2066\\ufeff"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_can_not_be_printed_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["x" * 5_000, "\x00" * 1_000, "\U000e0001" * 400])
def test_words_have_a_bound_and_say_what_was_cut_off(text: str) -> None:
    shown = printable(text, chars_max=WORDS_MAX)
    assert len(shown) == WORDS_MAX
    assert shown.endswith(f" … ({len(text)} characters)")
    assert printable("a\nb", lines=True) == "a\nb"
