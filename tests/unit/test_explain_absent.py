"""What is said of a saga that is not there, of one that can not be read, and of what is usual."""

from __future__ import annotations

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas import NOTHING, Personal, Saga, Start, Step
from sagas.core.definition import SAGA_PARKED, SAGA_RESUMED, START, Direction, Role
from sagas.operating.explaining import (
    LetterFact,
    Situation,
    Surroundings,
    Usual,
    Why,
    explain_missing,
    explain_row,
    explain_table,
    usual_of,
)
from sagas.ports import Row, Stamp
from sagas.wire.envelope import Envelope
from sagas.wire.stored import encode_event, encode_instance
from tests.recorded import Telling, at, clock, recorded
from tests.samples import OrderCancelled, OrderEvent, OrderPlaced, ShipmentCreated

PLACED, RESERVED = "orders.OrderPlaced.v1", "inventory.StockReserved.v1"
ORDER = OrderFulfilment.definition


def row_of(
    saga: type[Saga],
    events: dict[float, Telling] | None = None,
    payload: bytes = b'{"order_id": "o-1"}',
) -> Row:
    instance = recorded(saga.definition, events or {0: PLACED, 1: RESERVED})
    envelopes = {
        slot: Envelope(
            id=fact.id,
            type=fact.type,
            source="orders",
            time_ms=fact.at_ms,
            saga=saga.definition.saga,
            saga_id="o-1",
            fingerprint=saga.definition.fingerprint,
            payload=payload,
        )
        for slot, fact in instance.facts.items()
    }
    stored = {slot: encode_event(one) for slot, one in envelopes.items()}
    return Row(Stamp(1, 2), encode_instance(instance), stored)


def test_a_row_is_explained() -> None:
    found = explain_row(OrderFulfilment, "o-1", row_of(OrderFulfilment), now_ms=at(2))
    assert (found.situation, found.state) == (Situation.WAITING, "RESERVED")


class Newer(Saga):
    """As the order fulfilment, and knows no StockReserved."""

    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=NOTHING)
    ship = Step(by="shipping", on=OrderPlaced, done=ShipmentCreated, pivot=True)


def test_a_row_of_another_version() -> None:
    found = explain_row(Newer, "o-1", row_of(OrderFulfilment), now_ms=at(2))
    assert (found.situation, [one.why for one in found.stuck]) == (
        Situation.UNREADABLE,
        [Why.UNREADABLE],
    )
    text = found.text(clock)
    assert ORDER.fingerprint in text
    assert Newer.definition.fingerprint in text
    assert "StockReserved" in text
    assert found.choices[0].command == "sagas definitions"


def test_a_damaged_row() -> None:
    damaged = row_of(OrderFulfilment)._replace(state=b"\x1b[2J nonsense", events={"e": b"nonsense"})
    found = explain_row(OrderFulfilment, "o-1", damaged, now_ms=at(2))
    assert found.situation is Situation.UNREADABLE
    assert "\x1b" not in found.text(clock)
    assert "is damaged" in found.text(clock)


def test_not_found_says_what_was_looked_at() -> None:
    found = explain_missing(
        "o-9",
        [OrderFulfilment],
        now_ms=at(0),
        namespace="shop",
        address="127.0.0.1:6379",
        keep_ended_ms=3_600_000,
    )
    assert found.situation is Situation.NOT_FOUND
    assert [one.text(clock) for one in found.sentences] == [
        (
            "There is no 'o-9' in the saga table of order-fulfilment (namespace shop, Redis at "
            "127.0.0.1:6379): it was not started, or its start is not handled yet, or it has been "
            "forgotten."
        ),
        (
            "Ended sagas are forgotten after 1 h (SAGAS_KEEP_ENDED): one that ended before 13:00:00 is "
            "not here any more."
        ),
        "Nobody has looked whether its start is a dead letter.",
    ]


def test_not_found_because_its_start_is_a_dead_letter() -> None:
    letter = LetterFact(id="a/0/1", service="orders", event=PLACED, reason="too old.", at_ms=at(1))
    found = explain_missing(
        "o 9",
        [OrderFulfilment],
        now_ms=at(9),
        namespace="shop",
        address="r",
        keep_ended_ms=None,
        around=Surroundings(letters=(letter,)),
    )
    text = found.text(clock)
    assert "are kept for ever" in text
    assert "orders could not handle OrderPlaced at 14:00:01 (dead letter a/0/1): too old." in text
    assert [one.command for one in found.choices][:3] == [
        'sagas dead-letters replay a/0/1 --why "..."',
        "sagas list",
        "sagas dead-letters list --saga-id 'o 9'",
    ]


def test_a_table_that_is_lost_or_being_rebuilt() -> None:
    rebuilding = explain_table("order-fulfilment", "o-1", rebuilding=True, now_ms=at(0))
    assert rebuilding.situation is Situation.REBUILDING
    assert "is being rebuilt from the topics" in rebuilding.text(clock)
    lost = explain_table("order-fulfilment", "o-1", rebuilding=False, now_ms=at(0))
    assert lost.situation is Situation.LOST
    assert "SAGAS_NAMESPACE" in lost.text(clock)
    assert lost.choices[0].command.startswith("sagas rebuild --saga order-fulfilment --bucket ")


def test_what_is_usual() -> None:
    sample = [recorded(ORDER, {0: PLACED, seconds: RESERVED}) for seconds in range(1, 101)]
    assert usual_of(sample) == {
        ("reserve_stock", Direction.FORWARD): Usual(half_ms=50_000, most_ms=95_000, samples=100)
    }
    assert usual_of(sample[:2]) == {}


def test_what_was_parked_is_not_usual() -> None:
    parked: dict[float, Telling] = {
        0: PLACED,
        1: (SAGA_PARKED, START, Role.PARKED),
        8_000: (SAGA_RESUMED, START, Role.RESUMED),
        9_000: RESERVED,
    }
    assert usual_of([recorded(ORDER, parked)] * 5) == {}


def test_how_long_compensations_usually_take() -> None:
    refused: dict[float, Telling] = {0: PLACED, 1: RESERVED, 2: "payments.PaymentDeclined.v1"}
    sample = [
        recorded(ORDER, {**refused, 5: "inventory.StockReleased.v1", 6: "orders.OrderCancelled.v1"})
    ] * 3
    found = usual_of(sample)
    assert found["reserve_stock", Direction.UNDO].half_ms == 3_000
    assert found["start", Direction.UNDO].half_ms == 1_000
    assert found["authorize_payment", Direction.FORWARD].half_ms == 1_000


class Refused(OrderEvent, type="shipping.ShipmentRefused.v1"):
    reason: str
    address: Personal[str]


class Parcel(Saga):
    key = "order_id"
    start = Start(OrderPlaced, by="orders", undone=OrderCancelled)
    ship = Step(by="shipping", on=OrderPlaced, done=ShipmentCreated, refused=Refused, pivot=True)


def test_what_is_personal_is_told_to_nobody() -> None:
    payload = Refused(order_id="o-1", reason="too far", address="1 Ada Street").model_dump_json()
    row = row_of(Parcel, {0: PLACED, 1: Refused.event_type}, payload.encode())
    text = explain_row(Parcel, "o-1", row, now_ms=at(2)).text(clock)
    assert "because shipping refused ship: ShipmentRefused (order_id=o-1, reason=too far" in text
    assert "Ada" not in text
