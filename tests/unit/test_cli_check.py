"""``sagas check``: what it tells of findings, to people and to scripts, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_project import MODULES, PYPROJECT, Project, write_project

WORDS = "Event, Locks, Saga, Start, Step, Unlocks, Wait, days, seconds"
ENDS_WITH = (
    MODULES["ordering"]
    .replace("import Event, Saga, Start, Step", f"import {WORDS}")
    .replace(
        '    key = "order_id"\n',
        '    key = "order_id"\n    step_timeout = seconds(30)\n    ends_with = PaymentCaptured\n',
    )
)
RECEIVED = """\
class Received(OrderEvent, type="orders.Received.v1"):
    pass


class Ordering"""
WAITING = (
    ENDS_WITH.replace("ends_with = PaymentCaptured", "ends_with = Received").replace(
        "class Ordering", RECEIVED
    )
    + '    receive = Wait(by="orders", on=PaymentCaptured, done=Received)\n'
)
LOCKED = ENDS_WITH.replace('state="CREATED")', 'state="CREATED", data=Locks("order"))')


def shop(directory: Path, ordering: str, pyproject: str = PYPROJECT) -> Project:
    modules = dict(MODULES) | {"ordering": ordering}
    modules["inventory"] = modules["inventory"].replace(
        '("inventory")', '("inventory", tombstones=True)'
    )
    return write_project(directory, modules=modules, pyproject=pyproject)


def test_nothing_is_found(tmp_path: Path) -> None:
    ended = shop(tmp_path, ENDS_WITH).sagas("check", "--strict")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("1 saga, 3 services checked: ok.\n")


def test_a_warning_ends_with_1_only_if_strict(tmp_path: Path) -> None:
    project = shop(tmp_path, WAITING)
    ended = project.sagas("check")
    assert ended.code == 0
    assert "S4" in ended.out
    assert "ordering.receive  shop/ordering.py:52" in ended.out
    assert "→ Give the wait a timeout=" in ended.out
    assert ended.out.endswith("1 saga, 3 services checked: 1 warning.\n")
    assert "`sagas check --explain S4` shows the smallest example." in ended.out
    assert project.sagas("check", "--strict").code == 1


def test_an_error_ends_with_1(tmp_path: Path) -> None:
    ended = shop(tmp_path, LOCKED).sagas("check")
    assert ended.code == 1
    assert "it takes the lock 'order', which nothing gives back" in " ".join(ended.out.split())
    assert ended.out.endswith("1 error.\n")


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_the_table_fits_the_terminal(tmp_path: Path, columns: str) -> None:
    ended = shop(tmp_path, WAITING).sagas("check", COLUMNS=columns)
    lines = ended.out.split("what, where", 1)[1].splitlines()[1:-3]
    assert max(map(len, lines)) <= int(columns)


def test_findings_as_json(tmp_path: Path) -> None:
    project = shop(tmp_path, WAITING)
    (found,) = json.loads(project.sagas("check", "--json").out)["findings"]
    assert json.loads(project.sagas("check", "-o", "json").out)["findings"] == [found]
    assert found["example"].startswith("class Ordering(Saga):")
    assert found["reason"].startswith("it waits for Received")
    assert found["mend"].startswith("Give the wait a timeout=")
    short = {key: found[key] for key in ("code", "severity", "title", "place", "about", "page")}
    assert short == {
        "code": "S4",
        "severity": "warning",
        "title": "Each outcome of each step leads somewhere",
        "place": "shop/ordering.py:52",
        "about": "ordering.receive",
        "page": "docs/checks/S4.md",
    }


def test_what_is_refused_at_import_is_a_finding_for_scripts(tmp_path: Path) -> None:
    text = MODULES["ordering"].replace(", undone=StockReleased", "")
    ended = shop(tmp_path, text).sagas("check", "--json")
    assert ended.code == 1
    (found,) = json.loads(ended.out)["findings"]
    assert (found["code"], found["severity"]) == ("S2", "error")
    assert (found["about"], found["place"]) == ("reserve_stock", "shop/ordering.py:35")
    assert "it may have to be undone" in found["reason"]


def test_a_module_or_a_package_alone(tmp_path: Path) -> None:
    project = shop(tmp_path, ENDS_WITH)
    assert project.sagas("check", "shop.ordering").out.endswith("1 saga, 0 services checked: ok.\n")
    assert project.sagas("check", "shop").out.endswith("1 saga, 3 services checked: ok.\n")
    (tmp_path / "pyproject.toml").unlink()
    assert project.sagas("check", "shop").code == 0
    empty = project.sagas("check", "shop.nothing")
    assert empty.code == 2
    assert "there is no module 'shop.nothing'" in empty.out


def test_a_module_without_sagas(tmp_path: Path) -> None:
    project = shop(tmp_path, ENDS_WITH)
    project.write("shop/empty.py", "")
    ended = project.sagas("check", "shop.empty")
    assert ended.code == 2
    assert "shop.empty names nothing to check" in ended.only_line


def test_retention(tmp_path: Path) -> None:
    text = WAITING.replace("done=Received)", "done=Received, timeout=days(9))")
    project = shop(tmp_path, text)
    assert "S15" in project.sagas("check").out
    assert project.sagas("check", "--strict").code == 0
    assert project.sagas("check", "--strict", "--retention", "9d").code == 1
    assert project.sagas("check", "--strict", "--retention", "10d").out.endswith("checked: ok.\n")
    assert project.sagas("check", "--retention", "forever").out.endswith("checked: ok.\n")
    refused = project.sagas("check", "--retention", "long")
    assert refused.code == 2
    assert "--retention is 'long'; expected a span such as 8d" in refused.only_line


def test_retention_of_the_project(tmp_path: Path) -> None:
    text = WAITING.replace("done=Received)", "done=Received, timeout=days(9))")
    project = shop(tmp_path, text, PYPROJECT + 'retention = "10d"\n')
    assert project.sagas("check").out.endswith("checked: ok.\n")
    project.write("pyproject.toml", PYPROJECT + "retention = 10\n")
    refused = project.sagas("check")
    assert refused.code == 2
    assert "retention in [tool.sagas] is 10; expected a span" in refused.only_line


def test_a_code_is_explained(tmp_path: Path) -> None:
    ended = Project(tmp_path).sagas("check", "--explain", "s13")
    assert ended.code == 0
    assert ended.out.startswith("S13: What other sagas do in between has a countermeasure\n")
    assert 'data=Reads("pieces")' in ended.out
    assert (
        "Nothing that can be written breaks it"
        in Project(tmp_path).sagas("check", "--explain", "S11").out
    )
    unknown = Project(tmp_path).sagas("check", "--explain", "S99")
    assert unknown.code == 2
    assert "There is no check 'S99'." in unknown.only_line
