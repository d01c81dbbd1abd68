"""S8: a join has an end. S9: a timeout leaves room for the answer. S15: topics outlive a saga."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.checks.finding import Finding, Severity
from sagas.checks.subject import Declared, Subject
from sagas.checks.words import short, span
from sagas.core.definition import START, Join, StepDefinition, StepKind
from sagas.core.retry import Retry

__all__ = ["joins", "late_replies", "life_ms", "retention"]

KAFKA_RETENTION_MS = 7 * 24 * 3_600_000
"""What a topic keeps where nobody has said anything: ``log.retention.hours=168``."""


def joins(subject: Subject) -> Iterator[Finding]:
    """S8: a join that may wait for ever for the slower of its branches."""
    for saga in subject.sagas:
        for step in saga.definition.steps:
            if step.join is Join.ALL and len(step.triggers) > 1:
                endless = [one for one in _branches(saga, step) if not _is_bounded(saga, one)]
                if endless:
                    yield _endless_join(saga, step, endless)


def _branches(saga: Declared, join: StepDefinition) -> Iterator[StepDefinition]:
    """The steps between where the branches of a join part and where they meet."""
    definition = saga.definition
    emitters = [definition.outcome_of[type_].step for type_ in join.triggers]
    ways = [definition.predecessors[name] | {name} for name in emitters]
    common = frozenset.intersection(*ways)
    yield from (s for s in definition.steps if s.name in frozenset.union(*ways) - common)


def _is_bounded(saga: Declared, step: StepDefinition) -> bool:
    before = saga.definition.kinds[step.name] is StepKind.COMPENSATABLE
    by_deadline = before and saga.definition.deadline_ms is not None
    return step.name == START or step.timeout_ms is not None or by_deadline


def _endless_join(saga: Declared, step: StepDefinition, endless: list[StepDefinition]) -> Finding:
    names = ", ".join(one.name for one in endless)
    return saga.finding(
        "S8",
        Severity.WARNING,
        step.name,
        f"it waits for all of its branches, and nothing bounds {names}: while one is missing, the work of "
        "the others is held.",
        f"Give {names} a timeout=, with otherwise= where the saga can go on without it, or the saga a "
        "deadline.",
    )


def late_replies(subject: Subject) -> Iterator[Finding]:
    """S9: a timeout that always comes before the last attempt, or a deadline before the timeout."""
    for saga in subject.sagas:
        for step in saga.definition.steps:
            if step.timeout_ms is None:
                continue
            pauses_ms = 0 if step.waits else _pauses_ms(saga.retries.get(step.name, Retry()))
            if pauses_ms >= step.timeout_ms:
                yield _too_late(saga, step, pauses_ms)
            yield from _behind_the_deadline(saga, step)


def _pauses_ms(retry: Retry) -> int:
    """The pauses between all attempts, without their spread."""
    pauses = (retry.delay_s(attempt, 0.5) for attempt in range(1, min(retry.attempts, 1_000)))
    return round(sum(pause for pause in pauses if pause is not None) * 1000)


def _too_late(saga: Declared, step: StepDefinition, pauses_ms: int) -> Finding:
    return saga.finding(
        "S9",
        Severity.WARNING,
        step.name,
        f"the pauses between its attempts alone take {span(pauses_ms)}, but its time is up after "
        f"{span(step.timeout_ms or 0)}: the last attempts answer too late, and are undone.",
        "Make the timeout longer than the pauses, or the attempts fewer or quicker: retry=Retry(attempts=3).",
    )


def _behind_the_deadline(saga: Declared, step: StepDefinition) -> Iterator[Finding]:
    deadline_ms, timeout_ms = saga.definition.deadline_ms, step.timeout_ms or 0
    before = saga.definition.kinds[step.name] is StepKind.COMPENSATABLE
    if deadline_ms is None or not before or timeout_ms < deadline_ms:
        return
    lost = f", and {short(step.otherwise)} never comes of it" if step.otherwise else ""
    yield saga.finding(
        "S9",
        Severity.WARNING,
        step.name,
        f"its time would be up after {span(timeout_ms)}, but the saga turns back after "
        f"{span(deadline_ms)}: the timeout never strikes{lost}.",
        "Make the timeout shorter than the deadline, or the deadline longer.",
    )


def retention(subject: Subject) -> Iterator[Finding]:
    """S15: a saga that may live longer than the topics remember it can not be rebuilt."""
    for saga in subject.sagas:
        lives_ms = life_ms(saga)
        if lives_ms is None or subject.retention_ms == -1:
            continue
        if subject.retention_ms is not None and lives_ms >= subject.retention_ms:
            kept = f"the topics keep their records for {span(subject.retention_ms)}"
            yield _outlived(saga, lives_ms, kept, Severity.WARNING)
        elif subject.retention_ms is None and lives_ms >= KAFKA_RETENTION_MS:
            kept = "Kafka keeps records for 7 days where nobody says otherwise"
            yield _outlived(saga, lives_ms, kept, Severity.HINT)


def _outlived(saga: Declared, lives_ms: int, kept: str, severity: Severity) -> Finding:
    return saga.finding(
        "S15",
        severity,
        None,
        f"it may take {span(lives_ms)}, and {kept}: if the saga table is lost late in its life, it "
        "can not be rebuilt.",
        'Set retention.ms of its topics above that, and say so: retention = "14d" in [tool.sagas]. '
        "SAGAS_KEEP_ENDED must not be shorter.",
    )


def life_ms(saga: Declared) -> int | None:
    """The longest that a saga can take until it ends or is parked; None where nothing bounds it."""
    definition = saga.definition
    takes: dict[str, int | None] = {}

    def until(step: StepDefinition) -> int | None:
        if step.name not in takes:
            before = [until(definition.by_name[name]) for name in _emitters(saga, step)]
            takes[step.name] = _after(saga, step, before)
        return takes[step.name]

    ends = [until(step) for step in definition.steps]
    return None if None in ends else max(one for one in ends if one is not None)


def _emitters(saga: Declared, step: StepDefinition) -> Iterator[str]:
    return (saga.definition.outcome_of[type_].step for type_ in step.triggers)


def _after(saga: Declared, step: StepDefinition, before: list[int | None]) -> int | None:
    """When the step has ended at the latest, counted from the start."""
    known = [one for one in before if one is not None]
    own_ms = 0 if step.name == START else step.timeout_ms
    bound_ms = saga.definition.deadline_ms
    if saga.definition.kinds[step.name] is not StepKind.COMPENSATABLE:
        bound_ms = None
    taken_ms = (
        None if own_ms is None or len(known) < len(before) else max(known, default=0) + own_ms
    )
    bounds = [one for one in (taken_ms, bound_ms) if one is not None]
    return min(bounds, default=None)
