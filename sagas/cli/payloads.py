"""What is typed as ``--payload``: JSON, or a file that holds it."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue

from sagas.cli.errors import CommandError, ExitCode

__all__ = ["content_of"]


def content_of(given: str) -> dict[str, JsonValue]:
    """The JSON object that was typed, or that a file holds. Raises CommandError."""
    try:
        text = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
        content = json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(
            ExitCode.USAGE, f"--payload {given} can not be read: {error}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise CommandError(ExitCode.USAGE, f"--payload is no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CommandError(
            ExitCode.USAGE, '--payload is no JSON object such as {"order_id": "o1"}.'
        )
    return content
