"""The guide to the console: its pictures are there and small, and its pages and variables exist."""

from __future__ import annotations

import re
from pathlib import Path

from sagas.web.console.settings import ConsoleSettings

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "console.md"
SIZE_MAX_BYTES = 150_000


def test_its_pictures_are_there_and_small() -> None:
    named = set(re.findall(r"!\[.+?\]\((.*?)\)", GUIDE.read_text()))
    assert len(named) >= 6
    kept = {str(path) for path in (ROOT / "docs/pictures/console").iterdir()}
    assert {str((GUIDE.parent / one).resolve()) for one in named} <= kept
    assert {
        path: size for path in kept if (size := Path(path).stat().st_size) > SIZE_MAX_BYTES
    } == {}


def test_every_setting_is_documented() -> None:
    documented = set(re.findall(r"`SAGAS_WEB_([A-Z_]+)`", GUIDE.read_text()))
    assert documented == {name.upper() for name in ConsoleSettings.model_fields}
