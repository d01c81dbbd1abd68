"""What a reader sees of a saga: its status, its timeline, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sagas.core.controls import Cancel, decide_control
from sagas.core.definition import START, Definition, Direction, Role
from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.framework_events import SagaParked, UndoFailed
from sagas.core.instance import Instance, SagaStatus
from sagas.core.timers import retry_name
from sagas.ports import Row
from sagas.runtime.incoming import decode_payload
from sagas.wire.envelope import Envelope
from sagas.wire.notes import attempt_note
from sagas.wire.stored import decode_event, decode_instance

__all__ = [
    "Outstanding",
    "Retrying",
    "SagaView",
    "TimelineEntry",
    "Waiting",
    "standing_words",
    "view_of",
    "waits_for",
]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One recorded event. ``since_cause_ms`` is the time from the event that caused it. ``epoch`` is above
    0 where a compensation was run once more. ``written`` is the former version of the event in which its
    payload was written, if it is one. ``payload`` is None where the table does not keep it any
    more: of what has ended the topics have it.
    """

    event: str
    step: str
    role: Role
    service: str
    time_ms: int
    since_cause_ms: int | None
    payload: bytes | None
    epoch: int = 0
    written: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What would come next: a step to be performed or undone, and by whom."""

    step: str
    service: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Outstanding:
    """An entry of the ledger: a step whose effect is, or may be, left although the saga turned back.

    ``is_known`` says that the step is recorded as done; else nobody knows whether it took effect.
    ``error`` is what its compensation failed with last, None if it has not failed.
    """

    step: str
    service: str
    is_known: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class Retrying:
    """What is tried again: ``attempts`` have failed, the last one at ``failed_at_ms`` with ``error``. The
    next one is due at ``next_at_ms``, in milliseconds since the epoch. A hint: the table may have lost it.
    """

    step: str
    service: str
    direction: Direction
    attempts: int
    error: str
    failed_at_ms: int
    next_at_ms: int


@dataclass(frozen=True, slots=True)
class SagaView:
    """A saga instance as a reader sees it, at one moment.

    ``state`` is the business state reached last, ``reason`` says why a saga is parked or has turned back.
    ``outstanding`` is the ledger of what is still to be undone, or was given up: an upper bound;
    ``can_be_cancelled`` says whether a cancellation that is handled now would turn it back.
    """

    saga: str
    saga_id: str
    status: SagaStatus
    state: str | None
    version: int
    generation: int
    timeline: tuple[TimelineEntry, ...]
    waits_for: tuple[Waiting, ...]
    reason: str | None
    outstanding: tuple[Outstanding, ...] = ()
    can_be_cancelled: bool = False
    retrying: tuple[Retrying, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether nothing can follow."""
        return self.status.is_terminal


def view_of(definition: Definition, saga_id: str, row: Row) -> SagaView:
    """The view of a row that was loaded with its events. Raises ContractViolation for a damaged one."""
    instance = decode_instance(definition, saga_id, row.state)
    try:
        envelopes = {
            slot: decode_event(row.events[fact.kept_as], definition.saga, saga_id, fact)
            for slot, fact in instance.facts.items()
            if fact.kept_as in row.events
        }
        outstanding = tuple(_ledger(instance, envelopes))
    except (ContractViolation, InvalidMessage) as error:
        raise ContractViolation(f"{definition.saga} {saga_id!r}: {error}") from error
    times = {fact.id: fact.at_ms for fact in instance.facts.values()}
    timeline = []
    for slot, fact in instance.facts.items():
        envelope = envelopes.get(slot)
        source = "" if envelope is None else envelope.source
        entry = TimelineEntry(
            event=fact.type,
            step=fact.step,
            role=fact.role,
            service=source or definition.by_name[fact.step].service,
            time_ms=fact.at_ms,
            since_cause_ms=_since(fact.at_ms, times.get(fact.cause or "")),
            payload=None if envelope is None else envelope.payload,
            epoch=fact.epoch,
            written=fact.written,
        )
        timeline.append(entry)
    return SagaView(
        saga=definition.saga,
        saga_id=saga_id,
        status=instance.status,
        state=instance.state,
        version=row.stamp.version,
        generation=row.stamp.generation,
        timeline=tuple(timeline),
        waits_for=tuple(waits_for(instance)),
        reason=_reason(instance, envelopes),
        outstanding=outstanding,
        can_be_cancelled=decide_control(instance, Cancel()) is not None,
        retrying=tuple(_retrying(instance, row.notes)),
    )


