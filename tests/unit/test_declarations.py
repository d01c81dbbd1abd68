"""What a developer writes in a saga's body: compiled as said, or refused in words."""

from __future__ import annotations

import types
from typing import Annotated, Any, NewType
from uuid import UUID

import pytest
from pydantic import Field

from sagas import NOTHING, AllOf, AnyOf, DefinitionError, Event, OneOf, Saga, Start, Step
from sagas.core import framework_events
from sagas.core.definition import (
    STEP_FAILED,
    Join,
    StepKind,
)
from sagas.core.saga import EndOf
from tests.samples import (
    CustomerNotified,
    OrderCancelled,
    OrderFulfilment,
    OrderPlaced,
    PaymentAuthorized,
    ShipmentCreated,
    StockReleased,
    StockUnavailable,
)

# --- a good saga ----------------------------------------------------------------------------------


def test_a_declaration_becomes_data() -> None:
    definition = OrderFulfilment.definition
    assert (definition.saga, definition.key) == ("order-fulfilment", "order_id")
    assert [step.name for step in definition.steps] == [
        "start",
        "reserve_stock",
        "authorize_payment",
        "create_shipment",
        "capture_payment",
        "notify_customer",
    ]
    start, reserve, _, ship, capture, _ = definition.steps
    assert (start.service, start.done, start.undone, start.state) == (
        "orders",
        ("orders.OrderPlaced.v1",),
        "orders.OrderCancelled.v1",
        "CREATED",
    )
    assert (reserve.triggers, reserve.join) == (("orders.OrderPlaced.v1",), Join.ALL)
    assert reserve.refused == ("inventory.StockUnavailable.v1",)
    assert reserve.undone == "inventory.StockReleased.v1"
    assert (ship.pivot, ship.undone, ship.state) == (True, None, "SHIPPED")
    assert capture.reads == ("orders.OrderPlaced.v1",)
    assert definition.kinds["capture_payment"] is StepKind.RETRIABLE


def test_steps_know_their_saga_and_name() -> None:
    step = OrderFulfilment.reserve_stock
    assert (step.saga, step.name, repr(step)) == (
        OrderFulfilment,
        "reserve_stock",
        "OrderFulfilment.reserve_stock",
    )
    assert (OrderFulfilment.start.saga, OrderFulfilment.start.name) == (OrderFulfilment, "start")


def test_a_saga_knows_its_events_and_the_frameworks() -> None:
    assert OrderFulfilment.events["inventory.StockReleased.v1"] is StockReleased
    assert OrderFulfilment.events["inventory.StockUnavailable.v1"] is StockUnavailable
    assert OrderFulfilment.events["orders.OrderCancelled.v1"] is OrderCancelled
    assert OrderFulfilment.events[STEP_FAILED] is framework_events.StepFailed
    assert len(OrderFulfilment.events) == 11 + len(framework_events.FRAMEWORK_EVENTS)


def test_the_end_of_a_saga_is_a_marker() -> None:
    assert OrderFulfilment.ended == EndOf(OrderFulfilment)


@pytest.mark.parametrize(
    ("class_name", "name"),
    [("OrderFulfilment", "order-fulfilment"), ("HTTPOrder", "http-order"), ("Sale2Go", "sale2-go")],
)
def test_the_name_follows_from_the_class(class_name: str, name: str) -> None:
    assert declare(class_name=class_name).name == name


def test_a_name_can_be_given() -> None:
    assert declare(name="sale").definition.saga == "sale"


def test_joins_merges_and_choices() -> None:
    saga = declare(
        choose=Step(by="shop", on=Placed, done=OneOf(Left, Right), undone=NOTHING),
        pack=Step(by="shop", on=Placed, done=Packed, refused=OneOf(Full, Shut), undone=NOTHING),
        merge=Step(by="shop", on=AnyOf(Left, Right), done=Merged, undone=NOTHING),
        join=Step(by="shop", on=AllOf(Merged, Packed), done=Joined, undone=NOTHING,
                  reads=(Placed, Packed)),
    )  # fmt: skip
    by_name = saga.definition.by_name
    assert by_name["choose"].done == ("shop.Left.v1", "shop.Right.v1")
    assert by_name["pack"].refused == ("shop.Full.v1", "shop.Shut.v1")
    assert (by_name["merge"].triggers, by_name["merge"].join) == (
        ("shop.Left.v1", "shop.Right.v1"),
        Join.ANY,
    )
    assert (by_name["join"].triggers, by_name["join"].join) == (
        ("shop.Merged.v1", "shop.Packed.v1"),
        Join.ALL,
    )
    assert by_name["join"].reads == ("shop.Placed.v1", "shop.Packed.v1")


def test_two_sagas_share_events_and_know_nothing_of_each_other() -> None:
    one, other = declare(class_name="One"), declare(class_name="Other")
    assert one.events == other.events
    assert one.definition.steps == other.definition.steps


# --- bad sagas ------------------------------------------------------------------------------------


