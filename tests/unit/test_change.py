"""What a change of a definition means for sagas that run: found by walking, for every state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.change.difference import differences
from sagas.change.finishing import Finishing, Hindrance, finishing
from sagas.change.walking import walk
from sagas.core.definition import Definition, StepDefinition
from sagas.core.instance import SagaStatus
from tests.simulation.definitions import random_definition

OLD = OrderFulfilment.definition


def step_with(name: str, **changes: Any) -> Definition:
    steps = [replace(step, **changes) if step.name == name else step for step in OLD.steps]
    return replace(OLD, steps=tuple(steps))


def without(name: str) -> Definition:
    return replace(OLD, steps=tuple(step for step in OLD.steps if step.name != name))


def added(**given: Any) -> Definition:
    step = StepDefinition(
        name="thank", service="notifications", done=("notifications.Thanked.v1",), **given
    )
    return replace(OLD, steps=(*OLD.steps, step))


def hindrances(outlook: Finishing) -> dict[str, Hindrance]:
    return {
        f"{place.status}: {', '.join(place.waits_for)}": place.hindrance
        for place in outlook.places
        if place.hindrance is not None
    }


@pytest.mark.parametrize("seed", range(40))
def test_a_definition_can_finish_its_own_instances(seed: int) -> None:
    definition = random_definition(seed, alternatives=True)
    outlook = finishing(definition, definition, states_max=3_000)
    assert hindrances(outlook) == {}


def test_every_place_of_the_order_saga_is_looked_at() -> None:
    outlook = finishing(OLD, OLD)
    assert outlook.can_finish
    assert {place.status for place in outlook.places} == {"RUNNING", "COMPENSATING"}
    assert any("an answer to confirm_receipt" in place.waits_for for place in outlook.places)
    ends = {state.phase for state in walk(OLD, states_max=20_000).states if state.phase.is_terminal}
    assert ends == {SagaStatus.COMPLETED, SagaStatus.COMPENSATED}


@pytest.mark.parametrize(
    "new",
    [
        replace(OLD, deadline_ms=1),
        replace(OLD, cancelled_by=None),
        step_with("reserve_stock", timeout_ms=1),
        step_with("reserve_stock", state="HELD"),
        step_with("reserve_stock", refused=("inventory.StockUnavailable.v1", "inventory.Odd.v1")),
        step_with("capture_payment", reads=()),
        replace(OLD, steps=(OLD.steps[0], *OLD.steps[:0:-1])),
    ],
)
def test_what_instances_do_not_meet_lets_them_finish(new: Definition) -> None:
    assert finishing(OLD, new).can_finish


def test_a_step_that_is_gone_leaves_what_it_has_recorded_without_a_meaning() -> None:
    found = hindrances(finishing(OLD, without("notify_customer")))
    assert found["RUNNING: an answer to confirm_receipt"] is Hindrance.UNKNOWN
    assert "RUNNING: inventory to perform reserve_stock" not in found


def test_an_event_that_is_called_otherwise_is_unknown() -> None:
    found = hindrances(finishing(OLD, step_with("reserve_stock", undone="inventory.Freed.v1")))
    assert found == {"COMPENSATING: orders to undo start": Hindrance.UNKNOWN}


def test_an_outcome_that_means_something_else_is_told() -> None:
    new = step_with(
        "authorize_payment",
        done=("payments.PaymentDeclined.v1",),
        refused=("payments.PaymentAuthorized.v1",),
    )
    outlook = finishing(OLD, new)
    (place,) = (
        one for one in outlook.places if one.waits_for == ("shipping to perform create_shipment",)
    )
    assert place.reason == (
        "PaymentAuthorized, which is recorded, was done of authorize_payment and now is refused of "
        "authorize_payment"
    )


def test_an_effect_that_the_new_definition_does_not_undo_is_told() -> None:
    found = finishing(OLD, step_with("reserve_stock", undone=None))
    (place,) = (
        one for one in found.places if one.waits_for == ("payments to perform authorize_payment",)
    )
    assert place.hindrance is Hindrance.EFFECT
    assert place.recorded == ("orders.OrderPlaced.v1", "inventory.StockReserved.v1")
    assert place.way[-1] == "orders.OrderCancelled.v1"


def test_a_new_step_behind_what_has_happened_already_is_woken_by_nobody() -> None:
    new = replace(
        added(triggers=("payments.PaymentAuthorized.v1",), undone=None),
        steps=(
            *OLD.steps,
            StepDefinition(
                name="audit",
                service="auditors",
                triggers=("shipping.ShipmentCreated.v1",),
                done=("auditors.Audited.v1",),
            ),
        ),
    )
    found = hindrances(finishing(OLD, new))
    assert found["RUNNING: an answer to confirm_receipt"] is Hindrance.ASLEEP
    assert "RUNNING: shipping to perform create_shipment" not in found


def test_a_new_step_behind_one_of_two_ends_may_have_missed_it() -> None:
    """Nobody followed the event, so no row says that it was published, and who read it has forgotten it."""
    found = hindrances(finishing(OLD, added(triggers=("orders.ReceiptConfirmed.v1",))))
    assert found == {"RUNNING: notifications to perform notify_customer": Hindrance.ASLEEP}


def test_a_new_step_behind_the_only_end_meets_nobody() -> None:
    last = without("notify_customer")
    thank = StepDefinition(
        name="thank",
        service="notifications",
        triggers=("orders.ReceiptConfirmed.v1",),
        done=("notifications.Thanked.v1",),
    )
    audit = replace(thank, name="audit", triggers=("orders.ReceiptAssumed.v1",), done=("n.A.v1",))
    assert finishing(last, replace(last, steps=(*last.steps, thank, audit))).can_finish


def test_another_participant_knows_nothing_of_what_was_begun() -> None:
    found = hindrances(finishing(OLD, step_with("reserve_stock", service="orders")))
    assert found["RUNNING: inventory to perform reserve_stock"] is Hindrance.UNKNOWN
    assert found["RUNNING: payments to perform authorize_payment"] is Hindrance.UNKNOWN
    assert "RUNNING: an answer to confirm_receipt" not in found


def test_another_key_is_in_no_event_that_is_recorded() -> None:
    outlook = finishing(OLD, replace(OLD, key="id"))
    assert {place.hindrance for place in outlook.places} == {Hindrance.UNKNOWN}


def test_a_step_whose_trigger_is_another_now_is_woken_by_neither() -> None:
    earlier = step_with("notify_customer", triggers=("payments.PaymentAuthorized.v1",))
    found = hindrances(finishing(OLD, earlier))
    assert found["RUNNING: shipping to perform create_shipment"] is Hindrance.ASLEEP
    assert found["RUNNING: notifications to perform notify_customer"] is Hindrance.ASLEEP
    assert "RUNNING: payments to perform authorize_payment" not in found
    later = step_with("capture_payment", triggers=("notifications.CustomerNotified.v1",))
    found = hindrances(finishing(OLD, later))
    assert found == {"RUNNING: payments to perform capture_payment": Hindrance.ASLEEP}


def test_a_trigger_that_never_comes_leaves_it_stuck() -> None:
    new = step_with("notify_customer", triggers=("sagas.Never.v1",))
    found = hindrances(finishing(OLD, new))
    assert Hindrance.STUCK in found.values()


def test_a_bound_that_is_reached_is_no_proof() -> None:
    outlook = finishing(OLD, OLD, states_max=10)
    assert not outlook.complete
    assert not outlook.can_finish


def test_differences_are_told_in_words() -> None:
    new = replace(
        step_with(
            "reserve_stock",
            undone=None,
            timeout_ms=5_000,
            refused=("inventory.StockUnavailable.v1", "inventory.Odd.v1"),
        ),
        deadline_ms=None,
    )
    told = "\n".join(map(str, differences(OLD, new)))
    assert (
        told
        == """\
the deadline is gone: 7200 s
reserve_stock: refused was inventory.StockUnavailable.v1, is inventory.Odd.v1, inventory.StockUnavailable.v1
reserve_stock: undone is gone: inventory.StockReleased.v1
reserve_stock: its timeout was 30 s, is 5 s"""
    )
    assert [str(one) for one in differences(OLD, without("notify_customer"))] == [
        "notify_customer: the step is gone: by notifications"
    ]
    assert differences(OLD, OLD) == []
    assert differences(OLD, replace(OLD, steps=(OLD.steps[0], *OLD.steps[:0:-1]))) == []
