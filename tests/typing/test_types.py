"""What the types promise: right uses pass, and each wrong one is an error on exactly its line."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = ("declared.py", "right_uses.py", "wrong_uses.py")
QUIET = re.compile(r"^# (mypy|pyright): .*$", re.MULTILINE)
WRONG = re.compile(r"  # wrong: \S")

Lines = set[tuple[str, int]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The uses as a folder of their own, where nothing keeps the type checkers quiet."""
    folder = tmp_path_factory.mktemp("types") / "tests" / "typing"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(QUIET.sub("#", (HERE / name).read_text()))
    return folder


def marked() -> Lines:
    return {
        (name, number)
        for name in FILES
        for number, line in enumerate((HERE / name).read_text().splitlines(), start=1)
        if WRONG.search(line)
    }


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def by_mypy(folder: Path) -> Lines:
    root = folder.parents[1]
    (root / "mypy.ini").write_text(
        f"[mypy]\nstrict = true\nplugins = pydantic.mypy\nexplicit_package_bases = true\n"
        f"namespace_packages = true\nmypy_path = {root}:{ROOT}\n"
        f"disable_error_code = empty-body\n"
    )
    output = run("mypy", "--no-error-summary", "--hide-error-context", str(folder), cwd=root)
    found = re.findall(r"^\S*?([a-z_]+\.py):(\d+): error:", output, re.MULTILINE)
    return {(name, int(number)) for name, number in found}


def by_pyright(folder: Path) -> Lines:
    root = folder.parents[1]
    settings = {
        "include": [str(folder)],
        "extraPaths": [str(root), str(ROOT)],
        "pythonVersion": "3.11",
        "typeCheckingMode": "standard",
        "reportReturnType": "none",  # the bodies are left out
    }
    (root / "pyrightconfig.json").write_text(json.dumps(settings))
    output = run("pyright", "--outputjson", "--pythonpath", sys.executable, cwd=root)
    return {
        (Path(found["file"]).name, found["range"]["start"]["line"] + 1)
        for found in json.loads(output)["generalDiagnostics"]
        if found["severity"] == "error"
    }


def test_there_are_enough_wrong_uses() -> None:
    assert len(marked()) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("checker", [by_mypy, by_pyright])
def test_exactly_the_wrong_uses_are_errors(checker: Callable[[Path], Lines], folder: Path) -> None:
    found = checker(folder)
    assert sorted(found - marked()) == [], "errors where the use is right"
    assert sorted(marked() - found) == [], "wrong uses that pass"


def test_right_uses_pass_the_checks_in_words() -> None:
    shop = importlib.import_module("tests.typing.right_uses").shop
    shop.check()
    assert len(shop.performers) == 6
