"""Former versions of events in a JSON definition.

Owns what their names can mean. What is made of them stands in Python: JSON says that there is a way, and
``sagas generate`` writes the function that is to be filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagas.language import names
from sagas.language.declaration import Fields
from sagas.language.document import Document
from sagas.language.places import Located, Path, Problem

__all__ = ["formers_meant", "problems_of_formers"]


def formers_meant(document: Document, types: Sequence[str]) -> Iterator[tuple[str, str, Fields]]:
    """Each former version by its whole name, what it is now, and its fields; those that are in order."""
    for said, words in document.formers.items():
        now = names.found(words.now, types)
        old = names.emitted(said, now[0].partition(".")[0]) if len(now) == 1 else None
        if old is not None:
            yield old, now[0], words.fields


def problems_of_formers(at: Located, document: Document, types: Sequence[str]) -> Iterator[Problem]:
    """What can not be meant, at its place."""
    seen: dict[str, str] = {}
    for said, words in document.formers.items():
        place: Path = ("formers", said)
        now = names.found(words.now, types)
        if len(now) != 1:
            known = [names.shortest(type_, types) for type_ in types]
            several = f"it may be {' or '.join(now)}" if now else names.nearest(words.now, known)
            yield at.problem((*place, "now"), f"{words.now} is no one event of the saga; {several}")
            continue
        publisher = now[0].partition(".")[0]
        old = names.emitted(said, publisher)
        if old is None:
            told = f"{now[0]} is published by {publisher}, and so were its former versions."
            yield at.problem(place, told, name=True)
        elif old in types or old in (document.retired or ()):
            told = f"{old} is an event of the saga as well; a former version is nothing else there."
            yield at.problem(place, told, name=True)
        elif old in seen:
            told = f"{seen[old]} is the same event; keep one of them."
            yield at.problem(place, told, name=True)
        else:
            seen[old] = said
        if document.key in words.fields:
            told = f"{document.key} is the key, which every event has; leave it out."
            yield at.problem((*place, "fields", document.key), told, name=True)
    for retired in document.retired or ():
        if retired in types:
            told = f"the saga still has {retired}; leave it out, or its task."
            yield at.problem(("retired",), told)
