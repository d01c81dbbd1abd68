# mypy: ignore-errors
# pyright: basic, reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportReturnType=false
"""Uses that both type checkers must reject, each on the line that says so; never imported.

The first two lines keep the checks of the whole project quiet; the test takes them away.
"""

from __future__ import annotations

from sagas import (
    NOTHING,
    AllOf,
    AnyOf,
    Event,
    EventContext,
    Guard,
    Locks,
    OneOf,
    Retry,
    Saga,
    SagaEnded,
    Service,
    Start,
    Step,
    StepContext,
    Wait,
    Writes,
    seconds,
    upcasts,
)
from sagas.runtime.client import SagaClient
from tests.typing.declared import (
    Assumed,
    Confirmed,
    Delivery,
    Gift,
    Graced,
    Joined,
    Late,
    Lone,
    Merged,
    Packed,
    Paid,
    Placed,
    Recalled,
    Refunded,
    Sale,
    Sent,
    Shipped,
    Standard,
    Told,
    Unjoined,
    Unpaid,
    Unplaced,
)

shop = Service("shop")

# --- performs -------------------------------------------------------------------------------------


async def wrong_trigger(paid: Paid, context: StepContext) -> Paid: ...
async def undeclared_outcome(placed: Placed, context: StepContext) -> Paid | Refunded: ...
async def too_wide_outcome(placed: Placed, context: StepContext) -> Event: ...
async def perhaps_nothing(placed: Placed, context: StepContext) -> Paid | None: ...
async def no_context(placed: Placed) -> Paid: ...
async def wrong_context(placed: Placed, context: str) -> Paid: ...
async def no_trigger(context: StepContext) -> Paid: ...
async def swapped(context: StepContext, placed: Placed) -> Paid: ...
def plain_wrong_trigger(paid: Paid, context: StepContext) -> Paid: ...
def plain_undeclared_outcome(placed: Placed, context: StepContext) -> Sent: ...
async def another_choice(placed: Placed, context: StepContext) -> Gift | Packed: ...


shop.performs(Sale.pay)(wrong_trigger)  # wrong: it is triggered by Placed
shop.performs(Sale.pay)(undeclared_outcome)  # wrong: Refunded is no outcome of the step
shop.performs(Sale.pay)(too_wide_outcome)  # wrong: not every event is an outcome
shop.performs(Sale.pay)(perhaps_nothing)  # wrong: a step has an outcome
shop.performs(Sale.pay)(no_context)  # wrong: two arguments are given
shop.performs(Sale.pay)(wrong_context)  # wrong: the context is a StepContext
shop.performs(Sale.pay)(no_trigger)  # wrong: the trigger is missing
shop.performs(Sale.pay)(swapped)  # wrong: the trigger comes first
shop.performs(Sale.pay)(plain_wrong_trigger)  # wrong: plain functions are checked, too
shop.performs(Sale.pay)(plain_undeclared_outcome)  # wrong: their outcomes as well
shop.performs(Sale.choose)(another_choice)  # wrong: Packed is not one of the choice
shop.performs(Sale.start)(no_context)  # wrong: nobody performs a start
shop.performs(Placed)(no_context)  # wrong: an event is no step
shop.performs("pay")(no_context)  # wrong: a name is no step


# --- joins and merges -----------------------------------------------------------------------------


async def half_a_join(paid: Paid, context: StepContext) -> Joined: ...
async def join_swapped(merged: Merged, paid: Paid, context: StepContext) -> Joined: ...
async def join_of_others(paid: Paid, placed: Placed, context: StepContext) -> Joined: ...
async def join_of_three(
    paid: Paid, merged: Merged, placed: Placed, context: StepContext
) -> Joined: ...
async def join_as_merge(either: Paid | Merged, context: StepContext) -> Joined: ...
async def join_undeclared(paid: Paid, merged: Merged, context: StepContext) -> Sent: ...
async def half_a_merge(gift: Gift, context: StepContext) -> Merged: ...
async def merge_as_join(gift: Gift, standard: Standard, context: StepContext) -> Merged: ...


