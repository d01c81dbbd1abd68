"""SVG, Mermaid and DOT: well formed whatever the names are, legible in the light and in the dark."""

from __future__ import annotations

import re
from itertools import product
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.core.definition import START, Definition, StepDefinition
from sagas.graph.drawing import Format, Theme, View, drawn, graph_of
from sagas.graph.palette import DARK, LIGHT, style
from tests.pictures.samples import HOSTILE, SAMPLES

SVG = "{http://www.w3.org/2000/svg}"
DOT_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|->|[\w.#]+|[\[\]{},=;]|\s+')
MERMAID_LINE = re.compile(
    r"""\s*(?:flowchart\ LR | end
        | subgraph\ lane\d+\["[^"]*"\]
        | \w+[\[({/]+"[^"]*"[\])}/]+
        | \w+\ (?:-->|-\.->)(?:\|"[^"]*"\|)?\ \w+
        | classDef\ [\w]+\ [\w:#,]+ | class\ [\w,]+\ \w+)""",
    re.VERBOSE,
)


def text_of(definition: Definition, view: View, format_: Format) -> str:
    return drawn(graph_of(definition, view), format_)


@pytest.mark.parametrize(("name", "view"), list(product(SAMPLES, View)))
def test_svg_is_xml_and_says_every_name(name: str, view: View) -> None:
    definition = SAMPLES[name]
    root = ET.fromstring(text_of(definition, view, Format.SVG))
    assert root.tag == f"{SVG}svg"
    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "style", "rect", "g", "path", "text")
    }
    if name not in {"long", "hostile"}:
        shown = "".join(root.itertext())
        assert all(step.name in shown for step in definition.steps)


@pytest.mark.parametrize(("name", "view"), list(product(SAMPLES, View)))
def test_mermaid_lines_are_what_they_should_be(name: str, view: View) -> None:
    text = text_of(SAMPLES[name], view, Format.MERMAID)
    assert [line for line in text.splitlines() if not MERMAID_LINE.fullmatch(line)] == []


@pytest.mark.parametrize(("name", "view"), list(product(SAMPLES, View)))
def test_dot_is_made_of_its_tokens(name: str, view: View) -> None:
    text = text_of(SAMPLES[name], view, Format.DOT)
    assert DOT_TOKEN.sub("", text) == ""
    assert text.count("{") - text.count("}") == 0 or name == "hostile"


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30), st.text(min_size=1, max_size=30), st.sampled_from(View))
def test_any_name_is_escaped(saga: str, name: str, view: View) -> None:
    start = StepDefinition(name=START, service=name, done=("a.Begun.v1",), undone=f"{name}!")
    step = StepDefinition(name=f"{name}?", service=saga, triggers=("a.Begun.v1",), done=(name,))
    definition = Definition(saga, "key", (start, step))
    ET.fromstring(text_of(definition, view, Format.SVG))
    lines = text_of(definition, view, Format.MERMAID).splitlines()
    assert [line for line in lines if not MERMAID_LINE.fullmatch(line)] == []
    assert DOT_TOKEN.sub("", text_of(definition, view, Format.DOT)) == ""


def test_nothing_hostile_is_alive() -> None:
    for view in View:
        assert "<script" not in text_of(HOSTILE, view, Format.SVG)
        assert "<script" not in text_of(HOSTILE, view, Format.MERMAID)
        for format_ in Format:
            assert "\x1b" not in text_of(HOSTILE, view, format_)
            assert "\u202e" not in text_of(HOSTILE, view, format_)


def test_pictures_are_the_same_each_time() -> None:
    for view, format_ in product(View, Format):
        first, second = (text_of(SAMPLES["twenty"], view, format_) for _ in range(2))
        assert first == second


# --- light and dark -------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_signs_stand_out(palette: dict[str, str]) -> None:
    grounds = ("paper", "lane", "other", "box")
    for ground in grounds:
        for ink in ("ink", "soft"):
            assert contrast(palette[ink], palette[ground]) >= 4.5, (ink, ground)
    for colour in ("start", "step", "pivot", "wait", "undo", "bad", "good"):
        assert contrast(palette[colour], palette["box"]) >= 3, colour
        assert contrast(palette["on"], palette[colour]) >= 4.5, colour


def test_themes() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert "prefers-color-scheme:dark" in style(Theme.AUTO)
    assert DARK["paper"] not in style(Theme.LIGHT)
    assert f".paper{{fill:{DARK['paper']}}}" in style(Theme.DARK)
    assert "$" not in style(Theme.AUTO)
