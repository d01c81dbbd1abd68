"""Waiting for what others do, with a deadline; servers that are away meanwhile are part of the waiting."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

__all__ = ["Overdue", "until"]

_LOOK_S = 0.25


class Overdue(Exception):
    """What was waited for has not come."""


async def until(what: str, holds: Callable[[], Awaitable[bool]], *, timeout_s: float) -> None:
    """Wait until it holds. Raises Overdue, which says what was waited for."""
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                with contextlib.suppress(KafkaError, OSError):
                    if await holds():
                        return
                await asyncio.sleep(_LOOK_S)
    except TimeoutError as error:
        raise Overdue(f"{what}: not within {timeout_s:g} s") from error
