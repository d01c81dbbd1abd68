"""Where one saga instance stands, and what it adds to the counts, from all that was seen of it.

Owns the derivation: the same events, in any order and any number of times, give the same standing, because
they are put in order as a rebuild of the saga table does it (``core/refold``). Knows no clock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from sagas.core.definition import START, Definition, Direction, Join, Role, StepDefinition
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.refold import Found, refold
from sagas.monitoring.policy import Objective
from sagas.monitoring.sketch import bucket_of
from sagas.runtime.views import waits_for
from sagas.wire.ids import mark_of

__all__ = ["Contribution", "Key", "Open", "Standing", "merged", "place_of", "standing_of"]

Key = tuple[str | int, ...]
"""What is counted in a window: ``("started",)``, ``("ended", status)``, ``("took", status, bucket)``,
``("step", direction, step, bucket)``, ``("kept", objective)``, ``("broken", objective)``.
"""
Contribution = tuple[int, Key]
"""When, in milliseconds since the epoch, and what."""


class Open(NamedTuple):
    """What comes next: who is to do, or undo, which step, and since when, in ms since the epoch.

    ``timeout_ms`` is how long a step that waits for the outside may wait: None for any other, -1 for ever.
    """

    step: str
    service: str
    direction: Direction
    since_ms: int
    timeout_ms: int | None = None


class Standing(NamedTuple):
    """An instance at the moment of its last event. Times are in milliseconds since the epoch.

    ``deadline_ms`` is None once it does not bind any more. ``undecided`` names the objectives that are
    neither kept nor broken yet.
    """

    status: SagaStatus
    state: str | None
    started_ms: int
    newest_ms: int
    deadline_ms: int | None
    opens: tuple[Open, ...]
    contributions: tuple[Contribution, ...]
    undecided: tuple[str, ...]

    @property
    def has_ended(self) -> bool:
        """Whether nothing can follow."""
        return self.status.is_terminal


def place_of(found: Found) -> str:
    """Under what an event is kept: copies of it replace each other, but for the one without a stamp, from
    which a rebuild learns that it came from outside.
    """
    return found.fact.id if found.seq else f"{found.fact.id}/outside"


def merged(one: Found, other: Found) -> Found:
    """Of two copies in one place: what was decided again after a loss counts as it was decided last, and the
    event as published when it was published first. In whatever order copies are merged.
    """
    kept = max(one, other, key=_rank)
    published_ms = min(one.published_ms, other.published_ms)
    return kept if kept.published_ms == published_ms else kept._replace(published_ms=published_ms)


def _rank(found: Found) -> tuple[int, int, int]:
    return found.generation, found.seq, -found.fact.at_ms


def standing_of(
    definition: Definition,
    saga_id: str,
    events: Collection[Found],
    objectives: Iterable[Objective] = (),
) -> Standing | None:
    """Where the instance stands; None if its start was not seen. The marks of the events are made here."""
    ordered = sorted(events, key=lambda one: (one.published_ms, one.fact.id, one.seq))
    marked = [one._replace(mark=mark_of(one.fact.id)) for one in ordered]
    folded = refold(definition, saga_id, marked)
    if folded is None:
        return None
    instance = folded.instance
    facts = instance.facts.values()
    start = next(fact for fact in facts if fact.step == START and fact.role is Role.DONE)
    ended_ms = _ended_ms(instance)
    contributions = [(start.at_ms, ("started",)), *_latencies(instance)]
    if ended_ms is not None:
        took_ms = ended_ms - start.at_ms
        contributions.append((ended_ms, ("ended", str(instance.status))))
        contributions.append((ended_ms, ("took", str(instance.status), bucket_of(took_ms))))
    undecided = []
    for objective in objectives:
        verdict = _verdict(objective, instance, start.at_ms, ended_ms)
        if verdict is None:
            undecided.append(objective.name)
        else:
            contributions.append((start.at_ms, (verdict, objective.name)))
    newest_ms = max(one.fact.at_ms for one in events)
    binds = instance.phase is SagaStatus.RUNNING and not instance.past_pivot
    return Standing(
        instance.status,
        instance.state,
        start.at_ms,
        newest_ms,
        instance.deadline_ms if binds else None,
        tuple(_opens(instance)),
        tuple(contributions),
        tuple(undecided),
    )


def _ended_ms(instance: Instance) -> int | None:
    """When the last event was decided that the end needed: not what an operator had done once more."""
    if not instance.status.is_terminal:
        return None
    return max(
        fact.at_ms
        for fact in instance.facts.values()
        if not fact.epoch and not (fact.role is Role.UNDONE and _given_up(instance, fact))
    )


def _given_up(instance: Instance, fact: Fact) -> bool:
    return instance.given_up(instance.definition.by_name[fact.step])


def _verdict(
    objective: Objective, instance: Instance, started_ms: int, ended_ms: int | None
) -> str | None:
    """Whether the objective was kept or broken; None while nobody knows."""
    reached_ms = _done_ms(instance, objective.step)
    if reached_ms is None:
        if instance.status is SagaStatus.FAILED:
            return "broken"
        reached_ms = ended_ms
    if reached_ms is None:
        return None
    return "kept" if reached_ms - started_ms <= objective.within_ms else "broken"


def _done_ms(instance: Instance, step: str | None) -> int | None:
    if step is None:
        return None
    done = (fact for fact in instance.facts.values() if fact.step == step)
    return min((fact.at_ms for fact in done if fact.role is Role.DONE), default=None)


_OUTCOMES = frozenset({Role.DONE, Role.REFUSED, Role.OTHERWISE, Role.FAILED})


def _latencies(instance: Instance) -> Iterator[Contribution]:
    """How long each step took from its trigger to its first outcome, and each undo from what called for it.

    The clocks of two services may differ: nothing takes less than no time.
    """
    times = {fact.id: fact.at_ms for fact in instance.facts.values()}
    resolved: set[str] = set()
    for fact in instance.facts.values():
        step = instance.definition.by_name[fact.step]
        if fact.role is Role.UNDONE and not fact.epoch:
            since_ms, direction = _called_for_ms(instance, fact, times), Direction.UNDO
        elif fact.role in _OUTCOMES and fact.step not in {START, *resolved}:
            since_ms, direction = _triggered_ms(instance.facts, step), Direction.FORWARD
            resolved.add(fact.step)
        else:
            continue
        if since_ms is not None:
            bucket = bucket_of(fact.at_ms - since_ms)
            yield fact.at_ms, ("step", str(direction), step.name, bucket)


def _called_for_ms(instance: Instance, undone: Fact, times: Mapping[str, int]) -> int | None:
    """When an undo was called for: by its cause, but not before the saga had turned back. The message that
    brought the service to act may be older.
    """
    turned = instance.facts.get(instance.turned_by or "")
    moments = [times.get(undone.cause or ""), None if turned is None else turned.at_ms]
    return max((moment for moment in moments if moment is not None), default=None)


def _triggered_ms(facts: Mapping[str, Fact], step: StepDefinition) -> int | None:
    """When the step was triggered: by the last event of a join, or the first of a merge; None if not yet."""
    times = [facts[type_].at_ms for type_ in step.triggers if type_ in facts]
    if not times or (step.join is Join.ALL and len(times) < len(step.triggers)):
        return None
    return min(times) if step.join is Join.ANY else max(times)


def _opens(instance: Instance) -> Iterator[Open]:
    newest_ms = max(fact.at_ms for fact in instance.facts.values())
    for waiting in waits_for(instance):
        step = instance.definition.by_name[waiting.step]
        since_ms, timeout_ms = newest_ms, None
        if waiting.direction is Direction.FORWARD:
            since_ms = _triggered_ms(instance.facts, step) or newest_ms
            timeout_ms = (step.timeout_ms or -1) if step.waits else None
        yield Open(step.name, step.service, waiting.direction, since_ms, timeout_ms)
