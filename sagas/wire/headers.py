"""Kafka's record headers, and the one look-up that runs before anything is decoded."""

from __future__ import annotations

__all__ = ["Headers", "header"]

Headers = tuple[tuple[str, bytes], ...]
"""Ordered; names may repeat."""


def header(headers: Headers, name: str) -> bytes | None:
    """The last value of a header, not decoded: what the filter looks at."""
    found = None
    for key, value in headers:
        if key == name:
            found = value
    return found
