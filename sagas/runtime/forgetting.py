"""Which recorded events a row keeps no bytes of any more, because the topics have them.

Owns the rule, and the digest that is left of a start. What is asked of the row afterwards is answered from
its state; who needs a payload all the same reads it from the topics (``Restorer.found``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b

from pydantic_core import to_json

from sagas.core.events import Event
from sagas.core.handling import ConfirmedIds
from sagas.core.instance import Fact, Instance
from sagas.core.position import Position
from sagas.core.unfolding import Place

__all__ = ["content_of", "forgettable", "is_leaf", "kept"]


def forgettable(at: Position, confirmed: ConfirmedIds) -> list[str]:
    """What the row of an instance that has ended keeps its events as, of those that are proven to be on
    Kafka, but for what says why it ended as it did.

    Proven is what carries the published mark, what another recorded event names as its cause, and what was
    acknowledged in this process.
    """
    return [
        name
        for index, name, is_proven in _known_of(at.place)
        if is_proven or at.ids[index] in confirmed
    ]


@lru_cache(maxsize=4_096)
def _known_of(place: Place) -> tuple[tuple[int, str, bool], ...]:
    """Of the events that an ended instance need not keep: number, name, and whether the row proves them.

    Found once for all instances that have come the same way: a saga's end costs a tenth of the walk.
    """
    causes = {fact.cause for fact in place.facts}
    return tuple(
        (index, fact.kept_as, fact.published or fact.id in causes)
        for index, fact in enumerate(place.facts)
        if not _says_why(place.model, fact.slot, fact)
    )


def is_leaf(instance: Instance, fact: Fact) -> bool:
    """Whether nobody can need the event from the row once it is on Kafka, however the saga goes on."""
    return fact.type in instance.definition.leaves and fact.slot != instance.turned_by


def kept(instance: Instance, events: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Of an instance that is put back from the topics: the events whose bytes its row keeps."""
    has_ended = instance.phase.is_terminal
    ended = frozenset(forgettable(Position.of(instance), set()) if has_ended else ())
    facts = {fact.kept_as: fact for fact in instance.facts.values()}
    return {
        name: stored
        for name, stored in events.items()
        if name not in ended and not (facts[name].published and is_leaf(instance, facts[name]))
    }


def _says_why(instance: Instance, slot: str, fact: Fact) -> bool:
    """What an operator asks of a saga that went wrong, months later: what turned it back, what the framework
    recorded, and who has intervened.
    """
    return slot == instance.turned_by or fact.type not in instance.definition.outcome_of


def content_of(start: Event) -> str:
    """The digest of what a start says, to its contract and not to the byte: two that are equal share it."""
    said: object = start.model_dump()
    if not _PLAIN.issuperset(map(type, start.__dict__.values())):
        said = _in_order(said)
    ordered = to_json(said, bytes_mode="base64", fallback=repr)
    return blake2b(ordered, digest_size=8).hexdigest()


_PLAIN = frozenset({str, int, float, bool, type(None)})


def _in_order(value: object) -> object:
    """The value with its mappings and sets in one order. Sets have another one in each process."""
    if isinstance(value, Mapping):
        return [(key, _in_order(value[key])) for key in sorted(value, key=to_json)]
    if isinstance(value, set | frozenset):
        return sorted(to_json(_in_order(one)) for one in value)
    if isinstance(value, list | tuple):
        return [_in_order(one) for one in value]
    return value
