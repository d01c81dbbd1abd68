"""The checks of a definition: each problem in words, and its near miss accepted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from sagas.core.definition import START, Definition, Join, StepDefinition
from sagas.core.validation import problems
from tests.samples import OrderFulfilment
from tests.samples_alternatives import OrderDelivery


def event(name: str) -> str:
    return f"shop.{name}.v1"


def events(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(event(name) for name in names)


def step(
    name: str,
    on: str = "",
    done: str = "",
    *,
    refused: str = "",
    undone: str | None = None,
    reads: str = "",
    any_of: bool = False,
    **more: Any,
) -> StepDefinition:
    """Words of event names: ``step("pack", "Placed Paid", "Packed")``."""
    return StepDefinition(
        name=name,
        service="shop",
        triggers=events(on.split()),
        join=Join.ANY if any_of else Join.ALL,
        done=events((done or name.capitalize()).split()),
        refused=events(refused.split()),
        undone=event(undone) if undone else None,
        reads=events(reads.split()),
        **more,
    )


def saga(*steps: StepDefinition) -> Definition:
    return Definition("sale", "sale_id", (step(START, done="Placed"), *steps))


CHOICE = step("choose", "Placed", "Left Right")
WAIT = step("confirm", "Placed", "Confirmed", waits=True)
PIVOT = step("ship", "Placed", "Shipped", pivot=True)

GOOD: dict[str, Definition] = {
    "the sample": OrderFulfilment.definition,
    "one step": saga(step("pack", "Placed")),
    "parallel steps joined": saga(
        step("pack", "Placed"), step("pay", "Placed"), step("ship", "Pack Pay")
    ),
    "exclusive branches merged": saga(
        CHOICE, step("a", "Left"), step("b", "Right"), step("end", "A B", any_of=True)
    ),
    "a choice merged at once": saga(CHOICE, step("end", "Left Right", any_of=True)),
    "a branch joined with what is always there": saga(
        CHOICE, step("pack", "Placed"), step("end", "Left Pack")
    ),
    "pivots on exclusive branches": saga(
        CHOICE, step("a", "Left", pivot=True), step("b", "Right", pivot=True)
    ),
    "a compensatable step on the branch without the pivot": saga(
        CHOICE, step("a", "Left", pivot=True), step("b", "Right", undone="Unb")
    ),
    "a pivot that is refused": saga(replace(PIVOT, refused=events(["Unshippable"]))),
    "a step without effect beside the pivot": saga(PIVOT, step("tell", "Placed")),
    "a compensatable step joined before the pivot": saga(
        step("pack", "Placed", undone="Unpacked"), step("ship", "Placed Pack", pivot=True)
    ),
    "a retriable step behind the pivot": saga(PIVOT, step("tell", "Shipped")),
    "reads from far before": saga(
        step("pack", "Placed"), step("pay", "Pack"), step("ship", "Pay", reads="Placed Pack")
    ),
    "reads of its own trigger": saga(step("pack", "Placed", reads="Placed")),
    "reads what is before the choice, behind the merge": saga(
        CHOICE,
        step("a", "Left"),
        step("b", "Right"),
        step("end", "A B", any_of=True, reads="Placed"),
    ),
    "reads the chosen event on its branch": saga(
        CHOICE, step("a", "Left"), step("deliver", "A", reads="Left")
    ),
    "reads from a branch behind a merge that only this branch can have reached": saga(
        CHOICE,
        step("a", "Left"),
        step("b", "Right"),
        step("merge", "A B", any_of=True),
        step("other", "Left"),
        step("end", "Merge Other", reads="A"),
    ),
    "the sample with alternatives": OrderDelivery.definition,
    "a wait alone": saga(WAIT),
    "a wait that is refused before the pivot": saga(
        replace(WAIT, refused=events(["No"])), step("ship", "Confirmed", pivot=True)
    ),
    "a wait past the pivot": saga(PIVOT, step("confirm", "Shipped", waits=True)),
    "a period of grace": saga(replace(WAIT, done=(), otherwise=event("Over"), timeout_ms=1)),
    "an otherwise event merged": saga(
        replace(WAIT, otherwise=event("Over"), timeout_ms=1),
        step("end", "Confirmed Over", any_of=True),
    ),
    "an otherwise event past the pivot, with an undo": saga(
        PIVOT, step("tell", "Shipped", undone="Untold", otherwise=event("Silent"))
    ),
    "a pivot with a timeout, and a deadline": replace(
        saga(replace(PIVOT, timeout_ms=1)), deadline_ms=1
    ),
    "reads of an otherwise event on its way": saga(
        step("pack", "Placed", otherwise=event("Bare")), step("tell", "Bare", reads="Bare")
    ),
}


@pytest.mark.parametrize("definition", GOOD.values(), ids=GOOD)
def test_good_definitions_have_no_problem(definition: Definition) -> None:
    assert problems(definition) == []


BAD: dict[str, tuple[Definition, list[str]]] = {
    "no start": (
        Definition("sale", "sale_id", (step("pack", "Placed"),)),
        ["sale", "no start", "Start("],
    ),
    "two starts": (saga(step(START, done="Again"), step("pack", "Placed")), ["sale.start", "2"]),
    "start not first": (
        Definition("sale", "sale_id", (step("pack", "Placed"), step(START, done="Placed"))),
        ["start is not the first"],
    ),
    "start with a trigger": (
        Definition("sale", "sale_id", (step(START, "Pack", "Placed"), step("pack", "Placed"))),
        ["sale.start", "has no trigger"],
    ),
    "start with a choice": (
        Definition("sale", "sale_id", (step(START, done="Placed Asked"), step("pack", "Placed"))),
        ["sale.start", "one event"],
    ),
    "cancelled by its own outcome": (
        replace(saga(PIVOT), cancelled_by="shop.Shipped.v1"),
        ["sale", "cancelled_by=shop.Shipped.v1 is the outcome of ship", "Declare an event"],
    ),
    "cancelled by the framework": (
        replace(saga(step("pack", "Placed")), cancelled_by="sagas.CancelRequested.v1"),
        ["sale", "the framework's own"],
    ),
    "cancelled always too late": (
        replace(saga(PIVOT), cancelled_by="shop.Regretted.v1"),
        ["sale", "always comes too late", "the start triggers the pivot ship"],
    ),
    "no step": (saga(), ["sale", "at least one step"]),
    "bad saga name": (
        Definition("Sale One", "sale_id", saga(PIVOT).steps),
        ["'Sale One'", "hyphens"],
    ),
    "no key": (Definition("sale", "", saga(PIVOT).steps), ["sale", "no key"]),
    "duplicate step": (
        saga(step("pack", "Placed"), step("pack", "Placed", "Packed")),
        ["sale.pack", "2 steps have this name"],
    ),
    "step without a name": (saga(step("", "Placed", "Packed")), ["without a name"]),
    "bad service name": (
        saga(replace(PIVOT, service="The Shop")),
        ["sale.ship", "'The Shop'", "hyphens"],
    ),
    "no outcome": (saga(replace(PIVOT, done=())), ["sale.ship", "no outcome"]),
    "no trigger": (saga(step("pack")), ["sale.pack", "no trigger", "on="]),
    "trigger twice": (saga(step("pack", "Placed Placed")), ["sale.pack", "stands twice"]),
    "unknown trigger": (
        saga(step("pack", "Place")),
        ["sale.pack", "shop.Place.v1", "emitted by no step", "did you mean shop.Placed.v1?"],
    ),
    "unknown trigger with nothing near": (
        saga(step("pack", "Zzzzzzzzzzzzzzzzzzzzzzzz")),
        ["sale.pack", "emitted by no step", "name an event"],
    ),
    "trigger is a refusal": (
        saga(step("pack", "Placed", refused="Full"), step("tell", "Full")),
        ["sale.tell", "shop.Full.v1", "refusal of pack", "turns the saga back", "observer"],
    ),
    "trigger is an undone event": (
        saga(step("pack", "Placed", undone="Unpacked"), step("tell", "Unpacked")),
        ["sale.tell", "undone event of pack"],
    ),
    "outcome of two steps": (
        saga(step("pack", "Placed", "Packed"), step("wrap", "Placed", "Packed")),
        ["sale", "shop.Packed.v1", "pack (done) and wrap (done)", "one step"],
    ),
    "two roles in one step": (
        saga(step("pack", "Placed", "Packed", refused="Packed")),
        ["pack (done) and pack (refused)"],
    ),
    "a framework event as an outcome": (
        saga(replace(PIVOT, done=("sagas.Shipped.v1",))),
        ["sale.ship", "sagas.Shipped.v1", "the framework's own", "shop.Name.v1"],
    ),
    "circle": (
        saga(step("pack", "Wrap Placed"), step("wrap", "Pack")),
        ["sale", "pack and wrap", "circle"],
    ),
    "own outcome": (saga(step("pack", "Pack")), ["sale.pack", "its own outcome"]),
    "merge of what is not exclusive": (
        saga(step("a", "Placed"), step("b", "Placed"), step("end", "A B", any_of=True)),
        ["sale.end", "AnyOf", "shop.A.v1 and shop.B.v1 can both happen", "AllOf"],
    ),
    "merge of an event and what follows it": (
        saga(step("a", "Placed"), step("end", "Placed A", any_of=True)),
        ["sale.end", "can both happen"],
    ),
    "join of exclusive branches": (
        saga(CHOICE, step("a", "Left"), step("b", "Right"), step("end", "A B")),
        ["sale.end", "wait for ever", "AnyOf"],
    ),
    "unreachable": (
        saga(CHOICE, step("join", "Left Right"), step("end", "Join")),
        ["sale.end", "can not be reached", "shop.Join.v1"],
    ),
    "pivot with undone": (
        saga(replace(PIVOT, undone=event("Returned"))),
        ["sale.ship", "point of no return", "leave undone= out"],
    ),
    "two pivots on a path": (
        saga(PIVOT, step("tell", "Shipped", pivot=True)),
        ["sale.tell", "second pivot behind ship"],
    ),
    "two pivots on a path, declared backwards": (
        saga(step("tell", "Shipped", pivot=True), PIVOT),
        ["sale.tell", "second pivot behind ship"],
    ),
    "two pivots beside each other": (
        saga(PIVOT, step("tell", "Placed", pivot=True)),
        ["sale.tell", "second pivot beside ship"],
    ),
    "retriable step refused": (
        saga(PIVOT, step("tell", "Shipped", refused="Deaf")),
        ["sale.tell", "past the point of no return", "shop.Deaf.v1", "leave refused= out"],
    ),
    "retriable step undone": (
        saga(PIVOT, step("tell", "Shipped", undone="Untold")),
        ["sale.tell", "never undone", "shop.Untold.v1", "leave undone= out"],
    ),
    "compensatable step beside the pivot": (
        saga(PIVOT, step("pack", "Placed", undone="Unpacked")),
        ["sale.pack", "beside the pivot ship", "Join it before the pivot"],
    ),
    "refusable step beside the pivot": (
        saga(PIVOT, step("pack", "Placed", refused="Full")),
        ["sale.pack", "beside the pivot ship"],
    ),
    "reads what nobody emits": (
        saga(step("pack", "Placed", reads="Place")),
        ["sale.pack", "reads shop.Place.v1", "did you mean shop.Placed.v1?"],
    ),
    "reads a refusal": (
        saga(step("pack", "Placed", refused="Full"), step("tell", "Pack", reads="Full")),
        ["sale.tell", "reads shop.Full.v1", "refusal of pack"],
    ),
    "reads what runs beside it": (
        saga(step("pack", "Placed"), step("pay", "Placed", reads="Pack")),
        ["sale.pay", "reads shop.Pack.v1", "not sure to be there", "pack does not come before"],
    ),
    "reads its own outcome": (
        saga(step("pack", "Placed", reads="Pack")),
        ["sale.pack", "not sure to be there"],
    ),
    "reads the choice not taken": (
        saga(CHOICE, step("a", "Left", reads="Right")),
        ["sale.a", "reads shop.Right.v1", "not sure"],
    ),
    "reads one branch behind the merge": (
        saga(
            CHOICE,
            step("a", "Left"),
            step("b", "Right"),
            step("end", "A B", any_of=True, reads="A"),
        ),
        ["sale.end", "reads shop.A.v1", "not sure"],
    ),
    "reads one branch far behind the merge": (
        saga(
            CHOICE,
            step("merge", "Left Right", any_of=True),
            step("end", "Merge", reads="Left"),
        ),
        ["sale.end", "reads shop.Left.v1", "not sure"],
    ),
    "deadline of nothing": (replace(saga(PIVOT), deadline_ms=0), ["sale: its deadline is 0 ms"]),
    "timeout of nothing": (saga(replace(PIVOT, timeout_ms=0)), ["sale.ship", "timeout is 0 ms"]),
    "wait that nothing ends": (
        saga(replace(WAIT, done=(), otherwise=event("Over"))),
        ["sale.confirm", "nothing ever ends this wait", "timeout=", "done="],
    ),
    "wait without an outcome": (
        saga(replace(WAIT, done=(), timeout_ms=1)),
        ["sale.confirm", "no outcome"],
    ),
    "wait with an end that never comes": (
        saga(replace(WAIT, otherwise=event("Over"))),
        ["sale.confirm", "shop.Over.v1 can never happen", "timeout="],
    ),
    "wait with an undo": (
        saga(replace(WAIT, undone=event("Undone"))),
        ["sale.confirm", "nothing to undo"],
    ),
    "wait that reads": (saga(replace(WAIT, reads=events(["Placed"]))), ["reads nothing"]),
    "wait refused past the pivot": (
        saga(PIVOT, step("confirm", "Shipped", refused="No", waits=True)),
        ["sale.confirm", "past the point of no return", "shop.No.v1", "leave refused= out"],
    ),
    "wait refused beside the pivot": (
        saga(PIVOT, replace(WAIT, refused=events(["No"]))),
        ["sale.confirm", "beside the pivot ship"],
    ),
    "pivot with an otherwise event": (
        saga(replace(PIVOT, otherwise=event("Late"))),
        ["sale.ship", "can not go on without its pivot", "shop.Late.v1"],
    ),
    "otherwise and done joined": (
        saga(
            step("pack", "Placed", otherwise=event("Bare")),
            step("end", "Pack Bare"),
        ),
        ["sale.end", "wait for ever", "AnyOf"],
    ),
    "otherwise event of two steps": (
        saga(
            step("pack", "Placed", otherwise=event("Late")),
            step("wrap", "Placed", otherwise=event("Late")),
        ),
        ["shop.Late.v1", "pack (otherwise) and wrap (otherwise)"],
    ),
    "reads what otherwise is not there": (
        saga(
            step("pack", "Placed", otherwise=event("Bare")),
            step("end", "Pack Bare", any_of=True, reads="Pack"),
        ),
        ["sale.end", "reads shop.Pack.v1", "not sure"],
    ),
}


@pytest.mark.parametrize(("definition", "words"), BAD.values(), ids=BAD)
def test_bad_definitions_are_told_in_words(definition: Definition, words: list[str]) -> None:
    found = problems(definition)
    assert any(all(word in problem for word in words) for problem in found), found


def test_everything_is_told_at_once() -> None:
    definition = saga(
        PIVOT,
        step("tell", "Shipped", refused="Deaf", undone="Untold"),
        step("pack", "Placed", undone="Unpacked"),
    )
    assert len(problems(definition)) == 3


def test_a_consequence_is_not_told_before_its_cause() -> None:
    definition = saga(step("pack", "Place", reads="Nowhere"))
    (problem,) = problems(definition)
    assert "trigger" in problem
