"""The flow of events as a picture: a lane for each service's topic, a box for each event.

A box's rows say who does something with the event; an arrow leads to each event that may come of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sagas.core.definition import Definition, Role, StepDefinition
from sagas.graph.choreography import turning_words
from sagas.graph.model import (
    Edge,
    Graph,
    Lane,
    Mark,
    Node,
    Row,
    Shape,
    depths,
    event_names,
    undone_next,
)

__all__ = ["events"]

_FORWARD = frozenset({Role.DONE, Role.REFUSED, Role.OTHERWISE})


def events(
    definition: Definition,
    topics: Mapping[str, str] | None = None,
    observers: Mapping[str, Sequence[str]] | None = None,
) -> Graph:
    """Which event makes whom emit which. A node's id is the event's type.

    ``topics`` names the topic of each service, ``observers`` for each event type the services that
    observe it; both may know more than this saga, or nothing.
    """
    names, columns = event_names(definition), depths(definition)
    nodes, edges = [], []
    for step in definition.steps:
        for type_, role in step.outcomes:
            made = list(_edges(definition, step, type_, role))
            edges += [edge for edge in made if edge.target]
            watching = [
                Row(f"{one} observes", Mark.OBSERVES) for one in (observers or {}).get(type_, ())
            ]
            rows = dict.fromkeys([*(edge.row for edge in made if edge.row), *watching])
            nodes.append(
                Node(
                    id=type_,
                    title=names[type_],
                    lane=step.service,
                    column=columns[step.name],
                    shape=_SHAPES[role],
                    notes=(_WORDS[role].format(step=step.name),),
                    rows=tuple(rows),
                )
            )
    lanes = [*definition.services]
    asked = definition.cancelled_by
    if asked is not None and asked not in definition.outcome_of:
        publisher = asked.partition(".")[0]
        nodes.append(_cancelling(asked, names[asked], publisher))
        lanes = list(dict.fromkeys([*lanes, publisher]))
    return Graph(
        title=definition.saga,
        subtitle="event flow",
        lanes=tuple(Lane(one, one, (topics or {}).get(one, "")) for one in lanes),
        nodes=tuple(nodes),
        edges=tuple(edges),
        notes=(*_failures(definition), *turning_words(definition, names)),
    )


_SHAPES = {
    Role.DONE: Shape.EVENT,
    Role.REFUSED: Shape.REFUSAL,
    Role.OTHERWISE: Shape.EVENT,
    Role.UNDONE: Shape.UNDO,
}
_WORDS = {
    Role.DONE: "{step} done",
    Role.REFUSED: "{step} refused",
    Role.OTHERWISE: "on without {step}",
    Role.UNDONE: "{step} undone",
}


def _failures(definition: Definition) -> Iterator[str]:
    if any(step.undone is not None for step in definition.steps):
        yield "A step that fails for good, or takes too long, leads back as a refusal does."


def _cancelling(type_: str, name: str, publisher: str) -> Node:
    row = Row("turns the saga back", Mark.CANCELS)
    return Node(
        id=type_,
        title=name,
        lane=publisher,
        column=0,
        shape=Shape.REFUSAL,
        notes=("before the pivot only",),
        rows=(row,),
    )


def _edges(definition: Definition, step: StepDefinition, type_: str, role: Role) -> Iterator[Edge]:
    """What comes of one event; an edge without a target is a row that nothing leaves."""
    if role in {Role.DONE, Role.OTHERWISE}:
        for one in definition.steps:
            if type_ in one.triggers:
                row = Row(f"{one.service}: {one.name}", Mark.PERFORMS)
                outcomes = [of for of, its in one.outcomes if its in _FORWARD]
                yield from (Edge(type_, of, row) for of in outcomes)
                if not outcomes:
                    yield Edge(type_, "", row)
        return
    for one in undone_next(definition, step):
        row = Row(f"{one.service}: undo {one.name}", Mark.UNDOES)
        yield Edge(type_, one.undone or "", row)
