"""The project that a command works on: what ``[tool.sagas]`` in its pyproject.toml names.

Owns finding the file, importing what it names, and saying readably what is wrong with either.
Imports nothing of the project before it is asked for.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tomllib
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import sagas
from sagas.cli.errors import CommandError, ExitCode
from sagas.core.durations import span_ms
from sagas.core.errors import SagaError
from sagas.core.saga import Saga
from sagas.operating.errors import nearest
from sagas.service import Service

__all__ = ["Project", "kept_ms", "open_named", "open_project"]

T = TypeVar("T")

_FRAMEWORK = Path(sagas.__file__).parent
_KEYS = {"services", "sagas", "retention"}
_EXAMPLE = 'services = ["services.orders.main:service"] and sagas = ["events.orders:Ordering"]'


@dataclass(frozen=True, slots=True)
class Project:
    """Where the project is, and its entries ``module:attribute``, not imported yet.

    ``retention_ms`` is how long its topics keep records at least, -1 for ever, None where it does not say.
    """

    file: Path
    service_entries: tuple[str, ...]
    saga_entries: tuple[str, ...]
    retention_ms: int | None = None

    @property
    def directory(self) -> Path:
        """What the modules are imported from."""
        return self.file.parent

    def told(self) -> tuple[str, str]:
        """The project's name and version, as ``[project]`` says them; what it does not say is made up."""
        document = _document(self.file)
        table = document.get("project", {})
        said = table if isinstance(table, dict) else {}
        return str(said.get("name", self.directory.name)), str(said.get("version", "0"))

    def sagas(self) -> tuple[type[Saga], ...]:
        """Every saga that is named. Raises CommandError."""
        return tuple(self.saga(entry) for entry in self.saga_entries)

    def services(self) -> tuple[Service, ...]:
        """Every service that is named. Raises CommandError."""
        return tuple(self.service(entry) for entry in self.service_entries)

    def saga(self, entry: str) -> type[Saga]:
        """The saga behind one entry. Raises CommandError."""
        found = self._load(entry)
        if isinstance(found, type) and issubclass(found, Saga) and found is not Saga:
            return found
        raise _wrong_type(entry, found, "a class derived from sagas.Saga")

    def sagas_in(self, source: str) -> tuple[type[Saga], ...]:
        """The saga behind ``module:Saga``, every one that a module declares, or the one in a JSON file.
        Raises CommandError.
        """
        if source.endswith(".json"):
            return (_in_file(source),)
        if ":" in source:
            return (self.saga(source),)
        if not all(part.isidentifier() for part in source.split(".")):
            raise CommandError(
                ExitCode.USAGE,
                f"{source!r} names no module; write module or module:Saga, such as events.orders:Ordering.",
            )
        found = [
            value
            for value in vars(self._import(source, source)).values()
            if isinstance(value, type) and issubclass(value, Saga) and value.__module__ == source
        ]
        if not found:
            raise CommandError(
                ExitCode.USAGE, f"The module {source} declares no saga; name one as module:Saga."
            )
        return tuple(found)

    def service(self, entry: str) -> Service:
        """The service behind one entry. Raises CommandError."""
        found = self._load(entry)
        if isinstance(found, Service):
            return found
        raise _wrong_type(entry, found, 'an object such as service = Service("orders")')

    def named(self, entry: str) -> object:
        """Whatever is behind one entry. Raises CommandError."""
        return self._load(entry)

    def module(self, name: str) -> object:
        """The module of that name. Raises CommandError."""
        return self._import(name, name)

    def declared_in(self, name: str) -> tuple[list[type[Saga]], list[Service]]:
        """The sagas and services in a module, or in all modules of a package, or the saga in a JSON file.
        Raises CommandError.
        """
        if name.endswith(".json"):
            return [_in_file(name)], []
        found: list[object] = []
        first = self._import(name, name)
        parts = pkgutil.walk_packages(getattr(first, "__path__", ()), f"{name}.")
        for module in (first, *(self._import(part.name, name) for part in parts)):
            found += vars(module).values()
        kinds = list(dict.fromkeys(one for one in found if isinstance(one, type | Service)))
        sagas = [one for one in kinds if isinstance(one, type) and issubclass(one, Saga)]
        return [one for one in sagas if one is not Saga], [
            one for one in kinds if isinstance(one, Service)
        ]

    def service_named(self, name: str) -> Service:
        """The service of that name.

        Entries that mention the name are tried first and the rest is not imported once it is found:
        a service must start even if another one's requirements are not installed. Raises
        CommandError.
        """
        known: list[str] = []
        failed: list[CommandError] = []
        for entry in sorted(self.service_entries, key=lambda entry: name not in entry):
            try:
                service = self.service(entry)
            except CommandError as failure:
                failed.append(failure)
                continue
            if service.name == name:
                return service
            known.append(service.name)
        if failed:
            raise failed[0]
        hint = nearest(name, known, "Services of this project")
        raise CommandError(ExitCode.USAGE, f"There is no service {name!r} in {self.file}.{hint}")

    def _load(self, entry: str) -> object:
        module_name, colon, attribute = entry.partition(":")
        if not (module_name and colon and attribute.isidentifier()):
            raise CommandError(
                ExitCode.USAGE,
                f"{entry!r} does not name an object; write module:attribute, such as "
                "services.orders.main:service.",
            )
        module = self._import(module_name, entry)
        if not hasattr(module, attribute):
            public = [name for name in vars(module) if not name.startswith("_")]
            hint = nearest(attribute, public, "It has")
            raise CommandError(
                ExitCode.USAGE, f"{entry}: the module {module_name} has no {attribute!r}.{hint}"
            )
        return getattr(module, attribute)

    def _import(self, name: str, entry: str) -> ModuleType:
        if entry.endswith(".json"):
            raise CommandError(
                ExitCode.USAGE,
                f"{entry} is a JSON definition, and no module; `sagas generate {entry}` makes one of it.",
            )
        directory = str(self.directory)
        if directory not in sys.path:
            sys.path.insert(0, directory)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                raise CommandError(
                    ExitCode.USAGE,
                    f"{entry}: there is no module {error.name!r} below {directory}. Correct the "
                    "name, or name the right project with --project.",
                ) from error
            raise self._failed(error) from error
        except (Exception, SystemExit) as error:
            raise self._failed(error) from error

    def _failed(self, error: BaseException) -> CommandError:
        told = str(error) if isinstance(error, SagaError) else _last_line(error)
        place = _place(error, self.directory)
        return CommandError(ExitCode.FINDINGS, f"{place}: {told}")


