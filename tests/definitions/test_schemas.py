"""Whether a reader can take what a writer writes: judged by the schemas, and by pydantic itself."""

from __future__ import annotations

from enum import StrEnum
from itertools import product
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, create_model

from sagas.checks.schemas import misfits


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Line(BaseModel):
    sku: str
    pieces: int = 1


class LineWithPrice(Line):
    cents: int


# Each type with values that show all that it allows, as far as the types below tell apart.
TYPES: dict[str, tuple[Any, list[Any]]] = {
    "int": (int, [-5, 0, 7]),
    "float": (float, [0.5, -2.25]),
    "str": (str, ["", "some text"]),
    "bool": (bool, [True, False]),
    "maybe int": (int | None, [None, -5, 7]),
    "int or str": (int | str, [-5, 7, "text"]),
    "ints": (tuple[int, ...], [(), (1, -2)]),
    "few ints": (Annotated[tuple[int, ...], Field(max_length=1)], [(), (-2,)]),
    "strs": (list[str], [[], ["text"]]),
    "from 0": (Annotated[int, Field(ge=0)], [0, 7]),
    "long": (Annotated[str, Field(min_length=3)], ["abc", "some text"]),
    "colour": (Colour, ["red", "blue"]),
    "red": (Literal["red"], ["red"]),
    "line": (Line, [Line(sku="a")]),
    "line with price": (LineWithPrice, [LineWithPrice(sku="a", cents=5)]),
    "lines": (list[Line], [[], [Line(sku="a")]]),
    "lines with prices": (list[LineWithPrice], [[], [LineWithPrice(sku="a", cents=5)]]),
}


def model(name: str) -> type[BaseModel]:
    return create_model("Model", field=(TYPES[name][0], ...))


def fits(writer: str, reader: str) -> bool:
    """Whether pydantic reads all that is written, as JSON and strictly."""
    for value in TYPES[writer][1]:
        text = model(writer)(field=value).model_dump_json()
        try:
            model(reader).model_validate_json(text, strict=True)
        except ValidationError:
            return False
    return True


@pytest.mark.parametrize(("writer", "reader"), [*product(TYPES, TYPES)])
def test_schemas_and_pydantic_agree(writer: str, reader: str) -> None:
    found = list(misfits(model(writer).model_json_schema(), model(reader).model_json_schema()))
    assert (found == []) is fits(writer, reader), found


@pytest.mark.parametrize(
    ("writer", "reader", "said"),
    [
        ("int", "str", "field is integer, and string is expected"),
        ("maybe int", "int", "field is null, and integer is expected"),
        ("str", "int or str", ""),
        ("float", "maybe int", "field is number, and integer or null is expected"),
        ("line", "line with price", "field.cents is needed, and not given"),
        ("lines", "lines with prices", "field[].cents is needed, and not given"),
        ("colour", "red", "field may be 'blue', which is not known"),
        ("str", "red", "field may be anything, and one of 'red' is expected"),
        ("int", "from 0", "field has minimum 0, which is not kept by who writes it"),
    ],
)
def test_it_says_which_field_and_why(writer: str, reader: str, said: str) -> None:
    found = misfits(model(writer).model_json_schema(), model(reader).model_json_schema())
    assert list(found) == ([said] if said else [])


def test_unknown_fields_and_defaults_do_no_harm() -> None:
    wide = create_model("Wide", a=(int, ...), b=(str, ""))
    narrow = create_model("Narrow", a=(int, ...), c=(int, 3))
    schemas = wide.model_json_schema(), narrow.model_json_schema()
    assert list(misfits(*schemas)) == list(misfits(*reversed(schemas))) == []


def test_a_schema_may_hold_itself() -> None:
    class Tree(BaseModel):
        name: str
        parts: list[Tree] = []

    class Taller(BaseModel):
        name: str
        parts: list[Taller] = []
        height: int

    Tree.model_rebuild(_types_namespace={"Tree": Tree})
    Taller.model_rebuild(_types_namespace={"Taller": Taller})
    tree, taller = Tree.model_json_schema(), Taller.model_json_schema()
    assert list(misfits(tree, tree)) == list(misfits(taller, tree)) == []
    assert "height is needed, and not given" in list(misfits(tree, taller))


class Forest(BaseModel):
    name: str
    trees: list[Forest] = []


def test_a_root_that_is_a_reference() -> None:
    """pydantic writes a model that holds itself as a reference to its own definition."""
    assert list(misfits(Forest.model_json_schema(), Forest.model_json_schema())) == []
    assert list(misfits(Line.model_json_schema(), Forest.model_json_schema())) == [
        "name is needed, and not given"
    ]
