"""How a command ends: the exit codes, and the one line that explains an error.

Owns the mapping from errors to both. Never shows a traceback for what a user can mend.
"""

from __future__ import annotations

from enum import IntEnum

from pydantic import ValidationError

from sagas.core.errors import MemoryExhausted, RetriableError, SagaError, SettingsError
from sagas.operating.errors import Misasked, NotFound, Refused, Unanswered

__all__ = ["CommandError", "ExitCode", "code_of", "line_of"]


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
        case SettingsError() | ValidationError() | Misasked():
            return ExitCode.USAGE
        case NotFound():
            return ExitCode.NOT_FOUND
        case Refused():
            return ExitCode.REFUSED
        case RetriableError() | Unanswered():
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
