"""How late timers were published. Whoever is on duty changes with every worker that comes or goes."""

from __future__ import annotations

import json
from collections.abc import Iterable

from campaign.records import Seen

__all__ = ["figures"]


def figures(records: Iterable[Seen]) -> dict[str, int]:
    """How many timers were published, and the delay of the latest, from due to its first record."""
    first: dict[str, int] = {}
    for one in records:
        if one.type == "sagas.TimerFired.v1" and one.place.topic.endswith(".control"):
            late_ms = one.time_ms - int(json.loads(one.value or b"{}")["due_ms"])
            first[one.id] = min(late_ms, first.get(one.id, late_ms))
    return {
        "timers published": len(first),
        "milliseconds by which the latest of them was late": max(first.values(), default=0),
    }
