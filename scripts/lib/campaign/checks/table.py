"""What operators are shown against what the topics and the books say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from campaign.records import TERMINAL

__all__ = ["differences", "findings"]


def findings(
    listed: Sequence[Mapping[str, Any]],
    timers: Sequence[Mapping[str, Any]],
    *,
    accepted: Collection[str],
    told: Mapping[str, str],
    noted: Mapping[str, str],
) -> Iterator[str]:
    """``told``: ends on the topics that hold; ``noted``: ends that the observer has in its books."""
    table = {one["id"]: one for one in listed}
    for id_, times in Counter(one["id"] for one in listed).items():
        if times > 1:
            yield f"The table lists {id_} {times} times."
    for id_ in sorted(set(accepted) - table.keys()):
        yield f"The order {id_} was accepted, but the table does not know it."
    for id_ in sorted(table.keys() - set(accepted)):
        yield f"The table knows {id_}, which nobody has ordered."
    for id_, one in sorted(table.items()):
        yield from _end(one, told.get(id_), noted.get(id_))
    for timer in timers:
        if table.get(timer["id"], {}).get("status") != "PARKED":
            yield f"A timer is left of a saga that has ended: {dict(timer)}."


def differences(verified: Mapping[str, Any]) -> Iterator[str]:
    """What ``sagas verify`` has found."""
    for one in verified["differences"]:
        said = f"{one['kind']}: the table has {one['table']!r}, the topics {one['topics']!r}"
        yield f"Table and topics differ about {one['saga_id']}: {said}."


def _end(one: Mapping[str, Any], told: str | None, noted: str | None) -> Iterator[str]:
    id_, status = one["id"], one["status"]
    if status == "PARKED":
        if not one["reason"]:
            yield f"{id_} is parked without a reason: {dict(one)}."
    elif status not in TERMINAL:
        yield f"{id_} has not ended: it is {status} and waits for {one['waits_for']}."
    elif status != told:
        yield f"{id_} is {status} in the table; on the topics it has ended {told}."
    elif noted != status:
        yield f"{id_} is {status} in the table; the observer has noted {noted}."
