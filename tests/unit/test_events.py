"""Events: their names on the wire, their payloads, and the framework's own."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sagas import DefinitionError, Event
from sagas.core import framework_events
from sagas.core.definition import SAGA_PARKED, SAGA_RESUMED, STEP_FAILED, Direction
from sagas.core.events import is_abstract
from tests.samples import OrderEvent, StockReserved


def test_an_event_has_its_name_from_the_class_line() -> None:
    assert StockReserved.event_type == "inventory.StockReserved.v1"
    assert not is_abstract(StockReserved)


def test_a_subclass_without_a_name_is_abstract_and_inherits_none() -> None:
    class Special(StockReserved):
        pass

    assert is_abstract(OrderEvent)
    assert is_abstract(Special)


def test_events_are_frozen_and_ignore_what_they_do_not_know() -> None:
    event = StockReserved.model_validate({"order_id": "1", "colour": "red"})
    assert event.model_dump() == {"order_id": "1", "reservation": ""}
    with pytest.raises(ValidationError, match="frozen"):
        event.order_id = "2"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "name",
    ["", "StockReserved", "inventory.StockReserved", "inventory.stockReserved.v1",
     "Inventory.StockReserved.v1", "inventory.StockReserved.v0", "inventory.StockReserved.1",
     "inventory.StockReserved.v1 ", "a.b.StockReserved.v1", "in_ventory.StockReserved.v1"],
)  # fmt: skip
def test_a_name_of_another_form_is_refused_in_words(name: str) -> None:
    with pytest.raises(
        DefinitionError, match=r"Odd.*expected publisher\.Name\.vN.*'inventory\.Odd"
    ):

        class Odd(Event, type=name):
            pass


def test_the_framework_names_its_own_events() -> None:
    failed = framework_events.StepFailed(step="pack", error="no", attempts=3)
    parked = framework_events.SagaParked(
        step="pack", direction=Direction.UNDO, error="no", attempts=3
    )
    resumed = framework_events.SagaResumed(by="ann", why="mended")
    names = [STEP_FAILED, SAGA_PARKED, SAGA_RESUMED]
    assert [event.event_type for event in (failed, parked, resumed)] == names
    assert parked.model_dump(mode="json")["direction"] == "undo"
    assert set(names) <= {event.event_type for event in framework_events.FRAMEWORK_EVENTS}
    assert all(event.publisher() == "sagas" for event in framework_events.FRAMEWORK_EVENTS)
