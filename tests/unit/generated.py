"""Declarations made by chance, and modules that are imported from text alone."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

from hypothesis import strategies as st

from sagas.core.definition import START, Definition, StepDefinition, StepKind
from sagas.core.saga import Saga
from sagas.language.declaration import Declaration, Said
from sagas.language.document import DataWords, RetryWords
from sagas.language.fields import NO_DEFAULT, FieldType, in_order_of_words
from tests.simulation.definitions import random_definition

__all__ = ["declarations", "imported", "named_after_services", "saga_in"]

_numbers = itertools.count()


@contextmanager
def imported(text: str) -> Iterator[ModuleType]:
    """The module that the text is."""
    module = ModuleType(f"generated_{next(_numbers)}")
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, f"{module.__name__}.py", "exec", dont_inherit=True), module.__dict__)
        yield module
    finally:
        del sys.modules[module.__name__]


def saga_in(module: ModuleType) -> type[Saga]:
    """The only saga that the module declares."""
    (found,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Saga) and value is not Saga
    )
    return found


def named_after_services(definition: Definition, version: str = "1") -> Definition:
    """The same choreography with events that are named after the service that emits them."""
    names = {
        type_: f"{step.service}.{type_.split('.')[1]}.v{version}"
        for step in definition.steps
        for type_, _ in step.outcomes
    }

    def renamed(step: StepDefinition) -> StepDefinition:
        return replace(
            step,
            triggers=tuple(names[type_] for type_ in step.triggers),
            done=tuple(names[type_] for type_ in step.done),
            refused=tuple(names[type_] for type_ in step.refused),
            otherwise=None if step.otherwise is None else names[step.otherwise],
            undone=None if step.undone is None else names[step.undone],
        )

    return replace(definition, steps=tuple(map(renamed, definition.steps)))


_plain = st.sampled_from(
    ["string", "integer", "number", "boolean", "date", "date-time", "time", "uuid", "decimal"]
).map(FieldType)
_texts = st.text(
    st.characters(codec="latin-1", categories=("L", "N", "P", "S", "Zs")) | st.sampled_from("漢字"),
    max_size=30,
)
_named = st.lists(_texts.filter(bool), min_size=1, max_size=3).map(tuple)
_sizes = st.dictionaries(
    st.sampled_from(["minLength", "maxLength"]), st.integers(0, 10**6), max_size=2
)
_ranges = st.dictionaries(
    st.sampled_from(["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]),
    st.integers(-(10**9), 10**9),
    max_size=4,
)
_choices = st.lists(_texts, min_size=1, max_size=5, unique=True).map(
    lambda texts: FieldType("enum", choices=tuple(texts))
)


_data = st.lists(
    st.one_of(
        st.builds(
            DataWords,
            reads=_named,
            guard=st.sampled_from([None, "reread", "by-value"]),
            own=st.booleans(),
        ),
        st.builds(DataWords, writes=_named, guard=st.sampled_from(["commutative", "version-file"])),
        st.builds(DataWords, locks=_named),
        st.builds(DataWords, unlocks=_named),
    ),
    max_size=3,
).map(tuple)


def _limited(word: str, limits: Mapping[str, int]) -> FieldType:
    return FieldType(word, limits=in_order_of_words(limits))


_kinds = st.recursive(
    st.one_of(
        _plain,
        _choices,
        st.just(FieldType("Line")),
        _sizes.map(lambda limits: _limited("string", limits)),
        _sizes.map(lambda limits: replace(_limited("string", limits), personal=True)),
        _plain.map(lambda kind: replace(kind, personal=True)),
        _ranges.map(lambda limits: _limited("integer", limits)),
    ),
    lambda inner: st.builds(
        FieldType, st.sampled_from(["list", "map"]), of=inner, personal=st.booleans()
    ),
    max_leaves=3,
)
_names = st.from_regex(r"\A[a-z][a-z0-9_]{0,25}[a-z]\Z").map(lambda name: f"{name}_x")


@st.composite
def _fields(draw: st.DrawFn, *, defaults: bool = False) -> dict[str, FieldType]:
    found = draw(st.dictionaries(_names, _kinds, max_size=4))
    return {name: draw(_maybe(kind, always=defaults)) for name, kind in found.items()}


def _maybe(kind: FieldType, *, always: bool) -> st.SearchStrategy[FieldType]:
    """The field, as it is, or with what stands for it where it is absent."""
    fitting: dict[str, st.SearchStrategy[Any]] = {
        "string": _texts,
        "boolean": st.booleans(),
        "integer": st.integers(),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "list": st.just(()),
    }
    ways = [st.just(replace(kind, optional=True))]
    if kind.word in fitting and not kind.limits:
        ways.append(fitting[kind.word].map(lambda value: replace(kind, default=value)))
    if not always:
        ways.append(st.just(replace(kind, default=NO_DEFAULT)))
    return st.one_of(ways)


_retries = st.builds(
    RetryWords,
    attempts=st.integers(1, 9),
    backoff=st.sampled_from(["100ms", "1500ms", "3s"]),
    backoff_max=st.sampled_from(["10m", "7h"]),
    on=st.sampled_from([None, ("OSError",), ("TimeoutError", "json.decoder.JSONDecodeError")]),
).filter(lambda words: words != RetryWords())


def _some_of(types: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(types), max_size=2, unique=True).map(tuple)


@st.composite
def _with_formers(
    draw: st.DrawFn, definition: Definition
) -> tuple[dict[str, dict[str, FieldType]], Definition]:
    """Some events had another version before, or another name; some events are of steps that are gone."""
    types = sorted(definition.outcome_of)
    formers, upcasts = {}, []
    for type_ in draw(st.lists(st.sampled_from(types), max_size=3, unique=True)):
        publisher, name, _ = type_.split(".")
        for old in draw(
            st.lists(st.sampled_from(["{}.v9", "Odd{}.v1", "{}.v12"]), max_size=2, unique=True)
        ):
            former = f"{publisher}.{old.format(name)}"
            formers[former] = draw(_fields())
            upcasts.append((former, type_))
    retired = draw(st.lists(st.sampled_from(["depot.Sorted.v1", "depot.Gone.v3"]), unique=True))
    new = replace(definition, upcasts=tuple(sorted(upcasts)), retired=tuple(sorted(retired)))
    return dict(sorted(formers.items())), new


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    """A declaration whose definition the checks accept, with events of any content."""
    seed = draw(st.integers(0, 10**6))
    version = draw(st.sampled_from(["1", "1", "2"]))
    definition = named_after_services(random_definition(seed, alternatives=True), version)
    step_timeout_ms = draw(st.sampled_from([None, 1000, 90_500]))
    steps, said = [], {}
    for step in definition.steps:
        timeout = step.timeout_ms is not None or (not step.waits and draw(st.booleans()))
        if not timeout and step.name != START and not step.waits:
            step = replace(step, timeout_ms=step_timeout_ms)  # noqa: PLW2901 - as it compiles
        must = step.undone is not None or definition.kinds[step.name] is StepKind.COMPENSATABLE
        kept = Said(
            timeout=timeout and step.name != START,
            undone=(must or step.otherwise is not None) and not step.waits and step.name != START,
            retry=draw(st.none() | _retries) if not step.waits and step.name != START else None,
            data=draw(_data),
        )
        if step.undone is None and step.if_undo_fails != "block":
            step = replace(step, if_undo_fails=type(step.if_undo_fails)("block"))  # noqa: PLW2901
        if kept != Said():
            said[step.name] = kept
        steps.append(
            replace(step, state=draw(st.none() | st.sampled_from(["PAID", "Ü 'x' \"y\""])))
        )
    definition = replace(definition, steps=tuple(steps))
    timed = {step.otherwise for step in steps}
    types = [type_ for step in steps for type_, _ in step.outcomes]
    events = {
        type_: fields
        for type_ in draw(st.lists(st.sampled_from(types), max_size=3, unique=True))
        if (fields := draw(_fields(defaults=type_ in timed)))
    }
    formers, definition = draw(_with_formers(definition))
    groups = [*events.values(), *formers.values()]
    used = {one for fields in groups for kind in fields.values() for one in kind.records()}
    return Declaration(
        definition=definition,
        formers=formers,
        said=said,
        events=events,
        records={name: {"sku": FieldType("string")} for name in sorted(used)},
        about=draw(st.none() | st.just('A "saga" of\nC:\\ chance.\n\nIt ends "well"')),
        key_type=draw(st.sampled_from(["string", "integer", "uuid"])),
        step_timeout_ms=step_timeout_ms,
        ends_with=draw(_some_of(types)),
        for_outsiders=draw(_some_of(types)),
        reuse=draw(st.sampled_from(["never", "after-failure"])),
    )
