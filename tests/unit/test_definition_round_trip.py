"""JSON to Python and back: nothing is lost, and what is generated is as a person would leave it."""

from __future__ import annotations

import difflib
import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from mypy import api

from events.choreographies.order_fulfilment import OrderFulfilment
from sagas.language.declaration import Declaration
from sagas.language.exporting import declaration_of
from sagas.language.models import schemas_of
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
    assert untitled(schemas_of(declaration)) == {
        type_: untitled(schema)
        for type_, schema in schemas.items()
        if type_ in declaration.event_types()
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
