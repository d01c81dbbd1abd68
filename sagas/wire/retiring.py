"""A stored state without the events of steps that are gone.

Owns the rewriting of the bytes, so that what reads them need not know of it. Such an event means nothing to
the definition any more: a rebuild passes its record over, and this gives a row the same form.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Collection, Sequence
from typing import Any

from pydantic_core import from_json, to_json

__all__ = ["ID_DIGITS", "unpacked", "without_retired"]

ID_DIGITS = 32
"""So many hex digits have our own ids."""
_CAUSE, _SAME = 2, 6
"""Columns of an event in the state: see ``wire.stored``."""


def unpacked(packed: str) -> list[str]:
    """The ids of an instance that has ended, which are kept as one text. Raises ValueError."""
    digits = a2b_base64(packed, strict_mode=True).hex()
    return [digits[at : at + ID_DIGITS] for at in range(0, len(digits), ID_DIGITS)]


def without_retired(retired: Collection[str], state: bytes) -> bytes:
    """The state without the events of these types; as it is where it has none, or can not be read.

    What names a retired event as its cause names one that is not recorded. What it had turned back, or
    parked, is left as it is: the definition does not know it, and says so.
    """
    code, _, own = state.partition(b"\n")
    try:
        phase, turned_by, in_flight, parked, rows = from_json(code)
        gone = {index for index, row in enumerate(rows) if row[0] in retired}
        if not gone or 0 in gone or gone.intersection([turned_by, *parked]):
            return state
        deadline_ms, ids, times, outside = from_json(own)
        ids = unpacked(ids) if isinstance(ids, str) else ids
        outside = list(outside)
        kept = [index for index in range(len(rows)) if index not in gone]
        now = {index: number for number, index in enumerate(kept)}
        left = [_row(rows[index], now, ids, outside) for index in kept]
        place = [
            phase,
            None if turned_by is None else now[turned_by],
            in_flight,
            [now[number] for number in parked],
            left,
        ]
        mine = [
            deadline_ms,
            [ids[index] for index in kept],
            [times[index] for index in kept],
            outside,
        ]
    except (ValueError, TypeError, IndexError, KeyError):
        return state
    return to_json(place) + b"\n" + to_json(mine)


def _row(
    row: Sequence[Any], now: dict[int, int], ids: Sequence[str], outside: list[str]
) -> list[Any]:
    columns = list(row)
    cause = columns[_CAUSE]
    if cause is not None and cause >= 0:
        columns[_CAUSE] = now[cause] if cause in now else _outside(ids[cause], outside)
    if len(columns) > _SAME:
        same = now.get(columns.pop())
        columns += [] if same is None else [same]
    return columns


def _outside(id_: str, outside: list[str]) -> int:
    if id_ not in outside:
        outside.append(id_)
    return -1 - outside.index(id_)
