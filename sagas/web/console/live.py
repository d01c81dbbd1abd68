"""Parts of pages that stay current: server-sent events, each of which holds the part as it is now.

Owns the pace. A part is rendered once a second for all who look at the same, and sent where it has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from starlette.responses import StreamingResponse

from sagas.core.errors import SagaError

__all__ = ["STREAMS_MAX", "Streams", "events_of"]

PACE_S = 1.0
_SILENCE_MAX = 15
"""A comment after so many turns without news, so that whoever is gone is noticed."""
STREAMS_MAX = 200

Render = Callable[[], Awaitable[str]]


class Streams:
    """Counts who looks: each costs a connection and some work a second."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing
        self._open = 0

    @property
    def are_full(self) -> bool:
        """Whether nobody else can be served."""
        return self._open >= STREAMS_MAX

    def response(self, render: Render, *, pace_s: float = PACE_S) -> StreamingResponse:
        """The stream of one part, until the browser leaves or the console ends."""
        return StreamingResponse(
            self._counted(render, pace_s),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    async def _counted(self, render: Render, pace_s: float) -> AsyncIterator[str]:
        if self.are_full:  # they came at the same moment
            yield _event("away", "Too many look already.")
            return
        self._open += 1
        try:
            async for event in events_of(render, self._closing, pace_s=pace_s):
                yield event
        finally:
            self._open -= 1


async def events_of(
    render: Render, closing: asyncio.Event, *, pace_s: float = PACE_S
) -> AsyncIterator[str]:
    """``part`` events with what is rendered, where it differs from the one before; ``away`` with what is
    wrong while it can not be rendered.
    """
    sent, silence = "", 0
    while not closing.is_set():
        try:
            event = _event("part", await render())
        except SagaError as error:
            event = _event("away", str(error))
        if event != sent:
            sent, silence = event, 0
            yield event
        else:
            silence += 1
            if silence >= _SILENCE_MAX:
                silence = 0
                yield ": still there\n\n"
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), pace_s)


def _event(name: str, data: str) -> str:
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"event: {name}\n{lines}\n"
