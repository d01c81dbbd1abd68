"""Former versions of an event, and the functions that make the current one of them: ``upcasts``.

Owns the mark on such a function, and the ways from former versions to a current one. Applies none: that is
done where a payload is decoded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sagas.core.errors import DefinitionError

if TYPE_CHECKING:
    from sagas.core.events import Event

__all__ = ["Upcaster", "Upcasting", "upcasters_in", "upcastings", "upcasts", "ways_to"]

Old = TypeVar("Old", bound="Event")
New = TypeVar("New", bound="Event")

_MARK = "__upcasts__"


def upcasts(former: type[Old]) -> Callable[[Callable[[Old], New]], Callable[[Old], New]]:
    """Mark a static method of an event: it makes one of its ``former`` version, or of what it was called.

    The function is pure and plain: it is called whenever a record of the former version is read, in any
    process, any number of times, and must always give the same. An exception makes the record a dead letter.
    """

    def mark(function: Callable[[Old], New]) -> Callable[[Old], New]:
        marked: Any = function.__func__ if isinstance(function, staticmethod) else function
        setattr(marked, _MARK, former)
        return function

    return mark


class Upcaster(NamedTuple):
    """One function, from one former version to the event that declares it."""

    former: type[Event]
    function: Callable[[Any], Any]


class Upcasting(NamedTuple):
    """The way from a former version to the current one: the functions, in the order in which they apply,
    each with the class that it gives.
    """

    former: type[Event]
    current: type[Event]
    functions: tuple[tuple[Callable[[Any], Any], type[Event]], ...]


def upcasters_in(event: type[Event]) -> Iterator[Upcaster]:
    """What the class body of an event declares. Raises DefinitionError for what can not be meant."""
    seen: set[object] = set()
    for name, value in vars(event).items():
        function: Any = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        former: Any = getattr(function, _MARK, None) if callable(function) else None
        if former is None:
            continue
        problem = _problem(event, value, former)
        if former in seen:
            problem = f"there is another function for {former.__qualname__}; keep one of them"
        if problem is not None:
            raise DefinitionError(f"{event.__qualname__}.{name}: {problem}.")
        seen.add(former)
        yield Upcaster(former, function)


def _problem(event: type[Event], value: object, former: Any) -> str | None:
    type_, now = getattr(former, "event_type", None), event.event_type
    publisher = now.partition(".")[0]
    if not isinstance(value, staticmethod):
        return "what upcasts is a static method: write @staticmethod above @upcasts(...)"
    if not isinstance(former, type) or not type_:
        return f"it upcasts {former!r}, which is no event with a name on the wire, such as ParcelWeighedV1"
    if not now:
        return f'{event.__qualname__} has no name on the wire; give it one with type="publisher.Name.vN"'
    if type_ == now:
        return f"it upcasts {type_}, which is what {event.__qualname__} is called; give it the next version"
    if type_.partition(".")[0] != publisher:
        return (
            f"it upcasts {type_}, which another service publishes, on another topic; only what "
            f"{publisher} has published before can be a former version of {now}"
        )
    return None


def ways_to(event: type[Event]) -> Iterator[Upcasting]:
    """Every former version of an event, also those of former versions, each by its shortest way."""
    waiting: deque[Upcasting] = deque([Upcasting(event, event, ())])
    seen = {event}
    while waiting:
        way = waiting.popleft()
        for former, function in way.former.event_upcasters:
            if former not in seen:
                seen.add(former)
                found = Upcasting(former, event, ((function, way.former), *way.functions))
                waiting.append(found)
                yield found


def upcastings(events: Iterable[type[Event]]) -> dict[str, Upcasting]:
    """Every former version of any of the events, by its name on the wire."""
    return {way.former.event_type: way for event in events for way in ways_to(event)}
