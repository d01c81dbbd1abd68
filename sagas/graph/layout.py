"""Where everything of a picture stands: lanes from top to bottom, columns from left to right.

Owns the one promise that a picture needs: no box overlaps another, no arrow crosses a box, every text is
inside of its box. Arrows bend only between two columns; where they pass a column on their way, they have
a place of their own in it. All numbers are pixels.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

from sagas.graph.model import Edge, Graph, Lane, Node, Row
from sagas.graph.text import width_of, wrapped

__all__ = ["Arrow", "Box", "LaneBox", "Layout", "Line", "lay_out"]

TITLE, NOTE, ROW = 13.0, 11.0, 12.0
"""Font sizes."""
_TITLE_STEP, _NOTE_STEP, _ROW_STEP = 17.0, 15.0, 18.0
STRIP = 19.0
"""The height of the strip that says where an instance stands."""
PAD = 11.0
MARK = 18.0
"""The room for the sign before a row."""
_TEXT_MAX, _TEXT_MIN = 214.0, 96.0
_GAP, _BETWEEN, _LANE_PAD, _PASSAGE = 62.0, 16.0, 18.0, 12.0
_HEADER_MAX = 150.0
_SPREAD = 11.0
"""Between two arrows into one side of a box."""
_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, by its left end and its baseline."""

    text: str
    x: float
    y: float
    size: float
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A node with its place; ``rows`` are the heights of the rows' middles, ``rule`` is above the first."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    lines: tuple[Line, ...]
    rows: tuple[tuple[Row, float], ...]
    rule: float | None
    title_y: float


@dataclass(frozen=True, slots=True)
class LaneBox:
    """A lane with its place, and its title."""

    lane: Lane
    y: float
    height: float
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Arrow:
    """An edge as points: a curve between each second pair, a straight line between the others."""

    edge: Edge
    points: tuple[tuple[float, float], ...]
    hooked: bool = False
    """It leaves and comes in on the same side."""

    @property
    def heads_left(self) -> bool:
        """Whether its head points to the left."""
        return self.hooked or self.points[-1][0] < self.points[-2][0]


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture ready to be drawn; the lanes' titles stand left of ``header``."""

    width: float
    height: float
    header: float
    lanes: tuple[LaneBox, ...]
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


@dataclass(eq=False, slots=True)
class _Item:
    """What takes room in a column of a lane: a box, or the passage of an arrow."""

    lane: str
    column: int
    height: float
    node: Node | None = None
    y: float = 0.0
    neighbours: list[_Item] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class _Texts:
    title: tuple[str, ...]
    notes: tuple[str, ...]
    rows: tuple[tuple[Row, tuple[str, ...]], ...]
    width: float
    height: float
    strip: float


def lay_out(graph: Graph) -> Layout:
    """Find a place for everything."""
    return _Layouter(graph).layout()


