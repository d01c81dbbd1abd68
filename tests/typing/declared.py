"""A saga with every shape of step, for the typing tests."""

from __future__ import annotations

from sagas import NOTHING, AllOf, AnyOf, Event, OneOf, Saga, Service, Start, Step

__all__ = [
    "Chosen",
    "Gift",
    "Joined",
    "Merged",
    "Packed",
    "Paid",
    "Placed",
    "Refunded",
    "Sale",
    "Sent",
    "Standard",
    "Told",
    "Unjoined",
    "Unpaid",
    "Unplaced",
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


class Sale(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=Unplaced)
    pay = Step(by="shop", on=Placed, done=Paid, refused=Unpaid, undone=Refunded)
    choose = Step(by="shop", on=Placed, done=OneOf(Gift, Standard), undone=NOTHING)
    merge = Step(by="shop", on=AnyOf(Gift, Standard), done=Merged, undone=NOTHING)
    join = Step(by="shop", on=AllOf(Paid, Merged), done=Joined, undone=Unjoined)
    send = Step(by="shop", on=Joined, done=Sent, pivot=True)
    tell = Step(by="shop", on=Sent, done=Told, reads=(Placed, Paid))


class Lone(Saga):
    key = "sale_id"
    start = Start(Placed, by="shop", undone=NOTHING)
    pack = Step(by="shop", on=Placed, done=Packed, undone=NOTHING)


shop = Service("shop")