class SaleEvent(Event):
    sale_id: str


class Placed(SaleEvent, type="shop.Placed.v1"):
    pass


class Packed(SaleEvent, type="shop.Packed.v1"):
    pass


class Left(SaleEvent, type="shop.Left.v1"):
    pass


class Right(SaleEvent, type="shop.Right.v1"):
    pass


class Merged(SaleEvent, type="shop.Merged.v1"):
    pass


class Joined(SaleEvent, type="shop.Joined.v1"):
    pass


class Full(SaleEvent, type="shop.Full.v1"):
    pass


class Shut(SaleEvent, type="shop.Shut.v1"):
    pass


class PackedAgain(SaleEvent, type="shop.Packed.v1"):
    pass


class Ours(SaleEvent, type="sagas.Ours.v1"):
    pass


class Keyless(Event, type="shop.Keyless.v1"):
    pass


class OptionalKey(Event, type="shop.OptionalKey.v1"):
    sale_id: str | None = None


class BoolKey(Event, type="shop.BoolKey.v1"):
    sale_id: bool


SaleId = NewType("SaleId", str)


class NewTypeKey(Event, type="shop.NewTypeKey.v1"):
    sale_id: Annotated[SaleId, Field(min_length=1)]


class UuidKey(Event, type="shop.UuidKey.v1"):
    sale_id: UUID


class IntKey(Event, type="shop.IntKey.v1"):
    sale_id: int


def start() -> Start[Placed, Any]:
    return Start(Placed, by="shop", undone=NOTHING)


def pack(**other: Any) -> Any:
    make: Any = Step
    return make(**{"by": "shop", "on": Placed, "done": Packed, "undone": NOTHING, **other})


def declare(class_name: str = "Sale", **body: Any) -> type[Saga]:
    full = {"key": "sale_id", "start": start(), **(body or {"pack": pack()})}
    if not any(isinstance(value, Step) for value in full.values()):
        full["pack"] = pack()
    return type(class_name, (Saga,), {k: v for k, v in full.items() if v is not None})


@pytest.mark.parametrize("event", [NewTypeKey, UuidKey, IntKey])
def test_keys_are_strings_integers_or_uuids(event: type[Event]) -> None:
    done = types.new_class("Done", (event,), {"type": "shop.Done.v1"})
    begin: Any = Start(event, by="shop", undone=NOTHING)
    declared = declare(start=begin, pack=pack(on=event, done=done))
    assert declared.definition.key == "sale_id"


