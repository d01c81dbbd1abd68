"""What a picture shows, before anybody draws it: boxes with rows, in lanes and columns, and arrows.

Owns the vocabulary that the builders (choreography, states, events) and the renderers (SVG, Mermaid, DOT)
share. Never knows a size, a colour or a syntax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sagas.core.definition import Definition, StepDefinition

__all__ = [
    "Edge",
    "Graph",
    "Lane",
    "Mark",
    "Node",
    "Place",
    "Row",
    "Shape",
    "Standing",
    "depths",
    "event_names",
    "span_words",
    "undone_next",
]


class Shape(StrEnum):
    """What a box stands for."""

    START = "start"
    STEP = "step"
    PIVOT = "pivot"
    WAIT = "wait"
    STATE = "state"
    UNDO = "undo"
    EVENT = "event"
    REFUSAL = "refusal"
    END = "end"


class Mark(StrEnum):
    """What a row of a box says: an outcome, or who does something with it."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    OTHERWISE = "otherwise"
    UNDONE = "undone"
    PERFORMS = "performs"
    UNDOES = "undoes"
    OBSERVES = "observes"
    CANCELS = "cancels"

    @property
    def leads_back(self) -> bool:
        """Whether what follows is part of the way back."""
        return self in _BACK


_OUTCOMES = frozenset({Mark.DONE, Mark.REFUSED, Mark.OTHERWISE, Mark.UNDONE})
_BACK = frozenset({Mark.REFUSED, Mark.FAILED, Mark.UNDONE, Mark.UNDOES, Mark.CANCELS})


class Standing(StrEnum):
    """How far one instance has come with what a box stands for."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "waiting"
    UNDONE = "undone"
    FAILED = "failed"
    SKIPPED = "skipped"
    OPEN = "open"
    """Not reached yet, or no longer to be reached."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance stands with a box: the colour, and the word that says the same."""

    standing: Standing
    word: str


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a box, from which arrows may leave."""

    text: str
    mark: Mark

    @property
    def told(self) -> str:
        """In words alone, where no sign says what is meant."""
        return f"{self.mark}: {self.text}" if self.mark in _OUTCOMES else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A box. ``column`` counts from 0 in the direction of time; ``notes`` are small words below the title."""

    id: str
    title: str
    lane: str
    column: int
    shape: Shape
    notes: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow from a row of a box, or from the box itself, to a box."""

    source: str
    target: str
    row: Row | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A strip of the picture; everything in it belongs to ``title``."""

    id: str
    title: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A picture as data. ``notes`` are sentences below it."""

    title: str
    subtitle: str
    lanes: tuple[Lane, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...] = ()

    def placed(self, places: Mapping[str, Place], subtitle: str) -> Graph:
        """The same picture, with what is known of one instance."""
        nodes = tuple(replace(node, place=places.get(node.id)) for node in self.nodes)
        return replace(self, nodes=nodes, subtitle=subtitle)


def depths(definition: Definition) -> dict[str, int]:
    """How many steps lie before each step on its longest way from the start."""
    found = {step.name: 0 for step in definition.steps}
    for (
        _
    ) in definition.steps:  # a fixed point: a round for each step, in whichever order they stand
        for step in definition.steps:
            before = [found[name] + 1 for name in _triggering(definition, step)]
            found[step.name] = max(before, default=0)
    return found


def _triggering(definition: Definition, step: StepDefinition) -> Iterable[str]:
    outcomes = definition.outcome_of
    return (outcomes[type_].step for type_ in step.triggers if type_ in outcomes)


def undone_next(definition: Definition, step: StepDefinition) -> list[StepDefinition]:
    """The nearest steps before this one that have something to undo, steps without effect passed over."""
    found: dict[str, StepDefinition] = {}
    seen: set[str] = set()
    waiting = [*_triggering(definition, step)]
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            before = definition.by_name[name]
            if before.undone is not None:
                found[name] = before
            else:
                waiting += _triggering(definition, before)
    return list(found.values())


def event_names(definition: Definition) -> dict[str, str]:
    """A short name for every event of the saga: with version or publisher only where it needs them."""
    types = [*definition.outcome_of, *filter(None, [definition.cancelled_by])]
    parts = {type_: [*type_.split("."), "", ""][1:3] for type_ in types}
    names = Counter(name for name, _ in parts.values())
    versioned = Counter(f"{name}.{version}" for name, version in parts.values())
    return {
        type_: name
        if name and names[name] == 1
        else (f"{name}.{version}" if name and versioned[f"{name}.{version}"] == 1 else type_)
        for type_, (name, version) in parts.items()
    }


_UNITS = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms"))


def span_words(span_ms: int) -> str:
    """A time in words: ``7 d``, ``1 min 30 s``; its two largest units at most."""
    words: list[str] = []
    for unit_ms, unit in _UNITS:
        count, span_ms = divmod(span_ms, unit_ms)
        if count:
            words.append(f"{count} {unit}")
    return " ".join(words[:2]) or "0 s"
