"""What the topics hold of a saga's instances, decoded as its participants decode it.

Owns the reading for a rebuild: which topics, in which portions, and which records belong to the saga.
What a participant would make a dead letter is passed over. Changes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from sagas.core.errors import InvalidMessage
from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.instance import Instance
from sagas.core.refold import Found
from sagas.core.saga import Saga
from sagas.ports import Record, Row, TopicPartition
from sagas.restoring import TopicReader
from sagas.runtime.incoming import Incoming, decode_incoming
from sagas.wire.envelope import Envelope, decode_headers
from sagas.wire.ids import mark_of
from sagas.wire.stored import decode_event, decode_instance, encode_event
from sagas.wire.topics import Topics

__all__ = ["Histories", "Portion", "found_in_row"]


@dataclass(slots=True)
class Portion:
    """What some partitions hold: the events of each instance in the order of reading, and the highest
    generation that any record names, control messages included.
    """

    events: dict[str, list[Found]] = field(default_factory=dict)
    generation: int = 0
    records: int = 0


class Histories:
    """Reads the history of one saga. ``sagas`` are all that the reader knows: two that start on one topic
    make a record without a type mean nothing.
    """

    def __init__(
        self,
        saga: type[Saga],
        sagas: Collection[type[Saga]],
        *,
        topics: Topics,
        reader: TopicReader,
    ) -> None:
        definition = saga.definition
        self._saga = saga
        self._reader = reader
        self._start_topic = topics.events(definition.start.service)
        self._start_type = definition.start.done[0]
        self._starts = {self._start_type}.union(
            former for former, current in definition.upcasts if current == self._start_type
        )
        starting = [
            one for one in sagas if topics.events(one.definition.start.service) == self._start_topic
        ]
        self._is_sole_start = len(starting) == 1 and len(definition.start.done) == 1
        self._topics = (
            *(topics.events(service) for service in definition.services),
            topics.control(definition.saga),
        )

    async def portions(self, partition: int | None = None) -> Sequence[Sequence[TopicPartition]]:
        """Partitions to be read together: all of one number, because that is where an instance's events
        are, or everything at once where topics differ in their partitions. Only the portion of one
        ``partition``, if that is given. Raises BrokerUnavailable.
        """
        there = await self._reader.describe_topics()
        topics = {name: there[name].partitions for name in self._topics if name in there}
        if len(set(topics.values())) > 1:
            return [[TopicPartition(name, n) for name in topics for n in range(topics[name])]]
        numbers = range(max(topics.values(), default=0))
        return [
            [TopicPartition(name, number) for name in topics]
            for number in numbers
            if partition in {None, number}
        ]

    async def generation(self) -> int:
        """The highest generation of which the saga's control topic tells. Raises BrokerUnavailable."""
        there, highest = await self._reader.describe_topics(), 0
        control = self._topics[-1]
        numbers = range(there[control].partitions if control in there else 0)
        async for record in self._records([TopicPartition(control, n) for n in numbers]):
            with suppress(InvalidMessage):
                highest = max(highest, decode_headers(record.headers, b"", time_ms=0).generation)
        return highest

    async def read(
        self,
        partitions: Collection[TopicPartition],
        *,
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> Portion:
        """The events of the wanted instances that these partitions hold now. Raises BrokerUnavailable."""
        portion = Portion()
        async for record in self._records(partitions):
            portion.records += 1
            try:
                incoming = self._incoming(record, portion, wanted)
            except InvalidMessage:
                continue
            if incoming is not None and wanted(incoming.saga_id):
                portion.events.setdefault(incoming.saga_id, []).append(
                    _found(incoming, record.timestamp_ms)
                )
        return portion

    def _records(self, partitions: Collection[TopicPartition]) -> AsyncIterator[Record]:
        return self._reader.read_partitions(partitions)

    def _incoming(
        self, record: Record, portion: Portion, wanted: Callable[[str], bool]
    ) -> Incoming | None:
        """The record as a message of the saga; None for anything else. Raises InvalidMessage."""
        envelope = decode_headers(record.headers, record.value or b"", time_ms=record.timestamp_ms)
        type_ = self._type_of(record, envelope)
        if type_ is None:
            return None
        portion.generation = max(portion.generation, envelope.generation)
        if type_ in CONTROL_EVENTS or (envelope.saga_id and not wanted(envelope.saga_id)):
            return None
        return decode_incoming(envelope, self._saga, type_)

    def _type_of(self, record: Record, envelope: Envelope) -> str | None:
        """The event type of a record of the saga. A start may name neither saga nor type."""
        if envelope.saga is not None:
            return envelope.type if envelope.saga == self._saga.name else None
        if envelope.type:
            return envelope.type if envelope.type in self._starts else None
        of_start = self._is_sole_start and record.topic == self._start_topic
        return self._start_type if of_start else None


def _found(incoming: Incoming, published_ms: int) -> Found:
    envelope = incoming.envelope
    return Found(
        fact=incoming.fact,
        generation=envelope.generation,
        seq=envelope.seq,
        mark=mark_of(incoming.fact.id),
        folded=envelope.folded,
        deadline_ms=envelope.trail.deadline_ms,
        stored=encode_event(envelope),
        published_ms=published_ms,
    )


def found_in_row(saga: type[Saga], saga_id: str, row: Row) -> tuple[Instance, list[Found]]:
    """What is left of a row: the instance, and its events, published where the row knows it. Those whose
    bytes it keeps no more are left out.

    Raises ContractViolation and InvalidMessage for a row that another version of the saga has written.
    """
    instance = decode_instance(saga.definition, saga_id, row.state)
    found = []
    for fact in instance.facts.values():
        stored = row.events.get(fact.kept_as)
        if stored is None:
            continue
        envelope = decode_event(stored, saga.name, saga_id, fact)
        deadline_ms = envelope.trail.deadline_ms
        found.append(
            Found(
                *(fact, envelope.generation, envelope.seq, mark_of(fact.id)),
                *(envelope.folded, deadline_ms, stored),
            )
        )
    return instance, found
