"""Broken sagas of which the fault shows beside others: data, locks, topics, versions, persons."""

from __future__ import annotations

from sagas.checks.examples import EXAMPLES
from tests.definitions.broken import HEAD, Case

__all__ = ["CASES_TOGETHER"]

COMMUTATIVE = 'Writes("pieces", guard=Guard.COMMUTATIVE)'

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

LOCKING = """\
class Ordering(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Shipped
    start = Start(Placed, by="orders", undone=Cancelled, data=Locks("order"))
    reserve = Step(by="stock", on=Placed, done=Reserved, undone=Released, data=Locks("shelf"))
    ship = Step(by="shipping", on=Reserved, done=Shipped, pivot=True, data=Unlocks("shelf", "order"))

class Counting(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Picked
    start = Start(Received, by="orders", undone=Rejected, data=Locks("shelf"))
    inspect = Step(by="orders", on=Received, done=Inspected, undone=Doubted, data=Locks("order"))
    pick = Step(by="stock", on=Inspected, done=Picked, pivot=True, data=Unlocks("shelf", "order"))
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

GIVING_BACK = (
    HEAD.replace("undone=Cancelled", 'undone=Cancelled, data=Locks("order")')
    + """\
    pack = Step(by="stock", on=Placed, done=Picked, otherwise=Available, undone=NOTHING,
                data=Unlocks("order"))
    ship = Step(by="shipping", on=AnyOf(Picked, Available), done=Shipped, pivot=True)
"""
)

TAKING = (
    HEAD
    + """\
    pack = Step(by="stock", on=Placed, done=Picked, otherwise=Available, undone=Released,
                data=Locks("shelf"))
    count = Step(by="stock", on=Picked, done=Reserved, undone=NOTHING)
    ship = Step(by="shipping", on=AnyOf(Reserved, Available), done=Shipped, pivot=True)
"""
)

LOOKING = (
    HEAD
    + """\
    pack = Step(by="stock", on=Placed, done=Picked, otherwise=Available, undone=Released,
                data=Locks("shelf"))
    look = Step(by="stock", on=AnyOf(Picked, Available), done=Reserved, undone=NOTHING,
                data=Reads("pieces"))
    ship = Step(by="shipping", on=Reserved, done=Shipped, pivot=True, data=Unlocks("shelf"))

class Unwritten(OfOrder, type="stock.Unwritten.v1"): ...

