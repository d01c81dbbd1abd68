"""The real workers on memory adapters, while members come, go, die and are forgotten.

Owns one run: the sagas, the participants' books, the workers and everything that happens to them, all of
it from one seed and in virtual time. What is asked of the run afterwards is in ``checkers``.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

from sagas.adapters.memory.broker import MemoryBroker
from sagas.adapters.memory.journal import MemoryJournal
from sagas.core.definition import Definition, Direction
from sagas.core.instance import Instance, SagaStatus
from sagas.core.retry import Retry
from sagas.core.saga import Saga
from sagas.ports import OutgoingRecord, Record, TopicPartition
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.runtime.histories import Histories
from sagas.runtime.incoming import decode_incoming
from sagas.runtime.outside import start_record
from sagas.runtime.rebuild import Means
from sagas.runtime.verification import Difference, Verification
from sagas.runtime.waking import Waker
from sagas.runtime.worker import WorkerSettings
from sagas.wire.envelope import Trail, decode_headers, encode_headers
from sagas.wire.headers import Headers
from sagas.wire.stored import decode_event, decode_instance
from sagas.wire.topics import Topics
from tests.simulation.built import Books, Participants, saga_of
from tests.simulation.checkers import violations
from tests.simulation.faulty import (
    FaultyBroker,
    FaultyConsumer,
    FaultyJournal,
    FaultyReader,
    FaultyTable,
    Trouble,
)
from tests.simulation.forgetful import ForgetfulTable
from tests.simulation.model import Model
from tests.simulation.parts import Participant, Plan
from tests.simulation.virtual import Clock, run

__all__ = ["Storm", "Weather"]

_REST_WITHIN_S = 3600.0
"""Virtual time within which everything ends once nothing goes wrong any more."""


@dataclass(frozen=True, slots=True)
class Weather:
    """What may go wrong: chance of a lost call, and how often what happens to workers and records.

    ``pause_s`` is the pause after a failed attempt, where it is not the usual one; ``losses`` the chance
    of a table that loses all, or its last writes, after each of what happens.
    """

    lost: float = 0.05
    happenings: int = 8
    sagas: int = 3
    pause_s: float | None = None
    stumbles: int = 2
    losses: float = 0.0


class Numbers:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        self._last += 1
        return f"{self._last:032x}"


@dataclass(eq=False)
class Member:
    """A worker of a service, and the consumers that it made."""

    service: str
    runner: ServiceRunner
    broker: FaultyBroker
    task: asyncio.Task[None]

    @property
    def consumers(self) -> list[FaultyConsumer]:
        return self.broker.consumers

    def die(self) -> None:
        """Cut off where it stands: nothing more is done, and nothing committed."""
        self.runner.stop()
        for consumer in self.consumers:
            consumer.crash()
        if self.runner.worker is not None:
            for task in self.runner.worker.begun:
                task.cancel()

    def lose_membership(self) -> None:
        """It is taken for dead and does not know: what it has begun goes on."""
        for consumer in self.consumers:
            consumer.crash()


class Storm:
    """One run of several instances of one saga. ``run`` it once, then look."""

    def __init__(
        self, definition: Definition, plans: dict[str, Plan], *, seed: int, weather: Weather
    ) -> None:
        pause_s, attempts = weather.pause_s, weather.stumbles + 1
        retry = None if pause_s is None else Retry(attempts, timedelta(seconds=pause_s))
        self.saga: type[Saga] = saga_of(definition, retry)
        self.seen: Counter[str] = Counter()
        self.story: list[str] = []
        self.books = Books()
        self._weather = weather
        self._random = random.Random(seed)
        self._trouble = Trouble(seed, lost=weather.lost)
        self._clock = Clock()
        self._broker = MemoryBroker(self._clock, partitions_default=2, auto_create=True)
        self._table = ForgetfulTable()
        self._topics = Topics("storm")
        self._ids = Numbers()
        participants = Participants(
            *(self.saga, plans, self.books, self._random), stumbles=weather.stumbles
        )
        self._services = participants.services()
        self._journals = {name: MemoryJournal() for name in self._services}
        self._members: list[Member] = []
        self._gone: list[Member] = []
        self._saga_ids = [f"saga-{number}" for number in range(weather.sagas)]

    def run(self) -> Storm:
        """Let it all happen, then heal, and wait until nothing is left to happen."""
        run(self._run())
        self.seen.update(self._trouble.seen)
        return self

    async def _run(self) -> None:
        for name in self._services:
            self._launch(name)
        for saga_id in self._saga_ids:
            await self._start(saga_id)
        for _ in range(self._weather.happenings):
            await asyncio.sleep(self._random.random() * 2)
            await self._happen()
            if self._weather.losses and self._random.random() < self._weather.losses:
                self._lose()
        self._trouble.heal()
        for name in self._services:
            if not any(m.service == name and not m.task.done() for m in self._members):
                self._launch(name)
        await self._rest()
        for topic in self._broker._topics:
            if ".retry." in topic:
                self.seen["waited"] += len(self._broker.records(topic))
        for member in self._members:
            member.runner.stop()
        results = await asyncio.gather(
            *(member.task for member in (*self._members, *self._gone)), return_exceptions=True
        )
        self.story += [f"a worker ended with {r!r}" for r in results if r is not None]
        self.failures = [result for result in results if result is not None]

    async def _start(self, saga_id: str) -> None:
        event = self.saga.events[self.saga.definition.start.done[0]].model_validate({"id": saga_id})
        _, record = start_record(
            [self.saga], self._topics, event, trail=Trail(), now_ms=self._clock.now_ms()
        )
        await self._broker.publish(record)

    # --- what happens ---------------------------------------------------------------------------

    def _launch(self, name: str) -> None:
        broker = FaultyBroker(self._broker, self._trouble)
        platform = Platform(
            topics=self._topics,
            broker=broker,
            table=FaultyTable(self._table, self._trouble),
            clock=self._clock,
            ids=self._ids,
            reader=FaultyReader(self._broker, self._trouble) if self._weather.losses else None,
            settings=WorkerSettings(
                in_flight_max=self._random.choice([1, 3, 500]),
                drain_timeout_s=self._random.choice([0.0, 0.3, 5.0]),
            ),
        )

        @asynccontextmanager
        async def resources() -> AsyncIterator[Iterable[object]]:
            yield (FaultyJournal(self._journals[name], self._trouble),)

        runner = ServiceRunner(self._services[name], platform, resources=resources)
        task = asyncio.create_task(runner.run(), name=name)
        self._members.append(Member(name, runner, broker, task))
        self.seen["join"] += 1

    async def _happen(self) -> None:
        what = self._random.choice(["die", "die", "join", "leave", "forgotten", "again", "again"])
        self.seen[what] += 1
        if what == "again":
            await self._publish_again()
            return
        name = self._random.choice(sorted(self._services))
        mine = [member for member in self._members if member.service == name]
        member = self._random.choice(mine) if mine else None
        self.story.append(f"{asyncio.get_running_loop().time():.3f} {what} {name}")
        if member is None or what == "join":
            self._launch(name)
            return
        if what == "forgotten":
            member.lose_membership()  # it notices by its polls, and joins again
            return
        self._members.remove(member)
        self._gone.append(member)
        if what == "die":
            member.die()
        else:
            member.runner.stop()

    def _lose(self) -> None:
        writes = self._random.choice([0, 1, 2, 5, 19])
        self.seen["wiped" if writes == 0 else "rolled back"] += 1
        self.story.append(f"the table loses {writes or 'everything'}")
        if writes:
            self._table.lose_last(writes)
        else:
            self._table.wipe()

    async def _publish_again(self) -> None:
        """The same record at a new offset."""
        records = self._records()
        if records:
            record = self._random.choice(records)
            await self._broker.publish(
                OutgoingRecord(record.topic, record.key, record.value, record.headers)
            )

    def _records(self) -> list[Record]:
        """The events on all topics; on the control topic those that were decided, which have a version."""
        control = self._broker.records(self._topics.control(self.saga.name))
        return [
            *(
                record
                for name in sorted(self._services)
                for record in self._broker.records(self._topics.events(name))
            ),
            *(record for record in control if "ce_sagaseq" in dict(record.headers)),
        ]

    # --- rest -----------------------------------------------------------------------------------

    async def _rest(self) -> None:
        """Everything is committed, nobody is busy. Raises TimeoutError if that is never so."""
        async with asyncio.timeout(_REST_WITHIN_S):
            while self._unrest() is not None:
                for member in self._members:
                    if member.task.done():
                        member.task.result()
                await asyncio.sleep(0.5)

    def _unrest(self) -> str | None:
        if not self._table.is_ready(self.saga.name):
            return "the table is being rebuilt"
        for member in self._members:
            worker = member.runner.worker
            if worker is None or worker.in_flight:
                return f"{member.service} is busy"
            ends: dict[TopicPartition, int] = {}
            for topic in worker._subscription.topics:
                for record in self._broker.records(topic):
                    ends[record.topic_partition] = record.offset + 1
            group = self._broker._groups[self._topics.group(member.service)]
            for partition, end in ends.items():
                if group.committed.get(partition, 0) < end:
                    return f"{member.service} has not committed {partition}"
        return None

    # --- afterwards -----------------------------------------------------------------------------

    def violations(self) -> list[str]:
        """Every broken promise in words."""
        found = [repr(failure) for failure in self.failures]
        for saga_id in self._saga_ids:
            found += [f"{saga_id}: {words}" for words in violations(self._as_model(saga_id))]
        for name in self._services:
            for record in self._broker.records(self._topics.dead_letters(name)):
                found.append(f"dead letter of {name}: {dict(record.headers)['dlq-reason']!r}")
        return [*found, *self._differing()]

    def differences(self) -> list[Difference]:
        """What the table has and the topics do not justify, or the other way round."""
        means = Means(
            saga=self.saga,
            histories=Histories(self.saga, [self.saga], topics=self._topics, reader=self._broker),
            table=self._table,
            waker=Waker(topics=self._topics, broker=self._broker, clock=self._clock),
            clock=self._clock,
            ids=self._ids,
        )

        async def verify() -> list[Difference]:
            return [one async for one in Verification(means).differences()]

        return run(verify())

    def status(self, saga_id: str) -> SagaStatus | None:
        row = self._row(saga_id)
        return None if row is None else row.status

    @property
    def statuses(self) -> list[SagaStatus | None]:
        return [self.status(saga_id) for saga_id in self._saga_ids]

    def _row(self, saga_id: str) -> Instance | None:
        stored = self._table._rows.get((self.saga.name, saga_id))
        if stored is None:
            return None
        return decode_instance(self.saga.definition, saga_id, stored.state)

    def _as_model(self, saga_id: str) -> Model:
        """The run of one saga in the words of the checkers, which know a model of the world."""
        steps = self.saga.definition.steps
        log = {}
        for record in self._records():
            if record.key == saga_id.encode():
                fact = self._decoded(record)
                log[fact.id] = fact
        participants = {step.name: Participant() for step in steps}
        for step in steps:
            for direction in Direction:
                count = self.books.effects[saga_id, step.name, direction]
                participants[step.name].effects[direction] = count
        found = SimpleNamespace(
            definition=self.saga.definition,
            row=self._row(saga_id),
            log=list(log.values()),
            participants=participants,
            undo_order=self.books.order.get(saga_id, []),
            unfounded=[],
            outside=frozenset(),
        )
        return cast(Model, found)

    def _decoded(self, record: Record) -> Any:
        envelope = decode_headers(record.headers, record.value or b"", time_ms=0)
        return decode_incoming(envelope, self.saga, envelope.type).fact

    def _differing(self) -> list[str]:
        """An event has the same bytes wherever it is: on the log each time, and in the table.

        What was decided again after a loss says so by its generation.
        """
        versions: dict[tuple[bytes, bytes], set[tuple[Any, ...]]] = {}
        for record in self._records():
            versions.setdefault(_told(record.headers), set()).add((record.headers, record.value))
        for key, stored in self._table._rows.items():
            facts = decode_instance(self.saga.definition, key[1], stored.state).facts
            for slot, event in stored.events.items():
                envelope = decode_event(event, *key, facts[slot])
                headers = encode_headers(envelope)
                versions.setdefault(_told(headers), set()).add((headers, envelope.payload))
        return [f"{id_!r} has {len(v)} versions: {v}" for id_, v in versions.items() if len(v) > 1]


def _told(headers: Headers) -> tuple[bytes, bytes]:
    """An event's id, and the table's generation under which it was decided."""
    values = dict(headers)
    return values.get("ce_id", b""), values.get("ce_sagagen", b"")