def _ledger(instance: Instance, envelopes: dict[str, Envelope]) -> Iterator[Outstanding]:
    for step in instance.definition.steps:
        if instance.outstanding(step):
            known = step.name == START or instance.done(step)
            error = _undo_error(instance, envelopes, step.name)
            yield Outstanding(step.name, step.service, known, error)


def _undo_error(instance: Instance, envelopes: dict[str, Envelope], step: str) -> str | None:
    """What the step's compensation failed with last, as the event that gave it up or parked it says."""
    for slot, fact in reversed(list(instance.facts.items())):
        parked = fact.role is Role.PARKED and fact.direction is Direction.UNDO
        if fact.step == step and slot in envelopes and (parked or fact.role is Role.UNDO_FAILED):
            failure = SagaParked if parked else UndoFailed
            event = decode_payload(failure, fact.type, envelopes[slot].payload)
            return event.error if isinstance(event, SagaParked | UndoFailed) else None
    return None


def _retrying(instance: Instance, notes: Mapping[str, str]) -> Iterator[Retrying]:
    """What the notes tell of the actions that would come next."""
    resumed = instance.resumptions
    for waiting in waits_for(instance) if notes else ():
        note = attempt_note(notes, retry_name(waiting.step, waiting.direction), resumed=resumed)
        if note is not None:
            yield Retrying(
                waiting.step,
                waiting.service,
                waiting.direction,
                attempts=note.attempts,
                error=note.error,
                failed_at_ms=note.at_ms,
                next_at_ms=note.next_ms,
            )


def _since(time_ms: int, cause_ms: int | None) -> int | None:
    return None if cause_ms is None else max(0, time_ms - cause_ms)


def waits_for(instance: Instance) -> list[Waiting]:
    """What would come next for an instance."""
    steps = instance.definition.steps
    if instance.phase is SagaStatus.RUNNING:
        return [
            Waiting(step.name, step.service, Direction.FORWARD)
            for step in steps
            if step.name != START and instance.triggered(step) and not instance.resolved(step)
        ]
    by_name, successors = instance.definition.by_name, instance.definition.successors
    return [
        Waiting(step.name, step.service, Direction.UNDO)
        for step in steps
        if instance.phase is SagaStatus.COMPENSATING
        and instance.needs_undo(step)
        and not any(instance.needs_undo(by_name[name]) for name in successors[step.name])
    ]


def _reason(instance: Instance, envelopes: dict[str, Envelope]) -> str | None:
    slot = instance.parked[-1] if instance.parked else instance.turned_by
    if slot is None:
        return None
    payload = envelopes[slot].payload.decode(errors="replace") if slot in envelopes else ""
    return f"{instance.facts[slot].type} {payload}".strip()


def standing_words(view: SagaView) -> str:
    """Where a saga stands that has not ended, in words."""
    if view.status is SagaStatus.PARKED:
        return f"{view.status} and waits for an operator{_why_parked(view)}"
    verbs = {Direction.FORWARD: "perform", Direction.UNDO: "undo"}
    waits = [f"{one.service} to {verbs[one.direction]} {one.step}" for one in view.waits_for]
    return f"{view.status} and waits for {' and '.join(waits) or 'nothing'}"


def _why_parked(view: SagaView) -> str:
    for entry in reversed(view.timeline):
        if entry.role is Role.PARKED and entry.payload is not None:
            said = SagaParked.model_validate_json(entry.payload)
            attempts = f" (attempts: {said.attempts})" if said.attempts else ""
            return f", because of {said.step}: {said.error}{attempts}"
    return ""
