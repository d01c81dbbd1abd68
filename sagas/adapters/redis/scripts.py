"""The scripts that run inside Redis, and their names on the wire. Never talks to Redis."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

__all__ = ["Script", "annotate_script", "postpone_script", "store_script"]


class Script:
    """A Lua script: its text, and the digest by which a server that has seen it knows it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.digest = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


@cache
def store_script() -> Script:
    """The compare-and-set of one saga instance; what it takes and returns stands in its head."""
    return Script(files(__package__).joinpath("store.lua").read_bytes())


@cache
def postpone_script() -> Script:
    """Moves one timer that is still set."""
    return Script(files(__package__).joinpath("postpone.lua").read_bytes())


@cache
def annotate_script() -> Script:
    """Keeps or removes one note of one saga instance, with its timer."""
    return Script(files(__package__).joinpath("annotate.lua").read_bytes())
