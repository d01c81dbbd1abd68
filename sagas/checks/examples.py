"""For each check the smallest declaration in which it finds something.

Their events are those of ``docs/checks/README.md``. The tests run each of them, and see that its page shows
the same. S11 has none: nothing that can be written breaks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["EXAMPLES"]

EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "S0": """\
class Ordering(Saga):                                  # which field is the key?
    start = Start(Placed, by="orders", undone=Cancelled)
    reserve = Step(by="stock", on=Placed, done=Reserved, undone=Released)
""",
        "S1": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True)
    pay = Step(by="payments", on=Shipped, done=Paid, refused=Declined)    # too late to say no
""",
        "S2": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    reserve = Step(by="stock", on=Placed, done=Reserved)                  # and if the payment fails?
    pay = Step(by="payments", on=Reserved, done=Paid, refused=Declined, pivot=True)
""",
        "S3": """\
class Ordering(Saga):
    key = "order_id"
    ends_with = Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
    pay = Step(by="payments", on=Placed, done=Paid, pivot=True)
    ship = Step(by="shipping", on=Paid, done=Shipped)
    pick = Step(by="stock", on=Paid, done=Picked)                         # who waits for this?
""",
        "S4": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    approve = Wait(by="orders", on=Placed, done=Approved, refused=Rejected)   # and if nobody answers?
    ship = Step(by="shipping", on=Approved, done=Shipped, pivot=True)
""",
        "S5": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    grace = Wait(by="orders", on=Placed, otherwise=GraceOver)             # over when?
    ship = Step(by="shipping", on=GraceOver, done=Shipped, pivot=True)
""",
        "S6": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    pick = Step(by="stock", on=Shipped, done=Picked, undone=NOTHING)
    ship = Step(by="shipping", on=Picked, done=Shipped, undone=NOTHING)   # each waits for the other
""",
        "S7": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    check = Step(by="orders", on=Placed, done=Approved, undone=NOTHING)
    look = Step(by="orders", on=Placed, done=Approved, undone=NOTHING)    # who has approved?
""",
        "S8": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    reserve = Step(by="stock", on=Placed, done=Reserved, undone=Released)
    pay = Step(by="payments", on=Placed, done=Paid, undone=Refunded)
    ship = Step(by="shipping", on=AllOf(Reserved, Paid), done=Shipped, pivot=True)
""",
        "S9": """\
class Ordering(Saga):
    key = "order_id"
    start = Start(Placed, by="orders", undone=Cancelled)
    pay = Step(by="payments", on=Placed, done=Paid, undone=Refunded, timeout=seconds(30),
               retry=Retry(attempts=5, backoff=seconds(20)))
    ship = Step(by="shipping", on=Paid, done=Shipped, pivot=True, timeout=minutes(5))
""",
        "S10": """\
class Ordering(Saga):
    key = "order_id"
    step_timeout = seconds(30)
    start = Start(Placed, by="orders", undone=Cancelled)
    reserve = Step(by="stock", on=Placed, done=Reserved, undone=Released)
    ship = Step(by="shipping", on=Reserved, done=Shipped, pivot=True)

stock = Service("stock")
""",
        "S12": """\
class PlacedAsSeen(Event, type="orders.Placed.v1"):                       # a copy of Placed
    order_id: str
    customer_id: str                                                      # Placed has no such field

class Ordering(Saga):
    key = "order_id"
    step_timeout = seconds(30)
    ends_with = Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True)

mails = Service("mails")

@mails.observes(PlacedAsSeen)
async def thank(placed: PlacedAsSeen, context: EventContext) -> None: ...
""",
        "S13": """\
class Ordering(Saga):
    key = "order_id"
    step_timeout = seconds(30)
    ends_with = Picked
    start = Start(Placed, by="orders", undone=Cancelled)
    look = Step(by="stock", on=Placed, done=Available, refused=Unavailable, undone=NOTHING,
                data=Reads("pieces"))
    pay = Step(by="payments", on=Available, done=Paid, refused=Declined, pivot=True)
    take = Step(by="stock", on=Paid, done=Picked, data=Writes("pieces"))  # are they still there?
""",
        "S14": """\
class Changing(Saga):
    key = "order_id"
    step_timeout = seconds(30)
    start = Start(Placed, by="orders", undone=Cancelled, data=Locks("order"))
    decide = Step(by="orders", on=Placed, done=OneOf(Approved, Doubted), undone=NOTHING)
    ship = Step(by="shipping", on=Approved, done=Shipped, undone=NOTHING, data=Unlocks("order"))
    inspect = Step(by="orders", on=Doubted, done=Inspected, undone=NOTHING)   # and the order?
""",
        "S15": """\
class Ordering(Saga):
    key = "order_id"
    deadline = hours(2)
    start = Start(Placed, by="orders", undone=Cancelled)
    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True, timeout=hours(1))
    receive = Wait(by="orders", on=Shipped, done=Received, timeout=days(30), otherwise=Assumed)
""",
        "S16": """\
class Deployed(Saga):                                                     # what runs
    name, key, step_timeout, ends_with = "ordering", "order_id", seconds(30), Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True)

class Ordering(Saga):                                                     # what is to run
    name, key, step_timeout, ends_with = "ordering", "order_id", seconds(30), Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
    reserve = Step(by="stock", on=Placed, done=Reserved, undone=Released)
    ship = Step(by="shipping", on=Reserved, done=Shipped, pivot=True)
""",
        "S17": """\
class Registered(Event, type="customers.Registered.v1"):
    email: Personal[str]

class Welcomed(Event, type="mails.Welcomed.v1"):
    email: Personal[str]

class Registration(Saga):
    key, step_timeout, ends_with = "email", seconds(30), Welcomed
    start = Start(Registered, by="customers", undone=NOTHING)
    welcome = Step(by="mails", on=Registered, done=Welcomed, pivot=True)
""",
    }
)
