"""From a declaration to the JSON that a person would have typed for it.

Owns the canonical form: what is as everywhere is left out, names are as short as they can be without doubt,
tasks stand after what they depend on, and what fits on a line stands on one. The same declaration gives the
same text.
"""

from __future__ import annotations

import json

from sagas.core.definition import START, Join, StepDefinition, UndoPolicy
from sagas.language import names
from sagas.language.declaration import Declaration
from sagas.language.document import NOTHING, DataWords, RetryWords
from sagas.language.fields import said as field_said
from sagas.language.graph import in_order
from sagas.language.places import Json
from sagas.language.spans import NEVER, span_said

__all__ = ["json_of", "written"]

_WIDTH = 100


def written(declaration: Declaration) -> str:
    """The text of the JSON definition, with a line break at its end."""
    return f"{_laid_out(json_of(declaration), 0, 0)}\n"


def json_of(declaration: Declaration) -> dict[str, Json]:
    """The JSON definition; ``reading.read`` of it is the declaration again."""
    definition, types = declaration.definition, list(declaration.event_types())
    asked = definition.cancelled_by
    by_name = definition.by_name
    before = {step.name: _before(declaration, step) for step in definition.steps}
    document: dict[str, Json] = {
        "saga": definition.saga,
        "about": declaration.about,
        "key": definition.key,
        "key_type": _unless(declaration.key_type, "string"),
        "deadline": _span(definition.deadline_ms),
        "step_timeout": _span(declaration.step_timeout_ms),
        "cancelled_by": None if asked is None else names.outcome_said(asked, publisher=True),
        "reuse": _unless(declaration.reuse, "never"),
        "ends_with": _one_or_more(
            [names.shortest(type_, types) for type_ in declaration.ends_with]
        ),
        "for_outsiders": _one_or_more(
            [names.shortest(type_, types) for type_ in declaration.for_outsiders]
        ),
        "start": _start(declaration, definition.start),
        "tasks": {
            name: _task(declaration, by_name[name]) for name in in_order(before) if name != START
        },
        "events": {
            names.shortest(type_, types): {name: field_said(kind) for name, kind in fields.items()}
            for type_ in types
            if (fields := declaration.events.get(type_))
        },
        "records": {
            record: {name: field_said(kind) for name, kind in fields.items()}
            for record, fields in declaration.records.items()
        },
        "formers": {
            names.outcome_said(old): _kept(
                {
                    "now": names.shortest(now, types),
                    "fields": {
                        name: field_said(kind) for name, kind in declaration.formers[old].items()
                    },
                }
            )
            for old, now in definition.upcasts
        },
        "retired": _one_or_more(list(definition.retired)),
    }
    return _kept(document)


def _before(declaration: Declaration, step: StepDefinition) -> list[str]:
    return [declaration.definition.outcome_of[type_].step for type_ in step.triggers]


def _kept(words: dict[str, Json]) -> dict[str, Json]:
    """Without what is not said."""
    return {
        name: value
        for name, value in words.items()
        if not (value is None or value is False or value in ({}, []))
    }


def _unless(value: str, usual: str) -> str | None:
    return None if value == usual else value


def _span(ms: int | None) -> str | None:
    return None if ms is None else span_said(ms)


def _start(declaration: Declaration, step: StepDefinition) -> dict[str, Json]:
    return _kept(
        {
            "by": step.service,
            "event": names.outcome_said(step.done[0]),
            "undone": NOTHING if step.undone is None else names.outcome_said(step.undone),
            "if_undo_fails": _unless(step.if_undo_fails, UndoPolicy.BLOCK),
            "state": step.state,
            "data": _data(declaration.said_by(step).data),
        }
    )


def _task(declaration: Declaration, step: StepDefinition) -> dict[str, Json]:
    said = declaration.said_by(step)
    unsaid = NOTHING if said.undone else None
    merges = step.join is Join.ANY
    on = _one_or_more([_reference(declaration, type_) for type_ in step.triggers])
    return _kept(
        {
            "by": step.service,
            "waits": step.waits,
            "depends_on": None if merges else on,
            "depends_on_any_of": on if merges else None,
            "done": _outcomes(step.done),
            "refused": _outcomes(step.refused),
            "otherwise": None if step.otherwise is None else names.outcome_said(step.otherwise),
            "undone": unsaid if step.undone is None else names.outcome_said(step.undone),
            "if_undo_fails": _unless(step.if_undo_fails, UndoPolicy.BLOCK),
            "pivot": step.pivot,
            "reads": _one_or_more([_reference(declaration, type_) for type_ in step.reads]),
            "timeout": (_span(step.timeout_ms) or NEVER) if said.timeout else None,
            "retry": None if said.retry is None else _retry(said.retry),
            "state": step.state,
            "data": _data(said.data),
        }
    )


def _reference(declaration: Declaration, type_: str) -> str:
    """A task by its name if that leaves no doubt, else the event."""
    outcomes = declaration.definition.outcome_of
    step = declaration.definition.by_name[outcomes[type_].step]
    ways = (*step.done, *(() if step.otherwise is None else (step.otherwise,)))
    if len(ways) == 1:
        return step.name
    forward = [
        way for one in declaration.definition.steps for way in (*one.done, one.otherwise) if way
    ]
    return names.shortest(type_, forward)


def _outcomes(types: tuple[str, ...]) -> Json:
    return _one_or_more([names.outcome_said(type_) for type_ in types])


def _one_or_more(texts: list[str]) -> Json:
    if not texts:
        return None
    return texts[0] if len(texts) == 1 else list(texts)


def _retry(words: RetryWords) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in words.model_dump(exclude_defaults=True).items():
        found[name] = _one_or_more(list(value)) if isinstance(value, tuple) else value
    return found


def _data(said: tuple[DataWords, ...]) -> Json:
    found: list[Json] = []
    for one in said:
        word, named = one.access
        found.append(_kept({word: _one_or_more(list(named)), "guard": one.guard, "own": one.own}))
    return found[0] if len(found) == 1 else found


def _laid_out(value: Json, depth: int, before: int) -> str:
    """The value as it is typed: on one line if it fits there after ``before`` characters.

    The document, its tasks and its events have a line for each of theirs.
    """
    flat = json.dumps(value, ensure_ascii=False)
    parts = len(value) if isinstance(value, dict | list) else 0
    spread = depth == 0 or (depth == 1 and isinstance(value, dict) and _is_nested(value))
    if not parts or (not spread and before + len(flat) < _WIDTH):
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        heads = [
            (f"{json.dumps(name, ensure_ascii=False)}: ", part) for name, part in value.items()
        ]
        opening, closing = "{}"
    else:
        heads = [("", part) for part in value] if isinstance(value, list) else []
        opening, closing = "[]"
    lines = [
        f"{inner}{head}{_laid_out(part, depth + 1, len(inner) + len(head))}" for head, part in heads
    ]
    return "\n".join((opening, ",\n".join(lines), f"{outer}{closing}"))


def _is_nested(value: dict[str, Json]) -> bool:
    return any(isinstance(part, dict) for part in value.values())
