"""The book of definitions in this process's memory."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MemoryDefinitionBook"]


class MemoryDefinitionBook:
    """A ``DefinitionBook`` that ends with the process."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, bytes]] = {}

    async def kept(self, saga: str) -> Mapping[str, bytes]:
        """The definitions of a saga by fingerprint."""
        return dict(self._kept.get(saga, {}))

    async def keep(self, saga: str, fingerprint: str, definition: bytes) -> None:
        """Write one down."""
        self._kept.setdefault(saga, {})[fingerprint] = definition

    async def forget(self, saga: str, fingerprint: str) -> None:
        """Strike one out."""
        self._kept.get(saga, {}).pop(fingerprint, None)
