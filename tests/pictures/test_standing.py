"""Where one instance stands, as each view shows it."""

from __future__ import annotations

from itertools import product

import pytest

from sagas.core.definition import (
    SAGA_PARKED,
    STEP_FAILED,
    STEP_TIMED_OUT,
    UNDO_FAILED,
    Definition,
    Direction,
    Role,
)
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.graph.drawing import Format, View, drawn, graph_of, standing_of
from sagas.graph.model import Standing
from sagas.graph.standing import event_places, state_places, step_places
from tests.pictures.samples import PARALLEL, WAITS
from tests.samples import OrderFulfilment

ORDER = OrderFulfilment.definition
RESERVED = ("orders.OrderPlaced.v1", "inventory.StockReserved.v1")
REFUSED = (*RESERVED, "payments.PaymentDeclined.v1")
SHIPPED = (*RESERVED, "payments.PaymentAuthorized.v1", "shipping.ShipmentCreated.v1")
CAPTURED = (*SHIPPED, "payments.PaymentCaptured.v1")


def told(definition: Definition, *events: str | tuple[str, str, Role]) -> Instance:
    """An instance that has heard of these events; a framework's with its step and role."""
    instance = Instance(definition, "o-1")
    for number, event in enumerate(events):
        if isinstance(event, str):
            outcome = definition.outcome_of[event]
            type_, step, role = event, outcome.step, outcome.role
        else:
            type_, step, role = event
        back = role is Role.UNDONE or (
            role is Role.PARKED and instance.phase is not SagaStatus.RUNNING
        )
        fact = Fact(
            id=str(number),
            type=type_,
            step=step,
            role=role,
            cause=str(number - 1),
            direction=Direction.UNDO if back or role is Role.UNDO_FAILED else Direction.FORWARD,
            published=True,
            assumed=role is Role.OTHERWISE,
        )
        instance = evolve(instance, fact)
    return instance


def words(instance: Instance) -> dict[str, str]:
    return {name: place.word for name, place in step_places(instance).items() if place.word}


def test_on_its_way() -> None:
    assert words(told(ORDER, *RESERVED)) == {
        "start": "done",
        "reserve_stock": "done",
        "authorize_payment": "running",
    }


def test_side_by_side_past_the_pivot() -> None:
    found = words(told(ORDER, *CAPTURED))
    assert (found["capture_payment"], found["notify_customer"]) == ("done", "running")


def test_a_refusal_and_the_way_back() -> None:
    instance = told(ORDER, *REFUSED)
    assert words(instance) == {
        "start": "to be undone",
        "reserve_stock": "being undone",
        "authorize_payment": "refused",
    }
    standings = {name: place.standing for name, place in step_places(instance).items()}
    assert standings["authorize_payment"] is Standing.FAILED
    assert standings["start"] is Standing.WAITING
    assert standings["reserve_stock"] is Standing.RUNNING
    assert standings["create_shipment"] is Standing.OPEN
    ended = told(ORDER, *REFUSED, "inventory.StockReleased.v1", "orders.OrderCancelled.v1")
    assert words(ended) == {
        "start": "undone",
        "reserve_stock": "undone",
        "authorize_payment": "refused",
    }


def test_a_failure_without_a_known_outcome() -> None:
    failed = told(ORDER, *RESERVED, (STEP_TIMED_OUT, "authorize_payment", Role.FAILED))
    assert words(failed)["authorize_payment"] == "being undone"
    nothing = told(ORDER, *SHIPPED, (STEP_FAILED, "capture_payment", Role.FAILED))
    assert words(nothing)["capture_payment"] == "failed"


def test_parked_forward_and_back() -> None:
    forward = told(ORDER, *SHIPPED, (SAGA_PARKED, "capture_payment", Role.PARKED))
    assert words(forward)["capture_payment"] == "parked"
    back = told(ORDER, *REFUSED, (SAGA_PARKED, "reserve_stock", Role.PARKED))
    assert words(back)["reserve_stock"] == "parked"
    assert words(back)["start"] == "to be undone"


def test_an_undo_that_was_given_up() -> None:
    instance = told(
        PARALLEL,
        *("trips.Placed.v1", "cars.RentCarDone.v1", "hotels.HotelFull.v1", "flights.FlightFull.v1"),
        (UNDO_FAILED, "rent_car", Role.UNDO_FAILED),
        "trips.Withdrawn.v1",
    )
    assert instance.status is SagaStatus.FAILED
    assert words(instance)["rent_car"] == "undo failed"
    assert state_places(instance)["COMPENSATED"].standing is Standing.FAILED


def test_waiting_and_going_on_without() -> None:
    waiting = told(WAITS, "orders.Placed.v1")
    assert step_places(waiting)["grace_period"].standing is Standing.WAITING
    without = told(WAITS, "orders.Placed.v1", "orders.GraceOver.v1", "shipping.WrappingSkipped.v1")
    assert words(without)["grace_period"] == "time was up"
    assert words(without)["wrap_gift"] == "being undone"
    assert step_places(without)["wrap_gift"].standing is Standing.SKIPPED
    assert state_places(without)["undo wrap_gift"].word == "being undone"


def test_events_that_were_emitted() -> None:
    places = event_places(told(ORDER, *REFUSED, "inventory.StockReleased.v1"))
    assert {type_ for type_, place in places.items() if place.word} == {
        *REFUSED,
        "inventory.StockReleased.v1",
    }
    assert places["payments.PaymentDeclined.v1"].standing is Standing.FAILED
    assert places["inventory.StockReleased.v1"].standing is Standing.UNDONE


def test_states_that_were_reached() -> None:
    places = state_places(told(ORDER, *REFUSED, "inventory.StockReleased.v1"))
    assert places["orders.OrderPlaced.v1"].word == "reached"
    assert places["inventory.StockReserved.v1"].standing is Standing.UNDONE
    assert places["undo reserve_stock"].word == "undone"
    assert places["undo start"].word == "being undone"
    assert state_places(told(ORDER))["begin"].word == "here"
    ended = told(ORDER, *CAPTURED, "notifications.CustomerNotified.v1")
    assert state_places(ended)["COMPLETED"].word == "ended here"


@pytest.mark.parametrize(("view", "format_"), list(product(View, Format)))
def test_every_view_and_format_says_where_it_stands(view: View, format_: Format) -> None:
    instance = told(ORDER, *REFUSED)
    graph = standing_of(graph_of(ORDER, view), view, instance)
    assert graph.subtitle.endswith("of o-1: COMPENSATING, RESERVED")
    said = {View.CHOREOGRAPHY: "to be undone", View.STATES: "to be undone", View.EVENTS: "emitted"}
    text = drawn(graph, format_)
    assert said[view] in text
    untold = {node.id for node in graph.nodes if node.place is None}
    assert untold <= {"orders.OrderCancellationRequested.v1"}
