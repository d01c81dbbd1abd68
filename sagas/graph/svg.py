"""A picture as SVG: one file that needs no program, font or script, in the light and in the dark.

Everything that comes from a declaration is escaped, and control characters are made visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from sagas.core.printable import printable
from sagas.graph.layout import MARK, NOTE, PAD, ROW, STRIP, Arrow, Box, Layout, Line, lay_out
from sagas.graph.model import Graph, Mark, Shape, Standing
from sagas.graph.palette import FILLS, Theme, style
from sagas.graph.text import width_of, wrapped

__all__ = ["svg"]

_SHAPES = {
    Shape.START: "start",
    Shape.STEP: "step",
    Shape.PIVOT: "pivot",
    Shape.WAIT: "wait",
    Shape.STATE: "step",
    Shape.UNDO: "undo",
    Shape.EVENT: "good",
    Shape.REFUSAL: "bad",
    Shape.END: "start",
}
_SIGNS = {
    Mark.DONE: ("good", "M1 6l3 3 6-7"),
    Mark.REFUSED: ("bad", "M2 2l7 7M9 2l-7 7"),
    Mark.FAILED: ("bad", "M5.5 1v5.5M5.5 9.6v.1"),
    Mark.CANCELS: ("bad", "M2 2l7 7M9 2l-7 7"),
    Mark.OTHERWISE: ("wait", "M1 9c0-7 6-7 8.5-3.5M9.8 1.8v4h-4"),
    Mark.UNDONE: ("undo", "M10 9c0-7-6-7-8.5-3.5M1.2 1.8v4h4"),
    Mark.UNDOES: ("undo", "M10 9c0-7-6-7-8.5-3.5M1.2 1.8v4h4"),
    Mark.PERFORMS: ("step", "M3 1.5l5.5 4-5.5 4z"),
    Mark.OBSERVES: ("start", "M1 5.5c3-4.5 6-4.5 9 0c-3 4.5-6 4.5-9 0M5.5 4.6v1.8"),
}
_SAID = {
    Mark.DONE: "done",
    Mark.REFUSED: "refused",
    Mark.FAILED: "failed",
    Mark.CANCELS: "turns back",
    Mark.OTHERWISE: "otherwise",
    Mark.UNDONE: "undone",
    Mark.UNDOES: "undoes",
    Mark.PERFORMS: "performs",
    Mark.OBSERVES: "observes",
}
_ARROWS = {
    Mark.OTHERWISE: " else",
    Mark.REFUSED: " bad",
    Mark.FAILED: " bad",
    Mark.UNDONE: " back",
    Mark.UNDOES: " back",
}
_TITLE_SIZE, _MARGIN, _TOP, _LINE_STEP = 16.0, 16.0, 62.0, 17.0
_PROSE_MIN = 420.0
_HEAD = 7.0


def svg(graph: Graph, theme: Theme = Theme.AUTO) -> str:
    """The picture as an SVG document, with a background of its own."""
    layout = lay_out(graph)
    prose = max(layout.width, _PROSE_MIN)
    title = wrapped(graph.title, prose, _TITLE_SIZE, bold=True)
    subtitle = wrapped(graph.subtitle, prose, ROW)
    heads = [(text, _TITLE_SIZE, True) for text in title] + [
        (text, ROW, False) for text in subtitle
    ]
    top = _TOP + 20.0 * (len(heads) - 2)
    below = [*_legend(graph, prose), *_notes(graph, prose)]
    width = prose + 2 * _MARGIN
    foot = top + layout.height + _MARGIN
    height = foot + _LINE_STEP * (below[-1][0] + 1 if below else 0) + _MARGIN / 2
    return "\n".join(
        [
            _opening(width, height),
            f"<title>{_e(f'{graph.title}: {graph.subtitle}')}</title>",
            f"<style>{style(theme)}</style>",
            f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
            *(
                _text(
                    Line(text, _MARGIN, 28 + 20.0 * number, size, bold=bold), "" if bold else "soft"
                )
                for number, (text, size, bold) in enumerate(heads)
            ),
            f'<g transform="translate({_n(_MARGIN)} {_n(top)})">',
            *_lanes(layout),
            *(part for arrow in layout.arrows for part in _arrow(arrow)),
            *(part for box in layout.boxes for part in _box(box)),
            "</g>",
            f'<g transform="translate({_n(_MARGIN)} {_n(foot)})">',
            *(made for _, made in below),
            "</g>",
            "</svg>\n",
        ]
    )


def _opening(width: float, height: float) -> str:
    size = f'width="{_n(width)}" height="{_n(height)}"'
    box = f'viewBox="0 0 {_n(width)} {_n(height)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {size} role="img">'


def _lanes(layout: Layout) -> Iterator[str]:
    for number, lane in enumerate(layout.lanes):
        kind = "lane" if number % 2 == 0 else "lane other"
        yield (
            f'<rect class="{kind}" x="0" y="{_n(lane.y)}" width="{_n(layout.width)}" '
            f'height="{_n(lane.height)}" rx="6"/>'
        )
        yield f'<path class="rule" d="M{_n(layout.header)} {_n(lane.y)}v{_n(lane.height)}"/>'
        yield from (_text(line, "" if line.bold else "soft") for line in lane.lines)


def _box(box: Box) -> Iterator[str]:
    node = box.node
    colour = _SHAPES[node.shape]
    place = node.place
    open_ = place is not None and place.standing is Standing.OPEN
    radius = {Shape.STATE: 14, Shape.END: 14, Shape.EVENT: 9, Shape.REFUSAL: 9}.get(node.shape, 5)
    at = f'x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}"'
    kind = " ".join(filter(None, ["box", node.shape.value, f"s-{colour}", "open" if open_ else ""]))
    yield f'<g class="node"><title>{_e(_told(box))}</title>'
    yield f'<rect class="{kind}" {at} height="{_n(box.height)}" rx="{radius}"/>'
    if place is not None and place.standing in FILLS:
        filled = FILLS[place.standing]
        down, wide = _n(STRIP - radius), _n(box.width - 2 * radius)
        yield (
            f'<path class="f-{filled}" d="M{_n(box.x)} {_n(box.y + STRIP)}v-{down}'
            f'q0-{radius} {radius}-{radius}h{wide}q{radius} 0 {radius} {radius}v{down}z"/>'
        )
    if box.rule is not None:
        yield f'<path class="rule" d="M{_n(box.x)} {_n(box.rule)}h{_n(box.width)}"/>'
    for row, y in box.rows:
        yield _sign(row.mark, box.x + PAD, y - 5.5)
    strip = place.word if place is not None else None
    for number, line in enumerate(box.lines):
        on_strip = number == 0 and strip is not None and strip != ""
        small = line.size == NOTE
        yield _text(line, "on" if on_strip else "soft" if small or open_ else "")
    yield "</g>"


def _told(box: Box) -> str:
    node = box.node
    words = [node.title, *node.notes, *(f"{_SAID[row.mark]}: {row.text}" for row, _ in box.rows)]
    return "\n".join([*words, *([node.place.word] if node.place and node.place.word else [])])


def _arrow(arrow: Arrow) -> Iterator[str]:
    kind = _ARROWS.get(arrow.edge.row.mark, "") if arrow.edge.row is not None else ""
    (x, y), *rest = arrow.points
    end_x, end_y = arrow.points[-1]
    back = _HEAD if arrow.heads_left else -_HEAD
    path = [f"M{_n(x)} {_n(y)}"]
    if arrow.hooked:
        out = end_x + 34
        path.append(f"C{_n(out)} {_n(y)} {_n(out)} {_n(end_y)} {_n(end_x + back)} {_n(end_y)}")
        rest = []
    for number, (next_x, next_y) in enumerate(rest):
        last = number == len(rest) - 1
        to_x = next_x + back if last else next_x
        if number % 2:
            path.append(f"L{_n(to_x)} {_n(next_y)}")
        else:
            bend = (x + next_x) / 2
            path.append(f"C{_n(bend)} {_n(y)} {_n(bend)} {_n(next_y)} {_n(to_x)} {_n(next_y)}")
        x, y = next_x, next_y
    yield f'<path class="arrow{kind}" d="{"".join(path)}"/>'
    wing = _HEAD * 0.55
    yield (
        f'<path class="head{kind}" d="M{_n(end_x)} {_n(end_y)}l{_n(back)} {_n(wing)}v{_n(-2 * wing)}z"/>'
    )


def _sign(mark: Mark, x: float, y: float) -> str:
    colour, path = _SIGNS[mark]
    return f'<path class="sign s-{colour}" transform="translate({_n(x)} {_n(y)})" d="{path}"/>'


def _legend(graph: Graph, width: float) -> Iterator[tuple[int, str]]:
    """The signs that occur, with their words, in as many lines as they need."""
    used = {row.mark for node in graph.nodes for row in node.rows}
    x, line = 0.0, 0
    for mark in (mark for mark in Mark if mark in used):
        needs = MARK + width_of(_SAID[mark], NOTE) + 2 * PAD
        if x and x + needs > width:
            x, line = 0.0, line + 1
        y = _LINE_STEP * line
        words = _text(Line(_SAID[mark], x + MARK, y + 10, NOTE), "soft")
        yield line, _sign(mark, x, y) + words
        x += needs


def _notes(graph: Graph, width: float) -> Iterator[tuple[int, str]]:
    line = max((number for number, _ in _legend(graph, width)), default=-1) + 1
    for note in graph.notes:
        for text in wrapped(note, width, NOTE):
            yield line, _text(Line(text, 0, _LINE_STEP * line + 13, NOTE), "soft")
            line += 1


def _text(line: Line, kind: str = "") -> str:
    weight = ' font-weight="700"' if line.bold else ""
    named = f' class="{kind}"' if kind else ""
    size = f'font-size="{_n(line.size)}"'
    return f'<text{named} x="{_n(line.x)}" y="{_n(line.y)}" {size}{weight}>{_e(line.text)}</text>'


def _e(text: str) -> str:
    return escape(printable(text, lines=True))


def _n(number: float) -> str:
    """At most one decimal, and no zero that says nothing."""
    return f"{round(number, 1) + 0.0:.1f}".removesuffix(".0")
