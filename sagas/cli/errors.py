"""How a command ends: the exit codes, and the one line that explains an error.

Owns the mapping from errors to both. Never shows a traceback for what a user can mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum

from pydantic import ValidationError

from sagas.core.errors import MemoryExhausted, RetriableError, SagaError, SettingsError

__all__ = ["CommandError", "ExitCode", "code_of", "line_of", "nearest"]


class ExitCode(IntEnum):
    """What scripts can rely on; documented in ``sagas --help`` and docs/reference/cli.md."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    DIFFERENCES = 3
    NOT_FOUND = 4
    UNAVAILABLE = 5
    REFUSED = 6
    RESTART = 7


class CommandError(SagaError):
    """The command ends here: ``code`` for scripts, the message for people."""

    def __init__(self, code: ExitCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: SagaError | ValidationError) -> ExitCode:
    """The exit code of an error: who must act."""
    match error:
        case CommandError():
            return error.code
        case MemoryExhausted():
            return ExitCode.RESTART
        case SettingsError() | ValidationError():
            return ExitCode.USAGE
        case RetriableError():
            return ExitCode.UNAVAILABLE
        case _:
            return ExitCode.FINDINGS


def line_of(error: SagaError | ValidationError) -> str:
    """The error in words; of settings, which variable has which value and what would fit."""
    if not isinstance(error, ValidationError):
        return str(error)
    return " ".join(
        _setting(_named(error.title, problem["loc"]), problem["input"], problem["msg"])
        for problem in error.errors(include_url=False)
    )


def _named(model: str, place: tuple[int | str, ...]) -> str:
    """The variable of our own settings; those of a service may have other names."""
    if model == "SagaSettings" and place:
        return f"SAGAS_{place[0]}".upper()
    return ".".join(map(str, (model, *place)))


def _setting(name: str, value: object, message: str) -> str:
    shown = repr(value)
    if "@" in shown:
        shown = "not shown, for it may hold a password"
    text = message.removeprefix("Value error, ").rstrip(".")
    return f"{name} is {shown}: {text}."


def nearest(name: str, known: Iterable[str], what: str) -> str:
    """A hint after an unknown name: the one that was probably meant, and which there are."""
    names = sorted(known, key=_as_counted)
    meant = get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f" Did you mean {meant[0]!r}?" if meant else ""
    return f"{guess} {what}: {', '.join(names) or 'none'}."


def _as_counted(name: str) -> list[tuple[int, str]]:
    """S2 comes before S10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(one), "") if one.isdecimal() else (-1, one) for one in parts]
