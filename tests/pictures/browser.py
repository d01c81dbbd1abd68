"""A real browser for tests of what is drawn: headless Chromium, a new one for each page."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from local_stack.packages import need

__all__ = ["chromium", "evaluated"]


def chromium() -> str:
    """The browser; without one, skip at a developer's, and install Debian's where CI promises one."""
    if found := shutil.which("chromium"):
        return found
    if os.environ.get("CI"):
        return need("chromium", "chromium")
    pytest.skip("no chromium on this machine: apt-get install chromium")


def evaluated(folder: Path, body: str, script: str) -> Any:
    """What ``script``, a function's body, returns as JSON on a page that holds ``body``."""
    page = folder / "page.html"
    page.write_text(
        f"<!doctype html><meta charset=utf-8><body>{body}<pre id=answer></pre><script>"
        f"document.getElementById('answer').textContent = JSON.stringify((() => {{{script}}})())"
        "</script>",
        encoding="utf-8",
    )
    shown = subprocess.run(
        [
            chromium(),
            *("--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={folder / 'profile'}", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    answer = re.search(r'<pre id="answer">(.*?)</pre>', shown, re.DOTALL)
    assert answer, shown[-2000:]
    return json.loads(html.unescape(answer[1]))
