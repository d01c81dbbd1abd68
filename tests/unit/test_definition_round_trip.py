"""JSON to Python and back: nothing is lost, and what is generated is as a person would leave it."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from mypy import api

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.language.declaration import Declaration
from sagas.language.exporting import declaration_of
from sagas.language.models import schemas_of
from sagas.language.places import Unreadable
from sagas.language.python import module_of
from sagas.language.reading import read
from sagas.language.writing import written
from tests.unit.generated import declarations, imported, saga_in

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "order_fulfilment.json"

slow = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@slow
@given(declarations())
def test_json_is_read_as_what_was_written(declaration: Declaration) -> None:
    text = written(declaration)
    assert read(text) == declaration
    assert written(read(text)) == text


@slow
@given(declarations())
def test_the_generated_module_declares_the_same(declaration: Declaration) -> None:
    with imported(module_of(declaration)) as module:
        saga = saga_in(module)
        found = declaration_of(saga)
        schemas = {type_: event.model_json_schema() for type_, event in saga.events.items()}
        for type_, way in saga.formers.items():
            schemas[type_] = way.former.model_json_schema()
    assert untitled(schemas_of(declaration)) == {
        type_: untitled(schema)
        for type_, schema in schemas.items()
        if type_ in {*declaration.event_types(), *declaration.formers}
    }
    assert saga.definition == declaration.definition
    assert saga.definition.fingerprint == declaration.definition.fingerprint
    assert found == declaration
    assert written(found) == written(declaration)


def untitled(schema: Any) -> Any:
    """Without the names of classes, which a module may have to choose otherwise."""
    if isinstance(schema, dict):
        return {name: untitled(one) for name, one in schema.items() if name != "title"}
    return [untitled(one) for one in schema] if isinstance(schema, list) else schema


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(declarations())
def test_the_generated_module_is_formatted(declaration: Declaration) -> None:
    for width in (88, 100):
        text = module_of(declaration, width=width)
        lines, right = text.splitlines(), formatted(text, width).splitlines()
        assert "\n".join(difflib.unified_diff(lines, right, lineterm="")) == ""


def formatted(text: str, width: int) -> str:
    ruff = Path(sys.executable).with_name("ruff")
    return subprocess.run(
        [ruff, "format", "--isolated", "--line-length", str(width), "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_generated_modules_pass_a_strict_checker(tmp_path: Path) -> None:
    @settings(
        deadline=None, max_examples=25, suppress_health_check=list(HealthCheck), database=None
    )
    @given(declarations())
    def write(declaration: Declaration) -> None:
        number = len(list(tmp_path.iterdir()))
        (tmp_path / f"generated_{number}.py").write_text(module_of(declaration))

    write()
    (tmp_path / "order.py").write_text(module_of(read(GUIDE.read_text())))
    cache = ROOT / ".mypy_cache"
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\n")
    out, _, code = api.run(
        ["--config-file", str(config), "--cache-dir", str(cache), *map(str, tmp_path.glob("*.py"))]
    )
    assert code == 0, out


def test_the_json_of_the_guide_is_the_order_saga() -> None:
    declaration = read(GUIDE.read_text())
    assert declaration.definition == OrderFulfilment.definition
    assert written(declaration) == GUIDE.read_text()


def test_the_order_saga_of_the_reference_system_goes_round() -> None:
    declaration = declaration_of(OrderFulfilment)
    assert read(written(declaration)) == declaration
    with imported(module_of(declaration)) as module:
        assert declaration_of(saga_in(module)) == declaration


VERSIONED = """\
{
  "saga": "parcel",
  "key": "parcel_id",
  "start": {"by": "shop", "event": "ParcelPacked", "undone": "ParcelUnpacked"},
  "tasks": {
    "weigh": {
      "by": "depot", "depends_on": "start", "done": "ParcelWeighed.v2", "undone": "nothing"
    },
    "tell": {"by": "shop", "depends_on": "weigh", "done": "CustomerTold", "undone": "nothing"}
  },
  "events": {"ParcelWeighed": {"grams": "integer"}},
  "formers": {
    "ParcelWeighed": {"now": "ParcelWeighed", "fields": {"pounds": "number"}}
  },
  "retired": "depot.ParcelSorted.v1"
}
"""


def test_a_former_version_is_a_function_to_be_filled_in() -> None:
    declaration = read(VERSIONED)
    text = module_of(declaration, handlers=False)
    assert (
        """\
    @staticmethod
    @upcasts(ParcelWeighedV1)
    def from_v1(old: ParcelWeighedV1) -> ParcelWeighed:
        raise ContractViolation(
            "depot.ParcelWeighed.v1 can not be made depot.ParcelWeighed.v2 yet: fill in from_v1.",
        )
"""
        in text
    )
    assert '    retired = ("depot.ParcelSorted.v1",)\n' in text
    with imported(text) as module:
        saga = saga_in(module)
        assert saga.definition.upcasts == (("depot.ParcelWeighed.v1", "depot.ParcelWeighed.v2"),)
        assert declaration_of(saga) == declaration


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (('"now": "ParcelWeighed"', '"now": "ParcelWieghed"'), "did you mean ParcelWeighed?"),
        (('"ParcelWeighed": {"now"', '"shop.ParcelWeighed": {"now"'), "published by depot"),
        (('"ParcelWeighed": {"now"', '"ParcelWeighed.v2": {"now"'), "is nothing else there"),
        (('{"pounds"', '{"parcel_id"'), "parcel_id is the key"),
        (('"number"', '"Pounds"'), "there is no record Pounds"),
        (('"depot.ParcelSorted.v1"', '"ParcelSorted"'), "the whole name of an event"),
        (('"depot.ParcelSorted.v1"', '"depot.ParcelWeighed.v2"'), "the saga still has"),
    ],
)
def test_a_former_version_that_can_not_be_meant_is_told_at_its_place(
    wrong: tuple[str, str], says: str
) -> None:
    assert wrong[0] in VERSIONED
    with pytest.raises(Unreadable, match=re.escape(says)) as told:
        read(VERSIONED.replace(*wrong, 1))
    (problem,) = told.value.found
    assert problem.line >= 13
