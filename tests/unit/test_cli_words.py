"""A saga's situation in words, spans and times."""

from __future__ import annotations

import json
import re
import time

import pytest

from sagas.cli.output import recent_time
from sagas.cli.topics import TopicState, compare
from sagas.core.definition import Direction
from sagas.core.instance import SagaStatus
from sagas.operating.moments import duration, rfc3339
from sagas.operating.timers import unrecorded
from sagas.operating.words import (
    reason_of,
    retrying_json,
    retrying_words,
    waiting_json,
    waiting_words,
)
from sagas.ports import NewTopic, Timer, TopicDescription
from sagas.runtime.views import Retrying, SagaView, Waiting


def view(
    status: SagaStatus, *waits_for: Waiting, reason: tuple[str, object] | None = None
) -> SagaView:
    return SagaView(
        saga="order-fulfilment",
        saga_id="o1",
        status=status,
        state="PAID",
        version=3,
        generation=1,
        timeline=(),
        waits_for=waits_for,
        reason=None if reason is None else f"{reason[0]} {json.dumps(reason[1])}",
    )


RESERVE = Waiting("reserve_stock", "inventory", Direction.FORWARD)
RELEASE = Waiting("reserve_stock", "inventory", Direction.UNDO)
CAPTURE = Waiting("capture_payment", "payments", Direction.FORWARD)
PARKED = (
    "sagas.SagaParked.v1",
    {"step": "capture_payment", "direction": "forward", "error": "Timeout: no", "attempts": 5},
)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (view(SagaStatus.RUNNING, RESERVE), "reserve_stock (inventory)"),
        (
            view(SagaStatus.RUNNING, RESERVE, CAPTURE),
            "reserve_stock (inventory), capture_payment (payments)",
        ),
        (view(SagaStatus.COMPENSATING, RELEASE), "undo of reserve_stock (inventory)"),
        (view(SagaStatus.COMPLETED), ""),
        (
            view(SagaStatus.PARKED, CAPTURE, reason=PARKED),
            "an operator: capture_payment failed for good after 5 attempts: Timeout: no",
        ),
    ],
)
def test_what_a_saga_waits_for(seen: SagaView, words: str) -> None:
    assert waiting_words(seen) == words


def test_what_it_waits_for_as_json() -> None:
    assert waiting_json(view(SagaStatus.COMPENSATING, RELEASE)) == [
        {"step": "reserve_stock", "service": "inventory", "direction": "undo"}
    ]


@pytest.mark.parametrize(
    ("event", "payload", "text"),
    [
        (
            "payments.PaymentDeclined.v1",
            {"reason": "no funds"},
            "PaymentDeclined (reason=no funds)",
        ),
        ("payments.PaymentDeclined.v1", {"codes": [1, 2]}, "PaymentDeclined (codes=[1, 2])"),
        ("payments.PaymentDeclined.v1", {}, "PaymentDeclined"),
        (
            "sagas.StepFailed.v1",
            {"step": "reserve_stock", "error": "Bug: x", "attempts": 1},
            "reserve_stock failed for good after 1 attempt: Bug: x",
        ),
        (
            "sagas.SagaParked.v1",
            {"step": "reserve_stock", "direction": "undo", "error": "Bug: x", "attempts": 3},
            "the undo of reserve_stock failed for good after 3 attempts: Bug: x",
        ),
    ],
)
def test_why_it_turned_back(event: str, payload: object, text: str) -> None:
    reason = reason_of(view(SagaStatus.COMPENSATING, reason=(event, payload)))
    assert reason is not None
    assert reason.as_json() == {"event": event, "payload": payload, "text": text}


def test_a_reason_that_is_no_json_is_shown_as_it_is() -> None:
    seen = view(SagaStatus.PARKED)
    reason = reason_of(
        SagaView(
            **{name: getattr(seen, name) for name in SagaView.__slots__ if name != "reason"},
            reason="sagas.SagaParked.v1 {broken",
        )
    )
    assert reason is not None
    assert reason.payload == "{broken"


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, ""),
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (61_000, "1 min 1 s"),
        (7_380_000, "2 h 3 min"),
        (349_200_000, "4 d 1 h"),
    ],
)
def test_durations(ms: int | None, text: str) -> None:
    assert duration(ms) == text


def test_recent_times_have_a_date_only_if_it_is_another_day() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d", recent_time(time.time_ns() // 1_000_000))
    assert re.fullmatch(r"2026-\d\d-\d\d \d\d:\d\d", recent_time(1_769_860_800_007))


def test_times_for_scripts() -> None:
    assert rfc3339(1_769_860_800_007) == "2026-01-31T12:00:00.007Z"


def test_topics_are_compared() -> None:
    wanted = [NewTopic(name=name, partitions=4) for name in ("a", "b", "c")]
    there = {
        name: TopicDescription(name=name, partitions=partitions, replication_factor=1)
        for name, partitions in (("a", 4), ("b", 3), ("other", 1))
    }
    assert [(line.name, line.state, line.there) for line in compare(wanted, there)] == [
        ("a", TopicState.OK, 4),
        ("b", TopicState.DIFFERS, 3),
        ("c", TopicState.MISSING, None),
    ]


@pytest.mark.parametrize(
    ("direction", "what"),
    [(Direction.FORWARD, "reserve_stock"), (Direction.UNDO, "the undo of reserve_stock")],
)
def test_what_is_tried_again(direction: Direction, what: str) -> None:
    retrying = Retrying("reserve_stock", "inventory", direction, 2, "OSError: no line", 0, 8_000)
    assert retrying_words(retrying, 5, "at noon, in 8.0 s") == (
        f"attempt 3 of 5 of {what} (inventory) at noon, in 8.0 s; the last error: OSError: no line"
    )
    assert retrying_json(retrying, 5) == {
        "step": "reserve_stock",
        "service": "inventory",
        "direction": direction.value,
        "attempts_failed": 2,
        "attempts": 5,
        "last_error": "OSError: no line",
        "failed_at": "1970-01-01T00:00:00.000Z",
        "next_at": "1970-01-01T00:00:08.000Z",
    }


@pytest.mark.parametrize(
    ("name", "then"),
    [
        ("retry/reserve_stock/forward", "it is tried again, if it was not yet"),
        ("reserve_stock", "nothing: it is cleared"),
    ],
)
def test_timers_of_which_the_record_knows_nothing(name: str, then: str) -> None:
    line = unrecorded(Timer("ordering", "o1", name, 1_000))
    assert (line.timer, line.due_ms, line.then, line.event) == (name, 1_000, then, None)
