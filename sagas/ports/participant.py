"""The participant's own database, as protocols: the journal of its effects, and the outbox.

Imported by way of ``sagas.ports``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from sagas.core.definition import Direction
from sagas.core.errors import RetriableError
from sagas.ports.records import OutgoingRecord

__all__ = [
    "InstanceKey",
    "Journal",
    "JournalKey",
    "JournalOutcome",
    "JournalUnavailable",
    "Outbox",
    "PrunableJournal",
    "Superseded",
    "Tombstone",
]


class JournalUnavailable(RetriableError):
    """The participant's database did not answer: the transaction may or may not be there."""


class Superseded(Exception):
    """An undo under a higher epoch is recorded: load the instance again and act on what it says."""


class Tombstone(Exception):
    """The step was undone before it was performed: its forward action must not take effect any more."""


class JournalKey(NamedTuple):
    """One action of one step of one instance. A forward action always has epoch 0."""

    saga: str
    saga_id: str
    step: str
    direction: Direction
    epoch: int = 0


InstanceKey = tuple[str, str]
"""A saga's name and the id of an instance."""


class JournalOutcome(NamedTuple):
    """What an action returned: an event's type on the wire and its encoded payload."""

    type: str
    payload: bytes


@runtime_checkable
class Journal(Protocol):
    """Makes a participant's effects exactly-once: outcome and effect commit in one transaction.

    The transaction is an object of the adapter's own kind (SQLAlchemy's ``AsyncConnection``), handed to
    the handler by its type.
    """

    async def forward(
        self,
        key: JournalKey,
        action: Callable[[object], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Run the action in a transaction and record its outcome; if an outcome is recorded already,
        return that one and leave no effect. Raises Tombstone if the step was undone before, and
        JournalUnavailable; any error of the action rolls back and is raised.

        What was recorded for the step before ``since_ms`` belongs to an earlier saga of the same id,
        which is forgotten: it counts as absent, and is deleted.
        """

    async def undo(
        self,
        key: JournalKey,
        action: Callable[[object, JournalOutcome | None], Awaitable[JournalOutcome]],
        *,
        since_ms: int = 0,
    ) -> JournalOutcome:
        """Like ``forward`` for an undo. The action gets the recorded outcome of the forward action, or
        None where there is none: then a tombstone is left, in the same transaction. A recorded refusal
        is passed as it is: the caller decides. Raises Superseded if an undo of the step with a higher
        epoch is recorded.
        """


@runtime_checkable
class PrunableJournal(Journal, Protocol):
    """A journal that can forget, so that it does not grow for ever."""

    async def aged(self, *, before_ms: int, skip: int, limit: int) -> Sequence[InstanceKey]:
        """The instance of each row that was recorded before, oldest row first, without the first ``skip``
        of them; an instance with several rows comes several times. Raises JournalUnavailable.
        """

    async def forget(self, instances: Collection[InstanceKey], *, before_ms: int) -> int:
        """Delete what was recorded for these instances before, and return how many rows that were.

        Safe to repeat. Raises JournalUnavailable.
        """


@runtime_checkable
class Outbox(Protocol):
    """Records that were stored in a service's own transaction and wait to be published."""

    async def add(self, transaction: object, record: OutgoingRecord) -> None:
        """Store the record in the caller's transaction."""

    async def relay(
        self, publish: Callable[[OutgoingRecord], Awaitable[None]], *, records_max: int
    ) -> int:
        """Publish the oldest stored records, in order per topic and key, forget what was acknowledged,
        and return how many. At-least-once; several relays at once do no harm. A record that cannot be
        published holds back the later ones of its key only. Raises JournalUnavailable and whatever
        ``publish`` raises, after the others were published.
        """
