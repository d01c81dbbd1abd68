"""Declarations as text, run and checked: the pages of ``docs/checks``, and the cases here."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sagas import DefinitionError, Saga, Service
from sagas.checks import Deployed, Finding, Subject, check, declared
from sagas.core.problems import Problem

__all__ = ["EVENTS", "PAGES", "blocks", "codes", "findings", "made"]

PAGES = Path(__file__).resolve().parents[2] / "docs" / "checks"

_BLOCK = re.compile(r"^```(?:py|python)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    """The code of a page, block by block."""
    return [found["code"] for found in _BLOCK.finditer((PAGES / page).read_text())]


EVENTS = blocks("README.md")[-1]
"""The imports and events that the pages leave out."""


def findings(source: str) -> list[Finding | Problem]:
    """What is found in the sagas and services of a text: findings, or the problems that refuse it at import.

    A saga that is called ``Deployed`` is what runs already.
    """
    events = made("")
    try:
        names = made(source)
    except DefinitionError as error:
        return list(error.problems)
    new = [value for name, value in names.items() if name not in events]
    sagas = [one for one in new if isinstance(one, type) and issubclass(one, Saga)]
    return list(
        check(
            Subject(
                sagas=tuple(declared(one) for one in sagas if one.__name__ != "Deployed"),
                services=tuple(one for one in new if isinstance(one, Service)),
                deployed=tuple(_deployed(one) for one in sagas if one.__name__ == "Deployed"),
            )
        )
    )


def made(source: str) -> dict[str, Any]:
    """What a text makes, by name, the events included."""
    names: dict[str, Any] = {"__name__": "declaration"}
    _run(EVENTS, names, "<events>")
    _run(source, names, "<declaration>")
    return names


def codes(found: Iterable[Finding | Problem]) -> list[str]:
    """The codes alone, each once, in order."""
    return sorted({one.code for one in found})


def _deployed(saga: type[Saga]) -> Deployed:
    schemas = {name: event.model_json_schema() for name, event in saga.events.items()}
    return Deployed(saga.definition, schemas)


def _run(source: str, names: dict[str, Any], file: str) -> None:
    """Run it so that Python knows its source: some checks read that of handlers."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec", dont_inherit=True), names)
