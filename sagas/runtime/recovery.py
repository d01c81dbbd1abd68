"""What a worker does about a saga table that has lost buckets: it notices, rebuilds, and goes on.

Owns when a rebuild is begun. Everybody else only waits: a call to a lost
bucket is repeated until the bucket is ready again (``Patience``), which pauses the work on it.
"""

from __future__ import annotations

import asyncio

import structlog

from sagas.core.errors import RetriableError
from sagas.ports import BUCKETS, Clock
from sagas.restoring import TableLost, TableRebuilding
from sagas.runtime.patience import Patience
from sagas.runtime.rebuild import Rebuild

__all__ = ["Recovery"]

LOOK_S = 5.0
"""So often somebody looks whether a bucket is lost: timers that are lost wake nobody."""

PAUSE_S = 0.5
"""Before another look at a bucket that somebody else rebuilds."""

_log = structlog.get_logger()


class Recovery:
    """The recovery of one saga in one process. ``run`` it beside the workers."""

    def __init__(self, saga: str, rebuild: Rebuild, *, clock: Clock) -> None:
        self._saga = saga
        self._rebuild = rebuild
        self._clock = clock
        self._patience = Patience(clock)
        self._heard = asyncio.Event()

    def heard(self, error: RetriableError) -> None:
        """Somebody's call has failed: look at once if that was for a loss."""
        if isinstance(error, TableLost | TableRebuilding):
            self._heard.set()

    async def run(self) -> None:
        """Watch over the saga's buckets until cancelled."""
        while True:
            self._heard.clear()
            await self.recover()
            await self._pause()

    async def recover(self) -> None:
        """Return once every bucket of the saga is ready: by a rebuild here, or by somebody else's."""
        told = False
        while unready := await self._patience.insist(self._rebuild.unready):
            if not told:
                _log.warning("table.lost", saga=self._saga, buckets=len(unready), of=BUCKETS)
                told = True
            try:
                done = await self._rebuild.run()
            except RetriableError as error:
                _log.warning("rebuild.failed", saga=self._saga, error=str(error))
                done = None
            if done is None:
                await self._clock.sleep(PAUSE_S)

    async def _pause(self) -> None:
        waits = [
            asyncio.ensure_future(one) for one in (self._heard.wait(), self._clock.sleep(LOOK_S))
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
