"""The retry topics of one service: where a message waits for its next attempt, and how it comes back.

Owns the choice of the delay and what is put around a record. One topic for each delay, so that what is in
a partition is due in its order, and whoever reads it waits for one record at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sagas.ports import Broker, Clock, OutgoingRecord, Record
from sagas.runtime.patience import Patience
from sagas.wire.retried import Retried, decode_retried, encode_retried
from sagas.wire.topics import RETRY_TIERS_MS, Topics

__all__ = ["RetrySettings", "RetryTopics", "original_of"]

_FAR = 1.5
_NEARLY = 0.9
"""The time between the choice of a tier and the record's going there must not make it another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Where a pause between two attempts is spent.

    One of up to ``in_process_max_ms`` in the process, a longer one in the topic of the nearest of
    ``tiers_ms``. If the record that waits is lost, a timer wakes the service ``wake_after_ms`` after it
    was due.
    """

    tiers_ms: tuple[int, ...] = RETRY_TIERS_MS
    in_process_max_ms: int = 5_000
    wake_after_ms: int = 60_000


class RetryTopics:
    """Puts records into the retry topics of a service, and makes the original of what comes out."""

    def __init__(
        self,
        service: str,
        *,
        topics: Topics,
        broker: Broker,
        clock: Clock,
        patience: Patience,
        settings: RetrySettings,
    ) -> None:
        self._topics = {delay: topics.retry(service, delay) for delay in settings.tiers_ms}
        self._broker = broker
        self._clock = clock
        self._patience = patience
        self.settings = settings
        self.names = frozenset(self._topics.values())

    def due_ms(self, pause_ms: int, now_ms: int) -> int | None:
        """When an attempt after that pause is made, or None if the pause is to be spent in the process.

        A pause is rounded to the nearest tier, by ratio. One that is much longer than all of them is kept
        as it is: its record goes through several, one after the other.
        """
        if pause_ms <= self.settings.in_process_max_ms or not self._topics:
            return None
        if pause_ms > _FAR * max(self._topics):
            return now_ms + pause_ms
        return now_ms + min(self._topics, key=lambda tier: max(tier / pause_ms, pause_ms / tier))

    async def put(self, original: Record, retried: Retried) -> str:
        """Publish the record to the tier that fits ``due_ms``, whatever it says of ``release_ms``, and
        return the topic once it is acknowledged.

        At-least-once. Raises MessageTooLarge where the record leaves no room for our headers.
        """
        now_ms = self._clock.now_ms()
        left_ms = retried.due_ms - now_ms
        fitting = [tier for tier in self._topics if tier * _NEARLY <= left_ms]
        tier_ms = max(fitting, default=min(self._topics))
        waits = replace(retried, release_ms=min(retried.due_ms, now_ms + tier_ms))
        topic = self._topics[tier_ms]
        outgoing = OutgoingRecord(
            topic, original.key, original.value, encode_retried(original.headers, waits)
        )
        await self._patience.insist(lambda: self._broker.publish(outgoing))
        return topic

    async def put_again(self, original: Record, retried: Retried) -> bool:
        """Whether the attempt is due later than the record was released: then it waits once more. For a
        rest that would be spent in the process nobody waits.
        """
        left_ms = retried.due_ms - self._clock.now_ms()
        if left_ms <= self.settings.in_process_max_ms or retried.release_ms >= retried.due_ms:
            return False
        await self.put(original, retried)
        return True


def original_of(record: Record) -> tuple[Record, Retried]:
    """The record as it was read first, and why it has waited. Raises InvalidMessage."""
    headers, retried = decode_retried(record.headers)
    original = Record(
        topic=retried.topic,
        partition=retried.partition,
        offset=retried.offset,
        key=record.key,
        value=record.value,
        headers=headers,
        timestamp_ms=retried.time_ms,
    )
    return original, retried
