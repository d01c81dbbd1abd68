"""The book of definitions: which ones workers have started with, and may have left sagas of behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["DefinitionBook"]


class DefinitionBook(Protocol):
    """Keeps definitions by saga and fingerprint. Lost with the saga table, written again at each start."""

    async def kept(self, saga: str) -> Mapping[str, bytes]:
        """The definitions of a saga by fingerprint. Raises TableUnavailable."""

    async def keep(self, saga: str, fingerprint: str, definition: bytes) -> None:
        """Write one down. Safe to repeat. Raises TableUnavailable."""

    async def forget(self, saga: str, fingerprint: str) -> None:
        """Strike one out, if it is there. Safe to repeat. Raises TableUnavailable."""
