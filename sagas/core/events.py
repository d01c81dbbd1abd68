"""What an event is: a frozen record of something that happened, with an explicit name on the wire.

Owns the base class and the rule for names. Never keeps a list of all events: which types there are
is what a saga declares, so two sagas, or two tests, never see each other's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Self, cast

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema

from sagas.core.errors import ContractViolation, DefinitionError
from sagas.core.personal import personal_fields
from sagas.core.upcasting import Upcaster, upcasters_in, ways_to

__all__ = ["EVENT_TYPE", "FRAMEWORK_PUBLISHER", "Event", "is_abstract", "is_read_plainly"]

EVENT_TYPE = re.compile(
    r"(?P<publisher>[a-z][a-z0-9]*(-[a-z0-9]+)*)\.(?P<name>[A-Z][A-Za-z0-9]*)\.v[1-9][0-9]*"
)
"""``publisher.Name.vN``: named as the service is, what happened in the past tense, a version."""

FRAMEWORK_PUBLISHER = "sagas"
"""The publisher part of the framework's own events; no saga may use it."""


_SEQUENCES = frozenset({"list", "tuple", "set", "frozenset"})
_VALUES = frozenset({"default", "expected", "metadata"})
"""What of a schema is no schema, and a user's."""


def _fail_fast(schema: object) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in _SEQUENCES:
            schema["fail_fast"] = True
        for name, part in schema.items():
            if name not in _VALUES:
                _fail_fast(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _fail_fast(part)


class Event(BaseModel):
    """The base of every event; subclasses give their name on the wire on the class line.

    ``class StockReserved(Event, type="inventory.StockReserved.v1")`` names what was published, by
    whom and in which version. Unknown fields of a payload are ignored, so that a publisher may add
    some. A subclass without ``type=`` is an abstract base: it shares fields, and no saga may use
    it. Static methods that are marked with ``upcasts`` make one of a former version. Raises DefinitionError
    for a name of another form.

    What does not fit is named in errors by its field, never by its value: errors are logged.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    event_type: ClassVar[str] = ""
    event_upcasters: ClassVar[tuple[Upcaster, ...]] = ()

    def __init_subclass__(cls, *, type: str | None = None, **config: Any) -> None:  # noqa: A002
        """Take the name on the wire from the class line; it is never inherited."""
        super().__init_subclass__(**config)
        if type is not None and not EVENT_TYPE.fullmatch(type):
            raise DefinitionError(
                f"The event {cls.__qualname__} has type={type!r}; expected publisher.Name.vN, for "
                f"example {f'inventory.{cls.__name__}.v1'!r}: the publishing service in lower "
                f"case, the name in capitals and small letters, and a version from v1."
            )
        cls.event_type = type or ""
        cls.event_upcasters = tuple(upcasters_in(cls))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: type[BaseModel], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """A list is refused at its first element that does not fit: a megabyte of wrong ones would cost a
        second and hundreds of megabytes, for complaints that nobody reads.
        """
        schema = handler(source)
        _fail_fast(schema)
        return schema

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What is personal is not shown, nor what has such a part."""
        hidden = {path.partition(".")[0] for path in personal_fields(type(self))}
        return (shown for shown in super().__repr_args__() if shown[0] not in hidden)

    @classmethod
    def as_before(cls, former: Event) -> Self:
        """A former version, told in place of this one while workers run that know no other: for a handler's
        outcome, a start, or an answer to a wait. It travels as it is, and whoever knows this one upcasts it.

        Raises ContractViolation for what is no former version of this event.
        """
        known = [way.former for way in ways_to(cls)]
        if type(former) not in known:
            names = (
                " or ".join(one.__qualname__ for one in known)
                or "nothing: it has no former version"
            )
            raise ContractViolation(
                f"{cls.__qualname__} was before {names}, and not {former!r:.200}."
            )
        return cast(Self, former)

    @classmethod
    def publisher(cls) -> str:
        """The publishing service, as the name on the wire has it."""
        return cls.event_type.partition(".")[0]


def is_abstract(event_type: type[Event]) -> bool:
    """Whether the type has no name on the wire, so that it can be neither emitted nor consumed."""
    return not event_type.event_type


_READS = vars(BaseModel)["model_validate_json"].__func__


def is_read_plainly(event_type: type[Event]) -> bool:
    """Whether nobody has put something in the place of how pydantic reads its JSON, so that its validator may
    be asked directly.
    """
    return getattr(event_type.model_validate_json, "__func__", None) is _READS
