"""The sentences of an instance that is there: one function for each thing that can be said.

Owns the wording. Pure, and total: whatever state an instance is in, something is said of it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from sagas.core.definition import (
    DEADLINE,
    SAGA_CANCELLED,
    SAGA_EXPIRED,
    SAGA_PARKED,
    STEP_TIMED_OUT,
    Role,
)
from sagas.core.instance import Instance, SagaStatus
from sagas.core.printable import printable
from sagas.core.timers import PROOF, timers_of
from sagas.operating.explaining.awaited import (
    Awaited,
    AwaitedKind,
    Consequence,
    Then,
    consequence,
    missing_causes,
)
from sagas.operating.explaining.sentences import About, Moment, Part, Sentence, listed, say
from sagas.operating.explaining.surroundings import LetterFact, ServiceFact, Usual
from sagas.operating.moments import span
from sagas.operating.words import reason_words, short_name

__all__ = [
    "attempt_sentence",
    "deadline_sentences",
    "end_sentences",
    "hole_sentence",
    "letter_sentence",
    "lifetime",
    "parked_sentences",
    "service_sentence",
    "then_words",
    "time_sentence",
    "turned_words",
    "waiting_sentence",
]

_ERROR_CHARS = 300


def waiting_sentence(one: Awaited, usual: Usual | None, now_ms: int) -> Sentence:
    """What is waited for, from whom, since when, and how long that usually takes."""
    events = listed(map(short_name, one.events), "or")
    since: tuple[Part, ...] = (
        " since ",
        Moment(one.since_ms),
        f" ({span(now_ms - one.since_ms)}{_usually(usual)}).",
    )
    match one.kind:
        case AwaitedKind.ANSWER:
            return say(About.HEAD, f"Waiting for {events} from {one.service} ({one.step})", *since)
        case AwaitedKind.OUTSIDE:
            words = f"Waiting for an answer from outside, {events}, to {one.service} ({one.step})"
            return say(About.HEAD, words, *since)
        case AwaitedKind.GRACE:
            words = f"Waiting for the time of {one.step} ({one.service}) to pass"
            return say(About.HEAD, words, *since)
        case _:
            again = f", once more under epoch {one.epoch}" if one.epoch else ""
            words = f"Waiting for {events} from {one.service} (the undo of {one.step}{again})"
            return say(About.HEAD, words, *since)


def _usually(usual: Usual | None) -> str:
    return "" if usual is None else f"; usually {span(usual.half_ms)}"


def service_sentence(name: str, fact: ServiceFact | None) -> Sentence:
    """Who works for a service, how far behind it is, and what went wrong there last."""
    if fact is None or (fact.workers is None and fact.lag is None):
        return say(
            About.SERVICE, f"Nobody could be asked about {name}: its workers and lag are not known."
        )
    lag = "lag not known" if fact.lag is None else f"lag {fact.lag:,}"
    if fact.workers == 0:
        words = f"{name} has no worker ({lag}): `sagas run {name}` starts one"
    else:
        states = ", ".join(f"{count} {state}" for state, count in sorted(fact.states.items()))
        workers = "workers not known" if fact.workers is None else _counted(fact.workers, "worker")
        words = f"{name}: {workers}{f' ({states})' if states else ''}, {lag}"
    if fact.last_error is None:
        return say(About.SERVICE, f"{words}.")
    error = _bounded(fact.last_error)
    if fact.error_at_ms is None:
        return say(About.SERVICE, f"{words}, last error: {error}.")
    return say(About.SERVICE, f"{words}, last error at ", Moment(fact.error_at_ms), f": {error}.")


def attempt_sentence(one: Awaited, attempts: int | None, now_ms: int) -> Sentence | None:
    """Which attempt is next and when, and what the last one failed with."""
    tried = one.attempt
    if tried is None:
        return None
    named = f"the undo of {one.step}" if one.kind is AwaitedKind.UNDO else one.step
    left_ms = tried.due_ms - now_ms
    when: tuple[Part, ...] = (f" is due in {span(left_ms)}, at ", Moment(tried.due_ms))
    if left_ms <= 0:
        when = (" was due at ", Moment(tried.due_ms), f" ({span(-left_ms)} ago)")
    if not tried.failed:  # its service had no room for it
        begun = f"The next look at {named}"
        return say(About.ATTEMPT, begun, *when, f": {_bounded(tried.error)}.")
    of = "" if attempts is None else f" of {attempts}"
    failed = _counted(tried.failed, "attempt")
    return say(
        About.ATTEMPT,
        f"Attempt {tried.failed + 1}{of} at {named}",
        *when,
        f"; {failed} failed, the last one at ",
        Moment(tried.failed_at_ms),
        f": {_bounded(tried.error)}.",
    )


def time_sentence(one: Awaited, now_ms: int) -> Sentence | None:
    """When the time of what is waited for is up, and what happens then."""
    if one.kind is AwaitedKind.UNDO:
        return None
    if one.due_ms is None or one.then is None:
        if one.kind is AwaitedKind.ANSWER:
            return say(About.TIME, f"{one.step} has no timeout.")
        return say(About.TIME, f"{one.step} has no timeout: nothing but an answer ends it.")
    named, then = f"The time of {one.step}", then_words(one.then)
    at_work: tuple[Part, ...] = ()
    if one.at_work_ms is not None:
        at_work = ("; its handler was at work at ", Moment(one.at_work_ms))
    if one.due_ms > now_ms:
        return say(
            About.TIME, f"{named} is up in {span(one.due_ms - now_ms)}, then {then}", *at_work, "."
        )
    return say(About.TIME, f"{named} was up at ", Moment(one.due_ms), f": {then}", *at_work, ".")


def then_words(then: Then) -> str:
    """What happens when a timer is due."""
    match then.consequence:
        case Consequence.GOES_ON:
            return f"the saga goes on along {short_name(then.event or '')}"
        case Consequence.PARKS:
            return "the saga is parked"
        case Consequence.TURNS_BACK:
            return f"the saga turns back and undoes {listed(then.undoes)}"
        case _:
            return "nothing happens"


def deadline_sentences(instance: Instance, now_ms: int) -> Iterator[Sentence]:
    """The deadline, while it means something; and what has to be proven to be on Kafka."""
    timers = timers_of(instance)
    due_ms = timers.get(DEADLINE)
    if due_ms is not None:
        then = then_words(consequence(instance, DEADLINE))
        left_ms = due_ms - now_ms
        if left_ms > 0:
            yield say(
                About.TIME, f"Deadline in {span(left_ms)}, at ", Moment(due_ms), f"; then {then}."
            )
        else:
            yield say(About.TIME, "The deadline was ", Moment(due_ms), f": {then}.")
    parked_before = instance.status is SagaStatus.PARKED and not instance.past_pivot
    if parked_before and instance.phase is SagaStatus.RUNNING and instance.deadline_ms is not None:
        passed = instance.deadline_ms <= now_ms
        words = "passed at " if passed else "is at "
        then = (
            ": once it is resumed, it turns back."
            if passed
            else "; it does not count while the saga is parked."
        )
        yield say(About.TIME, f"Its deadline {words}", Moment(instance.deadline_ms), then)
    if PROOF in timers:
        yield say(
            About.TIME,
            "Not all of its events are known to be on Kafka; those are emitted again at ",
            Moment(timers[PROOF]),
            ".",
        )


def hole_sentence(instance: Instance) -> Sentence:
    """An instance in which nothing is open, and that has not ended."""
    missing = missing_causes(instance)
    check = f"`sagas verify --saga-id {shlex.quote(instance.saga_id)}` compares it with the topics."
    if missing:
        return say(
            About.HEAD,
            f"Waiting for {listed(map(short_name, missing))}, whose consequences are recorded already: "
            f"under way to the table, or lost. {check}",
        )
    return say(About.HEAD, f"Nothing is open in it, and it has not ended. {check}")


def parked_sentences(
    instance: Instance, payloads: Mapping[str, object], now_ms: int
) -> Iterator[Sentence]:
    """Why it is parked, since when, and that it waits for somebody."""
    for slot in dict.fromkeys(instance.parked):
        fact = instance.facts[slot]
        payload = payloads.get(slot)
        words = f"because of {fact.step}"
        if payload:
            words = reason_words(SAGA_PARKED, payload).rstrip(". ")
        yield say(
            About.HEAD,
            "Parked since ",
            Moment(fact.at_ms),
            f" ({span(now_ms - fact.at_ms)}): {words}.",
        )
        if isinstance(payload, dict) and payload.get("escalated"):
            yield say(
                About.REASON, f"{fact.step} is declared so that somebody is called then (ESCALATE)."
            )
    yield say(About.HEAD, "It goes on only when an operator says so.")


def turned_words(instance: Instance, payloads: Mapping[str, object]) -> str | None:
    """Why it has turned back; None for one that has not."""
    slot = instance.turned_by
    fact = None if slot is None else instance.facts.get(slot)
    if slot is None or fact is None:
        return None
    payload = payloads.get(slot)
    fields = payload if isinstance(payload, dict) else {}
    service = instance.definition.by_name[fact.step].service
    if fact.type == SAGA_EXPIRED:
        return "its deadline had passed"
    if fact.type == STEP_TIMED_OUT:
        return f"the time of {fact.step} ({service}) was up"
    if fact.type == SAGA_CANCELLED:
        told = f" by {fields['by']}: {fields['why']}" if {"by", "why"} <= fields.keys() else ""
        return _bounded(f"it was cancelled{told}")
    if fact.role is Role.REFUSED:
        return f"{service} refused {fact.step}: {_bounded(reason_words(fact.type, payload))}"
    if fact.role is Role.FAILED:
        return _bounded(reason_words(fact.type, payload or {"step": fact.step}))
    return f"of {short_name(fact.type)} ({fact.step})"


def lifetime(instance: Instance) -> tuple[int, int]:
    """When the first and the last thing was recorded of it, but for what came after the end."""
    times = [
        fact.at_ms
        for fact in instance.facts.values()
        if not fact.epoch and fact.role is not Role.AGAIN
    ]
    return min(times), max(times)


def end_sentences(
    instance: Instance,
    payloads: Mapping[str, object],
    left: Sequence[str],
    keep_ended_ms: int | None,
) -> Iterator[Sentence]:
    """How and when it has ended, what was undone, what is left."""
    started, ended = lifetime(instance)
    why = turned_words(instance, payloads)
    turned = "it turned back" if why is None else f"it turned back because {why}"
    words, how = {
        SagaStatus.COMPLETED: ("Completed", ""),
        SagaStatus.COMPENSATED: ("Compensated", f": {turned}, and all of it is undone"),
        SagaStatus.FAILED: ("Failed", f": {turned}, and not all of it could be undone"),
    }[instance.phase]
    lasted = span(ended - started)
    yield say(About.HEAD, f"{words} at ", Moment(ended), f", {lasted} after its start{how}.")
    if instance.phase is SagaStatus.COMPLETED:
        yield from _without(instance)
    if instance.phase is SagaStatus.FAILED and not left:
        yield say(About.UNDOING, "What was left has been undone meanwhile; the status stays.")
    if keep_ended_ms is not None:
        yield say(About.END, "The saga table forgets it after ", Moment(ended + keep_ended_ms), ".")


def _without(instance: Instance) -> Iterator[Sentence]:
    """The steps that a completed saga went on without."""
    for step in instance.definition.steps:
        if step.otherwise is not None and instance.gone_on(step):
            yield say(
                About.END, f"It went on without {step.name}, along {short_name(step.otherwise)}."
            )


def letter_sentence(letter: LetterFact) -> Sentence:
    """A message of the saga that a service could not handle."""
    event = "a message" if letter.event is None else short_name(letter.event)
    return say(
        About.LETTER,
        f"{letter.service} could not handle {event} at ",
        Moment(letter.at_ms),
        f" (dead letter {letter.id}): {_bounded(letter.reason)}.",
    )


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _bounded(text: str) -> str:
    """Printable, bounded, and without the full stop that the sentence brings."""
    return printable(text, chars_max=_ERROR_CHARS).rstrip(". ")
