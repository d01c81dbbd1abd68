"""The scripts that run inside Redis, and their names on the wire. Never talks to Redis."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["SCRIPTS", "Script", "script"]

SCRIPTS = ("store", "postpone", "restore", "marker", "lease", "sweep", "annotate")
"""Those that a server is taught when a table starts; what each takes and returns stands in its head."""


class Script:
    """A Lua script: its text, and the digest by which a server that has seen it knows it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


@cache
def script(name: str) -> Script:
    """The script in the file of that name."""
    return Script(files(__package__).joinpath(f"{name}.lua").read_bytes())
