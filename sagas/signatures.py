"""Whether a function fits as a handler, said in words at import.

Owns ``Handler`` and the check of a signature against what a declaration hands over and takes back.
It says the same as the types do, for those who run no type checker; what is not annotated is not
judged.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Never, NoReturn, Protocol, TypeVar, Union, overload

from typing_extensions import TypeVarTuple

from sagas.core.errors import DefinitionError

__all__ = ["Handler", "Registers", "Signature", "handler_of", "returned_types"]

Result = TypeVar("Result")
Parameters = TypeVarTuple("Parameters")

_NONE: type = types.NoneType


class Registers(Protocol[Result, *Parameters]):
    """A decorator that takes a function of these parameters, a coroutine or a plain one."""

    # mypy explains a misfit by the first of these and pyright by the last: both name a coroutine.
    @overload
    def __call__(
        self, handler: Callable[[*Parameters], Coroutine[Any, Any, Result]], /
    ) -> Callable[[*Parameters], Coroutine[Any, Any, Result]]: ...
    @overload
    def __call__(
        self, handler: Callable[[*Parameters], Result], /
    ) -> Callable[[*Parameters], Result]: ...
    @overload
    def __call__(
        self, handler: Callable[[*Parameters], Coroutine[Any, Any, Result] | Result], /
    ) -> Callable[[*Parameters], Coroutine[Any, Any, Result] | Result]: ...


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function. A plain one is run in a thread; ``name`` is for logs and errors."""

    function: Callable[..., Any]
    is_async: bool
    name: str


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler is called with, and what it may return.

    Each parameter is the tuple of classes that may arrive there; ``returns`` is empty where a
    return value has no meaning.
    """

    parameters: tuple[tuple[type, ...], ...]
    returns: tuple[type, ...] = ()

    def __str__(self) -> str:
        *events, context = self.parameters
        shown = [
            *(f"{_parameter_name(p)}: {_shown(p)}" for p in events),
            f"context: {_shown(context)}",
        ]
        return f"({', '.join(shown)}) -> {_shown(self.returns or (_NONE,))}"


def handler_of(function: Any, signature: Signature, role: str) -> Handler:
    """The function as a handler. Raises DefinitionError if it can not be one for this ``role``."""
    if not callable(function):
        raise DefinitionError(f"{function!r} can not {role}: it is no function.")
    handler = Handler(function, _is_async(function), _name(function))
    problems = list(_problems(handler, signature))
    if problems:
        listed = "; ".join(problems)
        raise DefinitionError(f"{handler.name} can not {role}: {listed}. Expected {signature}.")
    return handler


def returned_types(handler: Handler) -> tuple[type, ...] | None:
    """What the function says it may return, one by one; None where it does not say, or not in classes."""
    hints = _hints(handler.function)
    if "return" not in hints:
        return None
    members = _members(hints["return"])
    return members if all(map(_is_class, members)) else None


def _problems(handler: Handler, signature: Signature) -> Iterator[str]:
    function = handler.function
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        yield "it yields; return the outcome instead"
    try:
        found = inspect.signature(function)
    except ValueError:  # some functions that are written in C do not tell
        return
    hints = _hints(function)
    try:
        bound = found.bind(*signature.parameters)
    except TypeError:
        yield f"it takes {_count(found)}, and gets {len(signature.parameters)}"
    else:
        for name, given in bound.arguments.items():
            yield from _problems_of_parameter(name, hints.get(name, Any), given)
    if signature.returns and "return" in hints:
        yield from _problems_of_return(hints["return"], signature.returns)


def _problems_of_parameter(name: str, annotation: Any, given: Any) -> Iterator[str]:
    # A variadic parameter binds a tuple of all that arrives there.
    each: Sequence[tuple[type, ...]] = given if given and isinstance(given[0], tuple) else (given,)
    missing = dict.fromkeys(
        type_ for types_ in each for type_ in types_ if not _accepts(annotation, type_)
    )
    if missing:
        yield (
            f"its parameter {name!r} is {_annotation(annotation)}, but gets "
            f"{_shown(tuple(missing))}"
        )


def _problems_of_return(annotation: Any, outcomes: tuple[type, ...]) -> Iterator[str]:
    for member in _members(annotation):
        if inspect.isclass(typing.get_origin(member)) and issubclass(
            typing.get_origin(member) or object, Awaitable
        ):
            yield f"it returns {_annotation(member)} but is no coroutine; write async def"
        elif _is_class(member) and not issubclass(member, outcomes):
            yield f"it may return {_annotation(member)}, which is not among its outcomes"


def _accepts(annotation: Any, given: type) -> bool:
    return any(
        # A type variable, a protocol or a special form is left to the type checker.
        not _is_class(member) or _is_protocol(member) or issubclass(given, member)
        for member in _members(annotation)
    )


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union; other annotations are their own only alternative."""
    annotation = getattr(annotation, "__value__", annotation)
    if annotation in (Never, NoReturn):
        return ()
    if annotation is None:
        return (_NONE,)
    if isinstance(annotation, TypeVar) and annotation.__bound__ is not None:
        return _members(annotation.__bound__)
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return tuple(m for part in typing.get_args(annotation) for m in _members(part))
    return (annotation,)


def _is_class(annotation: Any) -> bool:
    return isinstance(annotation, type) and annotation is not Any  # Any is a class since 3.11


def _is_protocol(type_: type) -> bool:
    return bool(getattr(type_, "_is_protocol", False))


# --- looking at functions -------------------------------------------------------------------------


def _target(function: Any) -> Any:
    """Where names and annotations stand: under a partial, or in the class of a callable object."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(_target(function))
    except (NameError, TypeError, AttributeError):
        # Names that exist only for type checkers, or only inside another function: nothing to
        # judge.
        return {}


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(_target(function))


def _name(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


# --- words ----------------------------------------------------------------------------------------


def _shown(types_: tuple[type, ...]) -> str:
    return " | ".join("None" if type_ is _NONE else type_.__name__ for type_ in types_)


def _annotation(annotation: Any) -> str:
    return " | ".join(
        "None" if member is _NONE else getattr(member, "__name__", str(member))
        for member in _members(annotation)
    )


def _parameter_name(types_: tuple[type, ...]) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", types_[0].__name__).lower()


def _count(signature: inspect.Signature) -> str:
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    count = len(kinds)
    words = f"{count} parameter{'' if count == 1 else 's'}"
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        words += ", some by name only (events and context are given by position)"
    return words