shop.performs(Sale.join)(half_a_join)  # wrong: the join has two triggers
shop.performs(Sale.join)(join_swapped)  # wrong: in the order of AllOf
shop.performs(Sale.join)(join_of_others)  # wrong: the second one is Merged
shop.performs(Sale.join)(join_of_three)  # wrong: one too many
shop.performs(Sale.join)(join_as_merge)  # wrong: a join is no merge
shop.performs(Sale.join)(join_undeclared)  # wrong: Sent is no outcome of the step
shop.performs(Sale.merge)(half_a_merge)  # wrong: the other branch comes, too
shop.performs(Sale.merge)(merge_as_join)  # wrong: only one of them comes


# --- undoes ---------------------------------------------------------------------------------------


async def refund(placed: Placed, paid: Paid | None, context: StepContext) -> Refunded: ...
async def wrong_undone(placed: Placed, paid: Paid | None, context: StepContext) -> Unpaid: ...
async def known_outcome(placed: Placed, paid: Paid, context: StepContext) -> Refunded: ...
async def other_outcome(placed: Placed, no: Unpaid | None, context: StepContext) -> Refunded: ...
async def no_outcome(placed: Placed, context: StepContext) -> Refunded: ...
async def half_an_undo(paid: Paid, joined: Joined | None, context: StepContext) -> Unjoined: ...
async def unplace(placed: Placed, outcome: Placed | None, context: StepContext) -> Unplaced: ...
async def wrong_unplace(paid: Paid, context: StepContext) -> Unplaced: ...


shop.undoes(Sale.choose)(refund)  # wrong: it says NOTHING
shop.undoes(Sale.send)(refund)  # wrong: a pivot is not undone
shop.undoes(Lone.start)(unplace)  # wrong: this start says NOTHING
shop.undoes(Sale.pay)(wrong_undone)  # wrong: Unpaid is not what says undone
shop.undoes(Sale.pay)(known_outcome)  # wrong: the outcome may be unknown
shop.undoes(Sale.pay)(other_outcome)  # wrong: the outcome is Paid
shop.undoes(Sale.pay)(no_outcome)  # wrong: three arguments are given
shop.undoes(Sale.join)(half_an_undo)  # wrong: both triggers are given
shop.undoes(Sale.start)(unplace)  # wrong: a start has no outcome besides its event
shop.undoes(Sale.start)(wrong_unplace)  # wrong: the start is Placed


# --- otherwise and waits --------------------------------------------------------------------------


async def not_otherwise(placed: Placed, context: StepContext) -> Shipped | Assumed: ...
async def otherwise_of_none(placed: Placed, context: StepContext) -> Paid | Late: ...
async def recall_late(placed: Placed, late: Late | None, context: StepContext) -> Recalled: ...
async def wait_for(shipped: Shipped, context: StepContext) -> Confirmed: ...
async def unwait(shipped: Shipped, done: Confirmed | None, context: StepContext) -> Recalled: ...


shop.performs(Delivery.ship)(not_otherwise)  # wrong: Assumed is the otherwise event of another
shop.performs(Sale.pay)(otherwise_of_none)  # wrong: this step has no otherwise event
shop.undoes(Delivery.ship)(recall_late)  # wrong: the recorded outcome is a done event
shop.performs(Delivery.confirm)(wait_for)  # wrong: a wait has no handler
shop.undoes(Delivery.confirm)(unwait)  # wrong: nor anything to undo
shop.completes(Delivery.confirm)("1", Late(sale_id="1"))  # wrong: this is no answer
shop.completes(Delivery.confirm)("1", Assumed(sale_id="1"))  # wrong: only a timer says otherwise
shop.completes(Delivery.confirm)("1", Confirmed)  # wrong: an event, not its type
shop.completes(Delivery.confirm)(None, Confirmed(sale_id="1"))  # wrong: the key is missing
shop.completes(Delivery.choose)("1", Packed(sale_id="1"))  # wrong: not one of the choice
shop.completes(Delivery.grace)("1", Graced(sale_id="1"))  # wrong: nothing but time ends it
shop.completes(Delivery.ship)  # wrong: a step is performed
shop.completes(Delivery.start)  # wrong: a start is no wait


