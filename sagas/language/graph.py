"""The graph that tasks form by what they depend on: its order, and everything that is wrong with it.

Owns what can be seen in the document as it was written, however wrong the rest of it is: unknown and
ambiguous names, circles, tasks that nothing leads to, and events that two tasks claim. Each problem at its
place; the order is topological, and that of the document where the tasks leave a choice.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sagas.core.definition import START
from sagas.language import names
from sagas.language.document import NOTHING
from sagas.language.places import Json, Located, Path, Problem

__all__ = ["Graph", "circles", "graph_of", "in_order"]


@dataclass(slots=True)
class Graph:
    """``emitters`` is the task of each event along which a saga can go on, ``back`` that of refusals and
    undone events; ``triggers`` and ``reads`` are the events that each task names, whole.
    """

    emitters: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    triggers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    tasks: dict[str, dict[str, Json]] = field(default_factory=dict)
    at: Located = field(default_factory=lambda: Located(""))

    @property
    def before(self) -> dict[str, list[str]]:
        """The tasks that each task directly depends on."""
        return {
            name: list(dict.fromkeys(self.emitters[type_] for type_ in types))
            for name, types in self.triggers.items()
        }

    def order(self) -> list[str]:
        """All tasks without the start, each after what it depends on."""
        return [name for name in in_order(self.before) if name != START]

    def ways(self, task: str) -> list[str]:
        """The events along which the saga can go on from the task."""
        return [type_ for type_, emitter in self.emitters.items() if emitter == task]


def graph_of(at: Located) -> Graph:
    """The graph of the document, as far as it can be seen, with its problems."""
    found = Graph(at=at)
    document = at.value if isinstance(at.value, dict) else {}
    start, tasks = document.get("start"), document.get("tasks")
    if isinstance(start, dict):
        for word in ("event", "undone"):
            _emits(found, START, start, word)
    if not isinstance(tasks, dict):
        return found
    found.tasks = {name: task for name, task in tasks.items() if isinstance(task, dict)}
    for name, task in found.tasks.items():
        for word in ("done", "otherwise", "refused", "undone"):
            _emits(found, name, task, word)
    for name, task in found.tasks.items():
        _depends(found, name, task)
        read = _references(found, ("tasks", name, "reads"), task.get("reads"))
        found.reads[name] = tuple(type_ for _, type_ in read)
    found.problems.extend(_circles(found))
    found.problems.extend(_unreached(found))
    return found


def _texts(path: Path, given: Json) -> Iterator[tuple[Path, str]]:
    if isinstance(given, str):
        yield path, given
    elif isinstance(given, list):
        yield from ((((*path, n)), one) for n, one in enumerate(given) if isinstance(one, str))


def _emits(found: Graph, task: str, words: Mapping[str, Json], word: str) -> None:
    path: Path = (START,) if task == START else ("tasks", task)
    to = found.back if word in {"refused", "undone"} else found.emitters
    by = words.get("by")
    for place, text in _texts((*path, word), words.get(word)):
        if not isinstance(by, str) or names.parsed(text) is None or text == NOTHING:
            continue
        type_ = names.emitted(text, by)
        if type_ is None:
            told = f"{text} is named after another service than {by}, which emits it; leave the service out."
            found.problems.append(found.at.problem(place, told))
            continue
        other = found.emitters.get(type_) or found.back.get(type_)
        if other is not None:
            told = f"{text} is an outcome of {other} already; an event says what one task came to, once."
            found.problems.append(found.at.problem(place, told))
        to[type_] = task


def _depends(found: Graph, name: str, task: Mapping[str, Json]) -> None:
    path: Path = ("tasks", name)
    said = [word for word in ("depends_on", "depends_on_any_of") if task.get(word) is not None]
    if not said:
        told = (
            'it depends on nothing; write "depends_on": "start", or the task that comes before it.'
        )
        found.problems.append(found.at.problem(path, told, name=True))
    if len(said) > 1:
        told = "it depends on all of some, or on any of some: keep one of the two."
        found.problems.append(found.at.problem((*path, said[1]), told, name=True))
    types = [
        type_ for word in said[:1] for _, type_ in _references(found, (*path, word), task.get(word))
    ]
    found.triggers[name] = tuple(types)


def _references(found: Graph, path: Path, given: Json) -> Iterator[tuple[Path, str]]:
    for place, text in _texts(path, given):
        type_, problem = _meant(found, text)
        if type_ is not None:
            yield place, type_
        if problem:
            found.problems.append(found.at.problem(place, problem))


def _meant(found: Graph, text: str) -> tuple[str | None, str]:
    """The event that a reference means, or what is wrong with it."""
    if text == START or text in found.tasks:
        ways = found.ways(text)
        if len(ways) == 1:
            return ways[0], ""
        said = [names.shortest(type_, list(found.emitters)) for type_ in ways]
        if not ways:
            return None, f"{text} is never done, so nothing can come after it."
        return None, (
            f"{text} can end in {len(ways)} ways; say which of {', '.join(said)}, or any of them with "
            "depends_on_any_of."
        )
    types = names.found(text, found.emitters)
    if len(types) == 1:
        return types[0], ""
    if types:
        return None, f"{text} can be {' or '.join(types)}; write the whole name."
    back = names.found(text, found.back)
    if back:
        return None, (
            f"{text} turns the saga back (it is the refusal, or the undone event, of {found.back[back[0]]}); "
            "no task goes on from it."
        )
    known = [
        START,
        *found.tasks,
        *(names.shortest(one, list(found.emitters)) for one in found.emitters),
    ]
    return None, f"there is no task and no event {text}; {names.nearest(text, known)}"


def _circles(found: Graph) -> Iterator[Problem]:
    for circle in circles(found.before):
        place: Path = ("tasks", circle[0])
        word = "depends_on" if (*place, "depends_on") in found.at.values else "depends_on_any_of"
        way = " after ".join((*circle, circle[0]))
        yield found.at.problem(
            (*place, word), f"a circle: {way}. None of them can begin; take one of these away."
        )


def _unreached(found: Graph) -> Iterator[Problem]:
    """Tasks that come after a circle. What comes after a name that is wrong is mended with that name."""
    before = found.before
    stuck = {name for circle in circles(before) for name in circle}
    unreachable: dict[str, str] = {}
    for _ in before:
        for name, needed in before.items():
            why = next((one for one in needed if one in stuck | unreachable.keys()), None)
            if why is not None and name not in stuck | unreachable.keys():
                unreachable[name] = why
    for name, why in unreachable.items():
        told = f"it can not be reached: it comes after {why}, which can never begin."
        yield found.at.problem(("tasks", name), told, name=True)


def circles(before: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Every circle, once, each from its first member in the given order; each comes after the next."""
    edges = {name: list(needed) for name, needed in before.items()}
    places = list(before)
    found: list[list[str]] = []
    while True:
        try:
            graphlib.TopologicalSorter(edges).prepare()
        except graphlib.CycleError as error:
            circle: list[str] = list(reversed(error.args[1]))[1:]
            first = circle.index(min(circle, key=places.index))
            circle = circle[first:] + circle[:first]
            found.append(circle)
            edges[circle[0]].remove(circle[1] if len(circle) > 1 else circle[0])
        else:
            return found


def in_order(before: Mapping[str, Iterable[str]]) -> list[str]:
    """A topological order; where there is a choice, the given one."""
    sorter = graphlib.TopologicalSorter(before)
    sorter.prepare()
    places, order = list(before), []
    ready: list[str] = []
    while sorter.is_active():
        ready.extend(sorter.get_ready())
        ready.sort(key=lambda name: places.index(name) if name in places else -1)
        name = ready.pop(0)
        order.append(name)
        sorter.done(name)
    return order
