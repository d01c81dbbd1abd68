"""When a saga counts as stuck, and why: a pure judgement over what it waits for and what is known around it.

Owns the rules and their defaults. What ends by itself is not stuck for being slow: a wait that has a
timeout. What nobody has ever measured is measured by ``unknown_ms``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from sagas.core.definition import DEADLINE, Direction
from sagas.core.instance import Instance, SagaStatus
from sagas.core.printable import printable
from sagas.core.timers import timers_of
from sagas.operating.explaining.awaited import Awaited, AwaitedKind
from sagas.operating.explaining.sentences import About, Moment, Sentence, say
from sagas.operating.explaining.surroundings import Surroundings, Usual
from sagas.operating.moments import span
from sagas.operating.words import reason_words

__all__ = [
    "StuckReason",
    "StuckRules",
    "Why",
    "stuck_reasons",
    "threshold_ms",
    "unreadable",
]

_NO_PAYLOADS: Mapping[str, object] = MappingProxyType({})
_ERROR_CHARS = 400


class Why(StrEnum):
    """Why a saga counts as stuck, the surest first."""

    PARKED = "parked"
    DEADLINE = "over its deadline"
    TIMER = "timer overdue"
    NO_WORKER = "no worker"
    LAGGING = "lagging"
    RETRYING = "retrying"
    SLOW = "slow"
    UNREADABLE = "unreadable"
    """The project's definition can not read its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckRules:
    """From when on a saga counts as stuck.

    A step is slow once it has taken ``factor`` times as long as nineteen of twenty, and no less than
    ``least_ms``; where nothing is known of it, ``unknown_ms`` stands for these. A timer is overdue
    ``overdue_ms`` after it was due, and a service without workers is missed after ``absent_ms``.
    """

    factor: float = 10.0
    least_ms: int = 30_000
    unknown_ms: int = 60_000
    overdue_ms: int = 15_000
    absent_ms: int = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckReason:
    """Why, at which step of which service, and since when (milliseconds since the epoch)."""

    why: Why
    sentence: Sentence
    since_ms: int
    step: str | None = None
    service: str | None = None


def threshold_ms(usual: Usual | None, rules: StuckRules) -> int:
    """How long a step may take before it is slow."""
    most_ms = rules.unknown_ms if usual is None else usual.most_ms
    return max(rules.least_ms, round(rules.factor * most_ms))


def stuck_reasons(
    instance: Instance,
    waits: Sequence[Awaited],
    around: Surroundings,
    *,
    now_ms: int,
    rules: StuckRules,
    payloads: Mapping[str, object] = _NO_PAYLOADS,
) -> tuple[StuckReason, ...]:
    """Why the instance counts as stuck, the surest first; empty if it does not.

    ``payloads`` are what may be told of what its events carry, by slot: why it is parked.
    """
    if instance.status is SagaStatus.PARKED:
        return (_parked(instance, payloads),)
    found = [*_timers(instance, now_ms, rules)]
    for one in waits:
        found += _slow(one, around, now_ms, rules)
    order = list(Why)
    return tuple(sorted(found, key=lambda one: (order.index(one.why), one.since_ms)))


def _parked(instance: Instance, payloads: Mapping[str, object]) -> StuckReason:
    fact = instance.facts[instance.parked[0]]
    payload = payloads.get(instance.parked[0])
    words = "it is parked until an operator lets it go on"
    if payload is not None:
        words = reason_words(fact.type, payload).rstrip(". ")
    return StuckReason(
        why=Why.PARKED,
        sentence=say(About.STUCK, f"{words}."),
        since_ms=fact.at_ms,
        step=fact.step,
        service=instance.definition.by_name[fact.step].service,
    )


def unreadable(saga: str, error: str, since_ms: int) -> StuckReason:
    """The reason of one whose row can not be read with the project's definition."""
    said = printable(error, chars_max=_ERROR_CHARS).rstrip(". ")
    words = f"Its row can not be read with this project's {saga}: {said}."
    return StuckReason(why=Why.UNREADABLE, sentence=say(About.HEAD, words), since_ms=since_ms)


def _timers(instance: Instance, now_ms: int, rules: StuckRules) -> Iterator[StuckReason]:
    """Timers that were due, and nobody has handled what was published then."""
    for name, due_ms in timers_of(instance).items():
        if now_ms - due_ms < rules.overdue_ms:
            continue
        step = instance.definition.by_name.get(name)
        said = "Its deadline" if name == DEADLINE else f"The timer {name}"
        yield StuckReason(
            why=Why.DEADLINE if name == DEADLINE else Why.TIMER,
            sentence=say(
                About.STUCK,
                f"{said} was due at ",
                Moment(due_ms),
                f" ({span(now_ms - due_ms)} ago), and no participant has handled it.",
            ),
            since_ms=due_ms,
            step=None if step is None else step.name,
            service=None if step is None else step.service,
        )


def _slow(
    one: Awaited, around: Surroundings, now_ms: int, rules: StuckRules
) -> Iterator[StuckReason]:
    """A step that takes too long, with the nearest cause that is known."""
    if one.kind in {AwaitedKind.OUTSIDE, AwaitedKind.GRACE} and one.due_ms is not None:
        return
    usual = around.usual.get((one.step, one.direction))
    if usual is None and one.kind is AwaitedKind.OUTSIDE:
        return
    age_ms, service = now_ms - one.since_ms, around.services.get(one.service)
    undo = "the undo of " if one.direction is Direction.UNDO else ""
    is_served = one.kind in {AwaitedKind.ANSWER, AwaitedKind.UNDO}
    if is_served and service is not None and service.workers == 0 and age_ms >= rules.absent_ms:
        yield _reason(
            Why.NO_WORKER, one, f"{one.service} has no worker, and {undo}{one.step} waits for it."
        )
        return
    if age_ms < threshold_ms(usual, rules):
        return
    named = f"{undo.capitalize()}{one.step}"
    taken = f"has taken {span(age_ms)}{_usually(usual)}"
    if one.attempt is not None and not one.attempt.failed:
        yield _reason(Why.LAGGING, one, f"{named} {taken}: {one.service} had no room for it.")
    elif one.attempt is not None:
        yield _reason(Why.RETRYING, one, f"{named} {taken}: {_failed(one.attempt.failed)}.")
    elif service is not None and service.lag:
        lag = f"{service.lag:,} messages wait for {one.service}"
        yield _reason(Why.LAGGING, one, f"{named} {taken}: {lag}.")
    else:
        yield _reason(Why.SLOW, one, f"{named} {taken}.")


def _failed(attempts: int) -> str:
    return "1 attempt has failed" if attempts == 1 else f"{attempts} attempts have failed"


def _usually(usual: Usual | None) -> str:
    if usual is None:
        return ", and there is nothing to compare it with"
    return f", and nineteen of twenty take no more than {span(usual.most_ms)}"


def _reason(why: Why, one: Awaited, words: str) -> StuckReason:
    return StuckReason(
        why=why,
        sentence=say(About.STUCK, words),
        since_ms=one.since_ms,
        step=one.step,
        service=one.service,
    )
