"""Looking through the saga table's index a page at a time, and counting in it, as protocols.

What is asked here costs by what is shown, not by what there is: a million instances are no slower to page
through than a hundred. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sagas.ports import Listed

__all__ = ["Cursor", "SagaListing"]


class Cursor(NamedTuple):
    """Where a page ended: an instance's last change, in milliseconds since the epoch, and its id.

    ``inclusive``: that very instance is still to come.
    """

    changed_at_ms: int
    saga_id: str
    inclusive: bool = False


class SagaListing(Protocol):
    """The index by status and last change. Not one snapshot: an instance that changes meanwhile may be
    missing, or be on the next page again; never twice on one.
    """

    async def page(
        self,
        saga: str,
        *,
        statuses: Sequence[str],
        limit: int,
        after: Cursor | None = None,
        since_ms: int = 0,
        until_ms: int | None = None,
        oldest_first: bool = False,
    ) -> Sequence[Listed]:
        """Up to ``limit`` instances in any of the statuses, last changed first, equal times by descending
        id; with ``oldest_first`` the other way round. ``after`` is where the page before ended.

        Only those that were last changed between ``since_ms`` and ``until_ms``, both included. Raises
        TableUnavailable.
        """

    async def count_since(
        self, saga: str, *, statuses: Sequence[str], since_ms: int
    ) -> Mapping[str, int]:
        """How many instances in each of the statuses were last changed since then, zeros included.

        Raises TableUnavailable.
        """
