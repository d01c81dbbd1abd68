"""From a declaration to the Python module that a person would have typed for it.

Owns the text: records and events as pydantic models, the saga, its services, and a handler for everything
that somebody has to write, which says so until it is written. Formatted, and typed for a strict checker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sagas.core.definition import START, Join, StepDefinition, UndoPolicy
from sagas.core.saga import kebab_case
from sagas.language.declaration import Declaration, Fields
from sagas.language.document import DataWords, RetryWords
from sagas.language.fields import FieldType
from sagas.language.graph import in_order
from sagas.language.identifiers import Identifiers, ModuleNames, names_of, snake
from sagas.language.layout import Call, Layout, Part, columns, literal_of, quoted
from sagas.language.literals import default_said, docstring_lines, tuple_of
from sagas.language.models import LIMITS
from sagas.language.spans import span_ms

__all__ = ["module_of"]

_WORDS = {
    "string": ("", "str"),
    "integer": ("", "int"),
    "number": ("", "float"),
    "boolean": ("", "bool"),
    "date": ("datetime", "date"),
    "date-time": ("datetime", "datetime"),
    "time": ("datetime", "time"),
    "uuid": ("uuid", "UUID"),
    "decimal": ("decimal", "Decimal"),
}
_SPANS = (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000))


def module_of(declaration: Declaration, *, handlers: bool = True, width: int = 88) -> str:
    """The text of the module; without ``handlers`` it ends with the saga."""
    writer = _Writer(declaration, Layout(width), names_of(declaration))
    body = [*writer.records(), *writer.events(), writer.saga()]
    if handlers:
        body.extend(writer.services())
    sections = ["\n".join(part) for part in body]
    return "\n".join((writer.head(), *(f"\n\n{one}" for one in sections), ""))


@dataclass(slots=True)
class _Writer:
    declaration: Declaration
    layout: Layout
    names: ModuleNames
    imports: dict[tuple[str, str], str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    public: list[str] = field(default_factory=list)

    # --- names from elsewhere -----------------------------------------------------------------

    def use(self, module: str, name: str) -> str:
        """A name that is imported, as it is called here."""
        if (module, name) not in self.imports:
            self.imports[module, name] = self.names.free.take(name)
        return self.imports[module, name]

    def head(self) -> str:
        """What stands above everything: what the module is, its imports, what it gives."""
        saga = self.declaration.definition.saga
        lines = [
            f'"""The saga {saga}: its events, its choreography, and who takes part."""',
            *("", "from __future__ import annotations"),
        ]
        standard = {module for module, _ in self.imports} - {"pydantic", "sagas"}
        plain = [f"import {name}" for name in sorted(self.modules)]
        groups = [
            [line for module in sorted(standard) for line in self._import(module)],
            self._import("pydantic"),
            self._import("sagas"),
            plain,
        ]
        for group in groups:
            lines.extend(("", *group) if group else ())
        exported = Call(
            "[",
            tuple(map(quoted, sorted((*self.names.classes.values(), *self.public)))),
            "]",
            spread=True,
        )
        return "\n".join((*lines, "", *self.layout.lines("__all__ = ", exported)))

    def _import(self, module: str) -> list[str]:
        taken = sorted((name, mine) for (one, name), mine in self.imports.items() if one == module)
        if not taken:
            return []
        parts = [name if name == mine else f"{name} as {mine}" for name, mine in taken]
        flat = f"from {module} import {', '.join(parts)}"
        if columns(flat) <= self.layout.width:
            return [flat]
        return self.layout.lines("", Call(f"from {module} import (", tuple(parts), spread=True))

    # --- records and events -------------------------------------------------------------------

    def records(self) -> Iterator[list[str]]:
        """Each record after those that it holds."""
        said = self.declaration.records
        before = {
            name: [one for kind in fields.values() for one in kind.records()]
            for name, fields in said.items()
        }
        for name in in_order(before):
            base, config = self.use("pydantic", "BaseModel"), self.use("pydantic", "ConfigDict")
            yield [
                f"class {self.names.classes[name]}({base}):",
                f"    model_config = {config}(frozen=True)",
                *self._fields(said[name], ("",)),
            ]

    def events(self) -> Iterator[list[str]]:
        """Every event, with the key first."""
        said = self.declaration
        base = self.use("sagas", "Event")
        key = FieldType(said.key_type)
        for type_ in said.event_types():
            fields = [(one, said.formers[one]) for one in said.formers_of(type_)]
            for name, own in (*fields, (type_, said.events.get(type_, {}))):
                head = Call(f"class {self.names.classes[name]}(", (base, f"type={quoted(name)}"))
                yield [
                    *self.layout.lines("", head, ":"),
                    *self._fields({said.definition.key: key, **own}),
                    *(line for old in said.formers_of(name) for line in self._upcaster(old, name)),
                ]

    def _upcaster(self, old: str, now: str) -> Iterator[str]:
        """A function that is to be filled in, in the body of the event's class."""
        former, current = self.names.classes[old], self.names.classes[now]
        name, version = old.split(".")[1:]
        named = f"from_{version}" if name == now.split(".")[1] else f"from_{snake(name)}_{version}"
        mark, violation = self.use("sagas", "upcasts"), self.use("sagas", "ContractViolation")
        text = f"{old} can not be made {now} yet: fill in {named}."
        head = Call(f"def {named}(", (f"old: {former}",))
        yield from (
            "",
            "    @staticmethod",
            *self.layout.lines("@", Call(f"{mark}(", (former,)), depth=1),
        )
        yield from self.layout.lines("", head, f" -> {current}:", depth=1)
        yield from self.layout.lines("", Call(f"raise {violation}(", (quoted(text),)), depth=2)

    def _fields(self, fields: Fields, before: Iterable[str] = ()) -> Iterator[str]:
        if fields:
            yield from before
        for name, kind in fields.items():
            part = self._type(kind)
            yield from self.layout.field(name, part, default_said(kind), optional=kind.optional)

    def _type(self, kind: FieldType) -> Part:
        limited = self._limited(kind)
        return (
            Call(f"{self.use('sagas', 'Personal')}[", (limited,), "]") if kind.personal else limited
        )

    def _limited(self, kind: FieldType) -> Part:
        plain = self._plain(kind)
        if not kind.limits:
            return plain
        limits = tuple(f"{LIMITS[name]}={literal_of(value)}" for name, value in kind.limits)
        annotated, limit = self.use("typing", "Annotated"), self.use("pydantic", "Field")
        return Call(f"{annotated}[", (plain, Call(f"{limit}(", limits)), "]")

    def _plain(self, kind: FieldType) -> Part:
        match kind.word:
            case "list" if kind.of is not None:
                return Call("tuple[", (self._type(kind.of), "..."), "]")
            case "map" if kind.of is not None:
                return Call("dict[", ("str", self._type(kind.of)), "]")
            case "enum":
                literal = self.use("typing", "Literal")
                return Call(f"{literal}[", tuple(map(quoted, kind.choices)), "]")
            case word if word in _WORDS:
                module, name = _WORDS[word]
                return self.use(module, name) if module else name
            case record:
                return self.names.classes[record]

    # --- the saga -----------------------------------------------------------------------------

    def saga(self) -> list[str]:
        """The choreography."""
        said, definition = self.declaration, self.declaration.definition
        name = self.names.classes[START]
        lines = [f"class {name}({self.use('sagas', 'Saga')}):"]
        if said.about is not None:
            lines.extend((*docstring_lines(said.about), ""))
        if kebab_case(name) != definition.saga:
            lines.append(f"    name = {quoted(definition.saga)}")
        lines.append(f"    key = {quoted(definition.key)}")
        if definition.deadline_ms is not None:
            lines.append(f"    deadline = {self._span(definition.deadline_ms)}")
        if said.step_timeout_ms is not None:
            lines.append(f"    step_timeout = {self._span(said.step_timeout_ms)}")
        if definition.cancelled_by is not None:
            lines.append(f"    cancelled_by = {self.names.classes[definition.cancelled_by]}")
        if said.reuse != "never":
            reuse = said.reuse.replace("-", "_").upper()
            lines.append(f"    reuse = {self.use('sagas', 'Reuse')}.{reuse}")
        lines.extend(self._marks("ends_with", said.ends_with))
        lines.extend(self._marks("for_outsiders", said.for_outsiders))
        if definition.retired:
            retired = tuple(map(quoted, definition.retired))
            lines.extend(self.layout.lines("retired = ", tuple_of(retired), depth=1))
        for step in definition.steps:
            call = self._start(step) if step.name == START else self._step(step)
            lines.extend(("", *self.layout.lines(f"{step.name} = ", call, depth=1)))
        return lines

    def _marks(self, word: str, types: Sequence[str]) -> list[str]:
        classes = tuple(self.names.classes[type_] for type_ in types)
        if len(classes) > 1:
            return self.layout.lines(f"{word} = ", Call("(", classes), depth=1)
        return [f"    {word} = {one}" for one in classes]

    def _start(self, step: StepDefinition) -> Call:
        parts: list[Part] = [self.names.classes[step.done[0]], f"by={quoted(step.service)}"]
        parts.append(f"undone={self._undone(step)}")
        parts.extend(self._rest(step))
        return Call(f"{self.use('sagas', 'Start')}(", tuple(parts), spread=True)

    def _step(self, step: StepDefinition) -> Call:
        said = self.declaration.said_by(step)
        join = "AnyOf" if step.join is Join.ANY else "AllOf"
        parts: list[Part] = [f"by={quoted(step.service)}", self._several("on", step.triggers, join)]
        if step.done:
            parts.append(self._several("done", step.done, "OneOf"))
        if step.refused:
            parts.append(self._several("refused", step.refused, "OneOf"))
        if step.otherwise is not None:
            parts.append(f"otherwise={self.names.classes[step.otherwise]}")
        if said.undone:
            parts.append(f"undone={self._undone(step)}")
        if step.pivot:
            parts.append("pivot=True")
        if len(step.reads) > 1:
            parts.append(Call("reads=(", tuple(self.names.classes[one] for one in step.reads)))
        elif step.reads:
            parts.append(f"reads={self.names.classes[step.reads[0]]}")
        if said.timeout:
            never = step.timeout_ms is None
            span = self.use("sagas", "NEVER") if never else self._span(step.timeout_ms or 0)
            parts.append(f"timeout={span}")
        if said.retry is not None:
            parts.append(self._retry(said.retry))
        parts.extend(self._rest(step))
        word = self.use("sagas", "Wait" if step.waits else "Step")
        return Call(f"{word}(", tuple(parts), spread=True)

    def _rest(self, step: StepDefinition) -> Iterator[Part]:
        if step.if_undo_fails is not UndoPolicy.BLOCK:
            yield f"if_undo_fails={self.use('sagas', step.if_undo_fails.name)}"
        if step.state is not None:
            yield f"state={quoted(step.state)}"
        data = tuple(map(self._data, self.declaration.said_by(step).data))
        if len(data) == 1:
            yield replace(data[0], opening=f"data={data[0].opening}")
        elif data:
            yield Call("data=(", data)

    def _data(self, words: DataWords) -> Call:
        word, named = words.access
        parts = list(map(quoted, named))
        if words.guard is not None:
            guard = words.guard.replace("-", "_").upper()
            parts.append(f"guard={self.use('sagas', 'Guard')}.{guard}")
        if words.own:
            parts.append("own=True")
        return Call(f"{self.use('sagas', word.capitalize())}(", tuple(parts))

    def _undone(self, step: StepDefinition) -> str:
        return (
            self.use("sagas", "NOTHING") if step.undone is None else self.names.classes[step.undone]
        )

    def _several(self, word: str, types: tuple[str, ...], combine: str) -> Part:
        listed = tuple(self.names.classes[type_] for type_ in types)
        if len(listed) == 1:
            return f"{word}={listed[0]}"
        return Call(f"{word}={self.use('sagas', combine)}(", listed)

    def _span(self, ms: int) -> str:
        for unit, unit_ms in _SPANS:
            if ms % unit_ms == 0:
                return f"{self.use('sagas', unit)}({ms // unit_ms})"
        return f"{self.use('sagas', 'seconds')}({ms // 1000 if ms % 1000 == 0 else ms / 1000})"

    def _retry(self, words: RetryWords) -> Call:
        parts: list[Part] = []
        for name, value in words.model_dump(exclude_defaults=True).items():
            if isinstance(value, tuple):
                errors = tuple(self._error(one) for one in value)
                one = len(errors) == 1
                parts.append(f"{name}={errors[0]}" if one else Call(f"{name}=(", errors))
            elif isinstance(value, str):
                parts.append(f"{name}={self._span(span_ms(value))}")
            else:
                parts.append(f"{name}={value!r}")
        return Call(f"retry={self.use('sagas', 'Retry')}(", tuple(parts))

    def _error(self, name: str) -> str:
        module = name.rpartition(".")[0]
        if module:
            self.modules.add(module)
        return name

    # --- services -----------------------------------------------------------------------------

    def services(self) -> Iterator[list[str]]:
        """Who takes part, and what is to be filled in."""
        definition = self.declaration.definition
        made: list[str] = []
        for name in definition.services:
            if any(self._takes_part(step) for step in definition.steps_of[name]):
                service = self.use("sagas", "Service")
                made.append(f"{self.names.services[name]} = {service}({quoted(name)})")
                self.public.append(self.names.services[name])
        if made:
            yield made
        for step in definition.steps:
            yield from self._handlers(step)

    def _takes_part(self, step: StepDefinition) -> bool:
        answered = bool(step.done or step.refused)
        return step.undone is not None or (answered if step.waits else step.name != START)

    def _handlers(self, step: StepDefinition) -> Iterator[list[str]]:
        service, saga = self.names.services[step.service], self.names.classes[START]
        if step.waits:
            if step.done or step.refused:
                name = self.names.functions[step.name, False]
                yield [f"{name} = {service}.completes({saga}.{step.name})"]
            return
        if step.name != START:
            returns = [
                *step.done,
                *step.refused,
                *(() if step.otherwise is None else (step.otherwise,)),
            ]
            yield self._handler(
                f"{service}.performs({saga}.{step.name})", step, returns, undo=False
            )
        if step.undone is not None:
            yield self._handler(
                f"{service}.undoes({saga}.{step.name})", step, [step.undone], undo=True
            )

    def _handler(
        self, decorator: str, step: StepDefinition, returns: list[str], *, undo: bool
    ) -> list[str]:
        name = self.names.functions[step.name, undo]
        violation = self.use("sagas", "ContractViolation")
        text = f"{step.service} can not {'undo' if undo else 'perform'} {step.name} yet: fill in {name}."
        raised = Call(f"raise {violation}(", (quoted(text),))
        return [
            f"@{decorator}",
            *self.layout.function(name, self._parameters(step, undo=undo), self._classes(returns)),
            *self.layout.lines("", raised, depth=1),
        ]

    def _parameters(self, step: StepDefinition, *, undo: bool) -> list[tuple[str, list[str]]]:
        given = Identifiers(("context",))
        triggers = step.done if step.name == START else step.triggers
        if step.join is Join.ANY:
            found = [(given.take("trigger"), self._classes(triggers))]
        else:
            found = [(given.take(_variable(type_)), self._classes([type_])) for type_ in triggers]
        if undo and step.name != START:
            name = _variable(step.done[0]) if len(step.done) == 1 else "outcome"
            found.append((given.take(name), [*self._classes(step.done), "None"]))
        found.append(("context", [self.use("sagas", "StepContext")]))
        return found

    def _classes(self, types: Iterable[str]) -> list[str]:
        return [self.names.classes[type_] for type_ in types]


def _variable(type_: str) -> str:
    return snake(type_.split(".")[1])
