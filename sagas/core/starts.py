"""A business key that is used again: the runs of one key, and what becomes of another start of it.

Owns how the saga id of a run is made of the key, and the rule by which another start is the same one,
begins another run, or is refused. Pure: whoever decides has looked at the table before, and is the
service that ``Definition.host`` names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from sagas.core.errors import InvalidMessage
from sagas.core.instance import SagaStatus

__all__ = [
    "KEY_CHARS_MAX",
    "KnownRun",
    "Place",
    "Reuse",
    "Verdict",
    "after",
    "checked_key",
    "checked_saga_id",
    "key_of_instance",
    "place_of",
    "run_of",
    "saga_id_of",
]

KEY_CHARS_MAX = 200
_RUN = re.compile(r"(?P<key>.+)~(?P<run>[0-9]+)", re.DOTALL)
_RUN_DIGITS_MAX = 9


class Reuse(StrEnum):
    """What a saga says of a start whose key was used before, with another content.

    A start with the same content is the same start, whatever the saga says. A parked saga runs: it has not
    ended.
    """

    NEVER = "never"
    """It is refused: a key is used once."""
    AFTER_END = "after-end"
    """It begins another run once the last one has ended, however that was."""
    AFTER_FAILURE = "after-failure"
    """It begins another run once the last one has ended as COMPENSATED or FAILED."""
    SAME_WHILE_RUNNING = "same-while-running"
    """While a run is under way it stands for that one, and its content is dropped; afterwards it begins
    another run.
    """


class Verdict(StrEnum):
    """What becomes of a start."""

    BEGIN = "begin"
    SAME = "same"
    SHARE = "share"
    REFUSE = "refuse"


class KnownRun(NamedTuple):
    """A run of a key; ``same`` says whether its start has the content of the one in question."""

    status: SagaStatus
    same: bool


class Place(NamedTuple):
    """The verdict on a start, and the number of the run that it concerns, from 1."""

    verdict: Verdict
    run: int


def place_of(reuse: Reuse, runs: Sequence[KnownRun]) -> Place:
    """Where a start belongs among the runs of its key, first one first.

    | the start …                            | then it …                             |
    |----------------------------------------|---------------------------------------|
    | is the first of its key                | begins run 1                          |
    | has the content of a run, ended or not | is that run's start                   |
    | differs, and the last run goes on      | is refused, or stands for it          |
    | differs, and the last run has ended    | begins the next run, where it may     |
    """
    for number, run in enumerate(runs, start=1):
        if run.same:
            return Place(Verdict.SAME, number)
    if not runs:
        return Place(Verdict.BEGIN, 1)
    verdict = after(reuse, runs[-1].status)
    return Place(verdict, len(runs) + (verdict is Verdict.BEGIN))


def after(reuse: Reuse, status: SagaStatus) -> Verdict:
    """What becomes of another start behind a run that stands so. Once it may begin, it always may: an
    ended run stays as it is.
    """
    match reuse:
        case Reuse.AFTER_END if status.is_terminal:
            return Verdict.BEGIN
        case Reuse.AFTER_FAILURE if status in {SagaStatus.COMPENSATED, SagaStatus.FAILED}:
            return Verdict.BEGIN
        case Reuse.SAME_WHILE_RUNNING:
            return Verdict.BEGIN if status.is_terminal else Verdict.SHARE
        case _:
            return Verdict.REFUSE


def saga_id_of(key: str, run: int) -> str:
    """The saga id of a run: the key itself for the first, ``key~2`` for the second and so on."""
    return key if run == 1 else f"{key}~{run}"


def key_of_instance(saga_id: str) -> str:
    """The business key that stands in the events of an instance."""
    found = _RUN.fullmatch(saga_id)
    return saga_id if found is None else found["key"]


def run_of(saga_id: str) -> int:
    """Which run of its key an instance is, from 1."""
    found = _RUN.fullmatch(saga_id)
    return 1 if found is None else int(found["run"][:_RUN_DIGITS_MAX])


def checked_key(value: str, what: str) -> str:
    """The value if it can be a business key. Raises InvalidMessage."""
    if not value or len(value) > KEY_CHARS_MAX or not value.isprintable():
        raise InvalidMessage(
            f"{what} is {value[:80]!r}; a business key has 1 to {KEY_CHARS_MAX} printable characters."
        )
    if _RUN.fullmatch(value):
        raise InvalidMessage(
            f"{what} is {value[:80]!r}; a business key does not end in ~ and a number, which names a "
            f"later run of {key_of_instance(value)[:80]!r}. Choose keys of another form."
        )
    return value


def checked_saga_id(value: str, what: str) -> str:
    """The value if it can be a saga id: a business key, or that of a later run. Raises InvalidMessage."""
    key, run = key_of_instance(value), run_of(value)
    if key != value and (run < 2 or saga_id_of(key, run) != value):  # noqa: PLR2004 - the first is the key
        raise InvalidMessage(
            f"{what} is {value[:80]!r}; expected a business key, or one followed by ~ and the number of "
            "the run, from 2 on, such as order-17~2."
        )
    checked_key(key, what)
    return value
