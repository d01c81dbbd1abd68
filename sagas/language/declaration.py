"""A saga as both forms declare it: the definition, and what only a declaration says besides.

Owns the value between JSON and Python. Every name of an event is the whole one that is on the wire. What is
not semantic, such as how a list was broken into lines, is not in here, so that equality is what a round trip
has to keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sagas.core.definition import Definition, StepDefinition
from sagas.language.document import DataWords, RetryWords
from sagas.language.fields import FieldType

__all__ = ["UNSAID", "Declaration", "Fields", "Said"]

Fields = Mapping[str, FieldType]


@dataclass(frozen=True, slots=True)
class Said:
    """What a task says of itself that its definition does not show: whether it speaks of its timeout and
    of its undo, how it is tried again, and what it does with its participant's data.
    """

    timeout: bool = False
    undone: bool = False
    retry: RetryWords | None = None
    data: tuple[DataWords, ...] = ()


UNSAID: Final = Said()
"""Of a task, or the start, that says nothing of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """``events`` and ``records`` hold the fields of each by its name, without the key; an event without
    others is not among them. ``formers`` hold those of every former version, which the definition pairs with
    what is made of it. ``said`` is by the names of tasks.
    """

    definition: Definition
    said: Mapping[str, Said] = field(default_factory=dict)
    events: Mapping[str, Fields] = field(default_factory=dict)
    records: Mapping[str, Fields] = field(default_factory=dict)
    formers: Mapping[str, Fields] = field(default_factory=dict)
    about: str | None = None
    key_type: str = "string"
    step_timeout_ms: int | None = None
    reuse: str = "never"
    ends_with: tuple[str, ...] = ()
    for_outsiders: tuple[str, ...] = ()

    def said_by(self, step: StepDefinition) -> Said:
        """What the step says besides its definition."""
        return self.said.get(step.name, UNSAID)

    def formers_of(self, type_: str) -> tuple[str, ...]:
        """The former versions of an event."""
        return tuple(former for former, current in self.definition.upcasts if current == type_)

    def event_types(self) -> tuple[str, ...]:
        """Every event of the saga, in the order in which it is first named."""
        asked = self.definition.cancelled_by
        found = [type_ for step in self.definition.steps for type_, _ in step.outcomes]
        return tuple(dict.fromkeys([*found, *(() if asked is None else (asked,))]))
