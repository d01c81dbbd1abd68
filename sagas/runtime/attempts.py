"""The attempts at what one message enables: how many there were, and who brings the next one.

Owns the notes about attempts and the decision between a pause in the process and a retry topic. A note is
a hint: what has to happen is secured by records on Kafka and, behind those, by a timer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NamedTuple

import structlog

from sagas.core.controls import Control, RetryNow
from sagas.core.enabled import Action
from sagas.core.instance import Fact
from sagas.core.position import Position
from sagas.core.timers import RETRY, retry_name
from sagas.ports import Clock, MessageTooLarge, Record, SagaTable, TableUnavailable
from sagas.runtime.retry_topics import RetryTopics
from sagas.wire.notes import AttemptNote, attempt_note, encode_attempts
from sagas.wire.retried import Retried

__all__ = ["Attempts", "InHand"]

_log = structlog.get_logger()


class InHand(NamedTuple):
    """The record of a message, as it was read first; ``retried`` is there if it has waited since."""

    record: Record
    retried: Retried | None = None


class Attempts:
    """The attempts with one message in hand."""

    def __init__(
        self,
        saga: str,
        saga_id: str,
        in_hand: InHand,
        *,
        control: Control | None,
        table: SagaTable,
        topics: RetryTopics,
        clock: Clock,
    ) -> None:
        self._saga = saga
        self._saga_id = saga_id
        self._in_hand = in_hand
        self._control = control
        self._table = table
        self._topics = topics
        self._clock = clock
        self._notes: Mapping[str, str] = MappingProxyType({})

    def loaded(self, notes: Mapping[str, str]) -> None:
        """The row was read, with these notes."""
        self._notes = notes

    def waits(self, action: Action, at: Position) -> bool:
        """Whether another record, in a retry topic, brings the next attempt, later than now.

        An operator who wants it tried now does not wait.
        """
        if not self._notes:
            return False
        note, retried = self._note(action, at), self._in_hand.retried
        if note is None or not note.elsewhere or isinstance(self._control, RetryNow):
            return False
        if retried and self._is_for(action, retried) and retried.due_ms >= note.next_ms:
            return False  # this is that record
        return note.next_ms > self._clock.now_ms()

    @staticmethod
    def _is_for(action: Action, retried: Retried) -> bool:
        step, direction, epoch = action.step.name, action.direction, action.epoch
        return (retried.step, retried.direction, retried.epoch) == (step, direction, epoch)

    def made(self, action: Action, at: Position) -> int:
        """How many attempts have failed so far, by the note or by the record in hand."""
        if not self._notes and self._in_hand.retried is None:
            return 0
        note, retried = self._note(action, at), self._in_hand.retried
        noted = 0 if note is None else note.attempts
        if retried is None or not self._is_for(action, retried):
            return noted
        return max(noted, retried.attempts if retried.resumed == at.instance.resumptions else 0)

    def _note(self, action: Action, at: Position) -> AttemptNote | None:
        if not self._notes:
            return None
        return attempt_note(self._notes, _name(action), resumed=at.instance.resumptions)

    async def failed(
        self, action: Action, at: Position, attempts: int, error: str, pause_s: float
    ) -> bool:
        """An attempt has failed and there is to be another after that pause: note it.

        True if the message in hand now waits in a retry topic: published first, noted then, so that
        whoever reads the note may rely on the record.
        """
        now_ms = self._clock.now_ms()
        resumed = at.instance.resumptions
        due_ms = self._topics.due_ms(round(pause_s * 1000), now_ms)
        if due_ms is not None:
            retried = self._retried_of(
                action, attempts=attempts, resumed=resumed, error=error, due_ms=due_ms
            )
            try:
                topic = await self._topics.put(self._in_hand.record, retried)
            except MessageTooLarge:
                due_ms = None  # there is no room for our headers: it waits here
            else:
                _log.info("retry.scheduled", attempt=attempts + 1, topic=topic, due_ms=due_ms)
        next_ms = now_ms + round(pause_s * 1000) if due_ms is None else due_ms
        note = AttemptNote(attempts, now_ms, next_ms, error, due_ms is not None, resumed)
        await self._annotate(_name(action), note)
        return due_ms is not None

    def _retried_of(
        self, action: Action, *, attempts: int, resumed: int, error: str, due_ms: int
    ) -> Retried:
        record = self._in_hand.record
        return Retried(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            time_ms=record.timestamp_ms,
            step=action.step.name,
            direction=action.direction,
            epoch=action.epoch,
            attempts=attempts,
            resumed=resumed,
            error=error,
            release_ms=due_ms,
            due_ms=due_ms,
        )

    async def _annotate(self, name: str, note: AttemptNote) -> None:
        """Keep the note. One that can not be kept now is not worth waiting for."""
        text = encode_attempts(note)
        wake_ms = note.next_ms + self._topics.settings.wake_after_ms if note.elsewhere else None
        self._notes = {**self._notes, name: text}
        try:
            await self._table.annotate(self._saga, self._saga_id, name, text, due_ms=wake_ms)
        except TableUnavailable as error:
            _log.warning("note.lost", note=name, error=str(error))

    def cleared_by(self, recorded: Fact | None, stored: Position) -> Collection[str]:
        """The notes that go with a write: those of the action that has its outcome, or of a saga at
        its end all.
        """
        if not self._notes:
            return ()
        if stored.place.model.phase.is_terminal:
            return self._notes.keys()
        if recorded is None:
            return ()
        name = retry_name(recorded.step, recorded.direction)
        return [noted for noted in self._notes if noted == name or noted.startswith(f"{name}/")]

    async def settle(self, timer: str, at: Position) -> None:
        """Clear a timer that had the service look whether an attempt is missing, unless one is to come."""
        note = attempt_note(self._notes, timer, resumed=at.instance.resumptions)
        if timer.startswith(RETRY) and (note is None or note.next_ms <= self._clock.now_ms()):
            await self._table.annotate(self._saga, self._saga_id, timer, None)


def _name(action: Action) -> str:
    return retry_name(action.step.name, action.direction, action.epoch)
