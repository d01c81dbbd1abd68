"""What a handler's source says: which events it reads, and what it logs. Looks at code, and runs none.

Owns no verdict. Where there is no source, or a name is not plain, it finds nothing: these are searches for
mistakes and no proofs.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sagas.core.events import Event

__all__ = ["Source", "source_of"]

_LOGGING = frozenset(
    {"debug", "info", "warning", "warn", "error", "exception", "critical", "log", "print"}
)


@dataclass(frozen=True, slots=True)
class Source:
    """A function's syntax tree, and where it stands."""

    function: ast.FunctionDef | ast.AsyncFunctionDef
    file: str
    first_line: int
    names: dict[str, Any]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that are given by position."""
        return tuple(one.arg for one in (*self.function.args.posonlyargs, *self.function.args.args))

    def place(self, node: ast.AST) -> str:
        """File and line of a part of it."""
        return f"{self.file}:{self.first_line + getattr(node, 'lineno', 1) - 1}"

    def reads(self) -> Iterator[tuple[ast.Call, type[Event]]]:
        """Every ``context.read(SomeEvent)``, whatever the context is called."""
        for node in ast.walk(self.function):
            if isinstance(node, ast.Call) and len(node.args) == 1 and _method(node) == "read":
                named = node.args[0]
                found = self.names.get(named.id) if isinstance(named, ast.Name) else None
                if isinstance(found, type) and issubclass(found, Event):
                    yield node, found

    def told(self) -> Iterator[tuple[ast.AST, str, str]]:
        """What goes into a ``log`` line or an ``error``: the node, which of them, a dotted name in it."""
        for node in ast.walk(self.function):
            if isinstance(node, ast.Call) and _method(node) in _LOGGING:
                given: list[ast.AST] = [*node.args, *node.keywords]
                yield from ((node, "log", name) for one in given for name in _dotted(one))
            elif isinstance(node, ast.Raise) and node.exc is not None:
                yield from ((node, "error", name) for name in _dotted(node.exc))


def source_of(function: Callable[..., Any]) -> Source | None:
    """The source of a handler; None where there is none to be had."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    try:
        file = inspect.getsourcefile(function) or ""
        lines, first_line = inspect.getsourcelines(function)
        (tree,) = ast.parse(textwrap.dedent("".join(lines))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return None
    if not isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    return Source(tree, file, first_line, getattr(function, "__globals__", {}))


def _method(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _dotted(node: ast.AST) -> Iterator[str]:
    """Every ``order.customer.email`` in it, whole: not ``order.customer`` as well."""
    parts: list[str] = []
    inner: ast.AST = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name) and parts:
        yield ".".join((inner.id, *reversed(parts)))
        return
    for child in ast.iter_child_nodes(node):
        yield from _dotted(child)
