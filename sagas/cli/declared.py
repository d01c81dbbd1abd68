"""What a command is given to look at: a saga in a module, or a JSON definition in a file.

Owns telling the two apart and loading either. Imports nothing of the project for a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sagas.cli.errors import CommandError, ExitCode
from sagas.core.definition import Definition
from sagas.core.errors import DefinitionError
from sagas.core.saga import Saga

if TYPE_CHECKING:
    from sagas.checks import Deployed
    from sagas.cli.project import Project
    from sagas.language.declaration import Declaration

__all__ = ["definition_of", "deployed_of", "is_file", "opened", "read_file", "saga_of"]

_BYTES_MAX = 1_000_000


def opened(given: Path | None) -> Project:
    """The project of the modules; where there is none they are imported from here."""
    from sagas.cli.project import Project, open_project

    try:
        return open_project(given)
    except CommandError:
        if given is not None:
            raise
        return Project(Path.cwd() / "pyproject.toml", (), ())


def is_file(entry: str) -> bool:
    """Whether the entry names a JSON definition, and no module."""
    return entry.endswith(".json")


def definition_of(entry: str, project: Path | None) -> tuple[Definition, Declaration | None]:
    """The definition of a saga in a module, or in a JSON file, and all that it declares; None for a module
    that says what JSON has no words for. Raises CommandError and Unreadable.
    """
    from sagas.language.exporting import declaration_of

    if is_file(entry):
        declaration = read_file(Path(entry))
        return declaration.definition, declaration
    saga = saga_of(entry, opened(project))
    try:
        return saga.definition, declaration_of(saga)
    except DefinitionError:
        return saga.definition, None


def deployed_of(entry: str, project: Project) -> Deployed:
    """The saga of a module, or of a JSON file, as it runs somewhere. Raises CommandError and Unreadable."""
    from sagas.checks import Deployed
    from sagas.language.models import schemas_of

    if is_file(entry):
        declaration = read_file(Path(entry))
        return Deployed(declaration.definition, schemas_of(declaration))
    saga = saga_of(entry, project)
    schemas = {type_: event.model_json_schema() for type_, event in saga.events.items()}
    return Deployed(saga.definition, schemas)


def read_file(path: Path) -> Declaration:
    """The declaration in a JSON file. Raises CommandError for a file that can not be read, and Unreadable
    with everything that is wrong with what is in it.
    """
    from sagas.language.reading import read

    try:
        if path.stat().st_size > _BYTES_MAX:
            raise CommandError(
                ExitCode.USAGE, f"{path} has more than a megabyte; no definition does."
            )
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError(
            ExitCode.FINDINGS,
            f"{path} is no UTF-8 text, as JSON is ({error.reason}); save it as such.",
        ) from error
    except OSError as error:
        raise CommandError(ExitCode.USAGE, f"{path} can not be read: {error.strerror}.") from error
    return read(text, str(path))


def saga_of(entry: str, project: Project) -> type[Saga]:
    """The saga ``module:Saga``, or the only one that ``module`` declares. Raises CommandError."""
    if ":" in entry:
        return project.saga(entry)
    module = project.module(entry)
    found = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Saga)
        and value.__module__ == getattr(module, "__name__", None)
    ]
    if len(found) == 1:
        return project.saga(f"{entry}:{found[0]}")
    if not found:
        raise CommandError(
            ExitCode.USAGE, f"The module {entry} declares no saga; name one that does."
        )
    raise CommandError(
        ExitCode.USAGE,
        f"The module {entry} declares the sagas {', '.join(found)}; name one: {entry}:{found[0]}.",
    )
