"""What is checked: sagas as far as checks look at them, services, and what is deployed.

Owns the way from a declared class to that form. A definition that comes from JSON, or from a test, has
only its graph: checks that need more find nothing in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sagas.checks.finding import Finding, Severity
from sagas.core.data import Data
from sagas.core.definition import Definition
from sagas.core.events import Event
from sagas.core.retry import Retry
from sagas.core.saga import Saga, declared_steps
from sagas.core.upcasting import Upcasting
from sagas.service import Service
from sagas.wire.topics import Topics

__all__ = ["PLACE", "Declared", "Deployed", "Subject", "declared", "place_of"]

PLACE: Final = "__declared_at__"
"""The attribute of a class that was not written where Python thinks: it says the file and line."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One saga: its definition, and what its class says besides.

    ``place`` is where the class stands, ``places`` where each step does. ``events`` are the classes by
    their names on the wire; ``data``, ``retries`` and ``places`` are by the names of steps.
    """

    definition: Definition
    place: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, type[Event]] = field(default_factory=dict)
    data: Mapping[str, tuple[Data, ...]] = field(default_factory=dict)
    retries: Mapping[str, Retry] = field(default_factory=dict)
    ends_with: frozenset[str] = frozenset()
    for_outsiders: frozenset[str] = frozenset()
    formers: Mapping[str, Upcasting] = field(default_factory=dict)

    def finding(
        self, code: str, severity: Severity, step: str | None, reason: str, mend: str
    ) -> Finding:
        """A finding about one of its steps, or about the saga as a whole."""
        name = self.definition.saga
        place = self.places.get(step or "", self.place)
        return Finding(code, severity, place, f"{name}.{step}" if step else name, reason, mend)


@dataclass(frozen=True, slots=True)
class Deployed:
    """A saga as it runs somewhere: its definition, and the JSON Schemas of its events by their names."""

    definition: Definition
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """All that is checked together. ``retention_ms`` is how long topics keep events at least, -1 for ever,
    None where nobody has said; ``topics`` gives them their names.
    """

    sagas: tuple[Declared, ...]
    services: tuple[Service, ...] = ()
    deployed: tuple[Deployed, ...] = ()
    retention_ms: int | None = None
    topics: Topics = field(default_factory=lambda: Topics("sagas"))


def declared(saga: type[Saga]) -> Declared:
    """A saga's class as checks see it."""
    steps = declared_steps(saga)
    return Declared(
        definition=saga.definition,
        place=place_of(saga),
        places={name: step.place for name, step in steps.items()},
        events=saga.events,
        data={name: step.data for name, step in steps.items()},
        retries=saga.retries,
        ends_with=_names(saga.ends_with),
        for_outsiders=_names(saga.for_outsiders),
        formers=saga.formers,
    )


def _names(types: type[Event] | Iterable[type[Event]]) -> frozenset[str]:
    several = (types,) if isinstance(types, type) else types
    return frozenset(type_.event_type for type_ in several)


def place_of(code: Any) -> str:
    """Where a class or a function stands; empty where there is no source of it. A class may say otherwise."""
    if isinstance(code, type) and PLACE in vars(code):
        return str(vars(code)[PLACE])
    try:
        file, (_, line) = inspect.getsourcefile(code), inspect.getsourcelines(code)
    except (OSError, TypeError):
        return ""
    return f"{file}:{line}"
