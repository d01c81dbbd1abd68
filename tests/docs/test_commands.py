"""The commands in the guide to pictures run: every line of its ``sh`` blocks, in order, in one directory."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli_project import Project

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "pictures.md"
MARKED = "<!-- sagas graph order-fulfilment choreography -->\n<!-- end of sagas graph -->\n"


@pytest.fixture
def here(tmp_path: Path) -> Project:
    """The reference system, in a directory where files may be left."""
    for name in ("pyproject.toml", "events", "services"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "FLOW.md").write_text(MARKED)
    return Project(tmp_path)


def commands(text: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_guide_run(here: Project) -> None:
    typed = commands(GUIDE.read_text())
    assert len(typed) > 12
    for line in typed:
        program, *arguments = shlex.split(line)
        assert program == "sagas"
        ended = here.sagas(*arguments)
        assert (ended.code, ended.err) == (0, ""), line
    for picture in ("order-fulfilment.svg", "states.svg"):
        ET.parse(here.directory / picture)
    assert "flowchart LR" in (here.directory / "FLOW.md").read_text()
    assert len(list((here.directory / "schemas").iterdir())) > 20


def test_pictures_of_the_guide_are_there() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", GUIDE.read_text())
    assert len(pictures) == 4
    assert all((GUIDE.parent / picture).exists() for picture in pictures)