class _Layouter:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._texts = {node.id: _measured(node) for node in graph.nodes}
        numbers = sorted({node.column for node in graph.nodes})
        self._number = {column: index for index, column in enumerate(numbers)}
        self._cells: dict[tuple[str, int], list[_Item]] = defaultdict(list)
        self._items = {node.id: self._item(node) for node in graph.nodes}
        self._ways = [(edge, self._way(edge)) for edge in dict.fromkeys(graph.edges)]

    def layout(self) -> Layout:
        header = self._header()
        lefts, rights = self._columns(header)
        lanes = self._lanes()
        self._place(lanes)
        boxes = {
            id_: self._box(item, lefts[item.column], rights[item.column] - lefts[item.column])
            for id_, item in self._items.items()
        }
        arrows = _Arrows(boxes, self._items, lefts, rights).drawn(self._ways)
        bottom = lanes[-1].y + lanes[-1].height if lanes else 0.0
        right = max(rights, default=header) + PAD + _GAP / 2
        return Layout(right, bottom, header, tuple(lanes), tuple(boxes.values()), tuple(arrows))

    def _item(self, node: Node) -> _Item:
        column = self._number[node.column]
        item = _Item(node.lane, column, self._texts[node.id].height, node)
        self._cells[node.lane, column].append(item)
        return item

    def _way(self, edge: Edge) -> list[_Item]:
        """The items that an arrow passes, both ends included."""
        source, target = self._items[edge.source], self._items[edge.target]
        step = 1 if target.column > source.column else -1
        way = [source]
        for column in range(source.column + step, target.column, step):
            passage = _Item(target.lane, column, _PASSAGE)
            self._cells[target.lane, column].append(passage)
            way.append(passage)
        way.append(target)
        for one, next_ in pairwise(way):
            one.neighbours.append(next_)
            next_.neighbours.append(one)
        return way

    def _header(self) -> float:
        widths = [
            max(
                width_of(line, size, bold=bold)
                for line in wrapped(text, _HEADER_MAX, size, bold=bold)
            )
            for lane in self._graph.lanes
            for text, size, bold in ((lane.title, TITLE, True), (lane.note, NOTE, False))
        ]
        return max(widths, default=0.0) + 2 * PAD

    def _columns(self, header: float) -> tuple[list[float], list[float]]:
        lefts: list[float] = []
        rights: list[float] = []
        at = header + _GAP / 2
        for column in range(len(self._number)):
            nodes = [i.node.id for i in self._items.values() if i.column == column and i.node]
            lefts.append(at)
            rights.append(at + max(self._texts[id_].width for id_ in nodes))
            at = rights[-1] + _GAP
        return lefts, rights

    def _lanes(self) -> list[LaneBox]:
        found: list[LaneBox] = []
        at = 0.0
        for lane in self._graph.lanes:
            heights = [
                sum(i.height for i in items) + _BETWEEN * (len(items) - 1)
                for (of, _), items in self._cells.items()
                if of == lane.id and items
            ]
            titles = wrapped(lane.title, _HEADER_MAX, TITLE, bold=True)
            notes = wrapped(lane.note, _HEADER_MAX, NOTE) if lane.note else ()
            needs = len(titles) * _TITLE_STEP + len(notes) * _NOTE_STEP
            height = max([*heights, needs, _ROW_STEP]) + 2 * _LANE_PAD
            y = at + (height - needs) / 2
            lines = [
                Line(text, PAD, y + _TITLE_STEP * (n + 0.75), TITLE, bold=True)
                for n, text in enumerate(titles)
            ]
            y += len(titles) * _TITLE_STEP
            lines += [
                Line(text, PAD, y + _NOTE_STEP * (n + 0.75), NOTE) for n, text in enumerate(notes)
            ]
            found.append(LaneBox(lane, at, height, tuple(lines)))
            at += height
        return found

    def _place(self, lanes: list[LaneBox]) -> None:
        """Order what stands in one column of a lane by what it is connected with."""
        bounds = {lane.lane.id: (lane.y, lane.height) for lane in lanes}
        for (lane, _), items in self._cells.items():
            _stack(items, *bounds[lane])
        columns = sorted({column for _, column in self._cells})
        for turn in range(_ROUNDS):
            for column in columns if turn % 2 == 0 else reversed(columns):
                for (lane, at), items in self._cells.items():
                    if at == column:
                        items.sort(key=_wish)
                        _stack(items, *bounds[lane])

    def _box(self, item: _Item, x: float, width: float) -> Box:
        node = item.node
        assert node is not None  # noqa: S101 - only items of nodes are kept by id
        texts = self._texts[node.id]
        at = item.y + texts.strip
        lines: list[Line] = []
        if texts.strip and node.place is not None:
            lines.append(Line(node.place.word, x + PAD, item.y + STRIP * 0.72, NOTE, bold=True))
        at += PAD * 0.7
        title_y = at + _TITLE_STEP * len(texts.title) / 2
        for text in texts.title:
            lines.append(Line(text, x + PAD, at + _TITLE_STEP * 0.76, TITLE, bold=True))
            at += _TITLE_STEP
        for text in texts.notes:
            lines.append(Line(text, x + PAD, at + _NOTE_STEP * 0.76, NOTE))
            at += _NOTE_STEP
        rule = at + PAD * 0.4 if texts.rows else None
        at += PAD * 0.8 if texts.rows else 0.0
        rows: list[tuple[Row, float]] = []
        for row, parts in texts.rows:
            rows.append((row, at + _ROW_STEP / 2))
            for text in parts:
                lines.append(Line(text, x + PAD + MARK, at + _ROW_STEP * 0.72, ROW))
                at += _ROW_STEP
        return Box(node, x, item.y, width, item.height, tuple(lines), tuple(rows), rule, title_y)


