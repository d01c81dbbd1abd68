"""Broken sagas, one for each way in which a check can find something, and how little makes them right.

The events are those of ``docs/checks/README.md``.
"""

from __future__ import annotations

from typing import NamedTuple

from sagas.checks.examples import EXAMPLES

__all__ = ["CASES", "CHAIN", "HEAD", "Case"]


class Case(NamedTuple):
    """``near`` replaces some of ``broken``: what comes out must not be reported under ``code``.

    ``said`` is part of the reason.
    """

    code: str
    broken: str
    near: tuple[tuple[str, str], ...]
    said: str = ""


HEAD = """\
class Ordering(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
"""

CHOICE = """\
    decide = Step(by="orders", on=Placed, done=OneOf(Approved, Doubted), undone=NOTHING)
"""

HANDLERS = (
    HEAD
    + """\
    reserve = Step(by="stock", on=Placed, done=Reserved, refused=Unavailable, undone=Released)
    pay = Step(by="payments", on=Reserved, done=Paid, undone=Refunded)
    ship = Step(by="shipping", on=Paid, done=Shipped, pivot=True)

stock = Service("stock", tombstones=True)

@stock.performs(Ordering.reserve)
async def reserve(placed: Placed, context: StepContext) -> Reserved | Unavailable:
    return Reserved(order_id=placed.order_id)

@stock.undoes(Ordering.reserve)
async def release(placed: Placed, reserved: Reserved | None, context: StepContext) -> Released:
    return Released(order_id=placed.order_id)
"""
)

PERSONAL = """\
class Asked(Event, type="orders.Asked.v1"):
    order_id: str
    email: Personal[str]

class Asking(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Shipped
    start = Start(Asked, by="orders", undone=NOTHING)
    ship = Step(by="shipping", on=Asked, done=Shipped, pivot=True)

shipping = Service("shipping")

@shipping.performs(Asking.ship)
async def ship(asked: Asked, context: StepContext) -> Shipped:
    {}
    return Shipped(order_id=asked.order_id)
"""

CHAIN = """\
class Ordering(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Paid
    start = Start(Placed, by="orders", undone=Cancelled)
    pay = Step(by="payments", on=Placed, done=Paid, pivot=True)

class Delivery(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Shipped
    start = Start(Paid, by="payments", undone=NOTHING)
    ship = Step(by="shipping", on=Paid, done=Shipped, pivot=True)

payments, shipping = Service("payments"), Service("shipping")

@payments.performs(Ordering.pay)
async def pay(placed: Placed, context: StepContext) -> Paid:
    return Paid(order_id=placed.order_id)

@shipping.performs(Delivery.ship)
async def ship(paid: Paid, context: StepContext) -> Shipped:
    return Shipped(order_id=paid.order_id)
"""

