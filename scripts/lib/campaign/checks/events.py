"""The topics, read from their beginning: what went in has come out, once, and nothing contradicts itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from campaign.records import Seen

__all__ = ["by_type", "duplicates", "events_of", "findings"]

_TOLD_AGAIN = frozenset({"ce_time", "ce_sagaseq", "ce_sagagen", "ce_sagastatus"})
"""A customer may say something twice, and it is told again with the status to which it has led."""
_DECIDED_AGAIN = _TOLD_AGAIN | {"ce_causationid", "ce_sagafolded", "traceparent"}
"""What a decision that was lost with the table, and made again, may say otherwise."""
_FROM_OUTSIDE = {"orders.ReceiptConfirmed.v1"}


def events_of(records: Iterable[Seen]) -> list[Seen]:
    """The events of sagas among all records, what only asks for something and dead letters left out."""
    return [one for one in records if one.is_event]


def duplicates(events: Sequence[Seen]) -> int:
    """How many records there are beyond one for each event."""
    return len(events) - len({one.id for one in events})


def findings(
    events: Sequence[Seen],
    *,
    known: Sequence[Seen],
    accepted: Collection[str],
    table_lost: bool,
) -> Iterator[str]:
    """``events`` without poison; ``known`` all that a cause may be."""
    yield from _sameness(events, may_differ=_DECIDED_AGAIN if table_lost else frozenset())
    started = Counter(one.saga_id for one in events if one.type == "orders.OrderPlaced.v1")
    for id_ in sorted(accepted - started.keys()):
        yield f"The order {id_} was accepted, but is on no topic."
    for id_ in sorted(started.keys() - accepted):
        yield f"The order {id_} is on its topic, but no customer knows that it was accepted."
    causes = {one.id for one in known}
    for one in events:
        cause = one.header("ce_causationid")
        if cause and cause.removesuffix("-dead") not in causes:
            yield f"{one.type} of {one.saga_id} was caused by {cause}, which is on no topic."
        if (one.key or b"").decode(errors="replace") != one.saga_id:
            yield f"{one.type} of {one.saga_id} has the key {one.key!r}."


def _sameness(events: Iterable[Seen], *, may_differ: Collection[str]) -> Iterator[str]:
    """The same id means the same bytes and the same topic, whoever has told it."""
    first: dict[str, Seen] = {}
    for one in events:
        before = first.setdefault(one.id, one)
        moved = before.place.topic != one.place.topic
        if before.value != one.value or moved:
            yield f"{one.type} of {one.saga_id} is there twice with another content ({one.id})."
        differing = {name for name, _ in {*before.headers} ^ {*one.headers}} - {*may_differ}
        if one.type in _FROM_OUTSIDE:
            differing -= _TOLD_AGAIN
        if differing:
            names = ", ".join(sorted(differing))
            yield f"{one.type} of {one.saga_id} is there twice with other headers: {names}."


def by_type(events: Iterable[Seen]) -> Mapping[str, int]:
    """How many distinct events there are of each type."""
    ids = {one.id: one.type for one in events}
    return dict(sorted(Counter(ids.values()).items()))
