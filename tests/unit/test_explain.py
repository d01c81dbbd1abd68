"""Every situation of a saga has its sentences: what is said of it at a moment of a virtual day."""

from __future__ import annotations

import json

from sagas.core.definition import (
    SAGA_PARKED,
    START,
    STEP_TIMED_OUT,
    Direction,
    Role,
)
from sagas.core.timers import retry_name
from sagas.operating.explaining import (
    About,
    LetterFact,
    ServiceFact,
    Situation,
    Surroundings,
    Why,
    document_of,
)
from sagas.wire.notes import AttemptNote, encode_attempts
from tests.explained import (
    AROUND,
    AUTHORIZED,
    CAPTURED,
    CONFIRMED,
    DECLINED,
    DELIVERING,
    NOTIFIED,
    PAYING,
    PLACED,
    RESERVED,
    SHIPPED,
    SHIPPING,
    commands,
    lines,
    told,
)
from tests.recorded import Telling, at, clock


def test_waiting_for_a_step() -> None:
    found = told(PAYING, 10.5, around=AROUND)
    assert (found.situation, found.stuck) == (Situation.WAITING, ())
    assert lines(found) == [
        (
            "Waiting for PaymentAuthorized from payments (authorize_payment) since 14:00:00 "
            "(10 s; usually 40 ms)."
        ),
        "payments: 2 workers, lag 0, last error at 14:00:09: OSError: no line.",
        (
            "The time of authorize_payment is up in 20 s, then the saga turns back and undoes "
            "authorize_payment, reserve_stock and start."
        ),
        (
            "Deadline in 1 h 59 min, at 16:00:00; then the saga turns back and undoes "
            "authorize_payment, reserve_stock and start."
        ),
    ]
    assert commands(found) == ['sagas retry o-1 --why "..."', 'sagas cancel o-1 --why "..."']


def test_nothing_known_around_it() -> None:
    assert lines(told(PAYING, 10.5))[:2] == [
        "Waiting for PaymentAuthorized from payments (authorize_payment) since 14:00:00 (10 s).",
        "Nobody could be asked about payments: its workers and lag are not known.",
    ]


def test_a_service_without_workers() -> None:
    nobody = Surroundings(
        services={"payments": ServiceFact(service="payments", workers=0, lag=1204)}
    )
    found = told(PAYING, 10.5, around=nobody)
    assert [(one.why, one.step) for one in found.stuck] == [(Why.NO_WORKER, "authorize_payment")]
    assert lines(found)[1] == "payments has no worker (lag 1,204): `sagas run payments` starts one."
    assert found.sentences[1].about is About.STUCK
    assert found.stuck[0].sentence.text(clock) == (
        "payments has no worker, and authorize_payment waits for it."
    )
    assert commands(found)[0] == "sagas run payments"


def test_a_timer_that_nobody_handles() -> None:
    found = told(PAYING, 200, around=AROUND)
    assert [one.why for one in found.stuck] == [Why.TIMER, Why.SLOW]
    assert lines(found)[1:3] == [
        "The timer authorize_payment was due at 14:00:30 (2 min ago), and no participant has handled it.",
        "authorize_payment has taken 3 min, and nineteen of twenty take no more than 90 ms.",
    ]


def test_the_deadline_has_passed_and_nobody_has_handled_it() -> None:
    found = told(PAYING, 7_300)
    assert found.stuck[0].why is Why.DEADLINE
    assert (
        "Its deadline was due at 16:00:00 (1 min ago), and no participant has handled it."
        in lines(found)
    )


def test_a_service_that_lags() -> None:
    late = Surroundings(
        services={"payments": ServiceFact(service="payments", workers=1, lag=5000)},
        usual=AROUND.usual,
    )
    found = told(PAYING, 40, around=late)
    assert [one.why for one in found.stuck] == [Why.LAGGING]
    assert (
        "authorize_payment has taken 39 s, and nineteen of twenty take no more than 90 ms: "
        "5,000 messages wait for payments." in lines(found)
    )


def test_waiting_for_an_attempt() -> None:
    note = AttemptNote(2, at(8), at(70), "OSError: no line.", elsewhere=True)
    notes = {retry_name("authorize_payment", Direction.FORWARD): encode_attempts(note)}
    found = told(PAYING, 10, around=AROUND, notes=notes)
    assert found.situation is Situation.RETRYING
    assert lines(found)[2] == (
        "Attempt 3 of 5 at authorize_payment is due in 1 min, at 14:01:10; 2 attempts failed, the "
        "last one at 14:00:08: OSError: no line."
    )
    overdue = told(PAYING, 100, around=AROUND, notes=notes)
    assert "is due" not in overdue.text(clock)
    assert "was due at 14:01:10 (30 s ago)" in overdue.text(clock)
    assert Why.RETRYING in [one.why for one in overdue.stuck]


