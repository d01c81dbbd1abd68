"""Timers: whoever is on duty publishes what is due as control messages, and decides nothing (rule 6).

Owns the look at the table and who takes it. A timer that is published twice, late, or after it was
cleared, is a no-op where it is handled.
"""

from __future__ import annotations

import asyncio

import structlog

from sagas.core.definition import START, Direction
from sagas.core.errors import RetriableError, SagaError
from sagas.core.framework_events import TimerFired
from sagas.ports import (
    BUCKETS,
    Broker,
    Clock,
    Consumer,
    OutgoingRecord,
    RebalanceListener,
    Timer,
    TopicPartition,
)
from sagas.ports.telemetry import Telemetry
from sagas.restoring import RestorableTable
from sagas.runtime.patience import Patience
from sagas.wire.envelope import Envelope, encode_headers
from sagas.wire.ids import event_id
from sagas.wire.topics import Topics

__all__ = ["TimerDuty", "Timers"]

INTERVAL_S = 0.5
"""How often whoever is on duty looks; a timer is late by so much at the most."""

AGAIN_AFTER_MS = 30_000
"""A published timer that nobody has cleared is published again after that time."""

PAUSE_S = 1.0
"""Before another attempt to take part."""

TIMERS_MAX = 1_000
"""How many timers one look publishes; the next look follows at once if there are more."""

SWEEP_MS = 60_000
"""How often what has ended long ago is looked for."""

SWEPT_MAX = 1_000
"""How many instances one look forgets for each bucket and status; the next one follows with the timers."""

_log = structlog.get_logger()


class Timers:
    """Publishes due timers. Holds nothing; safe to run in several places at once."""

    def __init__(
        self,
        *,
        topics: Topics,
        broker: Broker,
        table: RestorableTable,
        clock: Clock,
        keep_ended_ms: int | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._topics = topics
        self._broker = broker
        self._table = table
        self._clock = clock
        self._keep_ended_ms = keep_ended_ms
        self._telemetry = telemetry
        self._swept_at_ms = 0

    async def publish_due(self) -> int:
        """Publish what is due by now, and how many that were.

        At-least-once: a timer is put off only after its message is acknowledged, or refused for good.
        Raises TableUnavailable and BrokerUnavailable.
        """
        now_ms = self._clock.now_ms()
        due = await self._table.due_timers(buckets=range(BUCKETS), now_ms=now_ms, limit=TIMERS_MAX)
        await asyncio.gather(*(self._publish(timer, now_ms) for timer in due))
        return len(due)

    async def sweep(self, saga: str) -> int:
        """Forget instances that ended long ago, once a minute at the most; how many that were.

        Raises TableUnavailable.
        """
        now_ms = self._clock.now_ms()
        if self._keep_ended_ms is None or now_ms < self._swept_at_ms + SWEEP_MS:
            return 0
        before_ms = now_ms - self._keep_ended_ms
        swept = await self._table.sweep(saga, before_ms=before_ms, limit=SWEPT_MAX)
        if swept < SWEPT_MAX:  # no index can have held more than was taken from it
            self._swept_at_ms = now_ms
        return swept

    async def _publish(self, timer: Timer, now_ms: int) -> None:
        """One that can never be published, because the saga's topic is gone, must not keep the others."""
        try:
            await self._broker.publish(self._record(timer, now_ms))
        except RetriableError:
            raise
        except SagaError as error:
            _log.error(
                "timer.not_published",
                saga=timer.saga,
                saga_id=timer.saga_id,
                timer=timer.name,
                error=str(error),
            )
        else:
            if self._telemetry is not None:
                self._telemetry.timer_published(timer.saga, now_ms - timer.due_ms)
        await self._table.postpone_timer(timer, now_ms + AGAIN_AFTER_MS)

    def _record(self, timer: Timer, now_ms: int) -> OutgoingRecord:
        fired = TimerFired(name=timer.name, due_ms=timer.due_ms)
        envelope = Envelope(
            id=event_id(
                timer.saga,
                timer.saga_id,
                f"{fired.event_type}/{timer.name}/{timer.due_ms}",
                step=START,
                direction=Direction.FORWARD,
            ),
            type=fired.event_type,
            source="timers",
            time_ms=now_ms,
            saga=timer.saga,
            saga_id=timer.saga_id,
            payload=fired.model_dump_json().encode(),
        )
        return OutgoingRecord(
            self._topics.control(timer.saga),
            timer.saga_id.encode(),
            envelope.payload,
            encode_headers(envelope),
        )


class TimerDuty(RebalanceListener):
    """A participant's share in the duty: whoever holds partition 0 of the saga's control topic looks.

    The participants of a saga form one consumer group for this, so that the timeout of a service that is
    down is published by another, and taken over when that one dies. Nothing is read in that group.
    """

    def __init__(
        self, saga: str, *, topics: Topics, broker: Broker, clock: Clock, timers: Timers
    ) -> None:
        self._saga = saga
        self._control = topics.control(saga)
        self._group = topics.timers_group(saga)
        self._broker = broker
        self._clock = clock
        self._timers = timers
        self._patience = Patience(clock)
        self._on_duty = asyncio.Event()
        self.saga = saga
        self._consumer: Consumer | None = None

    @property
    def is_on_duty(self) -> bool:
        """Whether this participant publishes the timers."""
        return self._on_duty.is_set()

    def assigned(self, partitions: frozenset[TopicPartition]) -> None:
        """On duty with partition 0. Its records are for others."""
        if self._consumer is not None:
            self._consumer.pause(partitions)
        if TopicPartition(self._control, 0) in partitions:
            self._on_duty.set()

    async def revoked(self, partitions: frozenset[TopicPartition]) -> None:
        """Off duty without partition 0."""
        if TopicPartition(self._control, 0) in partitions:
            self._on_duty.clear()

    async def run(self) -> None:
        """Take part until cancelled. Raises SettingsError if the control topic does not exist."""
        tasks = [asyncio.create_task(self._belong()), asyncio.create_task(self._look())]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                if not task.cancelling():  # a second time would cut off its leaving the group
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _belong(self) -> None:
        """Be a member of the group; a new one whenever the broker has lost the last."""
        while True:
            self._consumer = self._broker.consumer(
                frozenset({self._control}), group=self._group, listener=self
            )
            try:
                await self._consumer.start()
                while True:
                    await self._consumer.poll(records_max=1, timeout_ms=1_000)
            except RetriableError as error:
                _log.warning("server.unavailable", error=str(error), pause_s=PAUSE_S)
            finally:
                self._on_duty.clear()
                await self._consumer.stop()
            await self._clock.sleep(PAUSE_S)

    async def _look(self) -> None:
        while True:
            await self._on_duty.wait()
            published = await self._patience.insist(self._timers.publish_due)
            swept = await self._patience.insist(lambda: self._timers.sweep(self._saga))
            if swept:
                _log.debug("sagas.forgotten", saga=self._saga, count=swept)
            if published:
                _log.debug("timers.published", count=published)
            if published < TIMERS_MAX:
                await self._clock.sleep(INTERVAL_S)
