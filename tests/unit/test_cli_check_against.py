"""``sagas check --against``: what is to run beside, and after, what is deployed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sagas.cli.errors import ExitCode
from tests.cli_project import MODULES, Project, write_project

THANKED = """

class Thanked(OrderEvent, type="orders.Thanked.v1"):
    pass


class Ordering"""
BEFORE_THE_END = MODULES["ordering"].replace("\n\nclass Ordering", THANKED, 1) + (
    '    thank = Step(by="orders", on=OrderPlaced, done=Thanked)\n'
)
BEHIND_THE_END = BEFORE_THE_END.replace(
    "on=OrderPlaced, done=Thanked", "on=PaymentCaptured, done=Thanked"
)


def changed(directory: Path, text: str) -> Project:
    """A project that has exported its saga, kept it as a module, too, and changed it."""
    project = write_project(directory)
    assert project.sagas("export", "definition", "shop.ordering", "--write", "old.json").code == 0
    project.write("shop/before.py", MODULES["ordering"])
    project.write("shop/ordering.py", text)
    return project


DEPLOYED = pytest.mark.parametrize("deployed", ["old.json", "shop.before", "shop.before:Ordering"])


@DEPLOYED
def test_what_runs_can_not_be_finished(tmp_path: Path, deployed: str) -> None:
    ended = changed(tmp_path, BEFORE_THE_END).sagas("check", "shop.ordering", "--against", deployed)
    assert ended.code == ExitCode.FINDINGS
    assert "S16" in ended.out
    assert "ordering.thank  shop/ordering.py:" in ended.out
    assert "it is new, and follows OrderPlaced" in " ".join(ended.out.split())
    assert f"ordering: against {deployed}, " in ended.out


@DEPLOYED
def test_a_step_behind_the_end_is_no_finding(tmp_path: Path, deployed: str) -> None:
    ended = changed(tmp_path, BEHIND_THE_END).sagas("check", "shop.ordering", "--against", deployed)
    assert ended.code == 0
    assert "S16" not in ended.out
    assert "S12" not in ended.out


@DEPLOYED
def test_what_was_written_can_not_be_read(tmp_path: Path, deployed: str) -> None:
    text = MODULES["ordering"].replace(
        "    amount: int = 1\n", "    amount: int = 1\n    gift: bool\n"
    )
    ended = changed(tmp_path, text).sagas("check", "--against", deployed)
    assert ended.code == ExitCode.FINDINGS
    assert "S12" in ended.out
    told = " ".join(ended.out.split())
    assert (
        "what the deployed version has written, does not fit: gift is needed, and not given" in told
    )


@DEPLOYED
def test_a_field_with_a_default_is_no_finding(tmp_path: Path, deployed: str) -> None:
    text = MODULES["ordering"].replace(
        "    amount: int = 1\n", "    amount: int = 1\n    gift: bool = False\n"
    )
    ended = changed(tmp_path, text).sagas("check", "--against", deployed)
    assert (ended.code, "S12" in ended.out) == (0, False)


def test_for_scripts(tmp_path: Path) -> None:
    project = changed(tmp_path, BEFORE_THE_END)
    told = json.loads(project.sagas("check", "--against", "old.json", "--json").out)
    (deployed,) = told["deployed"]
    assert (deployed["from"], deployed["saga"]) == ("old.json", "ordering")
    assert deployed["fingerprint"] != told["sagas"][0]["fingerprint"]
    assert "S16" in {one["code"] for one in told["findings"]}


def test_another_saga_is_not_compared(tmp_path: Path) -> None:
    ended = changed(tmp_path, MODULES["ordering"].replace("class Ordering", "class Buying")).sagas(
        "check", "shop.ordering", "--against", "old.json"
    )
    assert ended.code == ExitCode.USAGE
    assert "old.json is the saga ordering, and checked is buying" in ended.only_line


def test_what_is_deployed_can_not_be_read(tmp_path: Path) -> None:
    project = changed(tmp_path, MODULES["ordering"])
    project.write("bad.json", "{}")
    bad = project.sagas("check", "--against", "bad.json")
    assert bad.code == ExitCode.FINDINGS
    assert "bad.json:1:1: saga is missing" in bad.err
    missing = project.sagas("check", "--against", "none.json")
    assert missing.code == ExitCode.USAGE
    assert "none.json can not be read" in missing.only_line
