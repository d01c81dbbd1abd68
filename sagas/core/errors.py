"""The errors of the framework, branching by who must act. Every message says what was seen, what was
expected and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable

from sagas.core.printable import printable
from sagas.core.problems import Problem

__all__ = [
    "WORDS_MAX",
    "CompensationFailed",
    "ContractViolation",
    "DefinitionError",
    "InvalidMessage",
    "MemoryExhausted",
    "RetriableError",
    "SagaError",
    "SagaExists",
    "SettingsError",
    "StepAbandoned",
]

WORDS_MAX = 1_000
"""So many characters of what was seen are enough to find it, and fit into a header and a log line."""


class SagaError(Exception):
    """The root of all errors that this framework raises on purpose."""


class RetriableError(SagaError):
    """Nothing is wrong with the message: deliver it again (a server is away, a lease was lost)."""


class InvalidMessage(SagaError):
    """The message can never be handled: it goes to the dead letters, its bytes untouched.

    Its words quote what came from outside, so they are printable and bounded, whoever raises it.
    """

    def __init__(self, words: str) -> None:
        super().__init__(printable(words, chars_max=WORDS_MAX))


class CompensationFailed(SagaError):
    """A compensation failed for good: an operator must act."""


class DefinitionError(SagaError):
    """A saga or a service is declared wrongly: its developer must act.

    ``problems`` has one by one what a saga's text lists; it is empty where the text is all.
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ContractViolation(SagaError):
    """A handler or a caller broke what the declaration promises: its developer must act."""


class SagaExists(SagaError):
    """A key is in use, and the saga takes no other start for it: whoever starts must act.

    ``saga_id`` is the run that is in the way, ``status`` where it stands.
    """

    def __init__(self, message: str, *, saga_id: str, status: str) -> None:
        super().__init__(message)
        self.saga_id = saga_id
        self.status = status


class SettingsError(SagaError):
    """A server or a setting is not fit for use: whoever deploys must act."""


class MemoryExhausted(SagaError):
    """A process has too little memory left and has left in order: whoever supervises it starts it again."""


class StepAbandoned(SagaError):
    """The saga waits for this action no longer (it has turned back, or gone on): leave off.

    Raised by a heartbeat, in the handler. Let it pass: nothing of the step is recorded, it is not tried
    again, and what it has done already is undone like that of any step in flight.
    """
