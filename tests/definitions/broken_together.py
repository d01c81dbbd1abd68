"""Broken sagas of which the fault shows beside others: data and locks."""

from __future__ import annotations

from sagas.checks.examples import EXAMPLES
from tests.definitions.broken import HEAD, Case

__all__ = ["CASES_TOGETHER"]

COMMUTATIVE = 'Writes("pieces", guard=Guard.COMMUTATIVE)'


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
}
