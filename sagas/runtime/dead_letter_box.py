"""A service's dead letters as people see them: which are open, sent again, or set aside for good.

Owns the fold of a dead-letter topic, and the records that resolve a letter. A letter is named by where the
original record was read: written twice, it is one letter. Nothing is deleted; a letter that was resolved
once stays so, in whatever order its records are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sagas.core.errors import WORDS_MAX, SagaError
from sagas.ports import Broker, BrokerAdmin, Clock, OutgoingRecord, Record
from sagas.wire.headers import Headers
from sagas.wire.topics import Topics

__all__ = ["DeadLetterBox", "How", "Letter", "NotReplayable", "Resolution", "fold"]


class NotReplayable(SagaError):
    """The letter says where the record is, and does not hold it."""


class How(StrEnum):
    """What became of a letter."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Who resolved a letter, why and when."""

    how: How
    by: str
    why: str
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A record that a service could not handle, as it was, and why. ``omitted``: it is not in here."""

    service: str
    topic: str
    partition: int
    offset: int
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: Headers = field(repr=False)
    reason: str
    exception: str
    time_ms: int
    omitted: bool = False
    resolution: Resolution | None = None

    @property
    def id(self) -> str:
        """``topic/partition/offset`` of the original record."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def saga(self) -> str | None:
        """The saga that the record names."""
        return self._text("ce_saganame")

    @property
    def saga_id(self) -> str | None:
        """The saga instance that the record names or, where it names none, its key."""
        named = self._text("ce_sagaid")
        if named is None and self.key:
            return self.key.decode(errors="replace")
        return named

    @property
    def event_type(self) -> str | None:
        """The event type that the record names."""
        return self._text("ce_type")

    def _text(self, name: str) -> str | None:
        value = dict(self.headers).get(name)
        return None if value is None else value.decode(errors="replace")


class DeadLetterBox:
    """The dead letters of one service. ``broker`` is used to replay and discard only."""

    def __init__(
        self, service: str, *, topics: Topics, broker: Broker, admin: BrokerAdmin, clock: Clock
    ) -> None:
        self.service = service
        self.topic = topics.dead_letters(service)
        self._broker = broker
        self._admin = admin
        self._clock = clock

    async def letters(self, *, include_resolved: bool = False) -> Sequence[Letter]:
        """The letters that are in the topic now, newest first.

        Raises BrokerUnavailable, and SettingsError for a topic that is missing.
        """
        records = [record async for record in self._admin.read_to_end(self.topic)]
        return [one for one in fold(records) if include_resolved or one.resolution is None]

    async def replay(self, letter: Letter, *, by: str, why: str) -> None:
        """Publish the original record to its topic, bytes untouched, then note that it was.

        At-least-once: after a crash between the two the letter is open, and replaying it again changes
        nothing. A record that fails again is another letter. Raises NotReplayable, BrokerUnavailable,
        and SettingsError for a topic that is missing.
        """
        if letter.omitted:
            raise NotReplayable(
                f"{letter.id} can not be replayed: the record left no room for the failure's headers, "
                "so the letter does not hold it. It is on its topic for as long as that keeps it."
            )
        await self._broker.publish(
            OutgoingRecord(letter.topic, letter.key, letter.value, letter.headers)
        )
        await self.note(letter, How.REPLAYED, by=by, why=why)

    async def discard(self, letter: Letter, *, by: str, why: str) -> None:
        """Note that nothing is to be done about the letter. Raises BrokerUnavailable; safe to repeat."""
        await self.note(letter, How.DISCARDED, by=by, why=why)

    async def note(self, letter: Letter, how: How, *, by: str, why: str) -> None:
        """Note what became of the letter, and publish nothing else: another service may have the same
        record, which is replayed once for all. Raises BrokerUnavailable; safe to repeat.
        """
        said = {
            "dlq-resolved": how.value,
            "dlq-by": by,
            "dlq-why": why,
            "dlq-service": self.service,
            "dlq-topic": letter.topic,
            "dlq-partition": str(letter.partition),
            "dlq-offset": str(letter.offset),
            "dlq-time-ms": str(self._clock.now_ms()),
        }
        headers = tuple((name, text.encode()) for name, text in said.items())
        # The letter's own partition, where it can be had: retention takes the letter first.
        key = letter.id.encode() if letter.key is None else letter.key
        await self._broker.publish(OutgoingRecord(self.topic, key, None, headers))


Place = tuple[str, int, int]


def fold(records: Iterable[Record]) -> list[Letter]:
    """The letters of a dead-letter topic with their resolutions, newest first.

    What is neither, because somebody else wrote it, is passed over. Of two resolutions the first counts.
    """
    letters: dict[Place, Letter] = {}
    resolutions: dict[Place, Resolution] = {}
    for record in records:
        said = {name: value.decode(errors="replace") for name, value in record.headers}
        place = _place(said)
        if place is None:
            continue
        if "dlq-reason" in said:  # a record from outside may have said dlq-resolved itself
            letters.setdefault(place, _letter(place, record, said))
        elif said.get("dlq-resolved") in set(How):
            resolution = Resolution(
                How(said["dlq-resolved"]),
                by=said.get("dlq-by", ""),
                why=said.get("dlq-why", ""),
                time_ms=_time_ms(said, record),
            )
            known = resolutions.get(place)
            if known is None or resolution.time_ms < known.time_ms:
                resolutions[place] = resolution
    found = [replace(one, resolution=resolutions.get(place)) for place, one in letters.items()]
    return sorted(found, key=lambda one: (one.time_ms, one.id), reverse=True)


def _letter(place: Place, record: Record, said: dict[str, str]) -> Letter:
    topic, partition, offset = place
    names = [name for name, _ in record.headers]
    own = len(names) - 1 - names[::-1].index("dlq-reason")  # the failure's headers come last
    return Letter(
        service=said.get("dlq-service", ""),
        topic=topic,
        partition=partition,
        offset=offset,
        key=record.key,
        value=record.value,
        headers=record.headers[:own],
        reason=said["dlq-reason"][:WORDS_MAX],
        exception=said.get("dlq-exception", "")[:WORDS_MAX],
        time_ms=_time_ms(said, record),
        omitted="dlq-omitted" in names[own:],
    )


def _place(said: dict[str, str]) -> Place | None:
    partition, offset = _number(said.get("dlq-partition")), _number(said.get("dlq-offset"))
    topic = said.get("dlq-topic", "")
    if partition is None or offset is None or not _TOPIC.fullmatch(topic):
        return None
    return topic, partition, offset


_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""What Kafka takes as a name. What is listed is made to fit, and what is replayed goes there."""


def _time_ms(said: dict[str, str], record: Record) -> int:
    return _number(said.get("dlq-time-ms")) or max(0, record.timestamp_ms)


def _number(text: str | None) -> int | None:
    fits = text is not None and text.isascii() and text.isdigit() and len(text) < _DIGITS_MAX
    return int(text) if fits and text is not None else None


_DIGITS_MAX = 20
