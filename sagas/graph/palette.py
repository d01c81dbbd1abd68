"""The colours of a picture, in the light and in the dark. The only place that knows any."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from sagas.graph.model import Standing

__all__ = ["DARK", "FILLS", "LIGHT", "Theme", "style"]


class Theme(StrEnum):
    """Whether a picture is light or dark, or as the reader's screen is."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


LIGHT: Mapping[str, str] = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "soft": "#59636e",
    "lane": "#f6f8fa",
    "other": "#eef1f5",
    "line": "#d1d9e0",
    "box": "#ffffff",
    "start": "#59636e",
    "step": "#0969da",
    "pivot": "#bc4c00",
    "wait": "#8a5d00",
    "undo": "#8250df",
    "bad": "#cf222e",
    "good": "#1a7f37",
    "on": "#ffffff",
}
DARK: Mapping[str, str] = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "soft": "#a3acb6",
    "lane": "#151b23",
    "other": "#1a212b",
    "line": "#3d444d",
    "box": "#0d1117",
    "start": "#9198a1",
    "step": "#58a6ff",
    "pivot": "#f0883e",
    "wait": "#d29922",
    "undo": "#bc8cff",
    "bad": "#ff7b72",
    "good": "#3fb950",
    "on": "#0d1117",
}
FILLS: Mapping[Standing, str] = {
    Standing.DONE: "good",
    Standing.RUNNING: "step",
    Standing.WAITING: "wait",
    Standing.UNDONE: "undo",
    Standing.FAILED: "bad",
    Standing.SKIPPED: "start",
}
"""What a box is filled with that says where an instance stands; text on it has the colour ``on``."""
_COLOURED = ("start", "step", "pivot", "wait", "undo", "bad", "good")

_SHAPE = """\
text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",
"DejaVu Sans",sans-serif}
.rule,.arrow,.sign{fill:none}
.box{stroke-width:1.5}.box.pivot{stroke-width:3}.box.wait{stroke-dasharray:7 4}
.box.end{stroke-width:2.5}.box.open{stroke-dasharray:2 4}
.arrow{stroke-width:1.6}.arrow.bad,.arrow.back{stroke-dasharray:5 4}.arrow.else{stroke-dasharray:10 4}
.sign{stroke-width:1.7;stroke-linecap:round;stroke-linejoin:round}
"""
_COLOURS = """\
text{fill:$ink}text.soft{fill:$soft}text.on{fill:$on}.paper{fill:$paper}
.lane{fill:$lane}.lane.other{fill:$other}.rule{stroke:$line}.box{fill:$box}
.arrow{stroke:$soft}.head{fill:$soft}.arrow.back{stroke:$undo}.head.back{fill:$undo}
.arrow.bad{stroke:$bad}.head.bad{fill:$bad}.arrow.else{stroke:$wait}.head.else{fill:$wait}
"""


def style(theme: Theme) -> str:
    """The style sheet. ``AUTO`` is light, and dark where the reader's screen is."""
    if theme is Theme.AUTO:
        dark = _coloured(DARK)
        return f"{_SHAPE}{_coloured(LIGHT)}@media(prefers-color-scheme:dark){{\n{dark}}}\n"
    return _SHAPE + _coloured(DARK if theme is Theme.DARK else LIGHT)


def _coloured(palette: Mapping[str, str]) -> str:
    rules = re.sub(r"\$(\w+)", lambda found: palette[found[1]], _COLOURS)
    each = [
        f".s-{name}{{stroke:{palette[name]}}}.f-{name}{{fill:{palette[name]}}}"
        for name in _COLOURED
    ]
    return rules + "\n".join([*each, ""])
