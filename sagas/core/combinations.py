"""How a declaration combines event types: ``AllOf``, ``AnyOf``, ``OneOf``.

One overload per number of types, because a type checker joins ``*types`` to their common base and would
then accept any event.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, overload

from typing_extensions import TypeVar, TypeVarTuple

from sagas.core.errors import DefinitionError
from sagas.core.events import Event

__all__ = ["AllOf", "AnyOf", "OneOf", "Several"]

A = TypeVar("A", bound=Event)
B = TypeVar("B", bound=Event)
C = TypeVar("C", bound=Event)
D = TypeVar("D", bound=Event)
E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)
Types = TypeVarTuple("Types")
Choice = TypeVar("Choice", bound=Event)


class Several:
    """Two or more event types, in the order in which they were written."""

    types: tuple[type[Event], ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_names(self.types)})"

    @staticmethod
    def _check(word: str, types: tuple[Any, ...]) -> None:
        if len(types) < 2:  # noqa: PLR2004 - a pair is the least that can be combined
            raise DefinitionError(
                f"{word}({_names(types)}) combines two or more event types; give one type as it "
                f"is, without {word}."
            )


class AllOf(Several, Generic[*Types]):
    """A trigger that joins: the step runs once all of these events are there."""

    @overload
    def __new__(cls, a: type[A], b: type[B], /) -> AllOf[A, B]: ...
    @overload
    def __new__(cls, a: type[A], b: type[B], c: type[C], /) -> AllOf[A, B, C]: ...
    @overload
    def __new__(cls, a: type[A], b: type[B], c: type[C], d: type[D], /) -> AllOf[A, B, C, D]: ...
    @overload
    def __new__(
        cls, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /
    ) -> AllOf[A, B, C, D, E]: ...
    @overload
    def __new__(
        cls, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], f: type[F], /
    ) -> AllOf[A, B, C, D, E, F]: ...
    def __new__(cls, *types: type[Event]) -> Any:
        """Keep the types in order: the handler gets one event of each, in this order."""
        cls._check("AllOf", types)
        self = super().__new__(cls)
        self.types = types
        return self


class AnyOf(Several, Generic[Choice]):
    """A trigger that merges exclusive branches: the step runs on the one of these that happens."""

    @overload
    def __new__(cls, a: type[A], b: type[B], /) -> AnyOf[A | B]: ...
    @overload
    def __new__(cls, a: type[A], b: type[B], c: type[C], /) -> AnyOf[A | B | C]: ...
    @overload
    def __new__(cls, a: type[A], b: type[B], c: type[C], d: type[D], /) -> AnyOf[A | B | C | D]: ...
    @overload
    def __new__(
        cls, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /
    ) -> AnyOf[A | B | C | D | E]: ...
    @overload
    def __new__(
        cls, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], f: type[F], /
    ) -> AnyOf[A | B | C | D | E | F]: ...
    def __new__(cls, *types: type[Event]) -> Any:
        """Keep the types; the handler gets a single event, of any of them."""
        cls._check("AnyOf", types)
        self = super().__new__(cls)
        self.types = types
        return self


class OneOf(Several, Generic[Choice]):
    """An outcome that is a choice: the handler returns one of these."""

    @overload
    def __new__(cls, a: type[A], b: type[B], /) -> OneOf[A | B]: ...
    @overload
    def __new__(cls, a: type[A], b: type[B], c: type[C], /) -> OneOf[A | B | C]: ...
    @overload
    def __new__(cls, a: type[A], b: type[B], c: type[C], d: type[D], /) -> OneOf[A | B | C | D]: ...
    @overload
    def __new__(
        cls, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], /
    ) -> OneOf[A | B | C | D | E]: ...
    @overload
    def __new__(
        cls, a: type[A], b: type[B], c: type[C], d: type[D], e: type[E], f: type[F], /
    ) -> OneOf[A | B | C | D | E | F]: ...
    def __new__(cls, *types: type[Event]) -> Any:
        """Keep the types; a saga may go on differently from each."""
        cls._check("OneOf", types)
        self = super().__new__(cls)
        self.types = types
        return self


def _names(types: Iterable[Any]) -> str:
    return ", ".join(getattr(type_, "__name__", repr(type_)) for type_ in types)
