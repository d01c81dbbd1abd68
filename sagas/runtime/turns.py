"""The order within a saga: a message is handled after the one before it of the same key, whatever its topic.

Owns who is last, and who waits for whom. Begins nothing: whoever lets a message be handled makes the task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from sagas.ports import Record
from sagas.runtime.dispatch import Dispatch
from sagas.runtime.subscription import Interest
from sagas.wire.retried import Retried

__all__ = ["Turns"]


class Turns:
    """The turns of one worker's messages. ``last`` has the last task of each key that is not finished, which
    whoever makes it writes there and takes out; ``waits``, whose end each waits for.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self._handle = dispatch.handle
        self.last: dict[bytes, asyncio.Task[None]] = {}
        self.waits: dict[asyncio.Task[None], asyncio.Task[None]] = {}

    def handling(
        self, record: Record, interest: Interest, retried: Retried | None = None
    ) -> Coroutine[None, None, None]:
        """The handling of a record when its turn comes, to be a task, or awaited by one."""
        previous = self.last.get(record.key or b"")
        if previous is None:  # as mostly: nothing is between the task and the handling
            return self._handle(record, interest, retried)
        return self._after(previous, record, interest, retried)

    async def _after(
        self,
        previous: asyncio.Task[None],
        record: Record,
        interest: Interest,
        retried: Retried | None,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that awaits has one
        self.waits[task] = previous
        try:
            await asyncio.wait((previous,))
        finally:
            del self.waits[task]
        await self._handle(record, interest, retried)
