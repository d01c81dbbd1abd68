"""Where in the source something stands: ``events/orders.py:12``, as editors and terminals understand it."""

from __future__ import annotations

import inspect

__all__ = ["place_of_caller"]


def place_of_caller() -> str:
    """Where the function was called that asks; empty where Python does not say."""
    frame = inspect.currentframe()
    for _ in range(2):  # this function, and the one that asks
        frame = None if frame is None else frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