async def complete(client: SagaClient) -> None:
    await client.complete(Delivery.confirm, "1", Late(sale_id="1"))  # wrong: this is no answer
    await client.complete(Delivery.choose, "1", Packed(sale_id="1"))  # wrong: nor is this
    await client.complete(Delivery.ship, "1", Shipped(sale_id="1"))  # wrong: a step is performed
    await client.complete(Delivery.confirm, None, Confirmed(sale_id="1"))  # wrong: no key
    await client.tell(Confirmed(sale_id="1"))  # wrong: which wait does it complete?
    await client.cancel(Delivery, "1", why="no")  # wrong: who asks?
    await client.cancel("delivery", "1", by="ada", why="no")  # wrong: the saga, not its name
    await client.cancel_by(Delivery)  # wrong: an event


async def nothing_completes(client: SagaClient) -> None:
    await client.complete(Delivery.grace, "1", Graced(sale_id="1"))  # wrong: nothing but time


# --- observes -------------------------------------------------------------------------------------


async def look(paid: Paid, context: EventContext) -> None: ...
async def look_as_step(paid: Paid, context: StepContext) -> None: ...
async def look_back(ended: SagaEnded, context: EventContext) -> None: ...
async def answer(paid: Paid, context: EventContext) -> Sent: ...


shop.observes(Unpaid)(look)  # wrong: another event
shop.observes(Paid, Unpaid)(look)  # wrong: Unpaid comes, too
shop.observes(Paid)(look_as_step)  # wrong: an observer is no step
shop.observes(Paid)(answer)  # wrong: nobody waits for an answer
shop.observes(Sale.ended)(look)  # wrong: it gets a SagaEnded
shop.observes(Paid)(look_back)  # wrong: it gets the event
shop.observes(Sale)(look_back)  # wrong: a saga is no event; its end is Sale.ended
shop.observes("shop.Paid.v1")(look)  # wrong: types, not names
shop.observes(Paid, Sale.ended)  # wrong: events or ends, not both


# --- declarations ---------------------------------------------------------------------------------

Step(by="shop", on=Placed)  # wrong: no outcome
Step(by="shop", done=Paid)  # wrong: no trigger
Step(on=Placed, done=Paid)  # wrong: nobody performs it
Step(by="shop", on="Placed", done=Paid)  # wrong: a type, not its name
Step(by="shop", on=OneOf(Gift, Standard), done=Merged)  # wrong: triggers are AllOf or AnyOf
Step(by="shop", on=Placed, done=AnyOf(Gift, Standard))  # wrong: outcomes are OneOf
Step(by="shop", on=Placed, done=(Gift, Standard))  # wrong: OneOf, not a tuple
Step(by="shop", on=Placed, done=Paid, refused=NOTHING)  # wrong: no refusal is no argument
Step(by="shop", on=Placed, done=Paid, undone=None)  # wrong: NOTHING, not None
Step(by="shop", on=Placed, done=Paid, undone=Refunded(sale_id="1"))  # wrong: a type, no event
Step(by="shop", on=Placed, done=Paid, reads="Placed")  # wrong: a type, not its name
Step(by="shop", on=Placed, done=Paid, reads=(Placed, "Paid"))  # wrong: types only
Step(by="shop", on=Placed, done=Paid, pivot="yes")  # wrong: True or nothing
Step(by="shop", on=Placed, done=int)  # wrong: an event type
Step(by="shop", on=Placed, done=Paid, otherwise="Late")  # wrong: a type, not its name
Step(by="shop", on=Placed, done=Paid, otherwise=OneOf(Gift, Standard))  # wrong: one type
Step(by="shop", on=Placed, done=Paid, timeout=30)  # wrong: thirty what?
Step(by="shop", on=Placed, done=Paid, timeout="NEVER")  # wrong: NEVER, not its name
Step(by="shop", on=Placed, done=Paid, retry=5)  # wrong: Retry(attempts=5)
Step(by="shop", on=Placed, done=Paid, if_undo_fails="go on")  # wrong: CONTINUE
Retry(attempts="5")  # wrong: a number
Retry(backoff=0.1)  # wrong: seconds(0.1)
Retry(on=Unpaid)  # wrong: errors are tried again, not events
Retry(5, seconds(1), 2.0, seconds(1), 0.1, KeyError, (), 1)  # wrong: one too many
Wait(on=Placed, done=Confirmed)  # wrong: who waits?
Wait(by="shop", done=Confirmed)  # wrong: no trigger
Wait(by="shop", on=OneOf(Gift, Standard), done=Merged)  # wrong: triggers are AllOf or AnyOf
Wait(by="shop", on=Placed, done="Confirmed")  # wrong: a type, not its name
Wait(by="shop", on=Placed, done=Confirmed, undone=Recalled)  # wrong: nothing to undo
Wait(by="shop", on=Placed, done=Confirmed, reads=Placed)  # wrong: nobody reads
Wait(by="shop", on=Placed, done=Confirmed, retry=Retry())  # wrong: nothing is tried
Wait(by="shop", on=Placed, done=Confirmed, timeout=7)  # wrong: days(7)
Wait(by="shop", on=Placed, done=Confirmed, otherwise=Late(sale_id="1"))  # wrong: a type
Start(Placed, by="shop")  # wrong: it says nothing of its undo
Start("Placed", by="shop", undone=NOTHING)  # wrong: a type, not its name
AllOf(Placed)  # wrong: one is not several
AnyOf(Placed, "Paid")  # wrong: types only