class Counting(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Inspected
    start = Start(Received, by="orders", undone=NOTHING)
    count = Step(by="stock", on=Received, done=Unavailable, undone=Unwritten,
                 data=(Locks("shelf"), Writes("pieces", guard=Guard.COMMUTATIVE)))
    inspect = Step(by="orders", on=Unavailable, done=Inspected, pivot=True, data=Unlocks("shelf"))
"""
)


def two(*, look: str = "()", take: str = "()", count: str = "()", undone: str = "NOTHING") -> str:
    """Two sagas that may come to the same pieces: one looks, then takes; the other counts them."""
    return (
        HEAD.replace("Shipped", "Picked")
        + f"""\
    look = Step(by="stock", on=Placed, done=Available, undone=NOTHING, data={look})
    take = Step(by="stock", on=Available, done=Picked, undone=NOTHING, data={take})

class Counting(Saga):
    key, step_timeout, ends_with = "order_id", seconds(30), Inspected
    start = Start(Received, by="orders", undone=NOTHING)
    count = Step(by="stock", on=Received, done=Reserved, undone={undone}, data={count})
    inspect = Step(by="orders", on=Reserved, done=Inspected, pivot=True)
"""
    )


def after(old: str, new: str) -> str:
    """What is deployed, and the same saga with something else in it."""
    changed = OLD.replace("class Deployed", "class Ordering")
    assert old in changed
    return f"{OLD}\n{changed.replace(old, new)}"


READS, WRITES = 'Reads("pieces")', 'Writes("pieces")'

CASES_TOGETHER: dict[str, Case] = {
    "what was looked at is overwritten": Case(
        "S13",
        two(look=READS, take=WRITES),
        ((WRITES, 'Writes("pieces", guard=Guard.REREAD)'),),
        "what another ordering.take writes since look is lost",
    ),
    "what another saga writes is overwritten": Case(
        "S13",
        two(look='Reads("pieces", own=True)', take='Writes("pieces", own=True)', count=COMMUTATIVE),
        ((COMMUTATIVE, 'Writes("boxes")'),),
        "what counting.count writes since look is lost",
    ),
    "what another saga writes is undone": Case(
        "S13", two(count=WRITES, undone="Released"), ((WRITES, COMMUTATIVE),), "until it is undone"
    ),
    "what may be undone is looked at": Case(
        "S13",
        two(look=READS, count=COMMUTATIVE, undone="Released"),
        ((READS, 'Reads("pieces", guard=Guard.BY_VALUE)'),),
        "which may still be undone",
    ),
    "what may be undone is looked at, but nothing is": Case(
        "S13",
        two(look=READS, count=COMMUTATIVE, undone="Released"),
        (("undone=Released", "undone=NOTHING"),),
    ),
    "it is looked at twice": Case(
        "S13",
        two(look=READS, take=READS, count=COMMUTATIVE),
        ((f"done=Picked, undone=NOTHING, data={READS}", "done=Picked, undone=NOTHING"),),
        "other values than look did",
    ),
    "it is overwritten, and no lock keeps others away": Case(
        "S13",
        two(look=READS, take=WRITES),
        ((READS, f'(Locks("shelf"), {READS})'), (WRITES, f'({WRITES}, Unlocks("shelf"))')),
    ),
    "it is overwritten, and only one side has the lock": Case(
        "S13",
        two(
            look=f'(Locks("shelf"), {READS})',
            take=f'({WRITES}, Unlocks("shelf"))',
            count=COMMUTATIVE,
        ),
        ((COMMUTATIVE, f'(Locks("shelf"), {COMMUTATIVE}, Unlocks("shelf"))'),),
        "counting.count writes",
    ),
    "it is undone after its lock was given back": Case(
        "S13",
        two(count=f'(Locks("shelf"), {WRITES}, Unlocks("shelf"))', undone="Released"),
        ((', Unlocks("shelf"))', ")"), ("pivot=True)", 'pivot=True, data=Unlocks("shelf"))')),
        "until it is undone",
    ),
    "what may be undone is looked at, and only one side has the lock": Case(
        "S13",
        two(look=READS, count=f'(Locks("shelf"), {COMMUTATIVE})', undone="Released").replace(
            "pivot=True)", 'pivot=True, data=Unlocks("shelf"))'
        ),
        ((f"data={READS}", f'data=(Locks("shelf"), {READS}, Unlocks("shelf"))'),),
        "which may still be undone",
    ),
    "it is looked at where the lock was perhaps not taken": Case(
        "S13",
        LOOKING,
        (("otherwise=Available, ", ""), ("AnyOf(Picked, Available)", "Picked")),
        "which may still be undone",
    ),
    "a lock that one way keeps": Case(
        "S14",
        EXAMPLES["S14"],
        (
            (
                "done=Inspected, undone=NOTHING)",
                'done=Inspected, undone=NOTHING, data=Unlocks("order"))',
            ),
        ),
        "which nothing gives back after Doubted",
    ),
    "a lock that is kept where the saga goes on without a step": Case(
        "S14",
        GIVING_BACK,
        (
            ("pivot=True", 'pivot=True, data=Unlocks("order")'),
            ('undone=NOTHING,\n                data=Unlocks("order")', "undone=NOTHING"),
        ),
        "which nothing gives back after Available",
    ),
    "a lock that is only taken where the step is done": Case(
        "S14",
        TAKING,
        (("undone=NOTHING)", 'undone=NOTHING, data=Unlocks("shelf"))'),),
        "which nothing gives back:",
    ),
    "a lock that is never given back": Case(
        "S14",
        HEAD.replace("undone=Cancelled)", 'undone=Cancelled, data=Locks("order"))')
        + '    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True)\n',
        (("pivot=True)", 'pivot=True, data=Unlocks("order"))'),),
        "which nothing gives back:",
    ),
    "a lock that turning back keeps": Case(
        "S14",
        HEAD.replace("undone=Cancelled)", 'undone=NOTHING, data=Locks("order"))')
        + '    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True, data=Unlocks("order"))\n',
        (("undone=NOTHING", "undone=Cancelled"),),
        "the step has no undo",
    ),
    "a lock that was never taken": Case(
        "S14",
        HEAD
        + '    ship = Step(by="shipping", on=Placed, done=Shipped, pivot=True, data=Unlocks("order"))\n',
        (("undone=Cancelled)", 'undone=Cancelled, data=Locks("order"))'),),
        "no step before it has taken",
    ),
    "locks in a circle": Case(
        "S14",
        LOCKING,
        (
            ('undone=Rejected, data=Locks("shelf")', 'undone=Rejected, data=Locks("order")'),
            ('undone=Doubted, data=Locks("order")', 'undone=Doubted, data=Locks("shelf")'),
        ),
        "each can hold what the other one wants",
    ),
    "a lock that it has already": Case(
        "S14",
        LOCKING.partition("\n\n")[0].replace("shelf", "order"),
        (('undone=Released, data=Locks("order")', "undone=Released"),),
        "which it holds already",
    ),
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
        "nothing wakes it",
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
