"""JSON and its places: read as by everybody else, and told where it is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.language.places import located, pointer_of
from tests.unit.test_definition_problems import problems

_floats = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1:", "expected a value, and found the end"),
        ('{"a": 1,}', "1:8:", "a comma before }"),
        ('{"a" 1}', "1:6:", "expected : after the name"),
        ('{"a": 1 "b": 2}', "1:9:", "expected , or }"),
        ("{a: 1}", "1:2:", "expected a name in"),
        ('{"a": nul}', "1:7:", "expected a value, and found 'n'"),
        ('{"a": 1} x', "1:10:", "here the document should end"),
        ('{"a": "x\ny"}', "1:9:", "no JSON"),
        ('{\n "a": "\\ud800"}', "2:7:", "half of a character"),
        ('{"a": 1e999}', "1:7:", "too large"),
        (f'{{"a": {"9" * 50}}}', "1:7:", "50 characters"),
        (f"{'[' * 99}", "1:52:", "nested more than 50 deep"),
        ("[1, 2", "1:6:", "expected , or ], and found the end"),
    ],
)
def test_what_is_no_json_is_told_at_its_first_wrong_character(
    text: str, place: str, words: str
) -> None:
    (told,) = problems(text)
    assert told.startswith(f"trip.json:{place}"), told
    assert words in told


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text() | _floats,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=20,
    ),
    st.sampled_from([None, 2]),
)
def test_json_is_read_as_the_standard_library_reads_it(value: Any, indent: int | None) -> None:
    for text in (json.dumps(value, indent=indent, ensure_ascii=False), json.dumps(value)):
        if "\\ud" not in text:
            assert located(text).value == value


def test_places_are_where_values_begin() -> None:
    at = located('{"a/b": [1,\n {"~": true}]}')
    assert str(at.problem(("a/b", 1, "~"), "x.")) == "2:8 /a~1b/1/~0: x."
    assert str(at.problem(("a/b", 1, "~"), "x.", name=True)) == "2:3 /a~1b/1/~0: x."
    assert str(at.problem(("a/b", 7, "y"), "x.")) == "1:9 /a~1b: x."
    assert pointer_of(()) == ""
