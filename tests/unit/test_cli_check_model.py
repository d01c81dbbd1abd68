"""``sagas check --model``: how the model checker's verdict is told, and how the command ends."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli_project import write_project


def _checked(directory: Path, *arguments: str) -> tuple[int, str, str]:
    ended = write_project(directory).sagas("check", "shop.ordering:Ordering", "--model", *arguments)
    return ended.code, ended.out, ended.err


def test_a_proof_is_told_with_its_bounds(tmp_path: Path) -> None:
    code, out, _ = _checked(tmp_path, "--faults", "crash,reordering")
    assert "proven within these bounds" in out
    assert "of crash at most 1 in an execution; messages in any order" in out
    assert code == 0


def test_a_limit_is_no_proof_and_ends_with_1(tmp_path: Path) -> None:
    code, out, _ = _checked(tmp_path, "--states", "20")
    assert "nothing is proven. 20 states were looked at, which is the limit" in out
    assert "1 saga not proven" in out
    assert code == 1


def test_scripts_get_json(tmp_path: Path) -> None:
    code, out, _ = _checked(tmp_path, "--faults", "none", "--json")
    model = json.loads(out)["model"]
    assert [(one["proven"], one["complete"], one["counterexample"]) for one in model] == [
        (True, True, None)
    ]
    assert model[0]["states"] == sum(run["states"] for run in model[0]["runs"])
    assert code == 0


def test_a_fault_that_there_is_not_is_wrong_usage(tmp_path: Path) -> None:
    code, _, error = _checked(tmp_path, "--faults", "flood")
    assert "There is no fault 'flood'" in error
    assert code == 2


def test_a_limit_is_a_finding_too(tmp_path: Path) -> None:
    code, out, _ = _checked(tmp_path, "--states", "20", "--json")
    found = [one for one in json.loads(out)["findings"] if one["code"] == "M6"]
    assert [(one["severity"], one["page"]) for one in found] == [("warning", "docs/checks/M6.md")]
    assert found[0]["place"].startswith("shop/ordering.py:")
    assert "20 states were looked at, which is the limit" in found[0]["reason"]
    assert found[0]["example"] == "sagas check --model --states 20"
    assert code == 1


def test_what_the_model_checker_finds_is_explained(tmp_path: Path) -> None:
    ended = write_project(tmp_path).sagas("check", "--explain", "m1")
    assert ended.out.startswith("M1: Every execution ends\n")
    assert "docs/checks/M1.md" in ended.out
    assert ended.code == 0
