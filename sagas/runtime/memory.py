"""Leaving before the memory is gone: who is killed in the middle has everything handled again by others.

Owns the watch. What a process may have, and has, it is told.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass

from sagas.core.errors import MemoryExhausted
from sagas.ports import Clock
from sagas.runtime.health import MemoryUse

__all__ = ["MemoryBound", "watch_memory"]

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBound:
    """``use`` says what is used of which limit, or None where that can not be known. A worker leaves above
    ``share_max`` of it.
    """

    use: Callable[[], MemoryUse | None]
    share_max: float = 0.9


async def watch_memory(bound: MemoryBound, clock: Clock) -> None:
    """Look every second; raises MemoryExhausted once there is too little left, and cleaning up did not help:
    what refers to itself waits for long in ``sagas run``.
    """
    while True:
        use = bound.use()
        if use is not None and use.share > bound.share_max:
            gc.collect()
            use = bound.use()
        if use is not None and use.share > bound.share_max:
            raise MemoryExhausted(
                f"{use.words()}, more than {bound.share_max:.0%}: the worker has finished what it had "
                "begun and left. Start it again; if it comes back soon, give it more memory or a "
                "smaller SAGAS_BACKLOG_MAX."
            )
        await clock.sleep(_LOOK_S)
