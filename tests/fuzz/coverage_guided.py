"""The same judges, fed by a fuzzer that follows the code's branches: ``scripts/fuzz`` runs this.

The first byte of an input chooses what it is: a generated record, row or dead-letter topic, or bytes as they
are. An input that raises is written to a file, and given as the only argument it is judged once more.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["sagas"]):
    from tests.fuzz import test_decoding
    from tests.fuzz.judging import TOPICS, judge_letters, judge_record, judge_row

from sagas.ports import Record
from sagas.wire.headers import Headers

NAMES = ("ce_type", "ce_saganame", "ce_sagaid", "ce_id", "ce_time", "ce_deadline", "ce_sagaseq")
PLACED: Headers = (
    ("ce_type", b"orders.OrderPlaced.v1"),
    ("ce_saganame", b"order-fulfilment"),
    ("ce_sagaid", b"o1"),
)


def payload(data: bytes) -> None:
    """A value as it is, under the headers of a good record."""
    judge_record(Record(TOPICS.events("orders"), 0, 0, b"o1", data, PLACED, 1))


def headers(data: bytes) -> None:
    """Header values as they are, one a line, over those of a good record."""
    named = tuple(zip(NAMES, data.split(b"\n"), strict=False))
    value = b'{"order_id": "o1"}'
    judge_record(Record(TOPICS.events("orders"), 0, 0, b"o1", value, (*PLACED, *named), 1))


def row(data: bytes) -> None:
    """A state, and one event of it."""
    state, _, event = data.partition(b"\x00")
    judge_row(state, {"orders.OrderPlaced.v1": event})


def letter(data: bytes) -> None:
    """A record of a dead-letter topic: header values one a line, then its value."""
    *values, value = data.split(b"\n")
    names = (
        "dlq-topic",
        "dlq-partition",
        "dlq-offset",
        "dlq-reason",
        "dlq-time-ms",
        "dlq-resolved",
    )
    good = (
        ("dlq-topic", b"t"),
        ("dlq-partition", b"0"),
        ("dlq-offset", b"0"),
        ("dlq-reason", b"r"),
    )
    made = (*good, *zip(names, values, strict=False))
    judge_letters([Record(TOPICS.dead_letters("inventory"), 0, 0, b"o1", value, made, 1)])


def generated(test: Callable[..., None]) -> Callable[[bytes], None]:
    """A Hypothesis test as a target: the bytes are its choices."""

    def judge(data: bytes) -> None:
        test.hypothesis.fuzz_one_input(data)  # type: ignore[attr-defined]

    return judge


TARGETS: tuple[Callable[[bytes], None], ...] = (
    payload,
    headers,
    row,
    letter,
    generated(test_decoding.test_a_record_is_understood_passed_over_or_refused_in_words),
    generated(test_decoding.test_a_damaged_row_is_refused_in_words),
    generated(test_decoding.test_a_dead_letter_topic_is_folded_and_shown_whatever_is_in_it),
)


def judge_any(data: bytes) -> None:
    """One input. Whatever is raised is a finding."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, judge_any)
    with contextlib.suppress(KeyboardInterrupt):
        atheris.Fuzz()
