"""How the saga table stands as a whole: prepared, lost, or being rebuilt. Owns what is said about it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagas.core.saga import Saga
from sagas.ports import BUCKETS

if TYPE_CHECKING:
    from sagas.restoring import RestorableTable

__all__ = ["Standing", "standing_of", "unprepared_words"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many of a saga's buckets are lost, or were never there, and how many are being rebuilt."""

    saga: str
    lost: int
    rebuilding: int

    @property
    def is_ready(self) -> bool:
        """Whether the table shows all there is."""
        return not self.lost and not self.rebuilding

    @property
    def is_blank(self) -> bool:
        """Whether nobody has prepared it since Redis was empty."""
        return self.lost == BUCKETS

    def words(self) -> str:
        """Why not all is shown."""
        if self.rebuilding:
            return (
                f"{self.saga}: {self.rebuilding} of {BUCKETS} buckets are being rebuilt from the topics; "
                "what they hold comes back one by one."
            )
        return (
            f"{self.saga}: {self.lost} of {BUCKETS} buckets are lost, so not all is shown. Running "
            "workers rebuild them from the topics; without any, `sagas rebuild` does."
        )


async def standing_of(table: RestorableTable, sagas: Sequence[type[Saga]]) -> list[Standing]:
    """Of each saga, in their order. Raises TableUnavailable."""
    markers = await asyncio.gather(*(table.markers(saga.name) for saga in sagas))
    return [
        Standing(
            saga.name,
            lost=sum(marker is None for marker in its),
            rebuilding=sum(marker is not None and marker.token is not None for marker in its),
        )
        for saga, its in zip(sagas, markers, strict=True)
    ]


def unprepared_words(sagas: Sequence[str], namespace: str) -> str:
    """What a table without any marker means."""
    return (
        f"No worker has prepared the saga table of {', '.join(sagas)} yet (namespace {namespace}): "
        "`sagas run` does. If sagas run elsewhere, SAGAS_NAMESPACE or SAGAS_REDIS is another here than "
        "there. If they have run here before, the table was lost; workers bring it back from the topics, "
        "or `sagas rebuild` does."
    )