CASES: dict[str, Case] = {
    "no key": Case("S0", EXAMPLES["S0"], (("start =", 'key = "order_id"\n    start ='),), "no key"),
    "a refusal past the pivot": Case(
        "S1", EXAMPLES["S1"], ((", refused=Declined", ""),), "past the point of no return"
    ),
    "two pivots on a path": Case(
        "S1",
        EXAMPLES["S1"],
        (
            ("done=Paid, refused=Declined)", "done=Paid, pivot=True)"),
            ("pivot=True)\n    pay", "undone=NOTHING)\n    pay"),
        ),
    ),
    "compensatable beside the pivot": Case(
        "S1",
        HEAD + '    pay = Step(by="payments", on=Placed, done=Paid, undone=Refunded)\n'
        '    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True)\n',
        (("on=Placed, done=Shipped", "on=Paid, done=Shipped"),),
        "beside the pivot",
    ),
    "no undo": Case("S2", EXAMPLES["S2"], (("done=Reserved)", "done=Reserved, undone=Released)"),)),
    "an undo that reads what comes later": Case(
        "S2",
        HANDLERS.replace("    return Released", "    context.read(Paid)\n    return Released"),
        (("context.read(Paid)", "context.because"),),
        "comes later than reserve",
    ),
    "an undo that reads what is not declared": Case(
        "S2",
        HANDLERS.replace("    return Released", "    context.read(Placed)\n    return Released"),
        (("refused=Unavailable,", "refused=Unavailable, reads=Placed,"),),
        "the step does not declare",
    ),
    "nobody waits for it": Case("S3", EXAMPLES["S3"], (("= Shipped", "= (Shipped, Picked)"),)),
    "nobody here waits for it": Case(
        "S3", EXAMPLES["S3"], (("ends_with =", "for_outsiders = Picked\n    ends_with ="),)
    ),
    "nobody observes it": Case(
        "S3",
        EXAMPLES["S3"] + 'mails = Service("mails")\n',
        (
            (
                'Service("mails")',
                (
                    'Service("mails")\n@mails.observes(Picked)\n'
                    "async def tell(p: Picked, c: EventContext) -> None: ..."
                ),
            ),
        ),
    ),
    "an end that goes on": Case(
        "S3",
        EXAMPLES["S3"].replace("= Shipped", "= (Shipped, Picked, Paid)"),
        ((", Paid)", ")"),),
        "follows it",
    ),
    "nobody emits what is observed": Case(
        "S3",
        HANDLERS
        + "\n@stock.observes(Picked)\nasync def note(p: Picked, c: EventContext) -> None: ...\n",
        (("observes(Picked)", "observes(Shipped)"), ("p: Picked", "p: Shipped")),
        "no saga of this project emits",
    ),
    "nobody starts it": Case(
        "S3",
        CHAIN,
        (
            ("Start(Paid", "Start(Received"),
            ("on=Paid, done=Shipped", "on=Received, done=Shipped"),
            ('Start(Received, by="payments"', 'Start(Received, by="orders"'),
            ("paid: Paid", "paid: Received"),
        ),
        "Paid is an outcome of ordering.pay",
    ),
    "nobody emits the trigger": Case(
        "S3",
        HEAD + '    ship = Step(by="shipping", on=Paid, done=Shipped, pivot=True)\n',
        (("on=Paid", "on=Placed"),),
    ),
    "an answer that may never come": Case(
        "S4",
        HEAD + '    approve = Wait(by="orders", on=Placed, done=Approved, refused=Rejected)\n'
        '    ship = Step(by="shipping", on=Approved, done=Shipped, pivot=True)\n',
        (("refused=Rejected)", "refused=Rejected, timeout=days(1))"),),
        "nobody owes that answer",
    ),
    "an answer that may never come, and the deadline is past": Case(
        "S4",
        HEAD + "    deadline = hours(2)\n"
        '    pay = Step(by="payments", on=Placed, done=Paid, pivot=True)\n'
        '    receive = Wait(by="shipping", on=Paid, done=Shipped)\n',
        (("done=Shipped)", "done=Shipped, timeout=days(5))"),),
        "nobody owes that answer",
    ),
    "a branch that is forgotten": Case(
        "S4",
        HEAD + CHOICE + '    ship = Step(by="shipping", on=Approved, done=Shipped, pivot=True)\n',
        (("seconds(30), Shipped", "seconds(30), (Shipped, Doubted)"),),
        "after Doubted nothing follows",
    ),
    "a way on that is forgotten": Case(
        "S4",
        HEAD
        + '    pack = Step(by="stock", on=Placed, done=Picked, otherwise=Available, undone=NOTHING)\n'
        '    ship = Step(by="shipping", on=Picked, done=Shipped, pivot=True)\n',
        (("on=Picked", "on=AnyOf(Picked, Available)"),),
        "after Available nothing follows",
    ),
    "a refusal that is never given": Case(
        "S4",
        HANDLERS.replace("-> Reserved | Unavailable", "-> Reserved"),
        (("-> Reserved:", "-> Reserved | Unavailable:"),),
        "never returns it",
    ),
    "nothing ends a step": Case(
        "S4",
        EXAMPLES["S2"].replace("done=Reserved) ", "done=Reserved, undone=Released) "),
        (("start =", "step_timeout = seconds(30)\n    start ="),),
        "nothing ends reserve, pay",
    ),
    "a wait that nothing ends": Case(
        "S5",
        EXAMPLES["S5"],
        (("otherwise=GraceOver)", "otherwise=GraceOver, timeout=minutes(5))"),),
    ),
    "steps in a circle": Case("S6", EXAMPLES["S6"], (("on=Shipped", "on=Placed"),), "in a circle"),
    "two who decide": Case(
        "S7",
        EXAMPLES["S7"],
        (
            (
                'look = Step(by="orders", on=Placed, done=Approved',
                'look = Step(by="orders", on=Placed, done=Inspected',
            ),
        ),
    ),
    "a merge of what is not exclusive": Case(
        "S8",
        EXAMPLES["S8"].replace("AllOf", "AnyOf"),
        (("AnyOf", "AllOf"), ("start =", "deadline = hours(2)\n    start =")),
        "run twice",
    ),
    "a join of what is exclusive": Case(
        "S8",
        HEAD
        + CHOICE
        + '    ship = Step(by="shipping", on=AllOf(Approved, Doubted), done=Shipped, pivot=True)\n',
        (("AllOf", "AnyOf"),),
        "wait for ever",
    ),
    "a join that nothing ends": Case(
        "S8",
        EXAMPLES["S8"],
        (("start =", "step_timeout = seconds(30)\n    start ="),),
        "nothing bounds reserve, pay",
    ),
    "a join of which one branch has no end": Case(
        "S8",
        EXAMPLES["S8"].replace("undone=Released", "undone=Released, timeout=seconds(30)"),
        (("undone=Refunded", "undone=Refunded, timeout=seconds(30)"),),
        "nothing bounds pay",
    ),
    "attempts beyond the timeout": Case(
        "S9", EXAMPLES["S9"], (("seconds(20)", "seconds(0.1)"),), "pauses between its attempts"
    ),
    "a timeout beyond the deadline": Case(
        "S9",
        EXAMPLES["S9"]
        .replace("key =", "deadline = seconds(20)\n    key =")
        .replace("backoff=seconds(20)", ""),
        (("seconds(20)", "hours(2)"),),
        "the timeout never strikes",
    ),
    "no tombstones": Case("S10", EXAMPLES["S10"], (('"stock")\n', '"stock", tombstones=True)\n'),)),
    "no tombstones beside another step": Case(
        "S10",
        EXAMPLES["S8"] + 'stock = Service("stock")\n',
        (("on=Placed, done=Paid", "on=Reserved, done=Paid"), ("AllOf(Reserved, Paid)", "Paid")),
    ),
    "a class of one's own that wants more": Case(
        "S12",
        EXAMPLES["S12"],
        (("customer_id: str ", 'customer_id: str = "" '),),
        "customer_id is needed",
    ),
    "a class of one's own that reads another type": Case(
        "S12",
        EXAMPLES["S12"]
        .replace("order_id: str", "order_id: int")
        .replace("customer_id: str ", 'customer_id: str = "" '),
        (("order_id: int", "order_id: str"),),
        "order_id is string",
    ),
    "an event that is not sure to be there": Case(
        "S12",
        HEAD
        + CHOICE
        + '    ship = Step(by="shipping", on=AnyOf(Approved, Doubted), done=Shipped, pivot=True,\n'
        "                reads=Approved)\n",
        (("reads=Approved", "reads=Placed"),),
        "not sure to be there",
    ),
    "a handler that reads what is not declared": Case(
        "S12",
        HANDLERS.replace("    return Reserved", "    context.read(Placed)\n    return Reserved"),
        (("refused=Unavailable,", "refused=Unavailable, reads=Placed,"),),
    ),
}
