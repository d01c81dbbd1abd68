"""What operators ask, as far as it needs no server: mistakes, refusals, commands that mend, timers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagas.core.controls import Cancel, Control, Resume, Skip
from sagas.core.definition import SAGA_PARKED, START, Direction, Role
from sagas.core.errors import InvalidMessage
from sagas.core.evolve import evolve
from sagas.core.framework_events import SkipRequested
from sagas.core.instance import Fact, Instance
from sagas.operating.mending import mends_of, refusal_of
from sagas.operating.timers import lines_of
from sagas.runtime.decisions import skip_event
from sagas.runtime.operator import outlook_of
from tests.cli_project import Project, write_project
from tests.samples import OrderPlaced, ShipmentCreated
from tests.samples_alternatives import (
    GiftWrapped,
    OrderArchived,
    OrderDelivery,
    PaymentConfirmed,
    ReceiptConfirmed,
)

DEFINITION = OrderDelivery.definition


def instance(*types: str, parked: str = "", direction: Direction = Direction.FORWARD) -> Instance:
    """A saga with these events, one second apart, and parked for that step."""
    made = Instance(DEFINITION, "o1")
    for number, type_ in enumerate(types):
        outcome = DEFINITION.outcome_of[type_]
        undo = Direction.UNDO if outcome.role is Role.UNDONE else Direction.FORWARD
        fact = Fact(str(number), type_, outcome.step, outcome.role, None, undo, published=True)
        made = evolve(made, fact._replace(at_ms=1_000 * number))
    if parked:
        made = evolve(made, Fact("p", SAGA_PARKED, parked, Role.PARKED, "x", direction))
    return made


PLACED = OrderPlaced.event_type
PAID = (PLACED, GiftWrapped.event_type, PaymentConfirmed.event_type)
SHIPPED = (*PAID, ShipmentCreated.event_type)
ARCHIVED = OrderArchived.event_type


@pytest.mark.parametrize(
    ("seen", "asked", "why"),
    [
        (instance(*PAID), Cancel(), "too late: the pivot create_shipment is triggered"),
        (
            instance(PLACED),
            Resume(),
            "it is not parked; it is RUNNING and waits for wrap_gift (inventory)",
        ),
        (
            instance(*SHIPPED, parked="confirm_receipt"),
            Skip(ARCHIVED),
            "it is not parked for archive, but for confirm_receipt",
        ),
        (
            instance(*SHIPPED, parked=START),
            Skip(ARCHIVED),
            "it is not parked for archive, but for a dead letter",
        ),
    ],
)
def test_refusals(seen: Instance, asked: Control, why: str) -> None:
    assert outlook_of(seen, asked, 0).emissions == ()
    assert refusal_of(seen, asked) == why


def test_a_skip_resumes_nothing_but_what_it_skips() -> None:
    seen = instance(*SHIPPED, parked="archive")
    types = [one.type for one in outlook_of(seen, Skip(ARCHIVED), 0).emissions]
    assert types == [ARCHIVED, "sagas.SagaResumed.v1"]
    assert outlook_of(seen, Skip(ReceiptConfirmed.event_type), 0).emissions == ()


def test_the_commands_that_mend() -> None:
    assert mends_of(instance(PLACED), OrderDelivery, several=False) == []
    seen = instance(*SHIPPED, parked="archive")
    assert [mend.command for mend in mends_of(seen, OrderDelivery, several=True)] == [
        'sagas resume o1 --saga order-delivery --why "..."',
        'sagas skip o1 OrderArchived --saga order-delivery --why "..."',
    ]
    early = instance(PLACED, parked=START)
    assert [mend.command for mend in mends_of(early, OrderDelivery, several=False)] == [
        'sagas resume o1 --why "..."',
        'sagas compensate o1 --why "..."',
    ]


def test_timers_in_words() -> None:
    told = {line.timer: line.then for line in lines_of(instance(*SHIPPED))}
    assert told == {"confirm_receipt": "the saga goes on along ReceiptAssumed"}
    told = {line.timer: line.then for line in lines_of(instance(*PAID))}
    assert told == {"create_shipment": "the saga parks"}
    told = {line.timer: line.then for line in lines_of(instance(PLACED))}
    assert told == {
        "wrap_gift": "the saga goes on along WrappingSkipped",
        "deadline": "the saga compensates",
    }


@pytest.mark.parametrize("payload", [{"order_id": "o2"}, {}])
def test_a_skip_carries_what_fits_the_event(payload: dict[str, str]) -> None:
    asked = SkipRequested(event=ARCHIVED, payload={**payload}, by="ann", why="by hand")
    with pytest.raises(InvalidMessage):
        skip_event(OrderDelivery, "o1", asked)


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cancel", "o1"], "Say why"),
        (["resume", "o1", "--why", " "], "Say why"),
        (["skip", "o1", "--why", "x"], "Missing argument 'EVENT'"),
        (["skip", "o1", "StockReleased", "--dry-run", "--payload", "{"], "--payload is no JSON"),
        (["skip", "o1", "StockReleased", "--dry-run", "--payload", "[]"], "is no JSON object"),
        (["skip", "o1", "StockReleased", "--dry-run", "--payload", "@nowhere"], "can not be read"),
        (["cancel", "o1", "--dry-run", "--saga", "orderin"], "Did you mean 'ordering'?"),
    ],
)
def test_a_mistake_is_one_line(shop: Project, arguments: list[str], said: str) -> None:
    ended = shop.sagas(*arguments)
    assert ended.code == 2
    assert said in ended.only_line


@pytest.mark.parametrize(
    "command", [["timers"], ["cancel", "o1", "--dry-run"], ["resume", "o1", "--dry-run"]]
)
def test_a_redis_that_is_away(shop: Project, command: list[str]) -> None:
    ended = shop.sagas(*command, SAGAS_REDIS="redis://127.0.0.1:1/0")
    assert ended.code == 5
    assert "Redis at redis://127.0.0.1:1/0 is not available" in ended.only_line