class Hasty(Saga):
    key = "sale_id"
    deadline = 7200  # wrong: hours(2)
    step_timeout = "NEVER"  # wrong: NEVER
    reuse = "after-end"  # wrong: Reuse.AFTER_END
    cancelled_by = Late(sale_id="1")  # wrong: a type, no event


class Vague(Saga):
    key = "sale_id"
    reuse = True  # wrong: which?
    cancelled_by = "shop.Late.v1"  # wrong: a type, not its name


# --- what is said for the checks -------------------------------------------------------------------


class Careless(Saga):
    key = "sale_id"
    ends_with = "Told"  # wrong: a type, not its name
    for_outsiders = Told(sale_id="1")  # wrong: a type, no event
    start = Start(Placed, by="shop", undone=Unplaced)
    tell = Step(by="shop", on=Placed, done=Told, pivot=True, data="stock")  # wrong: Reads("stock")


Writes("stock", guard="commutative")  # wrong: Guard.COMMUTATIVE
Locks(Placed)  # wrong: a name
Locks("order", guard=Guard.REREAD)  # wrong: a lock is a guard itself
Service("shop", True)  # wrong: tombstones=True


# --- versions of an event ---------------------------------------------------------------------------


class PaidInEuros(Event, type="shop.Paid.v2"):
    sale_id: str

    @staticmethod
    @upcasts(Paid)  # wrong: the function takes a Late
    def of_late(old: Late) -> PaidInEuros:
        return PaidInEuros(sale_id=old.sale_id)


upcasts("shop.Paid.v1")  # wrong: a type, not its name


@shop.performs(Sale.pay)
async def pay_as_before(placed: Placed, context: StepContext) -> Paid | Unpaid:
    return PaidInEuros.as_before("Paid")  # wrong: an event


# --- contexts and decorated functions -------------------------------------------------------------


@shop.performs(Sale.pay)
async def pay(placed: Placed, context: StepContext) -> Paid | Unpaid:
    other: Paid = context.read(Placed)  # wrong: it reads a Placed
    context.read("Placed")  # wrong: a type, not its name
    number: int = context.resource(str)  # wrong: the resource is a str
    context.attempt = 2  # wrong: a context does not change
    return Paid(sale_id=f"{other} {number}")


async def call(context: StepContext, event_context: EventContext) -> None:
    await pay(Paid(sale_id="1"), context)  # wrong: a decorated function keeps its parameters
    paid: Paid = await pay(Placed(sale_id="1"), context)  # wrong: and its outcomes
    await refund(Placed(sale_id="1"), paid, event_context)  # wrong: and its context
    event_context.read(Placed)  # wrong: only steps read
