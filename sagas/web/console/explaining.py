"""Explanations for pages: made anew when the saga has changed, or after ten seconds, however many look.

Owns how long one stands. What it says is ``sagas.operating.explaining``'s, as for ``sagas explain``.
"""

from __future__ import annotations

import time

from sagas.core.saga import Saga
from sagas.operating.explainer import Explainer
from sagas.operating.explaining import Explanation
from sagas.ports import Stamp
from sagas.web.console.state import Console

__all__ = ["explained"]

_FRESH_MS = 10_000
_KEPT_MAX = 500


async def explained(console: Console, saga: type[Saga], saga_id: str, stamp: Stamp) -> Explanation:
    """What is to be said of the saga at that version. Raises Away and TableUnavailable."""
    key, now_ms = (saga.name, saga_id), time.time_ns() // 1_000_000
    known = console.explanations.get(key)
    if known is not None and known[1] == stamp and now_ms - known[0] < _FRESH_MS:
        return known[2]
    servers = console.servers
    async with servers.lookout(console.sagas, console.services) as lookout:
        told = await Explainer(lookout, [saga], servers.where).explain(saga_id)
    if len(console.explanations) >= _KEPT_MAX:
        console.explanations.clear()
    console.explanations[key] = (now_ms, stamp, told)
    return told
