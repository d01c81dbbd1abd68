"""Broken sagas of which the fault shows in time, or beside what is deployed; and what is told of persons."""

from __future__ import annotations

from sagas.checks.examples import EXAMPLES
from tests.definitions.broken import HEAD, Case

__all__ = ["CASES_IN_TIME"]

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


OLD = """\
class Deployed(Saga):
    name, key, step_timeout, ends_with = "ordering", "order_id", seconds(30), Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
    reserve = Step(by="stock", on=Placed, done=Reserved, refused=Unavailable, undone=Released)
    ship = Step(by="shipping", on=Reserved, done=Shipped, pivot=True)
"""


CHECKED = """\
class Ordering(Saga):
    name, key, step_timeout, ends_with = "ordering", "order_id", seconds(30), Shipped
    start = Start(Placed, by="orders", undone=Cancelled)
    approve = Step(by="orders", on=Placed, done=Approved, undone=NOTHING)
    ship = Step(by="shipping", on=Approved, done=Shipped, pivot=True)
"""


SIDE_BY_SIDE = """\
class Ordering(Saga):
    name, key, step_timeout = "ordering", "order_id", seconds(30)
    start = Start(Placed, by="orders", undone=Cancelled)
    pay = Step(by="payments", on=Placed, done=Paid, pivot=True)
    pick = Step(by="stock", on=Paid, done=Picked)
    ship = Step(by="shipping", on=Paid, done=Shipped)
"""


def beside(old: str, new: str) -> str:
    """The same saga with another class of its start event: what is deployed, and what is to be."""
    return f"""\
class Fuller(OfOrder, type="orders.Placed.v1"):
    customer_id: str

class Deployed(Saga):
    name, key, step_timeout, ends_with = "ordering", "order_id", seconds(30), Shipped
    start = Start({old}, by="orders", undone=Cancelled)
    ship = Step(by="shipping", on={old}, done=Shipped, pivot=True)

class Ordering(Saga):
    name, key, step_timeout, ends_with = "ordering", "order_id", seconds(30), Shipped
    start = Start({new}, by="orders", undone=Cancelled)
    ship = Step(by="shipping", on={new}, done=Shipped, pivot=True)
"""


def after(old: str, new: str) -> str:
    """What is deployed, and the same saga with something else in it."""
    changed = OLD.replace("class Deployed", "class Ordering")
    assert old in changed
    return f"{OLD}\n{changed.replace(old, new)}"


