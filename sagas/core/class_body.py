"""What a saga's class says besides its steps: its times, what cancels it, and what of a key used again.

Owns the checks of those values, which only Python knows: any object can stand there. Each problem is a
sentence that says what was seen and what to write.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from sagas.core.durations import NoTimeout
from sagas.core.events import EVENT_TYPE, FRAMEWORK_PUBLISHER, Event, is_abstract
from sagas.core.starts import Reuse
from sagas.core.upcasting import Upcasting, ways_to

__all__ = [
    "problems_of_cancelled_by",
    "problems_of_formers",
    "problems_of_marks",
    "problems_of_retired",
    "problems_of_reuse",
    "problems_of_times",
]


def problems_of_times(saga: str, deadline: object, step_timeout: object) -> Iterator[str]:
    """What is wrong with ``deadline`` and ``step_timeout``."""
    if not isinstance(deadline, timedelta | None):
        yield (
            f"{saga}: deadline is {deadline!r}; write a timedelta such as hours(2), or "
            f"leave it out."
        )
    if not isinstance(step_timeout, timedelta | NoTimeout):
        yield (
            f"{saga}: step_timeout is {step_timeout!r}; write a timedelta such as "
            f"seconds(30), or NEVER."
        )
    elif isinstance(step_timeout, timedelta) and step_timeout <= timedelta(0):
        yield f"{saga}: step_timeout is {step_timeout}; give steps more than nothing."


def problems_of_reuse(saga: str, reuse: object) -> Iterator[str]:
    """What is wrong with ``reuse``."""
    if not isinstance(reuse, Reuse):
        words = ", ".join(f"Reuse.{one.name}" for one in Reuse)
        yield f"{saga}: reuse is {reuse!r}; write one of {words}, or leave it out."


def problems_of_cancelled_by(saga: str, type_: object) -> Iterator[str]:
    """What is wrong with ``cancelled_by``."""
    if type_ is None:
        return
    if not (isinstance(type_, type) and issubclass(type_, Event)):
        yield (
            f"{saga}: cancelled_by is {type_!r}; expected the type of the event that asks the saga to "
            "turn back, or leave it out."
        )
    elif is_abstract(type_):
        yield (
            f"{saga}: cancelled_by names {type_.__qualname__}, which has no name on the wire; give it one "
            f'on its class line, such as type="orders.{type_.__name__}.v1", or use a subclass.'
        )


def problems_of_marks(
    saga: str, word: str, types: object, outcomes: Collection[type[Event]]
) -> Iterator[str]:
    """What is wrong with ``ends_with`` or ``for_outsiders``: each names outcomes of the saga's own steps."""
    for type_ in types if isinstance(types, tuple) else (types,):
        if not (isinstance(type_, type) and issubclass(type_, Event)):
            yield f"{saga}: {word} is {type_!r}; expected an event type, or a tuple of them."
        elif type_ not in outcomes:
            yield (
                f"{saga}: {word} names {type_.__qualname__}, which no step of the saga emits; leave it out, "
                "or name an outcome of a step."
            )


def problems_of_formers(saga: str, events: Mapping[str, type[Event]]) -> Iterator[str]:
    """What is wrong with the former versions of its events, by their names on the wire: each is taken for one
    current event everywhere in the saga, so it can be nothing else there.
    """
    found: dict[str, Upcasting] = {}
    for way in (way for event in events.values() for way in ways_to(event)):
        type_, current = way.former.event_type, way.current.__qualname__
        other = found.setdefault(type_, way)
        if type_ in events:
            yield (
                f"{saga}: it names {events[type_].__qualname__} and {current}, which is made of {type_}; "
                f"name {current} alone, and records of either are taken for it."
            )
        elif other is not way:
            yield (
                f"{saga}: {type_} is a former version of {other.current.__qualname__} and of {current}; only "
                "one can be made of it."
            )


def problems_of_retired(
    saga: str, retired: object, events: Mapping[str, type[Event]]
) -> Iterator[str]:
    """What is wrong with ``retired``: names on the wire of events that the saga has no more."""
    if not isinstance(retired, tuple):
        yield f'{saga}: retired is {retired!r}; write a tuple of names, such as ("depot.ParcelSorted.v1",).'
        return
    formers = {way.former.event_type for event in events.values() for way in ways_to(event)}
    for name in retired:
        if not isinstance(name, str) or not EVENT_TYPE.fullmatch(name):
            yield (
                f"{saga}: retired names {name!r}; expected a name on the wire such as depot.ParcelSorted.v1."
            )
        elif name.startswith(f"{FRAMEWORK_PUBLISHER}."):
            yield f"{saga}: retired names {name}, which is the framework's own; leave it out."
        elif name in events or name in formers:
            yield f"{saga}: retired names {name}, which the saga still has; leave it out, or the step."