def _measured(node: Node) -> _Texts:
    title = wrapped(node.title, _TEXT_MAX, TITLE, bold=True)
    notes = tuple(line for note in node.notes for line in wrapped(note, _TEXT_MAX, NOTE))
    rows = tuple((row, wrapped(row.text, _TEXT_MAX - MARK, ROW)) for row in node.rows)
    strip = STRIP if node.place is not None and node.place.word else 0.0
    widths = [
        _TEXT_MIN,
        *(width_of(line, TITLE, bold=True) for line in title),
        *(width_of(line, NOTE) for line in notes),
        *(width_of(line, ROW) + MARK for _, lines in rows for line in lines),
    ]
    if strip and node.place is not None:
        widths.append(width_of(node.place.word, NOTE, bold=True))
    height = strip + PAD * 1.4 + len(title) * _TITLE_STEP + len(notes) * _NOTE_STEP
    if rows:
        height += PAD * 0.8 + _ROW_STEP * sum(len(lines) for _, lines in rows)
    return _Texts(title, notes, rows, max(widths) + 2 * PAD, height, strip)


def _wish(item: _Item) -> float:
    return fmean(one.middle for one in item.neighbours) if item.neighbours else item.middle


def _stack(items: list[_Item], top: float, height: float) -> None:
    """Boxes stand in the middle of their lane; passages alone go where their arrow comes from."""
    if any(item.node for item in items):
        total = sum(item.height for item in items) + _BETWEEN * (len(items) - 1)
        at = top + (height - total) / 2
        for item in items:
            item.y = at
            at += item.height + _BETWEEN
        return
    at = top + _LANE_PAD
    for item in items:
        item.y = max(at, _wish(item) - item.height / 2)
        at = item.y + item.height + _BETWEEN
    at = top + height - _LANE_PAD
    for item in reversed(items):
        item.y = min(item.y, at - item.height)
        at = item.y - _BETWEEN


class _Arrows:
    """Ports on the boxes' sides, and the points of each arrow."""

    def __init__(
        self,
        boxes: dict[str, Box],
        items: dict[str, _Item],
        lefts: list[float],
        rights: list[float],
    ) -> None:
        self._boxes, self._items = boxes, items
        self._lefts, self._rights = lefts, rights

    def drawn(self, ways: list[tuple[Edge, list[_Item]]]) -> list[Arrow]:
        ends = self._ends(ways)
        arrows = []
        for edge, way in ways:
            source, target = self._items[edge.source], self._items[edge.target]
            start = self._start(edge)
            end = ends[edge]
            if source.column == target.column:
                x = self._rights[source.column]
                arrows.append(Arrow(edge, ((x, start), (x, end)), hooked=True))
                continue
            forward = target.column > source.column
            near, far = (
                (self._lefts, self._rights) if forward else (self._rights, self._lefts)
            )  # the side by which a column is entered, and left
            points = [(far[source.column], start)]
            for passage in way[1:-1]:
                points.append((near[passage.column], passage.middle))
                points.append((far[passage.column], passage.middle))
            points.append((near[target.column], end))
            arrows.append(Arrow(edge, tuple(points)))
        return arrows

    def _start(self, edge: Edge) -> float:
        box = self._boxes[edge.source]
        return next((y for row, y in box.rows if row == edge.row), box.title_y)

    def _ends(self, ways: list[tuple[Edge, list[_Item]]]) -> dict[Edge, float]:
        """Where each arrow comes in: side by side, in the order in which they arrive."""
        sides: dict[tuple[str, bool], list[tuple[float, int, Edge]]] = defaultdict(list)
        for number, (edge, way) in enumerate(ways):
            comes_from_left = way[0].column < way[-1].column
            from_y = way[-2].middle if len(way) > 2 else self._start(edge)  # noqa: PLR2004
            sides[edge.target, comes_from_left].append((from_y, number, edge))
        found: dict[Edge, float] = {}
        for (target, _), arriving in sides.items():
            box = self._boxes[target]
            room = min(_SPREAD, (box.height - 2 * PAD) / max(1, len(arriving) - 1))
            first = box.title_y - room * (len(arriving) - 1) / 2
            first = max(
                box.y + PAD, min(first, box.y + box.height - PAD - room * (len(arriving) - 1))
            )
            for place, (_, _, edge) in enumerate(sorted(arriving)):
                found[edge] = first + room * place
        return found
