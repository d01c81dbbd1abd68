"""An instance from what the topics hold of it: ``refold``.

Owns the order in which a lost instance's events are folded again. Pure: the same events, whatever
topic is read first, and any number of times, give the same instance, or a rebuild could not be repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from sagas.core.definition import START, Definition, Role
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.core.starts import run_of

__all__ = ["Found", "Refolded", "refold", "refold_upon"]


class Found(NamedTuple):
    """An event that was found on a topic, or in what is left of a row.

    ``generation`` and ``seq`` are the instance's stamp after the event was decided, 0 for one that came
    from outside. ``mark`` stands for the event where others name it; ``folded`` are the marks of those
    that had come from outside, and were recorded, when this one was decided. ``deadline_ms`` is what it
    brought along, ``stored`` the event as a row has it, ``published_ms`` when it was published.
    """

    fact: Fact
    generation: int
    seq: int
    mark: str
    folded: Collection[str] = ()
    deadline_ms: int | None = None
    stored: bytes = b""
    published_ms: int = 0

    @property
    def starts(self) -> bool:
        """Whether it is the saga's start."""
        return self.fact.step == START and self.fact.role is Role.DONE


class Refolded(NamedTuple):
    """The instance, its recorded events as rows have them, by what they are kept as, and the highest stamp
    that any of them knows.
    """

    instance: Instance
    events: Mapping[str, bytes]
    generation: int
    seq: int


def refold(definition: Definition, saga_id: str, found: Iterable[Found]) -> Refolded | None:
    """Fold what was found; None without a start: ``_start_of`` says which one counts.

    The start comes first, then what was decided, in the order of its stamps. An event without a place of
    its own stands before the first one that was decided in its knowledge: an answer from outside, or one
    of a superseded generation that came late. Of those that nobody knew yet, answers come in the order in
    which they were published, those of one topic in the order that it has, then the superseded.
    """
    found = list(found)
    events = _distinct(found)
    start = _start_of(saga_id, events, begun={one.fact.id for one in found if one.seq})
    if start is None:
        return None
    instance = Instance(definition, saga_id, deadline_ms=_deadline_ms(start, events))
    for fact in [start.fact, *_in_order([one for one in events if one is not start])]:
        instance = evolve(instance, fact)
    stored = {one.fact.id: one.stored for one in events}
    return Refolded(
        instance,
        {fact.kept_as: stored[fact.id] for fact in instance.facts.values()},
        max(one.generation for one in events),
        max(one.seq for one in events),
    )


def _deadline_ms(start: Found, events: list[Found]) -> int | None:
    """What the start brought along, or else what the events say that were decided since: the definition may
    have got another deadline in the meantime, and the instance keeps the one it has.
    """
    known = (one.deadline_ms for one in (start, *(one for one in events if one.seq)))
    return next((one for one in known if one is not None), None)


def refold_upon(instance: Instance, found: Iterable[Found]) -> Refolded:
    """What was found, folded upon an instance of whose events some are nowhere else any more.

    They are the oldest: what came later follows in the order of its stamps, and then what has none.
    """
    found = list(found)
    placed = sorted((one for one in found if one.seq), key=lambda one: (one.generation, one.seq))
    for one in [*placed, *_by_time(one for one in found if not one.seq)]:
        instance = evolve(instance, one.fact)
    stored = {one.fact.id: one.stored for one in found}
    return Refolded(
        instance,
        {f.kept_as: stored[f.id] for f in instance.facts.values() if f.id in stored},
        max((one.generation for one in found), default=0),
        max((one.seq for one in found), default=0),
    )


def _start_of(saga_id: str, events: list[Found], *, begun: Collection[str]) -> Found | None:
    """The start that the instance had: of several the one that others name as their cause, or else the one
    found first.

    Nobody acts on the start of a later run until its host has published it with a stamp: a request without
    one may have been refused.
    """
    starts = [one for one in events if one.starts]
    if run_of(saga_id) > 1:
        starts = [one for one in starts if one.fact.id in begun]
    causes = {one.fact.cause for one in events}
    return max(starts, key=lambda one: one.fact.id in causes, default=None)


def _distinct(found: Iterable[Found]) -> list[Found]:
    """Each event once, published if any copy of it is.

    An answer is emitted again with the stamp of the end to which it has led; the copy without one was
    first. What was decided again after a loss counts as it was decided last.
    """
    events: dict[str, Found] = {}
    for one in found:
        known = events.get(one.fact.id)
        if known is None:
            events[one.fact.id] = one
            continue
        kept = one if _counts_more(one, known) else known
        published = one.fact.published or known.fact.published
        events[one.fact.id] = kept._replace(fact=kept.fact._replace(published=published))
    return list(events.values())


def _counts_more(one: Found, known: Found) -> bool:
    if not one.seq or not known.seq:
        return one.seq < known.seq
    return (one.generation, one.seq) > (known.generation, known.seq)


def _in_order(events: list[Found]) -> list[Fact]:
    """All but the start, in the order in which they are folded, marked by whether they have a place."""
    known = frozenset(mark for one in events for mark in one.folded)
    placed = [one for one in events if one.seq and one.mark not in known]
    superseded = [one for one in placed if _is_superseded(one, events)]
    decided = sorted(
        (one for one in placed if one not in superseded), key=lambda one: (one.generation, one.seq)
    )
    waiting = {one.mark: one for one in events if not one.seq or one.mark in known}
    order: list[Found] = []
    for one in decided:
        _place_before(one, waiting, order)
    answers = _by_time(one for one in waiting.values() if not one.seq)
    late = [one for one in waiting.values() if one.seq] + superseded
    order += [*answers, *sorted(late, key=lambda one: (one.generation, one.seq))]
    with_a_place = {one.mark for one in decided}
    return [one.fact._replace(folded=one.mark not in with_a_place) for one in order]


def _by_time(answers: Iterable[Found]) -> list[Found]:
    """The first answer may have ended the saga, and then the others were not recorded.

    Those of one service are on one topic, where everybody has read them in the order in which they are found,
    whatever the clocks of their senders say. One that is in a row only, of no known time, was before all.
    """
    latest_ms: dict[str, int] = {}
    timed = []
    for one in answers:
        topic, at_ms = one.fact.travels_as.partition(".")[0], one.published_ms
        if at_ms:
            at_ms = latest_ms[topic] = max(at_ms, latest_ms.get(topic, 0))
        timed.append((at_ms, one))
    return [one for _, one in sorted(timed, key=lambda pair: pair[0])]


def _place_before(one: Found, waiting: dict[str, Found], order: list[Found]) -> None:
    """Add an event, and before it those that it knew of, as it names them."""
    for mark in one.folded:
        known = waiting.pop(mark, None)
        if known is not None:
            _place_before(known, waiting, order)
    order.append(one)


def _is_superseded(one: Found, events: list[Found]) -> bool:
    """Whether a later generation began without the event: it has gone past the event's number."""
    return any(other.generation > one.generation and 0 < other.seq <= one.seq for other in events)
