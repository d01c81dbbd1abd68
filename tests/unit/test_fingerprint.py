"""What changes a definition's fingerprint, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.core.definition import Definition, Join, StepDefinition, UndoPolicy
from tests.simulation.definitions import random_definition

SAGA = OrderFulfilment.definition


def with_step(name: str, **changes: Any) -> Definition:
    """The order saga with one step that says something else."""
    steps = [replace(step, **changes) if step.name == name else step for step in SAGA.steps]
    return replace(SAGA, steps=tuple(steps))


@pytest.mark.parametrize("seed", range(50))
def test_the_order_in_which_things_are_written_changes_nothing(seed: int) -> None:
    saga = random_definition(seed, alternatives=True)
    steps: list[StepDefinition] = [
        replace(
            step, triggers=step.triggers[::-1], done=step.done[::-1], refused=step.refused[::-1]
        )
        for step in saga.steps
    ]
    turned = replace(saga, steps=(steps[0], *steps[:0:-1]))
    assert (turned.fingerprint == saga.fingerprint) == (turned.host == saga.host)
    assert replace(saga, steps=(steps[0], *steps[1:])).fingerprint == saga.fingerprint


def test_two_definitions_that_differ_in_their_host_differ() -> None:
    steps = (
        StepDefinition(name="start", service="shop", done=("shop.A.v1",)),
        StepDefinition(name="b", service="one", triggers=("shop.A.v1",), done=("one.B.v1",)),
        StepDefinition(name="c", service="two", triggers=("shop.A.v1",), done=("two.C.v1",)),
    )
    saga = Definition("saga", "id", steps)
    turned = Definition("saga", "id", (steps[0], steps[2], steps[1]))
    assert (saga.host, turned.host) == ("one", "two")
    assert saga.fingerprint != turned.fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        replace(SAGA, saga="other"),
        replace(SAGA, key="id"),
        replace(SAGA, deadline_ms=1),
        replace(SAGA, cancelled_by="orders.Other.v1"),
        with_step("reserve_stock", service="other"),
        with_step("reserve_stock", refused=()),
        with_step("reserve_stock", undone="inventory.Other.v1"),
        with_step("reserve_stock", timeout_ms=5),
        with_step("reserve_stock", state="OTHER"),
        with_step("reserve_stock", if_undo_fails=UndoPolicy.CONTINUE),
        with_step("create_shipment", pivot=False),
        with_step("capture_payment", reads=()),
        with_step("capture_payment", join=Join.ANY),
        with_step("confirm_receipt", waits=False),
    ],
)
def test_whatever_is_declared_changes_it(changed: Definition) -> None:
    assert changed.fingerprint != SAGA.fingerprint
