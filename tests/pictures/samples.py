"""Sagas of every shape to draw: side by side, choices, waits, twenty steps, and names that are too long."""

from __future__ import annotations

from sagas.core.definition import START, Definition, Join, StepDefinition, UndoPolicy

__all__ = ["ALTERNATIVES", "HOSTILE", "LONG", "PARALLEL", "SAMPLES", "TWENTY", "WAITS"]


def _start(service: str = "orders", *, undone: bool = True) -> StepDefinition:
    return StepDefinition(
        name=START,
        service=service,
        done=(f"{service}.Placed.v1",),
        undone=f"{service}.Withdrawn.v1" if undone else None,
        state="CREATED",
    )


def _step(name: str, service: str, *on: str, **more: object) -> StepDefinition:
    said = "".join(part.capitalize() for part in name.split("_"))
    given: dict[str, object] = {
        "done": (f"{service}.{said}Done.v1",),
        "undone": f"{service}.{said}Undone.v1",
        "timeout_ms": 30_000,
    }
    return StepDefinition(name=name, service=service, triggers=on, **(given | more))  # type: ignore[arg-type]


PARALLEL = Definition(
    "trip",
    "trip_id",
    (
        _start("trips"),
        _step("book_flight", "flights", "trips.Placed.v1", refused=("flights.FlightFull.v1",)),
        _step("book_hotel", "hotels", "trips.Placed.v1", refused=("hotels.HotelFull.v1",)),
        _step("rent_car", "cars", "trips.Placed.v1", if_undo_fails=UndoPolicy.CONTINUE),
        _step(
            "take_payment",
            "payments",
            *("flights.BookFlightDone.v1", "hotels.BookHotelDone.v1", "cars.RentCarDone.v1"),
            undone=None,
            pivot=True,
            refused=("payments.PaymentDeclined.v1",),
        ),
        _step("send_tickets", "trips", "payments.TakePaymentDone.v1", undone=None, state="BOOKED"),
    ),
)

WAITS = Definition(
    "ordering",
    "order_id",
    (
        _start(),
        _step(
            "grace_period",
            "orders",
            "orders.Placed.v1",
            done=(),
            undone=None,
            waits=True,
            otherwise="orders.GraceOver.v1",
            timeout_ms=60_000,
        ),
        _step(
            "wrap_gift",
            "shipping",
            "orders.GraceOver.v1",
            otherwise="shipping.WrappingSkipped.v1",
            timeout_ms=90_000,
        ),
        _step(
            "create_shipment",
            "shipping",
            *("shipping.WrapGiftDone.v1", "shipping.WrappingSkipped.v1"),
            join=Join.ANY,
            pivot=True,
            undone=None,
            state="SHIPPED",
        ),
        _step(
            "confirm_receipt",
            "orders",
            "shipping.CreateShipmentDone.v1",
            done=("orders.ReceiptConfirmed.v1",),
            otherwise="orders.ReceiptAssumed.v1",
            undone=None,
            waits=True,
            timeout_ms=7 * 86_400_000,
            state="FULFILLED",
        ),
    ),
    deadline_ms=7_200_000,
    cancelled_by="customers.OrderCancelled.v1",
)

ALTERNATIVES = Definition(
    "insurance-claim",
    "claim_id",
    (
        _start("claims"),
        _step(
            "assess",
            "experts",
            "claims.Placed.v1",
            done=("experts.SmallDamage.v1", "experts.LargeDamage.v1", "experts.TotalLoss.v1"),
            undone=None,
        ),
        _step("pay_small", "payments", "experts.SmallDamage.v1"),
        _step("inspect", "experts", "experts.LargeDamage.v1", refused=("experts.Fraud.v1",)),
        _step("pay_large", "payments", "experts.InspectDone.v1"),
        _step("buy_wreck", "wrecks", "experts.TotalLoss.v1"),
        _step(
            "close_claim",
            "claims",
            *("payments.PaySmallDone.v1", "payments.PayLargeDone.v1", "wrecks.BuyWreckDone.v1"),
            join=Join.ANY,
            undone=None,
            pivot=True,
        ),
    ),
)

_TEAMS = ("orders", "inventory", "payments", "fraud-detection", "shipping", "notifications")


def _team(number: int) -> str:
    return _TEAMS[number % len(_TEAMS)]


def _trigger(number: int) -> str:
    """Now and then two steps in a row have the same."""
    before = number - 2 if number in {4, 9, 17, 19} else number - 1
    return f"{_team(before)}.Step{before:02}Done.v1" if before else "orders.Placed.v1"


def _numbered(number: int) -> StepDefinition:
    return _step(
        f"step_{number:02}",
        _team(number),
        _trigger(number),
        pivot=number == 15,
        undone=None if number > 14 else f"{_team(number)}.Step{number:02}Undone.v1",
        refused=(f"{_team(number)}.Step{number:02}Refused.v1",) if number in {3, 6, 12} else (),
    )


TWENTY = Definition("everything", "order_id", (_start(), *map(_numbered, range(1, 21))))

_ENDLESS = "reconcile_the_ledger_of_the_previous_business_day_with_the_statement_of_the_bank"
_PUBLISHER = "the-department-of-accounts-payable-and-receivable-of-the-northern-region"

LONG = Definition(
    "a-saga-whose-name-says-everything-that-it-does-" * 3,
    "order_id",
    (
        _start("x"),
        _step(_ENDLESS, _PUBLISHER, "x.Placed.v1", done=("x." + "Word" * 40 + ".v1",)),
        _step("w" * 120, "y", "x." + "Word" * 40 + ".v1", undone="y." + "W" * 90 + ".v1"),
        _step("short", "y", f"y.W{'w' * 119}Done.v1"),
    ),
)

_NASTY = '<b>"\'&--><script>alert(1)</script>]]>\\" | {x} \x1b[31m \u202e end #quot; `%%` ; \n\t'

HOSTILE = Definition(
    _NASTY,
    "order_id",
    (
        StepDefinition(name=START, service=_NASTY, done=(f"a.{_NASTY}.v1",), undone=_NASTY + "2"),
        StepDefinition(
            name=_NASTY,
            service="end",
            triggers=(f"a.{_NASTY}.v1",),
            done=("subgraph", "graph.end.v1"),
            refused=(_NASTY + "3",),
            undone="class",
            state=_NASTY,
        ),
        StepDefinition(name="end", service="click", triggers=("subgraph",), done=("style",)),
        StepDefinition(
            name="n_end", service="名前", triggers=("graph.end.v1",), done=("支払い済み" * 30,)
        ),
    ),
)

SAMPLES = {
    "parallel": PARALLEL,
    "waits": WAITS,
    "alternatives": ALTERNATIVES,
    "twenty": TWENTY,
    "long": LONG,
    "hostile": HOSTILE,
}