def test_a_service_that_had_no_room() -> None:
    note = AttemptNote(0, at(8), at(70), "too many wait for this handler already", elsewhere=True)
    notes = {retry_name("authorize_payment", Direction.FORWARD): encode_attempts(note)}
    found = told(PAYING, 10, around=AROUND, notes=notes)
    assert found.situation is Situation.WAITING
    assert lines(found)[2] == (
        "The next look at authorize_payment is due in 1 min, at 14:01:10: too many wait for this "
        "handler already."
    )
    late = told(PAYING, 40, around=AROUND, notes=notes)
    assert [one.why for one in late.stuck] == [Why.LAGGING]
    assert "payments had no room for it" in late.stuck[0].sentence.text(clock)


def test_steps_side_by_side_past_the_pivot_have_no_deadline() -> None:
    found = told(SHIPPING, 2)
    assert [one.awaited.step for one in found.expects] == ["capture_payment", "notify_customer"]
    assert found.about(About.HEAD)[1].text(clock) == (
        "Waiting for CustomerNotified from notifications (notify_customer) since 14:00:01 (500 ms)."
    )
    assert "eadline" not in found.text(clock)
    assert "then the saga is parked" in found.text(clock)
    assert commands(found) == ['sagas retry o-1 --why "..."']


def test_waiting_for_somebody_outside() -> None:
    found = told(DELIVERING, 3_602)
    assert (found.situation, found.stuck) == (Situation.OUTSIDE, ())
    assert lines(found) == [
        (
            "Waiting for an answer from outside, ReceiptConfirmed, to orders (confirm_receipt) since "
            "14:00:02 (1 h)."
        ),
        "The time of confirm_receipt is up in 6 d 23 h, then the saga goes on along ReceiptAssumed.",
    ]


def test_parked_past_the_pivot() -> None:
    parked = {
        "step": "capture_payment",
        "direction": "forward",
        "error": "Timeout: no.",
        "attempts": 5,
    }
    found = told(
        {**SHIPPING, 2: NOTIFIED, 10: (SAGA_PARKED, "capture_payment", Role.PARKED)},
        190,
        payloads={SAGA_PARKED: parked},
        around=AROUND,
    )
    assert (found.situation, [one.why for one in found.stuck]) == (Situation.PARKED, [Why.PARKED])
    assert lines(found) == [
        "Parked since 14:00:10 (3 min): capture_payment failed for good after 5 attempts: Timeout: no.",
        "It goes on only when an operator says so.",
    ]
    assert commands(found) == [
        'sagas resume o-1 --why "..."',
        'sagas skip o-1 PaymentCaptured --payload \'{"order_id": "o-1", "amount_cents": "..."}\' --why "..."',
    ]


def test_parked_before_the_pivot_and_past_its_deadline() -> None:
    events: dict[float, Telling] = {**PAYING, 10: (SAGA_PARKED, START, Role.PARKED)}
    assert lines(told(events, 60))[-1] == (
        "Its deadline is at 16:00:00; it does not count while the saga is parked."
    )
    assert lines(told(events, 8_000))[-1] == (
        "Its deadline passed at 16:00:00: once it is resumed, it turns back."
    )


def test_a_dead_letter() -> None:
    letter = LetterFact(
        id="sagas.inventory.events/3/42",
        service="payments",
        event=RESERVED,
        reason="it does not fit.",
        at_ms=at(1),
    )
    found = told(PAYING, 10, around=Surroundings(letters=(letter,)))
    assert lines(found)[-1] == (
        "payments could not handle StockReserved at 14:00:01 (dead letter sagas.inventory.events/3/42): "
        "it does not fit."
    )
    assert commands(found)[0] == 'sagas dead-letters replay sagas.inventory.events/3/42 --why "..."'


def test_an_event_is_under_way() -> None:
    found = told({0: RESERVED, 1: DECLINED}, 2)
    assert found.to_undo  # what is known of it is enough to turn back
    found = told({0: PLACED, 1: AUTHORIZED, 1.5: SHIPPED, 2: CAPTURED, 2.5: NOTIFIED}, 5)
    assert "RESERVED" not in str(found.state)
    missing = told(
        {1: RESERVED, 2: AUTHORIZED, 3: SHIPPED, 4: CAPTURED, 5: NOTIFIED, 6: CONFIRMED}, 9
    )
    assert missing.situation is Situation.INCOMPLETE
    assert lines(missing)[0].startswith(
        "Waiting for OrderPlaced, whose consequences are recorded already: under way to the table, or lost."
    )


def test_text_from_outside_moves_no_cursor_and_ends() -> None:
    rude = "\x1b[2J" + "x" * 10_000
    service = ServiceFact(service="payments", workers=1, lag=None, last_error=rude)
    found = told(PAYING, 10, around=Surroundings(services={"payments": service}))
    assert "\x1b" not in found.text(clock)
    assert len(found.text(clock)) < 2_000


def test_all_of_it_as_json() -> None:
    found = document_of(told(PAYING, 10.5, around=AROUND), clock)
    assert json.loads(json.dumps(found)) == found
    assert found["situation"] == "waiting"
    waits = found["waits_for"]
    assert isinstance(waits, list)
    assert waits[0]["usual"] == {"half_ms": 40, "most_ms": 90, "samples": 80}
    assert waits[0]["then"] == {
        "then": "turns back",
        "event": STEP_TIMED_OUT,
        "undoes": ["authorize_payment", "reserve_stock", "start"],
    }
