"""What each view shows of a declaration."""

from __future__ import annotations

from itertools import product

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.core.definition import START, Definition, StepDefinition
from sagas.graph.choreography import choreography
from sagas.graph.drawing import View, graph_of
from sagas.graph.events import events
from sagas.graph.model import Graph, Mark, Node, Shape, event_names, span_words
from sagas.graph.states import states
from tests.pictures.samples import ALTERNATIVES, PARALLEL, SAMPLES, WAITS

ORDER = OrderFulfilment.definition


def node(graph: Graph, id_: str) -> Node:
    (found,) = [one for one in graph.nodes if one.id == id_]
    return found


def leads(graph: Graph) -> set[tuple[str, str, str]]:
    return {(e.source, e.row.text if e.row else "", e.target) for e in graph.edges}


@pytest.mark.parametrize(("name", "view"), list(product(SAMPLES, View)))
def test_every_edge_joins_boxes_and_leaves_a_row(name: str, view: View) -> None:
    graph = graph_of(SAMPLES[name], view)
    nodes = {one.id: one for one in graph.nodes}
    assert len(nodes) == len(graph.nodes)
    assert {one.lane for one in graph.nodes} <= {lane.id for lane in graph.lanes}
    for edge in graph.edges:
        assert edge.target in nodes
        assert edge.row is None or edge.row in nodes[edge.source].rows


def test_choreography() -> None:
    graph = choreography(ORDER)
    assert [lane.title for lane in graph.lanes] == list(ORDER.services)
    pay = node(graph, "authorize_payment")
    assert pay.notes == ("compensatable · 30 s", "reaches PAID")
    assert [(row.text, row.mark) for row in pay.rows] == [
        ("PaymentAuthorized", Mark.DONE),
        ("PaymentDeclined", Mark.REFUSED),
        ("PaymentVoided", Mark.UNDONE),
    ]
    assert leads(graph) == {
        ("start", "OrderPlaced", "reserve_stock"),
        ("reserve_stock", "StockReserved", "authorize_payment"),
        ("authorize_payment", "PaymentAuthorized", "create_shipment"),
        ("create_shipment", "ShipmentCreated", "capture_payment"),
        ("create_shipment", "ShipmentCreated", "notify_customer"),
        ("capture_payment", "PaymentCaptured", "confirm_receipt"),
    }
    assert node(graph, "create_shipment").shape is Shape.PIVOT
    assert node(graph, "confirm_receipt").notes == ("wait, retriable · 7 d", "reaches FULFILLED")
    assert node(graph, "capture_payment").notes == ("retriable · 30 s", "reads OrderPlaced")
    assert graph.notes[-1] == (
        "OrderCancellationRequested and the deadline of 2 h turn it back as well before the pivot."
    )


def test_joins_merges_and_policies_are_said() -> None:
    trip = choreography(PARALLEL)
    assert "once all of them are there" in node(trip, "take_payment").notes
    assert "if its undo fails: continue" in node(trip, "rent_car").notes
    assert "on any one of them" in node(choreography(WAITS), "create_shipment").notes


def test_states_of_the_way_forward_and_back() -> None:
    found = leads(states(ORDER))
    assert ("begin", "OrderPlaced", "orders.OrderPlaced.v1") in found
    assert ("orders.OrderPlaced.v1", "StockReserved", "inventory.StockReserved.v1") in found
    assert ("orders.OrderPlaced.v1", "StockUnavailable", "undo start") in found
    failed = ("orders.OrderPlaced.v1", "failed, or 30 s are up", "undo reserve_stock")
    assert failed in found
    assert ("undo authorize_payment", "PaymentVoided", "undo reserve_stock") in found
    assert ("undo start", "OrderCancelled", "COMPENSATED") in found
    assert ("notifications.CustomerNotified.v1", "", "COMPLETED") in found
    assert not any(target == "undo create_shipment" for _, _, target in found)
    assert node(states(ORDER), "inventory.StockReserved.v1").title == "RESERVED"


