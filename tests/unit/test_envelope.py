"""Headers: written and read the same, whether their names came before or not."""

from __future__ import annotations

from itertools import product

import pytest

from sagas.core.errors import InvalidMessage
from sagas.wire import envelope as envelopes
from sagas.wire.envelope import Envelope, Trail, decode_headers, encode_headers
from sagas.wire.headers import Headers

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DECIDED = Envelope(
    *("e1", "payments.PaymentAuthorized.v1", "payments", 1_767_225_600_250, "shop", "o1", b"{}"),
    *("c1", "f1", 3, 1),
    status="RUNNING",
    trail=Trail("k1", "t1", 1_767_225_601_000, TRACE, "vendor=1"),
)
HEADERS: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_type", b"payments.PaymentAuthorized.v1"),
    ("ce_source", b"payments"),
    ("ce_time", b"2026-01-01T00:00:00.250Z"),
    ("content-type", b"application/json"),
    ("ce_saganame", b"shop"),
    ("ce_sagaid", b"o1"),
    ("ce_sagadef", b"f1"),
    ("ce_sagaseq", b"3"),
    ("ce_sagagen", b"1"),
    ("ce_sagastatus", b"RUNNING"),
    ("ce_causationid", b"c1"),
    ("ce_correlationid", b"k1"),
    ("ce_tenant", b"t1"),
    ("ce_deadline", b"2026-01-01T00:00:01.000Z"),
    ("traceparent", TRACE.encode()),
    ("tracestate", b"vendor=1"),
)
FRAMED: Headers = (
    *HEADERS[:11],
    *(("ce_sagaepoch", b"2"), ("ce_sagaassumed", b"1"), ("ce_sagafolded", b"aa bb")),
    *HEADERS[11:],
)


def decoded(headers: Headers) -> Envelope:
    """By the whole of the rules, and again by what is remembered of the names."""
    envelopes._LAYOUTS.clear()
    found = decode_headers(headers, b"{}", time_ms=7)
    assert decode_headers(headers, b"{}", time_ms=7) == found
    return found


def test_what_a_participant_decides_has_these_headers_in_this_order() -> None:
    assert encode_headers(DECIDED) == HEADERS


def test_what_is_seldom_there_stands_before_the_status() -> None:
    rare = DECIDED._replace(epoch=2, assumed=True, folded=("aa", "bb"))
    assert encode_headers(rare) == FRAMED
    assert decoded(FRAMED) == rare


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"saga": None, "saga_id": None, "causation_id": None, "fingerprint": None, "status": None},
        {"seq": 0, "generation": 0},
        {"seq": 999_999, "generation": 1_000},
        {"epoch": 1},
        {"assumed": True},
        {"folded": ("a" * 16,)},
        {"id": "a\nb", "saga_id": "ü", "status": ""},
        {"time_ms": 0},
    ],
)
def test_an_envelope_is_read_as_it_was_written(fields: dict[str, object]) -> None:
    for trail in map(
        Trail, *zip(*product((None, "k"), (None, "t"), (None, 5), (None, TRACE)), strict=True)
    ):
        envelope = Envelope._make({**DECIDED._asdict(), **fields, "trail": trail}.values())
        headers = encode_headers(envelope)
        assert decoded(headers) == envelope
        strange = (("other", b"\xff"), *reversed(headers))
        assert decoded(strange) == envelope


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ce_time", b"2026-02-31T00:00:00.250Z", "ce_time"),
        ("ce_time", b"2026-01-01T00:00:00.25xZ", "ce_time"),
        ("ce_deadline", b"soon", "ce_deadline"),
        ("ce_sagaseq", b"-1", "ce_sagaseq is '-1'"),
        ("ce_sagagen", b"1e3", "ce_sagagen"),
        ("ce_sagaepoch", "٣".encode(), "ce_sagaepoch"),
        ("ce_sagaassumed", b"yes", "ce_sagaassumed"),
        ("ce_id", b"\xff", "ce_id is not UTF-8"),
        ("ce_id", b"e" * 5_000, "ce_id has 5000 bytes"),
        ("other", b"v" * 70_000, "headers have"),
    ],
)
def test_names_that_came_before_excuse_no_value(name: str, value: bytes, words: str) -> None:
    headers = (*FRAMED, ("other", b""))
    decoded(headers)
    with pytest.raises(InvalidMessage, match=words):
        decode_headers(
            tuple((one, value if one == name else said) for one, said in headers), b"", time_ms=7
        )


def test_of_a_name_that_comes_twice_the_last_value_counts() -> None:
    assert decoded((*HEADERS, ("ce_id", b"e2"))) == DECIDED._replace(id="e2")


def test_made_up_names_fill_no_memory() -> None:
    for number in range(1_000):
        decode_headers((*HEADERS, (f"other-{number}", b"")), b"", time_ms=7)
        decode_headers((*HEADERS, (f"other-{number}" * 1_000, b"")), b"", time_ms=7)
    known = envelopes._LAYOUTS
    assert len(known) <= 256
    assert max(len(name) for names in known for name in names) < 100
