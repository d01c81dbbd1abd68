"""No false alarm on other people's sagas, nor on the reference system; and eShop's known faults are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from sagas import DefinitionError, Saga, Service, Start, Step, StepContext
from sagas.checks import Finding, Severity, Subject, check, declared
from sagas.core.durations import span_ms
from tests.definitions.others import OTHERS
from tests.simulation.sagas_of_others import eshop

HINTS: dict[str, set[str]] = {
    "the reference system": set(),
    "customers and orders": {"S3", "S10"},
    "ftgo": {"S3", "S10"},
    "eshop": {"S3", "S10"},
    "order check": {"S4"},
    "online marketplace": set(),
}
"""What those leave open that were written down without a thought of checks."""


def found(sagas: Sequence[type[Saga]], services: Sequence[Service] = ()) -> list[Finding]:
    subject = Subject(
        sagas=tuple(map(declared, sagas)), services=tuple(services), retention_ms=span_ms("8d")
    )
    return check(subject)


@pytest.mark.parametrize("name", OTHERS)
def test_there_is_no_false_alarm(name: str) -> None:
    findings = found(*OTHERS[name])
    assert [one for one in findings if one.severity is not Severity.HINT] == []
    assert {one.code for one in findings} == HINTS[name]


def test_there_is_none_without_the_services_either() -> None:
    for sagas, _ in OTHERS.values():
        assert [one for one in found(sagas) if one.severity is not Severity.HINT] == []


def test_the_known_faults_of_eshop_are_found() -> None:
    """The stock is only looked at, and taken when it has been paid; and a refusal is nobody's to publish."""
    findings = found([eshop.OriginalOrdering], eshop.ORIGINAL)
    alarms = {(one.code, one.about) for one in findings if one.severity is not Severity.HINT}
    assert alarms == {
        ("S13", "original-ordering.take_stock"),
        ("S4", "original-ordering.check_stock"),
    }


def test_the_silent_refusal_is_found_in_a_handler_too() -> None:
    """The original's catalog as a step: it looks, and says something only if there is enough."""
    catalog = Service("catalog")

    class Looking(Saga):
        key: ClassVar[str] = "order_id"
        start = Start(eshop.OrderStarted, by="ordering", undone=eshop.OrderCancelled)
        look = Step(
            by="catalog",
            on=eshop.OrderStarted,
            done=eshop.StockConfirmed,
            refused=eshop.StockRejected,
            undone=eshop.StockReleased,
        )

    @catalog.performs(Looking.look)
    async def look(order: eshop.OrderStarted, context: StepContext) -> eshop.StockConfirmed:
        return eshop.StockConfirmed(order_id=order.order_id)

    @catalog.undoes(Looking.look)
    async def release(
        order: eshop.OrderStarted, seen: eshop.StockConfirmed | None, context: StepContext
    ) -> eshop.StockReleased:
        return eshop.StockReleased(order_id=order.order_id)

    silent = [one for one in found([Looking], [catalog]) if "never returns it" in one.reason]
    assert [(one.code, one.severity) for one in silent] == [("S4", Severity.WARNING)]


def test_a_missing_compensation_of_eshop_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"it may have to be undone.*\[S2\]"):

        class Forgetful(Saga):
            key: ClassVar[str] = "order_id"
            start = Start(eshop.OrderStarted, by="ordering", undone=eshop.OrderCancelled)
            take = Step(by="catalog", on=eshop.OrderStarted, done=eshop.StockTaken)
            pay = Step(
                by="payment",
                on=eshop.StockTaken,
                done=eshop.PaymentSucceeded,
                refused=eshop.PaymentFailed,
                pivot=True,
            )
