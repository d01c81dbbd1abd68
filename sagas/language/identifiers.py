"""What everything in a generated module is called: nothing twice, and nothing that means something else."""

from __future__ import annotations

import builtins
import keyword
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sagas.core.definition import START
from sagas.language.declaration import Declaration

__all__ = ["Identifiers", "ModuleNames", "names_of", "snake"]


class Identifiers:
    """Gives out names; whoever comes second gets another one, or an underscore."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {*taken, *keyword.kwlist, *keyword.softkwlist, *dir(builtins)}

    def take(self, *wanted: str) -> str:
        """The first of these that is free, or the last one with underscores."""
        name = next((one for one in wanted if one not in self._taken), wanted[-1])
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """``classes`` of events by whole name, of records by theirs, and of the saga by ``START``; ``services``
    by theirs; ``functions`` by step and whether they undo it. ``free`` gives out the rest.
    """

    classes: Mapping[str, str]
    services: Mapping[str, str]
    functions: Mapping[tuple[str, bool], str]
    free: Identifiers


def names_of(declaration: Declaration) -> ModuleNames:
    """The names of everything that is declared. Fields and steps have theirs already, in their classes: a
    name of theirs means nothing else in the module.
    """
    definition, types = declaration.definition, declaration.event_types()
    formers = declaration.formers
    groups = (*declaration.events.values(), *declaration.records.values(), *formers.values())
    fields = {name for group in groups for name in group} | {definition.key}
    steps = [step.name for step in definition.steps]
    free = Identifiers({*fields, *steps})
    classes = {name: free.take(name, f"{name}Record") for name in declaration.records}
    several = Counter(type_.split(".")[1] for type_ in types)
    for type_ in types:
        publisher, name, version = type_.split(".")
        if several[name] > 1:
            name = f"{_class_of(publisher)}{name}{version.upper()}"
        classes[type_] = free.take(name, f"{name}Event")
    for type_ in formers:
        publisher, name, version = type_.split(".")
        name = f"{name}{version.upper()}"
        classes[type_] = free.take(name, f"{_class_of(publisher)}{name}")
    saga = _class_of(definition.saga)
    classes[START] = free.take(saga, f"{saga}Saga")
    services = {
        name: free.take(snake(name), f"{snake(name)}_service") for name in definition.services
    }
    functions = {}
    for name in steps:
        functions[name, False] = free.take(f"do_{name}") if hasattr(builtins, name) else name
        functions[name, True] = free.take(f"undo_{name}")
    return ModuleNames(classes, services, functions, free)


def snake(name: str) -> str:
    """``StockReserved`` as a variable: ``stock_reserved``; ``order-fulfilment``: ``order_fulfilment``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return split.replace("-", "_").lower()


def _class_of(name: str) -> str:
    """``order-fulfilment`` as a class: ``OrderFulfilment``."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("-"))