CASES_IN_TIME: dict[str, Case] = {
    "a life longer than Kafka keeps": Case(
        "S15", EXAMPLES["S15"], (("days(30)", "days(6)"),), "30 d 1 h"
    ),
    "a name that is too long": Case(
        "S15",
        HEAD.replace(":\n", f':\n    name = "o{"r" * 240}"\n', 1)
        + '    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True)\n',
        (("r" * 240, "r"),),
        "Kafka takes 249",
    ),
    "a step more, in between": Case(
        "S16",
        EXAMPLES["S16"],
        (
            ('    reserve = Step(by="stock", on=Placed, done=Reserved, undone=Released)\n', ""),
            ("on=Reserved", "on=Placed"),
        ),
        "it is new, and follows Placed",
    ),
    "a step more, beside": Case(
        "S16",
        after(
            "    ship",
            '    pack = Step(by="stock", on=Placed, done=Picked, undone=NOTHING)\n    ship',
        ),
        (('    pack = Step(by="stock", on=Placed, done=Picked, undone=NOTHING)\n', ""),),
        "nothing is sure to wake it",
    ),
    "a step more, behind what is no end alone": Case(
        "S16",
        SIDE_BY_SIDE.replace("Ordering", "Deployed")
        + "\n"
        + SIDE_BY_SIDE
        + '    tell = Step(by="orders", on=Picked, done=Inspected)\n',
        ((", done=Picked)\n    ship", ", done=Picked)\n    # ship"),),
        "follows Picked",
    ),
    "a step more, behind one of two ends and beside the other": Case(
        "S16",
        SIDE_BY_SIDE.replace("Ordering", "Deployed")
        + "\n"
        + SIDE_BY_SIDE
        + '    tell = Step(by="orders", on=Picked, done=Inspected)\n',
        (
            (
                "on=Placed, done=Paid, pivot=True",
                "on=Placed, done=OneOf(Paid, Declined), pivot=True",
            ),
            ("on=Paid, done=Shipped", "on=Declined, done=Shipped"),
        ),
    ),
    "an outcome less": Case(
        "S16",
        after("refused=Unavailable, ", ""),
        (("done=Reserved, undone", "done=Reserved, refused=Unavailable, undone"),),
        "it knows Unavailable no more",
    ),
    "an outcome more": Case(
        "S16",
        after("refused=Unavailable, ", ""),
        (
            ("class Deployed", "class New"),
            ("class Ordering", "class Deployed"),
            ("class New", "class Ordering"),
        ),
    ),
    "an undo less": Case(
        "S16",
        after("undone=Released", "undone=NOTHING"),
        (("undone=NOTHING", "undone=Released"),),
        "Released no more",
    ),
    "another participant": Case(
        "S16",
        CHECKED.replace("Ordering", "Deployed")
        + "\n"
        + CHECKED.replace('by="orders", on', 'by="stock", on').replace("Approved", "Available"),
        (('by="stock", on', 'by="orders", on'), ("Available", "Approved")),
        "it was performed by orders",
    ),
    "a step less": Case(
        "S16",
        after("    ship = ", "    pack = "),
        (("    pack = ", "    ship = "),),
        "the step ship is gone",
    ),
    "another pivot": Case(
        "S16",
        after("done=Shipped, pivot=True", "done=Shipped, undone=NOTHING"),
        (("done=Shipped, undone=NOTHING", "done=Shipped, pivot=True"),),
        "it was the pivot",
    ),
    "a step that becomes a wait": Case(
        "S16",
        CHECKED.replace("Ordering", "Deployed")
        + "\n"
        + CHECKED.replace(
            "done=Approved, undone=NOTHING", "done=Approved, timeout=days(1)"
        ).replace("approve = Step", "approve = Wait"),
        (
            ("approve = Wait", "approve = Step"),
            ("timeout=days(1)", "undone=NOTHING, timeout=days(1)"),
        ),
        "it was a step and is a wait",
    ),
    "an undo more": Case(
        "S16",
        CHECKED.replace("Ordering", "Deployed")
        + "\n"
        + CHECKED.replace("undone=NOTHING", "undone=Rejected"),
        (("undone=Rejected", "undone=NOTHING"),),
        "it had nothing to undo, and now has",
    ),
    "a field more, beside what is deployed": Case(
        "S12",
        beside("Placed", "Fuller"),
        (("customer_id: str", 'customer_id: str = ""'),),
        "what the deployed version has written, does not fit: customer_id is needed",
    ),
    "a field less, beside what is deployed": Case(
        "S12",
        beside("Fuller", "Placed"),
        (("customer_id: str", 'customer_id: str = ""'),),
        "read by the deployed one, does not fit: customer_id is needed",
    ),
    "another trigger": Case(
        "S16",
        CHECKED.replace("Ordering", "Deployed")
        + "\n"
        + CHECKED.replace("on=Approved", "on=Placed"),
        (("on=Placed, done=Shipped", "on=Approved, done=Shipped"),),
        "it followed Approved and now follows Placed",
    ),
    "another way round, and the old one is gone": Case(
        "S16",
        CHECKED.replace("Ordering", "Deployed")
        + "\n"
        + CHECKED.replace("done=Approved", "done=OneOf(Approved, Doubted)").replace(
            "on=Approved", "on=Inspected"
        )
        + '    look = Step(by="orders", on=Doubted, done=Inspected, undone=NOTHING)\n',
        (("on=Inspected", "on=AnyOf(Approved, Inspected)"),),
        "it followed Approved and now follows Inspected",
    ),
    "a key that is personal": Case(
        "S17",
        EXAMPLES["S17"],
        (("email: Personal[str]", "email: str"),),
        "its key 'email' is personal",
    ),
    "a log line that says it": Case(
        "S17",
        PERSONAL.replace("{}", 'context.logger.info("asked", who=asked.email)'),
        (("who=asked.email", "order=asked.order_id"),),
        "Asked.email is personal, and goes into a log line",
    ),
    "an error that says it": Case(
        "S17",
        PERSONAL.replace("{}", 'raise ValueError(f"no address {asked.email!r}")'),
        (("asked.email!r", "asked.order_id!r"),),
        "goes into an error",
    ),
}
