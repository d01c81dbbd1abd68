"""A message by the short way is the message by all the rules."""

from __future__ import annotations

import json

import pytest

from sagas import NOTHING, Event, Saga, Start, Step
from sagas.core.definition import Role
from sagas.core.errors import InvalidMessage
from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.instance import Fact
from sagas.core.starts import KEY_CHARS_MAX
from sagas.runtime.incoming import Incoming, _completed, decode_incoming, event_of
from sagas.wire.envelope import Envelope, Trail
from tests.samples import OrderFulfilment

OUTCOMES = sorted(OrderFulfilment.definition.outcome_of)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def envelope_of(type_: str, key: str = "o1", saga_id: str = "o1", id_: str = "e1") -> Envelope:
    payload = json.dumps({"order_id": key}).encode()
    return Envelope(
        *(id_, type_, "orders", 5, OrderFulfilment.definition.saga, saga_id, payload, "c1", "f1"),
        *(3, 1, 2, True, "RUNNING", ("a" * 16,)),
        Trail("k1", "t1", 7, TRACE, "vendor=1"),
    )


@pytest.mark.parametrize("type_", OUTCOMES)
@pytest.mark.parametrize("trace", [TRACE, "malformed", None])
def test_both_ways_give_the_same_message(type_: str, trace: str | None) -> None:
    envelope = envelope_of(type_)
    envelope = envelope._replace(trail=envelope.trail._replace(traceparent=trace))
    event = event_of(OrderFulfilment, type_, envelope.payload)
    incoming = decode_incoming(envelope, OrderFulfilment, type_)
    assert incoming == _completed(envelope, OrderFulfilment, type_, event)
    assert (type(incoming), type(incoming.fact)) == (Incoming, Fact)
    assert len(incoming) == len(Incoming._fields)
    assert len(incoming.fact) == len(Fact._fields)


def test_an_epoch_and_an_assumption_are_those_of_some_roles() -> None:
    facts = [decode_incoming(envelope_of(one), OrderFulfilment, one).fact for one in OUTCOMES]
    assert {fact.role for fact in facts if fact.epoch} == {Role.UNDONE}
    assert {fact.role for fact in facts if fact.assumed} <= {Role.OTHERWISE}
    assert [fact.type for fact in facts if not fact.folded] == ["orders.OrderPlaced.v1"]


@pytest.mark.parametrize(
    ("key", "saga_id", "id_", "words"),
    [
        ("", "", "e1", "is ''; a business key"),
        ("o1", "o2", "e1", "they name the same saga"),
        ("o1~2", "o1~2", "e1", "does not end in ~ and a number"),
        ("o\n1", "o\n1", "e1", "1 to 200 printable"),
        ("o" * (KEY_CHARS_MAX + 1), "o" * (KEY_CHARS_MAX + 1), "e1", "1 to 200 printable"),
        ("o1", "o1", "e\x7f", "ce_id"),
        ("o1", "o1", "e" * 501, "ce_id"),
    ],
)
def test_no_rule_is_passed_by(key: str, saga_id: str, id_: str, words: str) -> None:
    type_ = "inventory.StockReserved.v1"
    with pytest.raises(InvalidMessage, match=words):
        decode_incoming(envelope_of(type_, key, saga_id, id_), OrderFulfilment, type_)


@pytest.mark.parametrize(
    ("key", "saga_id", "id_"),
    [
        ("o1", "o1~2", "e1"),
        ("o~", "o~", "e1"),
        ("o" * KEY_CHARS_MAX, "o" * KEY_CHARS_MAX, "e" * 500),
    ],
)
def test_what_is_looked_at_closely_may_be_in_order(key: str, saga_id: str, id_: str) -> None:
    type_ = "inventory.StockReserved.v1"
    incoming = decode_incoming(envelope_of(type_, key, saga_id, id_), OrderFulfilment, type_)
    assert (incoming.saga_id, incoming.fact.id) == (saga_id, id_)


def test_a_type_that_is_known_to_nobody_is_refused_each_time() -> None:
    for _ in range(2):
        with pytest.raises(InvalidMessage, match="knows no event 'x'"):
            decode_incoming(envelope_of("x"), OrderFulfilment, "x")
    assert CONTROL_EVENTS.keys().isdisjoint(OUTCOMES)


def test_an_event_that_is_read_in_a_way_of_its_own_is_read_so() -> None:
    class Begun(Event, type="a.Begun.v1"):
        id: str

        @classmethod
        def model_validate_json(cls, json_data: str | bytes | bytearray, **_more: object) -> Begun:
            return cls(id=json.loads(json_data)["key"])

    class StepDone(Event, type="a.StepDone.v1"):
        id: str

    class Sealed(Saga):
        key = "id"
        start = Start(Begun, by="a", undone=NOTHING)
        end = Step(by="a", on=Begun, done=StepDone, pivot=True)

    envelope = Envelope("e1", "a.Begun.v1", "a", 5, Sealed.name, "o1", b'{"id": "x", "key": "o1"}')
    assert decode_incoming(envelope, Sealed, "a.Begun.v1").event == Begun(id="o1")


def test_a_value_that_does_not_fit_is_said_in_the_words_of_its_contract() -> None:
    type_ = "inventory.StockReserved.v1"
    for payload, words in (
        (b"", "has no value"),
        (b"{", "does not fit its contract: payload: Invalid JSON"),
        (b"{}", "order_id: Field required"),
        (b" " * 900_001, "has 900001 bytes"),
    ):
        with pytest.raises(InvalidMessage, match=words):
            decode_incoming(envelope_of(type_)._replace(payload=payload), OrderFulfilment, type_)
