"""The choreography as a picture: a lane for each service, a box for each step, an arrow for each event."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.core.definition import START, Definition, Join, StepDefinition, UndoPolicy
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
    span_words,
)

__all__ = ["choreography", "turning_words"]


def choreography(definition: Definition) -> Graph:
    """Who does what on which event. A node's id is the step's name."""
    names, columns = event_names(definition), depths(definition)
    nodes = [
        Node(
            id=step.name,
            title=step.name,
            lane=step.service,
            column=columns[step.name],
            shape=_shape(step),
            notes=tuple(_notes(definition, step, names)),
            rows=tuple(Row(names[type_], Mark(role.value)) for type_, role in step.outcomes),
        )
        for step in definition.steps
    ]
    return Graph(
        title=definition.saga,
        subtitle=f"choreography by {definition.key}",
        lanes=tuple(Lane(service, service) for service in definition.services),
        nodes=tuple(nodes),
        edges=tuple(_edges(definition, names)),
        notes=tuple(_sentences(definition, names)),
    )


def _shape(step: StepDefinition) -> Shape:
    if step.name == START:
        return Shape.START
    if step.waits:
        return Shape.WAIT
    return Shape.PIVOT if step.pivot else Shape.STEP


def _notes(definition: Definition, step: StepDefinition, names: dict[str, str]) -> Iterator[str]:
    kind = definition.kinds[step.name].value
    words = [f"wait, {kind}" if step.waits else kind]
    if step.timeout_ms is not None:
        words.append(span_words(step.timeout_ms))
    yield " · ".join(words)
    if step.state is not None:
        yield f"reaches {step.state}"
    if len(step.triggers) > 1:
        yield "on any one of them" if step.join is Join.ANY else "once all of them are there"
    if step.reads:
        yield f"reads {', '.join(names.get(type_, type_) for type_ in step.reads)}"
    if step.if_undo_fails is not UndoPolicy.BLOCK:
        yield f"if its undo fails: {step.if_undo_fails}"


def _edges(definition: Definition, names: dict[str, str]) -> Iterator[Edge]:
    for step in definition.steps:
        for trigger in step.triggers:
            outcome = definition.outcome_of[trigger]
            row = Row(names[trigger], Mark(outcome.role.value))
            yield Edge(outcome.step, step.name, row)


def _sentences(definition: Definition, names: dict[str, str]) -> Iterator[str]:
    marks = {Mark(role.value) for step in definition.steps for _, role in step.outcomes}
    if Mark.REFUSED in marks:
        yield "A refusal turns the saga back: what was done is undone, last first."
    if Mark.OTHERWISE in marks:
        yield "Otherwise: the saga goes on without the step, whose effect alone is undone."
    yield from turning_words(definition, names)


def turning_words(definition: Definition, names: dict[str, str]) -> Iterator[str]:
    """What else turns the saga back before its pivot."""
    asked = definition.cancelled_by
    causes = [
        *([f"{names[asked]}"] if asked is not None else []),
        *(
            [f"the deadline of {span_words(definition.deadline_ms)}"]
            if definition.deadline_ms
            else []
        ),
    ]
    if causes:
        before = " before the pivot" if definition.pivots else ""
        verb = "turns" if len(causes) == 1 else "turn"
        yield f"{' and '.join(causes)} {verb} it back as well{before}."
