"""A saga from a JSON definition, for commands that look at sagas as classes.

Owns the way there: the module that ``sagas generate`` would write is made in memory, and every step says
where it stands in the file. Nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from sagas.checks.subject import PLACE
from sagas.cli.declared import read_file
from sagas.cli.errors import CommandError, ExitCode
from sagas.core.errors import DefinitionError
from sagas.core.events import FRAMEWORK_PUBLISHER
from sagas.core.saga import Saga, declared_steps

if TYPE_CHECKING:
    from sagas.language.places import Located

__all__ = ["saga_in_file"]


def saga_in_file(entry: str) -> type[Saga]:
    """The saga that a JSON file defines. Raises CommandError that says each problem with its place."""
    from sagas.language.places import located
    from sagas.language.python import module_of

    path = Path(entry)
    try:
        declaration = read_file(path)
        saga = _made(module_of(declaration, handlers=False), entry)
    except DefinitionError as error:
        raise CommandError(ExitCode.FINDINGS, str(error)) from error
    at = located(path.read_text(encoding="utf-8-sig"))
    setattr(saga, PLACE, _place(at, (("saga",),), entry))
    for name, step in declared_steps(saga).items():
        step.place = _place(at, (("tasks", name), (name,), ("saga",)), entry)
    for type_, event in saga.events.items():
        if event.publisher() == FRAMEWORK_PUBLISHER:
            continue
        _, short, version = type_.split(".")
        names = (("events", type_), ("events", f"{short}.{version}"), ("events", short))
        setattr(event, PLACE, _place(at, (*names, ("saga",)), entry))
    return saga


def _made(text: str, entry: str) -> type[Saga]:
    """The class that the module's text declares; pydantic looks the module up by its name."""
    module = ModuleType(f"definition in {entry}")
    sys.modules[module.__name__] = module
    code = compile(text, f"<{entry}>", "exec")
    exec(code, vars(module))  # noqa: S102 - our own generator has written it, of names that were checked
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Saga) and value is not Saga
    )


def _place(at: Located, paths: Iterable[tuple[str, ...]], entry: str) -> str:
    """File and line of the first of these that is named in the file."""
    found = next((at.names[path] for path in paths if path in at.names), 0)
    return f"{entry}:{at.text.count(chr(10), 0, found) + 1}"