def _in_file(entry: str) -> type[Saga]:
    from sagas.cli.from_file import saga_in_file

    return saga_in_file(entry)


def open_project(given: Path | None) -> Project:
    """The project of ``given``, a file or its directory, or the nearest one from here upwards.

    Raises CommandError.
    """
    file, table = _find(given)
    for key in table.keys() - _KEYS:
        hint = nearest(key, _KEYS, "It may hold")
        raise CommandError(ExitCode.USAGE, f"{file}: [tool.sagas] knows no {key!r}.{hint}")
    services, sagas_ = _entries(file, table, "services"), _entries(file, table, "sagas")
    return Project(file, services, sagas_, _retention(file, table))


def open_named(given: Path | None, *, named: bool) -> Project:
    """As ``open_project``; but what is named on the command line needs no project: it is imported from
    here. Raises CommandError.
    """
    try:
        return open_project(given)
    except CommandError:
        if given is None and named:
            return Project(Path.cwd() / "pyproject.toml", (), ())
        raise


def _find(given: Path | None) -> tuple[Path, dict[str, object]]:
    seen: list[Path] = []
    for file in _candidates(given):
        if not file.is_file():
            continue
        table = _read(file)
        if table is not None:
            return file, table
        seen.append(file)
    if seen:
        raise CommandError(
            ExitCode.USAGE,
            f"{seen[0]} has no [tool.sagas]. Add it, with {_EXAMPLE}, or name another file with "
            "--project.",
        )
    where = "here or above" if given is None else f"at {given}"
    raise CommandError(
        ExitCode.USAGE,
        f"There is no pyproject.toml {where} ({Path.cwd()}). Go to the project's directory, or "
        "name the file with --project.",
    )


def _candidates(given: Path | None) -> Iterator[Path]:
    if given is not None:
        path = given.resolve()
        yield path / "pyproject.toml" if path.is_dir() else path
        return
    here = Path.cwd()
    yield from (directory / "pyproject.toml" for directory in (here, *here.parents))


def _read(file: Path) -> dict[str, object] | None:
    tool = _document(file).get("tool", {})
    table = tool.get("sagas") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _document(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise CommandError(ExitCode.USAGE, f"{file} can not be read: {error}.") from error


def _entries(file: Path, table: dict[str, object], key: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    raise CommandError(
        ExitCode.USAGE,
        f"{file}: {key} in [tool.sagas] is {value!r}; expected a list of texts such as {_EXAMPLE}.",
    )


def _retention(file: Path, table: dict[str, object]) -> int | None:
    value = table.get("retention")
    return None if value is None else kept_ms(value, f"{file}: retention in [tool.sagas]")


def kept_ms(value: object, what: str) -> int:
    """How long topics keep records, as a span says it; -1 for ever. Raises CommandError."""
    try:
        kept = span_ms(value if isinstance(value, str) else "")
    except ValueError as error:
        raise CommandError(ExitCode.USAGE, f"{what} is {value!r}; {error}.") from None
    return -1 if kept is None else kept


def _wrong_type(entry: str, found: object, expected: str) -> CommandError:
    seen = f"the class {found.__name__}" if isinstance(found, type) else f"{found!r:.60}"
    return CommandError(ExitCode.USAGE, f"{entry} is {seen}; expected {expected}.")


def _last_line(error: BaseException) -> str:
    return traceback.format_exception_only(error)[-1].strip()


def _place(error: BaseException, directory: Path) -> str:
    """File and line where the project's own code raised it, or else where it was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(Path(error.filename), directory)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(Path(frame.filename), directory)]
    frame = (own or list(frames))[-1]
    return f"{_shown(Path(frame.filename), directory)}:{frame.lineno}"


def _is_own(file: Path, directory: Path) -> bool:
    return (
        file.is_relative_to(directory)
        and not file.is_relative_to(_FRAMEWORK)
        and "site-packages" not in file.parts
    )


def _shown(file: Path, directory: Path) -> str:
    return str(file.relative_to(directory) if file.is_relative_to(directory) else file)
