"""The canvases in the services' folders say what the services declare."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_canvases_are_current() -> None:
    checked = subprocess.run(
        [sys.executable, "scripts/lib/canvas.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "all canvases are current\n"), (
        f"scripts/canvas writes them anew: {checked.stdout}{checked.stderr}"
    )


def test_canvases_fit_on_a_page() -> None:
    canvases = sorted((ROOT / "services").glob("*/CANVAS.md"))
    assert len(canvases) == 5
    assert [path for path in canvases if path.read_text().count("\n") > 100] == []
