"""What is said of a saga that turns back, is parked on its way, or has ended."""

from __future__ import annotations

import pytest

from sagas.core.definition import (
    SAGA_CANCELLED,
    SAGA_EXPIRED,
    SAGA_PARKED,
    SAGA_RESUMED,
    START,
    STEP_FAILED,
    STEP_TIMED_OUT,
    UNDO_AGAIN,
    UNDO_FAILED,
    Role,
)
from sagas.operating.explaining import (
    Situation,
    Surroundings,
)
from tests.explained import (
    ASSUMED,
    CANCELLED,
    CONFIRMED,
    DECLINED,
    DECLINING,
    DELIVERING,
    PARKED_PAYLOAD,
    PAYING,
    RELEASED,
    commands,
    lines,
    told,
)
from tests.recorded import Telling, at


def test_compensating() -> None:
    found = told(DECLINING, 4, payloads={DECLINED: {"order_id": "o-1", "reason": "no funds"}})
    assert (found.situation, found.to_undo) == (
        Situation.COMPENSATING,
        ("reserve_stock", "start"),
    )
    assert lines(found) == [
        (
            "Compensating since 14:00:01 (3 s), because payments refused authorize_payment: "
            "PaymentDeclined (order_id=o-1, reason=no funds)."
        ),
        "Waiting for StockReleased from inventory (the undo of reserve_stock) since 14:00:01 (3 s).",
        "Nobody could be asked about inventory: its workers and lag are not known.",
        "To be undone after that: start.",
    ]
    later = told({**DECLINING, 2: RELEASED}, 4)
    assert (later.undone, later.to_undo) == (("reserve_stock",), ("start",))
    assert lines(later)[1] == (
        "Waiting for OrderCancelled from orders (the undo of start) since 14:00:02 (2 s)."
    )
    assert lines(later)[-1] == "Undone so far: reserve_stock."


@pytest.mark.parametrize(
    ("turning", "payload", "because"),
    [
        ((SAGA_EXPIRED, START, Role.CANCELLED), {}, "its deadline had passed"),
        (
            (SAGA_CANCELLED, START, Role.CANCELLED),
            {"by": "ann", "why": "changed their mind."},
            "it was cancelled by ann: changed their mind",
        ),
        ((SAGA_CANCELLED, START, Role.CANCELLED), {}, "it was cancelled"),
        (
            (STEP_TIMED_OUT, "authorize_payment", Role.FAILED),
            {"step": "authorize_payment"},
            "the time of authorize_payment (payments) was up",
        ),
        (
            (STEP_FAILED, "authorize_payment", Role.FAILED),
            {"step": "authorize_payment", "error": "KeyError: 'x'", "attempts": 1},
            "authorize_payment failed for good after 1 attempt: KeyError: 'x'",
        ),
        (RELEASED, {}, "of StockReleased (reserve_stock)"),
    ],
)
def test_why_it_turned_back(turning: Telling, payload: dict[str, object], because: str) -> None:
    name = turning if isinstance(turning, str) else turning[0]
    found = told({**PAYING, 1: turning}, 2, payloads={name: payload} if payload else None)
    assert found.reason == because
    assert f", because {because}." in lines(found)[0]


def test_parked_because_a_compensation_failed() -> None:
    found = told(
        {**DECLINING, 9: (SAGA_PARKED, "reserve_stock", Role.PARKED)},
        189,
        payloads={SAGA_PARKED: PARKED_PAYLOAD},
    )
    assert lines(found) == [
        (
            "Parked since 14:00:09 (3 min): the undo of reserve_stock failed for good after 3 attempts: "
            "OSError: no line."
        ),
        "reserve_stock is declared so that somebody is called then (ESCALATE).",
        "It goes on only when an operator says so.",
        (
            "Compensating since 14:00:01 (3 min), because payments refused authorize_payment: "
            "PaymentDeclined."
        ),
        "To be undone next: reserve_stock.",
        "To be undone after that: start.",
    ]
    assert found.left == ("start", "reserve_stock")
    assert 'sagas skip o-1 StockReleased --why "..."' in commands(found)


def test_resumed_it_waits_since_then() -> None:
    found = told(
        {
            **DECLINING,
            9: (SAGA_PARKED, "reserve_stock", Role.PARKED),
            60: (SAGA_RESUMED, START, Role.RESUMED),
        },
        63,
    )
    assert found.situation is Situation.COMPENSATING
    assert found.expects[0].awaited.since_ms == at(60)


def test_completed() -> None:
    found = told({**DELIVERING, 100: CONFIRMED}, 200, around=Surroundings(keep_ended_ms=86_400_000))
    assert (found.situation, found.ended_ms) == (Situation.COMPLETED, at(100))
    assert lines(found) == [
        "Completed at 14:01:40, 1 min after its start.",
        "The saga table forgets it after 14:01:40.",
    ]
    assert (found.choices, found.expects, found.stuck) == ((), (), ())


def test_completed_without_an_answer() -> None:
    found = told({**DELIVERING, 100: ASSUMED}, 200)
    assert lines(found)[1] == "It went on without confirm_receipt, along ReceiptAssumed."


def test_compensated() -> None:
    found = told({**DECLINING, 2: RELEASED, 3: CANCELLED}, 200)
    assert (found.situation, found.undone) == (
        Situation.COMPENSATED,
        ("reserve_stock", "start"),
    )
    assert lines(found) == [
        (
            "Compensated at 14:00:03, 3 s after its start: it turned back because payments refused "
            "authorize_payment: PaymentDeclined, and all of it is undone."
        ),
        "Undone: reserve_stock and start.",
    ]


def test_failed_with_something_left_and_asked_for_once_more() -> None:
    events: dict[float, Telling] = {
        **DECLINING,
        2: (UNDO_FAILED, "reserve_stock", Role.UNDO_FAILED),
        3: CANCELLED,
    }
    found = told(events, 200)
    assert (found.situation, found.left) == (Situation.FAILED, ("reserve_stock",))
    assert lines(found) == [
        (
            "Failed at 14:00:03, 3 s after its start: it turned back because payments refused "
            "authorize_payment: PaymentDeclined, and not all of it could be undone."
        ),
        "Undone: start.",
        "The undo of reserve_stock was given up: the effect is, or may be, still there.",
    ]
    assert commands(found) == ['sagas replay-compensations --id o-1 --execute --why "..."']
    again = told({**events, 150: (UNDO_AGAIN, "reserve_stock", Role.AGAIN)}, 200)
    assert (again.ended_ms, again.since_ms) == (at(3), at(150))
    assert (
        "Waiting for StockReleased from inventory (the undo of reserve_stock, once more under epoch 1) "
        "since 14:02:30 (50 s)." in lines(again)
    )
