"""From the text of a JSON definition to a declaration, or to everything that is wrong with it.

Owns the order of judging: what is no JSON ends it at once; names, shapes and the graph are judged together;
what a choreography has to satisfy, by the checks that every definition passes, once those are right.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sagas.core.definition import START, Definition, Join, StepDefinition, StepKind, UndoPolicy
from sagas.core.validation import problems
from sagas.language import names
from sagas.language.declaration import Declaration, Fields, Said
from sagas.language.document import NOTHING, DataWords, Document, RetryWords, StartWords, TaskWords
from sagas.language.formers import formers_meant, problems_of_formers
from sagas.language.graph import Graph, circles, graph_of
from sagas.language.places import Located, Path, Problem, Unreadable, located
from sagas.language.spans import NEVER, span_ms

__all__ = ["read"]


def read(text: str, name: str = "The definition") -> Declaration:
    """The declaration that the text of a JSON definition is.

    Raises Unreadable with all problems, each at its line and column in the file ``name``.
    """
    try:
        at = located(text)
    except Unreadable as unreadable:
        raise Unreadable(unreadable.found, name) from None
    graph = graph_of(at)
    found = [*at.problems, *graph.problems]
    document: Document | None = None
    try:
        document = Document.model_validate(at.value)
    except ValidationError as error:
        found.extend(_placed(at, *_told(one)) for one in error.errors(include_url=False))
    else:
        found.extend(_problems_of_words(at, document, graph))
    if document is None or found:
        raise Unreadable(_once(found), name)
    declaration = _declared(document, graph)
    found = [*_problems_of_saga(at, declaration, document)]
    if found:
        raise Unreadable(_once(found), name)
    return declaration


def _once(found: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(found))


# --- what pydantic says, at its place and in words -------------------------------------------------


def _placed(at: Located, path: Path, text: str) -> Problem:
    """The problem at its place, also where the one stands for a list of one."""
    found: Path = ()
    for part in path:
        if part != 0 or (*found, part) in at.values:
            found = (*found, part)
    return at.problem(found, text)


def _told(error: ErrorDetails) -> tuple[Path, str]:
    path: Path = tuple(part for part in error["loc"] if part != "[key]")
    match error["type"]:
        case "extra_forbidden":
            word = str(path[-1])
            known = _words_of(path)
            near = difflib.get_close_matches(word, known, n=1)
            mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            return path, f"there is no {word!r} here; {mend}"
        case "missing":
            return path, f"{path[-1]} is missing; every saga, start and task says it."
        case "value_error":
            return path, f"{error['msg'].removeprefix('Value error, ')}."
        case "dict_type" | "model_type":
            return path, f"expected an object in {{}}, and found {_seen(error)}."
        case "tuple_type" if path[-1] == "data":
            return path, f"expected an object in {{}}, or a list of them, and found {_seen(error)}."
        case "tuple_type":
            return path, f"expected a text, or a list of texts, and found {_seen(error)}."
        case _:
            return path, f"{error['msg']}, and this is {_seen(error)}."


def _seen(error: ErrorDetails) -> str:
    return f"{error['input']!r:.60}"


def _words_of(path: Path) -> list[str]:
    model: type[BaseModel] = Document
    match path:
        case ("start", _):
            model = StartWords
        case ("tasks", _, "retry", _):
            model = RetryWords
        case ("tasks", _, "data", _, _) | ("start", "data", _, _):
            model = DataWords
        case ("tasks", _, _):
            model = TaskWords
        case _:
            pass
    return [field.alias or name for name, field in model.model_fields.items()]


# --- what the places have to do with each other ----------------------------------------------------


def _problems_of_words(at: Located, document: Document, graph: Graph) -> Iterator[Problem]:
    for name, task in document.tasks.items():
        if task.waits:
            for word in ("undone", "pivot", "reads", "retry", "if_undo_fails"):
                if getattr(task, word) != TaskWords.model_fields[word].default:
                    told = f"a task that waits does nothing itself; leave {word} out."
                    yield at.problem(("tasks", name, word), told, name=True)
    yield from _problems_of_policies(at, document)
    yield from _problems_of_cancelling(at, document)
    yield from _problems_of_marks(at, document, graph)
    yield from _problems_of_events(at, document, graph)
    yield from problems_of_formers(at, document, _types(document, graph))
    yield from _problems_of_records(at, document)


def _problems_of_policies(at: Located, document: Document) -> Iterator[Problem]:
    places: list[tuple[Path, StartWords | TaskWords]] = [(("start",), document.start)]
    places.extend((("tasks", name), task) for name, task in document.tasks.items())
    for place, words in places:
        policy: str = words.if_undo_fails
        if policy != UndoPolicy.BLOCK and words.undone in {None, NOTHING}:
            told = "said of what is never undone; leave it out."
            yield at.problem((*place, "if_undo_fails"), told, name=True)
    if document.start.undone is None:
        told = 'nothing is said of its undo; name the event with "undone", or say "nothing".'
        yield at.problem(("start",), told, name=True)


def _problems_of_cancelling(at: Located, document: Document) -> Iterator[Problem]:
    asked = document.cancelled_by
    name = None if asked is None else names.parsed(asked)
    if name is not None and name.publisher is None:
        told = f"whose event is {asked}? Write it with its service, such as orders.{asked}."
        yield at.problem(("cancelled_by",), told)


def _problems_of_marks(at: Located, document: Document, graph: Graph) -> Iterator[Problem]:
    """What is said of an event's end, or of outsiders, is said of one of the saga's own."""
    own = [*graph.emitters, *graph.back]
    for word in ("ends_with", "for_outsiders"):
        for said in getattr(document, word) or ():
            meant = names.found(said, own)
            if len(meant) != 1:
                several = f"it may be {' or '.join(meant)}" if meant else names.nearest(said, own)
                yield at.problem((word,), f"{said} is no one event of the saga; {several}")


def _problems_of_events(at: Located, document: Document, graph: Graph) -> Iterator[Problem]:
    types = _types(document, graph)
    seen: dict[str, str] = {}
    timed = {one for name in document.tasks for one in _otherwise(document.tasks[name])}
    for said, fields in document.events.items():
        place: Path = ("events", said)
        meant = names.found(said, types)
        if len(meant) != 1:
            known = [names.shortest(type_, types) for type_ in types]
            told = f"the saga has no event {said}; {names.nearest(said, known)}"
            if meant:
                told = f"{said} can be {' or '.join(meant)}; write the whole name."
            yield at.problem(place, told, name=True)
            continue
        if meant[0] in seen:
            yield at.problem(
                place, f"{seen[meant[0]]} is the same event; keep one of them.", name=True
            )
        seen[meant[0]] = said
        if document.key in fields:
            told = f"{document.key} is the key, which every event has; leave it out."
            yield at.problem((*place, document.key), told, name=True)
        for name, kind in fields.items() if meant[0] in timed else ():
            if not kind.has_default:
                told = f"a timer may make {said}, and knows the key alone: give {name} a default, or a ?."
                yield at.problem((*place, name), told)


def _otherwise(task: TaskWords) -> Iterator[str]:
    if task.otherwise is not None and (type_ := names.emitted(task.otherwise, task.by)) is not None:
        yield type_


def _types(document: Document, graph: Graph) -> list[str]:
    asked = document.cancelled_by
    more = (
        [] if asked is None else [names.emitted(asked, (names.parsed(asked) or (None,))[0] or "")]
    )
    return [*graph.emitters, *graph.back, *(type_ for type_ in more if type_ is not None)]


def _problems_of_records(at: Located, document: Document) -> Iterator[Problem]:
    places: list[tuple[Path, Fields]] = [
        (("events", name), f) for name, f in document.events.items()
    ]
    places.extend((("records", name), fields) for name, fields in document.records.items())
    places.extend(
        (("formers", name, "fields"), one.fields) for name, one in document.formers.items()
    )
    used: set[str] = set()
    for place, fields in places:
        for field, kind in fields.items():
            for record in kind.records():
                used.add(record)
                if record not in document.records:
                    told = f"there is no record {record}; {names.nearest(record, document.records)}"
                    yield at.problem((*place, field), told)
    for record in document.records:
        if record not in used:
            told = f"no event holds {record}; take it away, or name it."
            yield at.problem(("records", record), told, name=True)
    before = {
        name: [one for kind in fields.values() for one in kind.records() if one in document.records]
        for name, fields in document.records.items()
    }
    for circle in circles(before):
        told = f"records that hold each other without end: {' in '.join((*circle, circle[0]))}."
        yield at.problem(("records", circle[0]), told, name=True)


# --- the declaration -------------------------------------------------------------------------------


def _declared(document: Document, graph: Graph) -> Declaration:
    default_ms = _timeout_ms(document.step_timeout)
    start = StepDefinition(
        name=START,
        service=document.start.by,
        done=tuple(graph.ways(START)),
        undone=_undone(document.start),
        if_undo_fails=UndoPolicy(document.start.if_undo_fails),
        state=document.start.state,
    )
    steps = [_step(name, document.tasks[name], graph, default_ms) for name in graph.order()]
    types = _types(document, graph)
    asked = document.cancelled_by
    whole = [type_ for type_ in types if asked is not None and names.found(asked, [type_])]
    deadline_ms = None if document.deadline is None else span_ms(document.deadline)
    return Declaration(
        definition=Definition(
            *(document.saga, document.key, (start, *steps), deadline_ms),
            cancelled_by=whole[-1] if whole else None,
            upcasts=tuple(sorted((old, now) for old, now, _ in formers_meant(document, types))),
            retired=tuple(sorted(document.retired or ())),
        ),
        said={name: said for name, said in _all_said(document).items() if said != Said()},
        events=_whole(document.events, types),
        records=document.records,
        formers={old: fields for old, _, fields in formers_meant(document, types)},
        about=document.about,
        key_type=document.key_type,
        step_timeout_ms=default_ms,
        reuse=document.reuse,
        ends_with=_meant(document.ends_with, graph),
        for_outsiders=_meant(document.for_outsiders, graph),
    )


def _meant(said: tuple[str, ...] | None, graph: Graph) -> tuple[str, ...]:
    own = [*graph.emitters, *graph.back]
    return tuple(names.found(name, own)[0] for name in said or ())


def _whole(events: Mapping[str, Fields], types: list[str]) -> Mapping[str, Fields]:
    return {names.found(said, types)[0]: fields for said, fields in events.items() if fields}


def _timeout_ms(said: str) -> int | None:
    return None if said == NEVER else span_ms(said)


def _undone(words: StartWords | TaskWords) -> str | None:
    return None if words.undone in {None, NOTHING} else names.emitted(str(words.undone), words.by)


def _step(name: str, task: TaskWords, graph: Graph, default_ms: int | None) -> StepDefinition:
    triggers = graph.triggers[name]
    default = None if task.waits else default_ms
    whole = {
        word: tuple(str(names.emitted(text, task.by)) for text in getattr(task, word) or ())
        for word in ("done", "refused")
    }
    any_of = task.depends_on_any_of is not None and len(triggers) > 1
    given: dict[str, Any] = {**whole, "reads": graph.reads[name], "state": task.state}
    return StepDefinition(
        name=name,
        service=task.by,
        triggers=triggers,
        join=Join.ANY if any_of else Join.ALL,
        otherwise=next(_otherwise(task), None),
        undone=_undone(task),
        pivot=task.pivot,
        waits=task.waits,
        timeout_ms=default if task.timeout is None else _timeout_ms(task.timeout),
        if_undo_fails=UndoPolicy(task.if_undo_fails),
        **given,
    )


def _all_said(document: Document) -> dict[str, Said]:
    start = Said(data=document.start.data or ())
    return {START: start, **{name: _said(task) for name, task in document.tasks.items()}}


def _said(task: TaskWords) -> Said:
    timeout = task.timeout is not None and not (task.waits and task.timeout == NEVER)
    retry = None if task.retry in {None, RetryWords()} else task.retry
    return Said(timeout, task.undone is not None, retry, task.data or ())


def _problems_of_saga(at: Located, made: Declaration, document: Document) -> Iterator[Problem]:
    definition = made.definition
    found = problems(definition)
    for text in found:
        where, _, told = text.partition(": ")
        name = where.removeprefix(f"{definition.saga}.")
        place: Path = ("saga",)
        if name == START and where != name:
            place = ("start",)
        elif where != definition.saga and name in document.tasks:
            place = ("tasks", name)
        yield at.problem(place, told, name=place != ("saga",))
    for step in definition.steps[1:] if not found else ():
        compensatable = definition.kinds[step.name] is StepKind.COMPENSATABLE
        without = step.otherwise is not None and not step.pivot
        if (compensatable or without) and not step.waits and not made.said_by(step).undone:
            told = 'it may have to be undone; name the event with "undone", or say "nothing".'
            yield at.problem(("tasks", step.name), told, name=True)
