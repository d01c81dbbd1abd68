"""The package as it is imported: its public names, and nothing loaded that they do not need."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import sagas

ROOT = Path(__file__).resolve().parents[2]


def test_the_public_names_are_there() -> None:
    assert all(hasattr(sagas, name) for name in sagas.__all__)


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert sagas.__version__ == project["version"]


def test_importing_loads_no_technology() -> None:
    heavy = "{'aiokafka', 'asyncio', 'redis', 'rich', 'sqlalchemy', 'structlog', 'typer'}"
    program = f"import sagas, sys; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert printed.stdout.strip() == "[]"
