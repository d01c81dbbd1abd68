"""The flow of a saga's events with what the project knows of them: topics, and who observes."""

from __future__ import annotations

from collections.abc import Iterable

from sagas.core.definition import Definition
from sagas.graph.events import events
from sagas.graph.model import Graph
from sagas.service import Service
from sagas.wire.topics import Topics

__all__ = ["event_flow"]


def event_flow(definition: Definition, services: Iterable[Service], topics: Topics) -> Graph:
    """The picture as data; an event that nobody else observes is shown all the same."""
    observers: dict[str, list[str]] = {}
    for service in services:
        for type_ in {type_ for one in service.observers for type_ in one.event_types}:
            observers.setdefault(type_, []).append(service.name)
    asked = [] if definition.cancelled_by is None else [definition.cancelled_by.partition(".")[0]]
    named = {name: topics.events(name) for name in (*definition.services, *asked)}
    return events(definition, named, observers)
