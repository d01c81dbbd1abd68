"""``explain``: where an instance stands, in plain words and in fields. Pure; ``now_ms`` is handed in.

Owns which sentences are said in which situation, and their order: first where it stands, then whether that
is stuck, then who and what it depends on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from sagas.core.definition import DEADLINE, Direction, Role
from sagas.core.instance import Instance, SagaStatus
from sagas.core.saga import Saga
from sagas.core.timers import timers_of
from sagas.operating.explaining.awaited import (
    Awaited,
    AwaitedKind,
    awaited,
    consequence,
    undo_order,
)
from sagas.operating.explaining.explanation import Expected, Explanation, Situation
from sagas.operating.explaining.sentences import About, Moment, Sentence, listed, say
from sagas.operating.explaining.stuck import StuckReason, StuckRules, Why, stuck_reasons
from sagas.operating.explaining.surroundings import ServiceFact, Surroundings
from sagas.operating.explaining.telling import (
    attempt_sentence,
    deadline_sentences,
    end_sentences,
    hole_sentence,
    letter_sentence,
    lifetime,
    parked_sentences,
    service_sentence,
    time_sentence,
    turned_words,
    waiting_sentence,
)
from sagas.operating.mending import Mend, interventions, mends_of
from sagas.operating.moments import span

__all__ = ["explain"]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_PAYLOADS: Mapping[str, object] = MappingProxyType({})
_ENDS = {
    SagaStatus.COMPLETED: Situation.COMPLETED,
    SagaStatus.COMPENSATED: Situation.COMPENSATED,
    SagaStatus.FAILED: Situation.FAILED,
}
_ALONE = frozenset({AwaitedKind.OUTSIDE, AwaitedKind.GRACE})


def explain(
    instance: Instance,
    *,
    now_ms: int,
    saga: type[Saga] | None = None,
    notes: Mapping[str, str] = _NOTHING,
    payloads: Mapping[str, object] = _NO_PAYLOADS,
    around: Surroundings | None = None,
    rules: StuckRules | None = None,
    several: bool = False,
) -> Explanation:
    """Explain an instance that is there.

    ``notes`` are those of its row, ``payloads`` what may be told of what its recorded events carry, by
    slot, as far as it is kept. The saga says how often a step is tried, and what its events need.
    ``several``: the project has other sagas, so that commands have to name this one.
    """
    waits, around = awaited(instance, notes), around or Surroundings()
    stuck = stuck_reasons(
        instance, waits, around, now_ms=now_ms, rules=rules or StuckRules(), payloads=payloads
    )
    expects = tuple(
        Expected(
            awaited=one,
            usual=around.usual.get((one.step, one.direction)),
            service=around.services.get(one.service),
        )
        for one in waits
    )
    case = _Case(instance, saga, payloads, around, expects, stuck, now_ms)
    timers, times = timers_of(instance), [fact.at_ms for fact in instance.facts.values()]
    ended = instance.phase.is_terminal
    return Explanation(
        saga=instance.definition.saga,
        saga_id=instance.saga_id,
        situation=_situation(instance, waits, now_ms),
        now_ms=now_ms,
        sentences=tuple(_sentences(case)),
        status=instance.status,
        state=instance.state,
        started_ms=min(times, default=None),
        since_ms=max(times, default=None),
        ended_ms=lifetime(instance)[1] if ended and times else None,
        deadline_ms=timers.get(DEADLINE),
        deadline_then=consequence(instance, DEADLINE) if DEADLINE in timers else None,
        reason=turned_words(instance, payloads),
        expects=expects,
        stuck=stuck,
        undone=_undone(instance),
        to_undo=undo_order(instance) if instance.phase is SagaStatus.COMPENSATING else (),
        left=case.left,
        letters=around.letters,
        choices=tuple(_choices(case, several=several)),
    )


class _Case(NamedTuple):
    """What the sentences are made of."""

    instance: Instance
    saga: type[Saga] | None
    payloads: Mapping[str, object]
    around: Surroundings
    expects: tuple[Expected, ...]
    stuck: tuple[StuckReason, ...]
    now_ms: int

    @property
    def is_parked(self) -> bool:
        return self.instance.status is SagaStatus.PARKED

    @property
    def left(self) -> tuple[str, ...]:
        """The steps of the ledger."""
        steps = self.instance.definition.steps
        return tuple(one.name for one in steps if self.instance.outstanding(one))

    @property
    def served(self) -> Mapping[str, ServiceFact | None]:
        """The services that have to do something."""
        waited = (one for one in self.expects if one.awaited.kind not in _ALONE)
        return {one.awaited.service: one.service for one in waited}

    def attempts(self, step: str) -> int | None:
        """How often a step is tried in all."""
        retry = None if self.saga is None else self.saga.retries.get(step)
        return None if retry is None else retry.attempts


def _situation(instance: Instance, waits: tuple[Awaited, ...], now_ms: int) -> Situation:
    status = instance.status
    if status in _ENDS:
        return _ENDS[status]
    if status is SagaStatus.PARKED:
        return Situation.PARKED
    tried = (one.attempt for one in waits if one.attempt is not None)
    if any(one.failed and one.due_ms > now_ms for one in tried):
        return Situation.RETRYING
    if status is SagaStatus.COMPENSATING:
        return Situation.COMPENSATING
    if not waits:
        return Situation.INCOMPLETE
    return Situation.OUTSIDE if all(one.kind in _ALONE for one in waits) else Situation.WAITING


def _sentences(case: _Case) -> Iterator[Sentence]:
    yield from _heads(case)
    if not case.is_parked:
        # That nobody works for a service is said once, with what is known of it.
        missed = {one.service for one in case.stuck if one.why is Why.NO_WORKER}
        yield from (one.sentence for one in case.stuck if one.why is not Why.NO_WORKER)
        for name, fact in case.served.items():
            about = About.STUCK if name in missed else About.SERVICE
            yield replace(service_sentence(name, fact), about=about)
        yield from _times(case)
    yield from deadline_sentences(case.instance, case.now_ms)
    yield from _undoing(case)
    yield from map(letter_sentence, case.around.letters or ())


def _heads(case: _Case) -> Iterator[Sentence]:
    """Where it stands."""
    instance, payloads, now_ms = case.instance, case.payloads, case.now_ms
    if instance.phase.is_terminal and instance.facts:
        yield from end_sentences(instance, payloads, case.left, case.around.keep_ended_ms)
    if case.is_parked:
        yield from parked_sentences(instance, payloads, now_ms)
    why = turned_words(instance, payloads)
    if instance.phase is SagaStatus.COMPENSATING and why is not None:
        turned = instance.facts[instance.turned_by or ""]
        yield say(
            About.REASON if case.is_parked else About.HEAD,
            "Compensating since ",
            Moment(turned.at_ms),
            f" ({span(now_ms - turned.at_ms)}), because {why}.",
        )
    if case.is_parked:
        return
    for one in case.expects:
        yield waiting_sentence(one.awaited, one.usual, now_ms)
    if not case.expects and not instance.phase.is_terminal:
        yield hole_sentence(instance)


def _times(case: _Case) -> Iterator[Sentence]:
    """Attempts, and when the time of what is waited for is up."""
    for one in case.expects:
        awaits = one.awaited
        attempt = attempt_sentence(awaits, case.attempts(awaits.step), case.now_ms)
        yield from (said for said in (attempt, time_sentence(awaits, case.now_ms)) if said)


def _undone(instance: Instance) -> tuple[str, ...]:
    """The steps that are undone, in the order in which they were."""
    by_name = instance.definition.by_name
    roles = (fact.step for fact in instance.facts.values() if fact.role is Role.UNDONE)
    return tuple(dict.fromkeys(name for name in roles if instance.undone(by_name[name])))


def _undoing(case: _Case) -> Iterator[Sentence]:
    """What is undone, what remains, and what is left for good."""
    instance = case.instance
    undone, by_name = _undone(instance), instance.definition.by_name
    if undone:
        so_far = "" if instance.phase.is_terminal else " so far"
        yield say(About.UNDOING, f"Undone{so_far}: {listed(undone)}.")
    if instance.phase is SagaStatus.COMPENSATING:
        now = [one.awaited.step for one in case.expects if one.awaited.direction is Direction.UNDO]
        if now and case.is_parked:
            yield say(About.UNDOING, f"To be undone next: {listed(now)}.")
        rest = [name for name in undo_order(instance) if name not in now]
        if rest:
            yield say(About.UNDOING, f"To be undone after that: {listed(rest)}.")
    given_up = [name for name in case.left if instance.given_up(by_name[name])]
    if given_up:
        yield say(
            About.UNDOING,
            f"The undo of {listed(given_up)} was given up: the effect is, or may be, still there.",
        )


def _choices(case: _Case, *, several: bool) -> Iterator[Mend]:
    """What can be done, the nearest thing first."""
    for name, fact in case.served.items():
        if fact is not None and fact.workers == 0:
            yield Mend(f"sagas run {name}", f"starts a worker of {name}")
    for letter in case.around.letters or ():
        command = f'sagas dead-letters replay {letter.id} --why "..."'
        yield Mend(command, f"hands {letter.service} the message again, once it is mended")
    yield from mends_of(case.instance, case.saga, several=several)
    if not case.is_parked:
        yield from interventions(case.instance, several=several)
