"""Sagas with every shape of step, for the typing tests."""

from __future__ import annotations

from sagas import (
    NEVER,
    NOTHING,
    AllOf,
    AnyOf,
    Event,
    Guard,
    Locks,
    OneOf,
    Personal,
    Reads,
    Retry,
    Reuse,
    Saga,
    Service,
    Start,
    Step,
    Unlocks,
    Wait,
    Writes,
    days,
    hours,
    minutes,
    seconds,
)

__all__ = [
    "Assumed",
    "Chosen",
    "Confirmed",
    "Contested",
    "Delivery",
    "Gift",
    "Graced",
    "Joined",
    "Known",
    "Late",
    "Lone",
    "Merged",
    "Packed",
    "Paid",
    "Placed",
    "Recalled",
    "Refunded",
    "Regretted",
    "Sale",
    "Sent",
    "Shipped",
    "Standard",
    "Told",
    "Unjoined",
    "Unpaid",
    "Unplaced",
    "Unshippable",
    "Unvetoed",
    "Vetoed",
    "shop",
]


class SaleEvent(Event):
    sale_id: str


class Placed(SaleEvent, type="shop.Placed.v1"):
    pass


class Unplaced(SaleEvent, type="shop.Unplaced.v1"):
    pass


class Paid(SaleEvent, type="shop.Paid.v1"):
    pass


class Unpaid(SaleEvent, type="shop.Unpaid.v1"):
    pass


class Refunded(SaleEvent, type="shop.Refunded.v1"):
    pass


class Gift(SaleEvent, type="shop.Gift.v1"):
    pass


class Standard(SaleEvent, type="shop.Standard.v1"):
    pass


Chosen = Gift | Standard


class Packed(SaleEvent, type="shop.Packed.v1"):
    pass


class Merged(SaleEvent, type="shop.Merged.v1"):
    pass


class Joined(SaleEvent, type="shop.Joined.v1"):
    pass


class Unjoined(SaleEvent, type="shop.Unjoined.v1"):
    pass


class Sent(SaleEvent, type="shop.Sent.v1"):
    pass


class Told(SaleEvent, type="shop.Told.v1"):
    pass


class Known(SaleEvent, type="shop.Known.v1"):
    email: Personal[str]
    phone: Personal[str] | None = None


class Sale(Saga):
    key = "sale_id"
    ends_with = Told
    for_outsiders = (Sent, Told)
    start = Start(Placed, by="shop", undone=Unplaced)
    pay = Step(
        by="shop",
        on=Placed,
        done=Paid,
        refused=Unpaid,
        undone=Refunded,
        data=(Reads("limit"), Writes("account", "limit", guard=Guard.REREAD, own=True)),
    )
    choose = Step(by="shop", on=Placed, done=OneOf(Gift, Standard), undone=NOTHING)
    merge = Step(by="shop", on=AnyOf(Gift, Standard), done=Merged, undone=NOTHING)
    join = Step(by="shop", on=AllOf(Paid, Merged), done=Joined, undone=Unjoined, data=Locks("sale"))
    send = Step(by="shop", on=Joined, done=Sent, pivot=True, data=Unlocks("sale"))
    tell = Step(by="shop", on=Sent, done=Told, reads=(Placed, Paid))


class Lone(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)


class Shipped(SaleEvent, type="shop.Shipped.v1"):
    pass


class Unshippable(SaleEvent, type="shop.Unshippable.v1"):
    pass


class Late(SaleEvent, type="shop.Late.v1"):
    pass


class Recalled(SaleEvent, type="shop.Recalled.v1"):
    pass


class Confirmed(SaleEvent, type="shop.Confirmed.v1"):
    pass


class Contested(SaleEvent, type="shop.Contested.v1"):
    pass


class Assumed(SaleEvent, type="shop.Assumed.v1"):
    pass


class Graced(SaleEvent, type="shop.Graced.v1"):
    pass


class Vetoed(SaleEvent, type="shop.Vetoed.v1"):
    pass


class Unvetoed(SaleEvent, type="shop.Unvetoed.v1"):
    pass


class Regretted(SaleEvent, type="customers.Regretted.v1"):
    pass


class Delivery(Saga):
    key = "sale_id"
    deadline = hours(2)
    step_timeout = seconds(30)
    reuse = Reuse.AFTER_FAILURE
    cancelled_by = Regretted
    start = Start(Placed, by="shop", undone=NOTHING)
    ship = Step(
        by="shop",
        on=Placed,
        done=Shipped,
        refused=Unshippable,
        otherwise=Late,
        undone=Recalled,
        timeout=minutes(5),
        retry=Retry(attempts=5),
    )
    tell = Step(
        by="shop", on=AllOf(Placed, Late), done=Told, otherwise=Sent, undone=NOTHING, timeout=NEVER
    )
    confirm = Wait(
        by="shop",
        on=AnyOf(Shipped, Late),
        done=Confirmed,
        refused=Contested,
        timeout=days(7),
        otherwise=Assumed,
    )
    choose = Wait(by="shop", on=Confirmed, done=OneOf(Gift, Standard))
    grace = Wait(by="shop", on=AllOf(Placed, Assumed), timeout=days(1), otherwise=Graced)
    veto = Wait(by="shop", on=Graced, refused=Vetoed, timeout=days(1), otherwise=Unvetoed)


shop = Service("shop")
