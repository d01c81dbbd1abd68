"""Kafka's record headers."""

from __future__ import annotations

__all__ = ["Headers"]

Headers = tuple[tuple[str, bytes], ...]
"""Ordered; names may repeat, the last one counts."""
