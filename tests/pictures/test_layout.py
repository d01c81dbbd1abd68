"""Where things stand: no box overlaps another, lanes hold their boxes, arrows pass between them."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.core.definition import START, Definition, StepDefinition
from sagas.graph.drawing import View, graph_of
from sagas.graph.layout import Arrow, Box, Layout, lay_out
from sagas.graph.text import width_of, wrapped
from tests.pictures.samples import SAMPLES


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    """Any acyclic choreography: what comes later may be triggered by all that came before."""
    services = st.sampled_from(["a", "b", "c", "d"])
    pivot = draw(st.integers(0, 20))
    steps = [StepDefinition(name=START, service="a", done=("a.Begun.v1",), undone="a.Gone.v1")]
    for number in range(draw(st.integers(0, 14))):
        service = draw(services)
        before = [
            type_ for step in steps for type_ in (*step.done, *filter(None, [step.otherwise]))
        ]
        triggers = draw(st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True))
        many = draw(st.integers(1, 2))
        name = f"s{number}" * draw(st.integers(1, 12))
        steps.append(
            StepDefinition(
                name=name,
                service=service,
                triggers=tuple(triggers),
                done=tuple(f"{service}.Done{number}{'x' * way}.v1" for way in range(many)),
                refused=(f"{service}.Refused{number}.v1",) if draw(st.booleans()) else (),
                otherwise=f"{service}.Else{number}.v1" if draw(st.booleans()) else None,
                undone=f"{service}.Undone{number}.v1" if draw(st.booleans()) else None,
                pivot=number == pivot,
                waits=draw(st.booleans()),
                timeout_ms=draw(st.sampled_from([None, 1, 90_000])),
            )
        )
    return Definition("any", "key", tuple(steps))


def overlapping(layout: Layout) -> list[tuple[str, str]]:
    def apart(one: Box, other: Box) -> bool:
        beside = one.x + one.width <= other.x or other.x + other.width <= one.x
        return beside or one.y + one.height <= other.y or other.y + other.height <= one.y

    pairs = combinations(layout.boxes, 2)
    return [(a.node.id, b.node.id) for a, b in pairs if not apart(a, b)]


def straying(layout: Layout) -> list[str]:
    lanes = {lane.lane.id: lane for lane in layout.lanes}
    return [
        box.node.id
        for box in layout.boxes
        if not (
            layout.header <= box.x
            and box.x + box.width <= layout.width
            and lanes[box.node.lane].y <= box.y
            and box.y + box.height <= lanes[box.node.lane].y + lanes[box.node.lane].height
        )
    ]


def outgrown(layout: Layout) -> list[str]:
    return [
        line.text
        for box in layout.boxes
        for line in box.lines
        if line.x + width_of(line.text, line.size, bold=line.bold) > box.x + box.width
        or not box.y < line.y < box.y + box.height
    ]


def crossed(layout: Layout) -> list[Arrow]:
    """Arrows whose straight parts, which pass a column, run through a box."""
    return [
        arrow
        for arrow in layout.arrows
        for (x, y), (to_x, _) in zip(arrow.points[1:-1:2], arrow.points[2:-1:2], strict=True)
        for box in layout.boxes
        if box.x < max(x, to_x) and box.x + box.width > min(x, to_x)
        if box.y < y < box.y + box.height
    ]


@pytest.mark.parametrize(("name", "view"), list(product(SAMPLES, View)))
def test_samples(name: str, view: View) -> None:
    layout = lay_out(graph_of(SAMPLES[name], view))
    assert (overlapping(layout), straying(layout), outgrown(layout), crossed(layout)) == ([],) * 4


@settings(max_examples=60, deadline=None)
@given(definitions(), st.sampled_from(View))
def test_any_choreography(definition: Definition, view: View) -> None:
    layout = lay_out(graph_of(definition, view))
    assert (overlapping(layout), straying(layout), outgrown(layout), crossed(layout)) == ([],) * 4


def test_arrows_end_at_boxes_and_beside_each_other() -> None:
    layout = lay_out(graph_of(SAMPLES["parallel"], View.CHOREOGRAPHY))
    payment = next(box for box in layout.boxes if box.node.id == "take_payment")
    arriving = [one.points[-1] for one in layout.arrows if one.edge.target == "take_payment"]
    assert len(set(arriving)) == 3
    assert {x for x, _ in arriving} == {payment.x}
    assert all(payment.y < y < payment.y + payment.height for _, y in arriving)


def test_names_break_where_a_reader_would() -> None:
    assert wrapped("reserve_the_stock_of_all_items", 100, 12) == (
        "reserve_the_",
        "stock_of_all_",
        "items",
    )
    assert wrapped("StockUnavailable", 60, 12) == ("Stock", "Unavailab", "le")
    assert wrapped("reads OrderPlaced, StockReserved", 130, 12) == (
        "reads OrderPlaced,",
        "StockReserved",
    )
    assert wrapped("", 10, 12) == ("",)
    assert wrapped("\x1b[31m", 100, 12) == ("\\x1b[31m",)


@given(st.text(max_size=60), st.floats(20, 300))
def test_no_line_is_too_wide(text: str, width: float) -> None:
    lines = wrapped(text, width, 12)
    assert all(width_of(line, 12) <= width for line in lines)
