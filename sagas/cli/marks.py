"""Parts of a Markdown file that a command draws: between ``<!-- sagas graph NAME VIEW -->`` and its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sagas.cli.errors import CommandError, ExitCode

__all__ = ["END", "redrawn"]

END = "<!-- end of sagas graph -->"
_MARKED = re.compile(
    r"(?P<begin><!-- sagas graph (?P<saga>\S+) (?P<view>\S+) -->\n)(?:.*?)" + re.escape(END),
    re.DOTALL,
)


def redrawn(file: Path, picture: Callable[[str, str], str]) -> str:
    """The file's text with each marked part made anew by ``picture(saga, view)``. Raises CommandError."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(ExitCode.USAGE, f"{file} can not be read: {error}.") from error
    made, count = _MARKED.subn(
        lambda found: (
            f"{found['begin']}```mermaid\n{picture(found['saga'], found['view'])}```\n{END}"
        ),
        text,
    )
    if not count:
        raise CommandError(
            ExitCode.USAGE,
            f"{file} has no part to draw. Put these two lines where the picture belongs: "
            f"<!-- sagas graph NAME choreography --> and {END}",
        )
    return made
