"""The command line on projects that are right and on those that are not: readable, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_project import MODULES, PYPROJECT, Project, write_project


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    return write_project(tmp_path)


def with_module(directory: Path, name: str, text: str) -> Project:
    return write_project(directory, modules=dict(MODULES) | {name: text})


def with_pyproject(directory: Path, text: str) -> Project:
    return write_project(directory, pyproject=text)


# --- finding the project --------------------------------------------------------------------------


def test_no_pyproject(tmp_path: Path) -> None:
    ended = Project(tmp_path).sagas("check")
    assert ended.code == 2
    assert "There is no pyproject.toml here or above" in ended.only_line
    assert "--project" in ended.only_line


def test_a_file_that_is_not_there(shop: Project) -> None:
    ended = shop.sagas("check", "--project", "elsewhere.toml")
    assert ended.code == 2
    assert "There is no pyproject.toml at elsewhere.toml" in ended.only_line


def test_no_tool_sagas(tmp_path: Path) -> None:
    ended = with_pyproject(tmp_path, "[project]\nname = 'x'\n").sagas("check")
    assert ended.code == 2
    assert "has no [tool.sagas]" in ended.only_line


def test_it_is_found_from_below_and_by_name(shop: Project, tmp_path: Path) -> None:
    below = Project(tmp_path / "shop")
    assert below.sagas("check").code == 0
    assert below.sagas("check", "--project", str(tmp_path)).code == 0
    assert below.sagas("check", "--project", "../pyproject.toml").code == 0


def test_broken_toml(tmp_path: Path) -> None:
    ended = with_pyproject(tmp_path, "[tool.sagas\n").sagas("check")
    assert ended.code == 2
    assert "can not be read" in ended.only_line
    assert "line 1" in ended.only_line


def test_an_unknown_key(tmp_path: Path) -> None:
    ended = with_pyproject(tmp_path, '[tool.sagas]\nservice = ["a:b"]\n').sagas("check")
    assert ended.code == 2
    assert "Did you mean 'services'?" in ended.only_line


def test_a_value_that_is_no_list(tmp_path: Path) -> None:
    ended = with_pyproject(tmp_path, '[tool.sagas]\nsagas = "a:b"\n').sagas("check")
    assert ended.code == 2
    assert "expected a list of texts" in ended.only_line


# --- importing what it names ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("shop.orderin:Ordering", "there is no module 'shop.orderin'"),
        ("shopp.ordering:Ordering", "there is no module 'shopp'"),
        ("shop.ordering:Orderin", "Did you mean 'Ordering'?"),
        ("shop.ordering", "write module:attribute"),
        ("shop.ordering:OrderPlaced", "is the class OrderPlaced; expected a class derived from"),
        ("shop.orders:service", "expected a class derived from sagas.Saga"),
    ],
)
def test_an_entry_that_names_no_saga(tmp_path: Path, entry: str, said: str) -> None:
    project = with_pyproject(tmp_path, f'[tool.sagas]\nsagas = ["{entry}"]\n')
    ended = project.sagas("check")
    assert ended.code == 2
    assert said in ended.out.replace("\n", " ")
    assert "Traceback" not in ended.out + ended.err
    listed = project.sagas("list")
    assert listed.code == 2
    assert said in listed.only_line


def test_an_entry_that_names_no_service(tmp_path: Path) -> None:
    pyproject = '[tool.sagas]\nservices = ["shop.ordering:Ordering"]\n'
    ended = with_pyproject(tmp_path, pyproject).sagas("run", "orders")
    assert ended.code == 2
    assert 'expected an object such as service = Service("orders")' in ended.only_line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere\n", "shop/ordering.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("\n\nx = 1 / 0\n", "shop/ordering.py:3: ZeroDivisionError: division by zero"),
        ("x = (\n", "shop/ordering.py:1: SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(7)\n", "shop/ordering.py:2: SystemExit: 7"),
    ],
)
def test_a_module_that_fails(tmp_path: Path, text: str, said: str) -> None:
    ended = with_module(tmp_path, "ordering", text).sagas("list")
    assert ended.code == 1
    assert said in ended.only_line


def test_a_definition_that_is_wrong(tmp_path: Path) -> None:
    text = MODULES["ordering"].replace(", undone=StockReleased", "")
    ended = with_module(tmp_path, "ordering", text).sagas("check")
    assert ended.code == 1
    assert "Traceback" not in ended.out + ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("problem: shop/ordering.py:32: The saga Ordering can not run:")
    assert "ordering.reserve_stock: it may have to be undone" in ended.out
    # Three services import the same module: its problem is told once.
    assert ended.out.count("it may have to be undone") == 1


# --- check ----------------------------------------------------------------------------------------


def test_check_shows_the_sagas(shop: Project) -> None:
    ended = shop.sagas("check")
    assert ended.code == 0
    assert ended.err == ""
    for word in ("ordering", "reserve_stock", "inventory", "compensatable", "pivot"):
        assert word in ended.out
    assert ended.out.endswith("1 saga, 3 services checked: 2 hints.\n")


def test_check_as_json(shop: Project) -> None:
    found = json.loads(shop.sagas("check", "--output", "json").out)
    names = {"sagas", "services", "deployed", "problems", "findings", "model"}
    assert found.keys() == names
    (saga,) = found["sagas"]
    assert saga.keys() == {"name", "key", "fingerprint", "services", "steps"}
    assert saga["services"] == ["orders", "inventory", "payments"]
    assert [step["kind"] for step in saga["steps"]] == ["compensatable", "compensatable", "pivot"]
    assert saga["steps"][2] == {
        "name": "capture_payment",
        "service": "payments",
        "kind": "pivot",
        "on": ["inventory.StockReserved.v1"],
        "join": "all",
        "done": ["payments.PaymentCaptured.v1"],
        "refused": ["payments.PaymentDeclined.v1"],
        "undone": None,
        "state": "PAID",
    }
    assert found["services"][0] == {"name": "orders", "sagas": ["ordering"]}
    assert found["problems"] == []


def test_check_names_missing_handlers(tmp_path: Path) -> None:
    project = with_module(
        tmp_path, "payments", 'from sagas import Service\n\nservice = Service("payments")\n'
    )
    ended = project.sagas("check")
    assert ended.code == 1
    assert "nothing performs Ordering.capture_payment" in ended.out
    assert ended.out.endswith("1 problem, 2 hints.\n")
    assert len(json.loads(project.sagas("check", "-o", "json").out)["problems"]) == 1
    refused = project.sagas("run", "payments")
    assert refused.code == 1
    assert "nothing performs Ordering.capture_payment" in refused.err
    assert "Traceback" not in refused.err


def test_check_tells_of_services_that_live_elsewhere(tmp_path: Path) -> None:
    project = with_pyproject(tmp_path, PYPROJECT.replace(', "shop.payments:service"', ""))
    ended = project.sagas("check")
    assert ended.code == 0
    assert "ordering: payments not among the services of this project." in ended.out


def test_check_of_one_saga_needs_no_project(shop: Project) -> None:
    (shop.directory / "pyproject.toml").unlink()
    assert shop.sagas("check", "shop.ordering:Ordering").code == 0
    assert shop.sagas("check", "shop.ordering:Nothing").code == 2


def test_the_transition_table(tmp_path: Path) -> None:
    ended = Project(tmp_path).sagas("check", "--transitions")
    assert ended.code == 0
    assert ended.out.startswith("| A saga that is")
