"""The state machine as a picture: forward from state to state, and back from undo to undo.

A box of the upper lane is the state after an accepted outcome; its rows are the events that may come next.
A box of the lower lane is a compensation, under the state that it takes back.
"""

from __future__ import annotations

from collections.abc import Iterator

from sagas.core.definition import (
    START,
    Definition,
    Join,
    Role,
    StepDefinition,
    StepKind,
    UndoPolicy,
)
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
    span_words,
    undone_next,
)

__all__ = ["BEGIN", "COMPENSATED", "COMPLETED", "states", "undo_id"]

BEGIN, COMPLETED, COMPENSATED = "begin", "COMPLETED", "COMPENSATED"
"""The ids of the boxes that are neither an event's nor an undo's."""
_FORWARD, _BACK = "forward", "back"


def undo_id(step: str) -> str:
    """The id of the box of a step's compensation; that of a state is its event's type."""
    return f"undo {step}"


def states(definition: Definition) -> Graph:
    """The states of one instance, and what leads from each to the next."""
    return _States(definition).graph()


class _States:
    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._names = event_names(definition)
        self._columns = depths(definition)
        self._nodes: list[Node] = []
        self._edges: list[Edge] = []

    def graph(self) -> Graph:
        definition = self._definition
        first = definition.start.done[0]
        started = Row(self._names[first], Mark.DONE)
        self._nodes.append(self._node(BEGIN, "begin", 0, Shape.START, rows=(started,)))
        self._edges.append(Edge(BEGIN, first, started))
        for step in definition.steps:
            for type_, role in step.outcomes:
                if role in {Role.DONE, Role.OTHERWISE}:
                    self._add_state(step, type_)
        if self._has_way_back():
            self._add_way_back()
        last = max(self._columns.values()) + 2
        self._nodes.append(
            self._node(COMPLETED, "COMPLETED", last, Shape.END, notes=("once nothing is open",))
        )
        return Graph(
            title=definition.saga,
            subtitle="state machine",
            lanes=self._lanes(),
            nodes=tuple(self._nodes),
            edges=tuple(self._edges),
            notes=tuple(self._sentences()),
        )

    def _lanes(self) -> tuple[Lane, ...]:
        forward, back = Lane(_FORWARD, "forward"), Lane(_BACK, "back")
        return (forward, back) if self._has_way_back() else (forward,)

    def _has_way_back(self) -> bool:
        """Whether the saga can turn back, or a step can be undone beside it."""
        kinds, steps = self._definition.kinds, self._definition.steps
        before = any(kinds[step.name] is StepKind.COMPENSATABLE for step in steps[1:])
        return before or any(step.refused or (step.otherwise and step.undone) for step in steps)

    def _node(
        self,
        id_: str,
        title: str,
        column: int,
        shape: Shape,
        *,
        notes: tuple[str, ...] = (),
        rows: tuple[Row, ...] = (),
        lane: str = _FORWARD,
    ) -> Node:
        return Node(
            id=id_, title=title, lane=lane, column=column, shape=shape, notes=notes, rows=rows
        )

    def _add_state(self, step: StepDefinition, type_: str) -> None:
        definition = self._definition
        followers = [one for one in definition.steps if type_ in one.triggers]
        alone = len(followers) == 1
        rows = [row for one in followers for row in self._rows(type_, one, alone=alone)]
        if type_ == step.otherwise and step.undone is not None:
            beside = Row(f"{step.name} is undone beside", Mark.UNDOES)
            self._edges.append(Edge(type_, undo_id(step.name), beside))
            rows.append(beside)
        if not followers:
            self._edges.append(Edge(type_, COMPLETED))
        title = step.state or (f"{step.name} done" if len(step.done) == 1 else self._names[type_])
        if type_ == step.otherwise and not (step.waits and step.state):
            title = f"without {step.name}"
        notes = [] if title.endswith(step.name) or title == f"{step.name} done" else [step.name]
        if len(followers) > 1:
            notes.append("side by side: " + ", ".join(one.name for one in followers))
        notes += [self._needs(one) for one in followers if self._joins(one)]
        column = self._columns[step.name] + 1
        shape = Shape.PIVOT if step.pivot else Shape.STATE
        made = self._node(
            type_, title, column, shape, notes=tuple(notes), rows=tuple(dict.fromkeys(rows))
        )
        self._nodes.append(made)

    def _joins(self, step: StepDefinition) -> bool:
        return step.join is Join.ALL and len(step.triggers) > 1

    def _needs(self, step: StepDefinition) -> str:
        return f"{step.name} needs {', '.join(self._names[type_] for type_ in step.triggers)}"

    def _rows(self, state: str, step: StepDefinition, *, alone: bool) -> Iterator[Row]:
        """What may come next by one step. Of a join, only its last trigger's state tells refusals."""
        tells = not self._joins(step) or state == step.triggers[-1]
        for type_, role in step.outcomes:
            row = Row(self._names[type_], Mark(role.value))
            if role in {Role.DONE, Role.OTHERWISE}:
                self._edges.append(Edge(state, type_, row))
                yield row
            elif role is Role.REFUSED and tells:
                self._lead_back(state, row, undone_next(self._definition, step))
                yield row
        compensatable = self._definition.kinds[step.name] is StepKind.COMPENSATABLE
        if tells and compensatable and step.otherwise is None:
            row = Row(_failure_words(step, alone=alone), Mark.FAILED)
            if not step.waits or step.timeout_ms is not None:
                to = [step] if step.undone is not None else undone_next(self._definition, step)
                self._lead_back(state, row, to)
                yield row

    def _lead_back(self, state: str, row: Row, to: list[StepDefinition]) -> None:
        for target in [undo_id(step.name) for step in to] or [COMPENSATED]:
            self._edges.append(Edge(state, target, row))

    def _add_way_back(self) -> None:
        for step in self._definition.steps:
            if step.undone is None:
                continue
            row = Row(self._names[step.undone], Mark.UNDONE)
            fails = step.if_undo_fails
            notes = () if fails is UndoPolicy.BLOCK else (f"if it fails: {fails}",)
            title = undo_id(step.name)
            column = self._columns[step.name] + 1
            self._nodes.append(
                self._node(title, title, column, Shape.UNDO, notes=notes, rows=(row,), lane=_BACK)
            )
            self._lead_back(title, row, undone_next(self._definition, step))
        end = self._node(COMPENSATED, "COMPENSATED", 0, Shape.END, lane=_BACK)
        self._nodes.append(end)

    def _sentences(self) -> Iterator[str]:
        if any(step.undone and step.name != START for step in self._definition.steps):
            yield "Whatever is done, or in flight, is undone; each undo waits for those that came after."
        yield from turning_words(self._definition, self._names)
        if self._definition.pivots:
            yield "From the pivot on there is no way back: a step that fails for good parks the saga."


def _failure_words(step: StepDefinition, *, alone: bool) -> str:
    name = "" if alone else f"{step.name} "
    if step.waits:
        return f"{name}after {span_words(step.timeout_ms or 0)}"
    if step.timeout_ms is None:
        return f"{name}failed"
    return f"{name}failed, or {span_words(step.timeout_ms)} are up"