def test_states_say_what_runs_side_by_side() -> None:
    begun = node(states(PARALLEL), "trips.Placed.v1")
    assert "side by side: book_flight, book_hotel, rent_car" in begun.notes
    assert "rent_car failed, or 30 s are up" in [row.text for row in begun.rows]
    choice = node(states(ALTERNATIVES), "claims.Placed.v1")
    assert not any(note.startswith("side by side") for note in choice.notes)


def test_a_join_that_is_refused_undoes_all_branches() -> None:
    refused = {target for _, text, target in leads(states(PARALLEL)) if text == "PaymentDeclined"}
    assert refused == {"undo book_flight", "undo book_hotel", "undo rent_car"}


def test_going_on_without_a_step_undoes_it_beside() -> None:
    beside = ("shipping.WrappingSkipped.v1", "wrap_gift is undone beside", "undo wrap_gift")
    assert beside in leads(states(WAITS))


def test_an_undo_beside_past_the_pivot_has_a_place_of_its_own() -> None:
    steps = (
        StepDefinition(name=START, service="a", done=("a.Begun.v1",)),
        StepDefinition(
            name="go", service="a", triggers=("a.Begun.v1",), done=("a.Gone.v1",), pivot=True
        ),
        StepDefinition(
            name="wrap",
            service="a",
            triggers=("a.Gone.v1",),
            done=("a.Wrapped.v1",),
            otherwise="a.Skipped.v1",
            undone="a.Unwrapped.v1",
        ),
    )
    graph = states(Definition("wrapping", "key", steps))
    assert ("a.Skipped.v1", "wrap is undone beside", "undo wrap") in leads(graph)
    assert node(graph, "undo wrap").lane == "back"


def test_a_saga_that_never_turns_back_has_no_way_back() -> None:
    start = StepDefinition(name=START, service="a", done=("a.Begun.v1",))
    alone = Definition("alone", "key", (start,))
    graph = states(alone)
    assert [lane.id for lane in graph.lanes] == ["forward"]
    assert [one.id for one in graph.nodes] == ["begin", "a.Begun.v1", "COMPLETED"]


def test_events() -> None:
    graph = events(
        ORDER,
        {"orders": "shop.orders.events"},
        {"payments.PaymentDeclined.v1": ["notifications", "audit"]},
    )
    assert graph.lanes[0].note == "shop.orders.events"
    found = leads(graph)
    reserve = ("orders.OrderPlaced.v1", "inventory: reserve_stock")
    assert {target for *row, target in found if tuple(row) == reserve} == {
        "inventory.StockReserved.v1",
        "inventory.StockUnavailable.v1",
    }
    declined = node(graph, "payments.PaymentDeclined.v1")
    assert [row.text for row in declined.rows] == [
        "inventory: undo reserve_stock",
        "notifications observes",
        "audit observes",
    ]
    asked = node(graph, "orders.OrderCancellationRequested.v1")
    assert (asked.lane, asked.rows[0].mark) == ("orders", Mark.CANCELS)


def test_a_cancellation_from_elsewhere_has_a_lane_of_its_own() -> None:
    assert "customers" in [lane.id for lane in events(WAITS).lanes]


def test_event_names_are_as_short_as_they_can_be() -> None:
    start = StepDefinition(name=START, service="a", done=("a.Begun.v1",), undone="a.Begun.v2")
    step = StepDefinition(
        name="s", service="b", triggers=("a.Begun.v1",), done=("b.Begun.v1", "odd")
    )
    assert event_names(Definition("x", "key", (start, step))) == {
        "a.Begun.v1": "a.Begun.v1",
        "a.Begun.v2": "Begun.v2",
        "b.Begun.v1": "b.Begun.v1",
        "odd": "odd",
    }


@pytest.mark.parametrize(
    ("span_ms", "words"),
    [
        (0, "0 s"),
        (500, "500 ms"),
        (90_000, "1 min 30 s"),
        (7 * 86_400_000, "7 d"),
        (3_661_001, "1 h 1 min"),
    ],
)
def test_spans(span_ms: int, words: str) -> None:
    assert span_words(span_ms) == words
