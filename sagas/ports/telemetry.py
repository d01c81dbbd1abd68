"""Who watches what happens: the port through which metrics and traces learn of it.

The runtime calls it where something has happened, in the worker's own turn of the event loop. So whoever
implements it must neither wait, nor raise, nor change anything, and brings clocks of its own: the core has
none. Where nobody watches there is no object at all, and what that costs is one look at ``None``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple, Protocol, Self

from sagas.core.controls import Control
from sagas.core.definition import Definition
from sagas.core.enabled import Action
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.ports import TopicPartition
from sagas.ports.records import OutgoingRecord
from sagas.wire.envelope import Envelope, Trail

__all__ = ["Gauges", "MessageInHand", "Telemetry", "Together", "Watch", "together"]


class MessageInHand(NamedTuple):
    """A message of one saga instance that a service begins to handle.

    ``published_ms`` is the time of its record; ``group`` the service's consumer group. ``retried`` says that
    it has waited in a retry topic since it was read first.
    """

    service: str
    group: str
    definition: Definition
    saga_id: str
    envelope: Envelope
    fact: Fact
    control: Control | None
    topic: str
    partition: int
    offset: int
    published_ms: int
    retried: bool = False


class Watch(Protocol):
    """Who watches the handling of one message. A message may be handled again, here or elsewhere."""

    def belongs(self, trail: Trail) -> None:
        """What travels with the message's saga, where the message itself does not say it: a timer, an
        operator's request, an answer from outside.
        """

    def performing(self, action: Action, at: Position) -> None:
        """An action is begun; its attempts follow."""

    def attempt(self, action: Action, number: int) -> AbstractContextManager[object]:
        """Entered around one call of the action's handler, in its task; an error has made it fail."""

    def postponed(self, action: Action, attempts: int) -> None:
        """After so many attempts the message waits in a retry topic for the next one."""

    def stored(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        """The row was written: of all who handle a message at once, for one of them.

        ``recorded`` is the event that was decided and written; ``folded`` says that the message's own event
        was written for the first time. ``before`` None means that there was no row.
        """

    def conflict(self) -> None:
        """Another worker had changed the row first."""


class Telemetry(Protocol):
    """Who watches the services of a process, their timers and their clients."""

    def message(self, message: MessageInHand) -> Watch | None:
        """The handling of a message begins; None where nobody cares about this one."""

    def observing(
        self, service: str, handler: str, envelope: Envelope
    ) -> AbstractContextManager[object]:
        """Entered around one call of an observer of that event."""

    def publishing(self, record: OutgoingRecord) -> AbstractContextManager[OutgoingRecord]:
        """Entered around the publication of what a client sends: a start, an answer, a cancellation.

        Gives what is to be published: the same record, in the trace of whoever calls.
        """

    def dead_lettered(self, service: str, error: Exception) -> None:
        """A record has become a dead letter of the service."""

    def timer_published(self, saga: str, late_ms: int) -> None:
        """A due timer was published, so much later than it was due."""


class Gauges(Protocol):
    """Who is told now and then how things stand."""

    def lags(self, service: str, lags: Mapping[TopicPartition, int]) -> None:
        """How many records of each partition of the service's worker are not finished."""

    def duty(self, service: str, saga: str, *, on_duty: bool) -> None:
        """Whether the service's worker publishes the timers of the saga."""

    def standing(self, saga: str, unfinished: Mapping[str, int], oldest_s: float) -> None:
        """How many instances stand in each status that is no end, and how old the oldest is."""

    def standing_unknown(self, saga: str) -> None:
        """Somebody else is to tell that now, or nobody knows it."""


class Together:
    """Several that watch, as one."""

    def __init__(self, telemetries: Sequence[Telemetry]) -> None:
        self._all = tuple(telemetries)

    def message(self, message: MessageInHand) -> Watch | None:
        """See ``Telemetry``."""
        found = (one.message(message) for one in self._all)
        watches = [watch for watch in found if watch is not None]
        return _Watches(watches) if len(watches) > 1 else next(iter(watches), None)

    def observing(
        self, service: str, handler: str, envelope: Envelope
    ) -> AbstractContextManager[object]:
        """See ``Telemetry``."""
        return _All([one.observing(service, handler, envelope) for one in self._all])

    @contextmanager
    def publishing(self, record: OutgoingRecord) -> Iterator[OutgoingRecord]:
        """See ``Telemetry``."""
        with ExitStack() as stack:
            for one in self._all:
                record = stack.enter_context(one.publishing(record))
            yield record

    def dead_lettered(self, service: str, error: Exception) -> None:
        """See ``Telemetry``."""
        for one in self._all:
            one.dead_lettered(service, error)

    def timer_published(self, saga: str, late_ms: int) -> None:
        """See ``Telemetry``."""
        for one in self._all:
            one.timer_published(saga, late_ms)


class _Watches:
    def __init__(self, watches: Sequence[Watch]) -> None:
        self._all = watches

    def belongs(self, trail: Trail) -> None:
        for one in self._all:
            one.belongs(trail)

    def performing(self, action: Action, at: Position) -> None:
        for one in self._all:
            one.performing(action, at)

    def attempt(self, action: Action, number: int) -> AbstractContextManager[object]:
        return _All([one.attempt(action, number) for one in self._all])

    def postponed(self, action: Action, attempts: int) -> None:
        for one in self._all:
            one.postponed(action, attempts)

    def stored(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        for one in self._all:
            one.stored(before, stored, recorded, folded=folded)

    def conflict(self) -> None:
        for one in self._all:
            one.conflict()


class _All(ExitStack):
    """Enters several when it is entered itself: what they set is set in the task that calls the handler."""

    def __init__(self, contexts: Sequence[AbstractContextManager[object]]) -> None:
        super().__init__()
        self._contexts = contexts

    def __enter__(self) -> Self:
        super().__enter__()
        for one in self._contexts:
            self.enter_context(one)
        return self


def together(telemetries: Sequence[Telemetry]) -> Telemetry | None:
    """All of them as one; None where there is none."""
    if len(telemetries) > 1:
        return Together(telemetries)
    return next(iter(telemetries), None)