make_start: Any = Start

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"key": None}, r'Sale: no key; write key = "order_id"'),
    "key is no name": ({"key": "sale id"}, "Sale: no key"),
    "no start": ({"start": None}, r"Sale: no start; declare start = Start\(\.\.\.\)"),
    "two starts": ({"again": start()}, r"Sale: 2 starts \(start, again\)"),
    "start of another name": (
        {"start": None, "begin": start()},
        "Sale.begin: the start is called 'begin'; call it 'start'",
    ),
    "step called start": (
        {"start": pack(), "begin": start()},
        "Sale.start: 'start' is the name of the start",
    ),
    "start says nothing of its undo": (
        {"start": make_start(Placed, by="shop", undone=None)},
        "Sale.start: nothing said of its undo",
    ),
    "no such type": ({"pack": pack(on="Placed")}, "Sale.pack: on= is 'Placed'; expected an event"),
    "NOTHING as a trigger": ({"pack": pack(on=NOTHING)}, "Sale.pack: on= is NOTHING; expected"),
    "OneOf as a trigger": (
        {"pack": pack(on=OneOf(Placed, Left))},
        r"Sale.pack: on= is OneOf\(Placed, Left\); expected an event type, AllOf",
    ),
    "AnyOf as an outcome": (
        {"pack": pack(done=AnyOf(Packed, Left))},
        r"done= is AnyOf\(Packed, Left\); expected an event type or OneOf",
    ),
    "a list of refusals": ({"pack": pack(refused=[Full])}, "refused= is .*; expected an event"),
    "OneOf as undone": ({"pack": pack(undone=OneOf(Left, Right))}, "undone= is .* or NOTHING"),
    "reads a name": ({"pack": pack(reads="Placed")}, "reads= is 'Placed'; expected .* a tuple"),
    "reuse that is no word of it": (
        {"reuse": "after-end"},
        r"Sale: reuse is 'after-end'; write one of Reuse.NEVER, Reuse.AFTER_END",
    ),
    "cancelled by a name": (
        {"cancelled_by": "shop.Left.v1"},
        "Sale: cancelled_by is 'shop.Left.v1'; expected the type of the event",
    ),
    "cancelled by an abstract event": (
        {"cancelled_by": SaleEvent},
        'cancelled_by names SaleEvent, which has no name on the wire.*type="orders.SaleEvent.v1"',
    ),
    "cancelled by its own outcome": (
        {"cancelled_by": Packed},
        r"sale: cancelled_by=shop.Packed.v1 is the outcome of pack \(done\)",
    ),
    "abstract event": (
        {"pack": pack(done=SaleEvent)},
        'names SaleEvent, which has no name on the wire.*type="shop.SaleEvent.v1"',
    ),
    "abstract start": (
        {"start": Start(SaleEvent, by="shop", undone=NOTHING)},
        "Sale.start: it names SaleEvent, which has no name",
    ),
    "start that says nothing of its undo": (
        {"start": make_start(Placed, by="shop")},
        "Sale.start: nothing said of its undo; name its event with undone=, or say NOTHING",
    ),
    "keys of several types": (
        {"pack": pack(done=IntKey)},
        "the key sale_id is str in Placed; int in IntKey. Give it one type in all events",
    ),
    "two classes of one name": (
        {"pack": pack(), "repack": pack(on=Packed, done=PackedAgain)},
        "Packed and PackedAgain are both called shop.Packed.v1",
    ),
    "event without the key": (
        {"pack": pack(done=Keyless)},
        "Keyless has no field 'sale_id', the saga's key; add sale_id: str",
    ),
    "key that may be missing": (
        {"pack": pack(done=OptionalKey)},
        r"the key OptionalKey\.sale_id is of type str \| None; a key is a str",
    ),
    "key that is a bool": ({"pack": pack(done=BoolKey)}, r"BoolKey\.sale_id is of type bool"),
    "event of another publisher": (
        {"pack": pack(by="depot")},
        r"Sale\.pack: its outcome shop\.Packed\.v1 is named as published by 'shop', .* by 'depot'",
    ),
    "event of the framework": (
        {"pack": pack(done=Ours)},
        r"sale\.pack: its outcome sagas\.Ours\.v1 is named as the framework's own",
    ),
    "no word about undo": (
        {"pack": Step(by="shop", on=Placed, done=Packed)},
        r"sale\.pack: it may have to be undone; .* or say undone=NOTHING",
    ),
    "undone=None is no word": ({"pack": pack(undone=None)}, "it may have to be undone"),
    "a check of the definition": (
        {"pack": pack(on=Left)},
        r"sale\.pack: its trigger shop\.Left\.v1 is emitted by no step",
    ),
}


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_bad_declarations_are_refused_in_words(body: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        declare(**body)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(start=None, pack=pack(done=SaleEvent, reads="Placed"))
    assert str(caught.value).count("\n- ") == 3


def test_an_event_without_a_name_is_told_once_and_with_its_emitter() -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(pack=pack(done=SaleEvent), ship=pack(by="post", on=SaleEvent, reads=SaleEvent))
    assert str(caught.value).count("SaleEvent, which has no name") == 1
    assert 'type="shop.SaleEvent.v1"' in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: make_start(Placed, by="shop", undo=NOTHING), "no undo=; did you mean undone="),
        (lambda: pack(refuse=Left), r"Step\(\.\.\.\) knows no refuse=; did you mean refused="),
        (lambda: pack(colour=1), "knows no colour=; it takes by, on"),
    ],
)
def test_an_unknown_keyword_is_told_with_the_nearest(make: Any, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        make()


def test_an_unknown_step_is_told_with_the_nearest() -> None:
    saga: Any = OrderFulfilment
    with pytest.raises(AttributeError, match="has no 'reserve_stok'; did you mean reserve_stock"):
        _ = saga.reserve_stok


def test_a_step_under_two_names_is_refused() -> None:
    step = pack()
    with pytest.raises(DefinitionError, match=r"several names \(Sale\.one, Sale\.two\)"):
        declare(one=step, two=step)


def test_a_step_of_another_saga_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"several names .*OrderFulfilment\.reserve_stock"):
        # A class body calls __set_name__ again, on the very step of the other saga.
        declare(reserve_stock=borrowed())


def borrowed() -> Any:
    step = pack()
    step.__set_name__(OrderFulfilment, "reserve_stock")
    return step


def test_a_saga_is_not_derived_from_another() -> None:
    with pytest.raises(DefinitionError, match="derived from another saga"):
        type("Special", (declare(),), {"start": start(), "pack": pack()})


@pytest.mark.parametrize("word", [AllOf, AnyOf, OneOf])
def test_a_combination_of_one_is_refused(word: Any) -> None:
    with pytest.raises(DefinitionError, match=rf"{word.__name__}\(Placed\) combines two or more"):
        word(Placed)


def test_a_step_past_the_pivot_need_not_speak_of_its_undo() -> None:
    kinds = OrderFulfilment.definition.kinds
    assert not OrderFulfilment.create_shipment.says_undone
    assert not OrderFulfilment.notify_customer.says_undone
    assert kinds["create_shipment"] is StepKind.PIVOT
    assert ShipmentCreated.event_type in OrderFulfilment.events
    assert CustomerNotified.event_type in OrderFulfilment.events
    assert PaymentAuthorized.event_type in OrderFulfilment.events
    assert OrderPlaced.event_type in OrderFulfilment.events
