"""Whether events that are recorded can be read under another declaration.

Owns the comparison of what events and records hold. What is gone is no problem, for unknown fields are
ignored; nor is what is new and may be absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from sagas.language.declaration import Declaration, Fields
from sagas.language.fields import NO_DEFAULT, FieldType, said

__all__ = ["unreadable"]


def unreadable(old: Declaration, new: Declaration) -> list[str]:
    """Why events of the old declaration may not be readable under the new one, in words."""
    found = []
    if old.key_type != new.key_type:
        found.append(f"the key {new.definition.key} was {old.key_type}, is {new.key_type}")
    for type_ in old.event_types():
        if type_ in new.formers:
            found.extend(_changed(type_, old.events.get(type_, {}), new.formers[type_]))
        if type_ in new.event_types():
            before, after = old.events.get(type_, {}), new.events.get(type_, {})
            found.extend(_changed(type_, before, after))
    for record in old.records.keys() & new.records.keys():
        found.extend(_changed(record, old.records[record], new.records[record]))
    return sorted(found)


def _changed(name: str, old: Fields, new: Fields) -> Iterator[str]:
    for field, kind in new.items():
        if field not in old:
            if not kind.has_default:
                yield f"{name}: {field} is new and has to be there, and what is recorded has none"
        elif _bare(old[field]) != _bare(kind):
            yield f"{name}: {field} was {_told(old[field])}, is {_told(kind)}"
        elif old[field].has_default and not kind.has_default:
            yield f"{name}: {field} has to be there now, and may be absent where it is recorded"


def _bare(kind: FieldType) -> FieldType:
    """The field without what it is where it is absent, and without what no payload shows."""
    of = None if kind.of is None else _bare(kind.of)
    return replace(kind, of=of, default=NO_DEFAULT, optional=False, personal=False)


def _told(kind: FieldType) -> str:
    return json.dumps(said(_bare(kind)), ensure_ascii=False)
