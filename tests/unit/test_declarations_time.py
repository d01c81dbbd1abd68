"""Otherwise, waits, timeouts, deadline and retries: compiled as said, or refused in words."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from sagas import (
    NEVER,
    NOTHING,
    AllOf,
    AnyOf,
    DefinitionError,
    Event,
    OneOf,
    Retry,
    Saga,
    Start,
    Step,
    Wait,
    days,
    hours,
    minutes,
    seconds,
)
from sagas.core.definition import Join, Role
from tests.samples import OrderFulfilment
from tests.samples_alternatives import OrderDelivery, ReceiptAssumed, WrappingSkipped

make_step: Any = Step
make_wait: Any = Wait
HOUR_MS = 3_600_000

# --- a good saga ----------------------------------------------------------------------------------


def test_durations_are_timedeltas() -> None:
    assert [seconds(1.5), minutes(2), hours(3), days(4)] == [
        timedelta(seconds=1.5),
        timedelta(minutes=2),
        timedelta(hours=3),
        timedelta(days=4),
    ]
    assert repr(NEVER) == "NEVER"


def test_time_becomes_data() -> None:
    definition = OrderDelivery.definition
    assert definition.deadline_ms == 2 * HOUR_MS
    assert {step.name: step.timeout_ms for step in definition.steps} == {
        "start": None,
        "wrap_gift": 5 * 60_000,
        "confirm_payment": HOUR_MS,
        "create_shipment": 30_000,
        "archive": None,
        "confirm_receipt": 7 * 24 * HOUR_MS,
    }


def test_who_says_nothing_of_time_has_all_of_it() -> None:
    definition = OrderFulfilment.definition
    assert definition.deadline_ms is None
    assert {step.timeout_ms for step in definition.steps} == {None}


def test_the_default_of_steps_is_not_for_waits() -> None:
    saga = declare(step_timeout=seconds(30), pack=pack(), wait=wait(on=Packed))
    by_name = saga.definition.by_name
    assert (by_name["pack"].timeout_ms, by_name["wait"].timeout_ms) == (30_000, None)


def test_a_timeout_counts_whole_milliseconds() -> None:
    saga = declare(pack=pack(timeout=timedelta(microseconds=1999)))
    assert saga.definition.by_name["pack"].timeout_ms == 1


def test_an_otherwise_event_is_an_outcome() -> None:
    definition = OrderDelivery.definition
    assert definition.by_name["wrap_gift"].otherwise == WrappingSkipped.event_type
    assert definition.outcome_of[WrappingSkipped.event_type].role is Role.OTHERWISE
    assert OrderDelivery.events[ReceiptAssumed.event_type] is ReceiptAssumed


def test_waits_are_steps_that_wait() -> None:
    saga = declare(
        pack=pack(),
        choose=wait(on=AllOf(Placed, Packed), done=OneOf(Left, Right), refused=OneOf(Full, Shut)),
        grace=wait(on=AnyOf(Left, Right), done=None, timeout=days(1), otherwise=Late, state="OVER"),
    )
    _, pack_, choose, grace = saga.definition.steps
    assert (pack_.waits, choose.waits, grace.waits) == (False, True, True)
    assert (choose.join, choose.triggers) == (Join.ALL, ("shop.Placed.v1", "shop.Packed.v1"))
    assert (choose.done, choose.refused) == (
        ("shop.Left.v1", "shop.Right.v1"),
        ("shop.Full.v1", "shop.Shut.v1"),
    )
    assert (grace.join, grace.done, grace.otherwise) == (Join.ANY, (), "shop.Late.v1")
    assert (grace.undone, grace.pivot, grace.reads, grace.state) == (None, False, (), "OVER")


def test_waits_know_their_saga_and_name() -> None:
    waiting = OrderDelivery.confirm_receipt
    assert (waiting.saga, waiting.name) == (OrderDelivery, "confirm_receipt")
    assert repr(waiting) == "OrderDelivery.confirm_receipt"
    assert repr(wait()) == "Wait(by='shop')"


def test_retries_are_known_by_step_and_are_no_part_of_the_definition() -> None:
    assert OrderDelivery.retries["wrap_gift"] == Retry(attempts=5)
    assert OrderDelivery.retries["create_shipment"] == Retry()
    assert OrderDelivery.retries["start"] == Retry()
    patient, hasty = declare(pack=pack(retry=Retry(attempts=9))), declare(pack=pack())
    assert patient.definition.fingerprint == hasty.definition.fingerprint


def test_time_is_part_of_the_definition() -> None:
    prints = {
        declare(**{"pack": pack(), **body}).definition.fingerprint
        for body in (
            {},
            {"deadline": hours(1)},
            {"step_timeout": seconds(1)},
            {"pack": pack(otherwise=Late)},
            {"pack": pack(timeout=seconds(2))},
        )
    }
    assert len(prints) == 5


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


class Full(SaleEvent, type="shop.Full.v1"):
    pass


class Shut(SaleEvent, type="shop.Shut.v1"):
    pass


class Late(SaleEvent, type="shop.Late.v1"):
    reason: str = ""


class Explained(SaleEvent, type="shop.Explained.v1"):
    why: str
    by: str


def pack(**other: Any) -> Any:
    return make_step(**{"by": "shop", "on": Placed, "done": Packed, "undone": NOTHING, **other})


def wait(**other: Any) -> Any:
    return make_wait(**{"by": "shop", "on": Placed, "done": Left, **other})


def declare(**body: Any) -> type[Saga]:
    start = Start(Placed, by="shop", undone=NOTHING)
    return type("Sale", (Saga,), {"key": "sale_id", "start": start, **body})


PIVOT = {"pivot": pack(pivot=True, undone=None)}

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "otherwise of several types": (
        {"pack": pack(otherwise=OneOf(Left, Right))},
        r"Sale.pack: otherwise= is OneOf\(Left, Right\); expected an event type",
    ),
    "abstract otherwise": (
        {"pack": pack(otherwise=SaleEvent)},
        "Sale.pack: it names SaleEvent, which has no name on the wire",
    ),
    "otherwise that a timer can not make": (
        {"pack": pack(otherwise=Explained)},
        "Explained is made of the key alone, but needs why, by; give every field but sale_id a def",
    ),
    "otherwise of a wait that a timer can not make": (
        {"wait": wait(otherwise=Explained, timeout=days(1))},
        "Sale.wait: when its time is up, Explained is made of the key alone",
    ),
    "otherwise on the pivot": (
        {"pack": pack(pivot=True, undone=None, otherwise=Late)},
        r"sale.pack: the saga can not go on without its pivot, but names shop\.Late\.v1",
    ),
    "otherwise past the pivot, and no word about undo": (
        {**PIVOT, "tell": make_step(by="shop", on=Packed, done=Left, otherwise=Late)},
        r"sale.tell: it may have to be undone; .* or say undone=NOTHING",
    ),
    "otherwise of a wait without end": (
        {"wait": wait(otherwise=Late)},
        r"sale.wait: shop\.Late\.v1 can never happen, because this wait has no end; give it a time",
    ),
    "timeout as a number": (
        {"pack": pack(timeout=30)},
        r"Sale.pack: timeout= is 30; expected a timedelta such as seconds\(30\), or NEVER",
    ),
    "timeout of a wait as a number": ({"wait": wait(timeout=7)}, "Sale.wait: timeout= is 7;"),
    "timeout of nothing": (
        {"pack": pack(timeout=seconds(0))},
        "sale.pack: its timeout is 0 ms; give it more than nothing",
    ),
    "timeout below nothing": ({"wait": wait(timeout=-days(1))}, "sale.wait: its timeout is -864"),
    "retry as a number": (
        {"pack": pack(retry=5)},
        r"Sale.pack: retry= is 5; expected Retry\(\.\.\.\), such as Retry\(attempts=5\)",
    ),
    "step_timeout as a number": (
        {"step_timeout": 30, "pack": pack()},
        r"Sale: step_timeout is 30; write a timedelta such as seconds\(30\), or NEVER",
    ),
    "step_timeout of nothing": (
        {"step_timeout": seconds(0), "pack": pack()},
        "Sale: step_timeout is 0:00:00; give steps more than nothing",
    ),
    "deadline as a number": (
        {"deadline": 7200, "pack": pack()},
        r"Sale: deadline is 7200; write a timedelta such as hours\(2\), or leave it out",
    ),
    "deadline that is NEVER": ({"deadline": NEVER, "pack": pack()}, "Sale: deadline is NEVER"),
    "deadline of nothing": (
        {"deadline": seconds(0), "pack": pack()},
        "sale: its deadline is 0 ms; give it more than nothing",
    ),
    "wait that nothing ends": (
        {"wait": wait(done=None)},
        "sale.wait: nothing ever ends this wait; give it a timeout=, or say with done= what does",
    ),
    "wait that only a refusal ends": (
        {"wait": wait(done=None, refused=Full, timeout=days(1))},
        "sale.wait: no outcome",
    ),
    "wait refused past the pivot": (
        {**PIVOT, "wait": wait(on=Packed, refused=Full)},
        r"sale.wait: it stands past the point of no return and may not be refused, but names shop\.F",
    ),
    "OneOf as the trigger of a wait": (
        {"wait": wait(on=OneOf(Placed, Right))},
        r"Sale.wait: on= is OneOf\(Placed, Right\); expected an event type, AllOf",
    ),
    "wait called start": (
        {"start": wait(), "begin": Start(Placed, by="shop", undone=NOTHING)},
        "Sale.start: 'start' is the name of the start",
    ),
    "outcome of a wait of another publisher": (
        {"wait": wait(by="depot")},
        r"Sale\.wait: its outcome shop\.Left\.v1 is named as published by 'shop'",
    ),
}


@pytest.mark.parametrize(("body", "message"), BAD.values(), ids=BAD)
def test_bad_declarations_are_refused_in_words(body: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(**body)
    assert re.search(message, str(caught.value)), str(caught.value)


def test_a_wait_under_two_names_is_refused() -> None:
    waiting = wait()
    with pytest.raises(DefinitionError, match=r"several names \(Sale\.one, Sale\.two\)"):
        declare(one=waiting, two=waiting)


def test_a_wait_alone_is_a_saga() -> None:
    assert declare(wait=wait()).definition.by_name["wait"].waits
