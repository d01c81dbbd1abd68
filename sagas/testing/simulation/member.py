"""One worker of a run, as a process: it is launched, dies, stands still, loses its membership, leaves.

Owns the wiring of a worker to its line. What happens to it, and when, others decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import Context
from functools import partial
from random import Random

from sagas.core.concurrency import Adaptive
from sagas.ports import Record
from sagas.runtime.assembly import Platform, ServiceRunner
from sagas.runtime.isolation import IsolationSettings
from sagas.runtime.worker import WorkerSettings
from sagas.service import Lifespan, Service
from sagas.testing.simulation.faults import Chance
from sagas.testing.simulation.line import Bell, CrashAt, Line, MemberClock
from sagas.testing.simulation.loop import Process, SeededLoop
from sagas.testing.simulation.participants import Participants
from sagas.testing.simulation.ports import FaultyBroker, FaultyReader, FaultyTable
from sagas.testing.simulation.world import Servers
from sagas.wire.topics import Topics

__all__ = ["Member", "Place", "RandomNumbers", "nudge"]


_NARROW = 0.25
"""Such a share of the runs is in a narrow place."""


class RandomNumbers:
    """Ids from the seed."""

    def __init__(self, draw: Random) -> None:
        self._draw = draw

    def new(self) -> str:
        """Thirty-two hex digits."""
        return f"{self._draw.getrandbits(128):032x}"


class Place:
    """What the workers of a run share."""

    def __init__(
        self,
        *,
        loop: SeededLoop,
        servers: Servers,
        chance: Chance,
        crash_at: CrashAt,
        topics: Topics,
        participants: Participants,
        published: Callable[[Record], None],
        note: Callable[[str, str, str], None],
        bell: Bell,
    ) -> None:
        self.loop = loop
        self.servers = servers
        self.chance = chance
        self.crash_at = crash_at
        self.topics = topics
        self.participants = participants
        self.published = published
        self.note = note
        self.bell = bell
        self.ids = RandomNumbers(chance.of("ids"))
        self._bounds = chance.of("narrow")
        self._is_narrow = self._bounds.random() < _NARROW

    def backlog_max(self) -> int:
        """How much a worker may have begun: in a narrow place very little."""
        return self._bounds.choice([2, 5, 5_000]) if self._is_narrow else 5_000

    def isolation(self) -> IsolationSettings:
        """How much of it runs at once: in a wide place all of it."""
        if not self._is_narrow:
            return IsolationSettings()
        return IsolationSettings(
            step=self._bounds.choice([None, 1, Adaptive(1, 4)]),
            tenant=self._bounds.choice([None, 1]),
            waiting_max=self._bounds.choice([0, 1, 100]),
        )


class Member(Process):
    """A worker of one service. ``crashed`` is called once, with why, when it dies."""

    def __init__(
        self,
        service: Service,
        lifespan: Lifespan,
        place: Place,
        *,
        crashed: Callable[[Member, str], None],
        ended: Callable[[Member, BaseException | None], None],
        stand_still: Callable[[Member], None],
        lose_soon: Callable[[], None],
    ) -> None:
        super().__init__()
        self.service = service.name
        self.clock = MemberClock(place.loop, place.bell)
        self._place = place
        self._group = place.topics.group(service.name)
        self._crashed = crashed
        self._ended = ended
        self.line = Line(
            self,
            place.chance,
            place.crash_at,
            crash=self.crash,
            stand_still=partial(stand_still, self),
            note=partial(place.note, service.name),
        )
        self.broker = FaultyBroker(place.servers, self.line, place.published)
        draw = place.chance.of("settings")
        platform = Platform(
            topics=place.topics,
            broker=self.broker,
            table=FaultyTable(place.servers, self.line, self.clock, lose_soon),
            reader=FaultyReader(place.servers, self.line),
            clock=self.clock,
            ids=place.ids,
            settings=WorkerSettings(
                in_flight_max=draw.choice([1, 3, 500]),
                drain_timeout_s=draw.choice([0.0, 0.3, 5.0]),
                commit_interval_s=draw.choice([0.0, 0.1, 1.0]),
                backlog_max=place.backlog_max(),
                isolation=place.isolation(),
            ),
        )
        participants = place.participants
        self.runner = ServiceRunner(
            participants.service(service, self.line),
            platform,
            resources=participants.lifespan(service.name, lifespan, self.line),
        )
        self._task = place.loop.create_task(self.runner.run(), context=self.context())
        self._task.add_done_callback(self._done, context=Context())

    @property
    def is_busy(self) -> bool:
        """Whether it has begun something and not finished it, or has not joined yet."""
        worker = self.runner.worker
        return worker is None or worker.in_flight > 0 or not self._has_joined

    @property
    def _has_joined(self) -> bool:
        return any(one.group == self._group and not one.is_gone for one in self.broker.consumers)

    def crash(self, words: str) -> None:
        """Cut off where it stands: nothing more is done, and nothing committed."""
        if self.dead:
            return
        self.kill()
        self._place.loop.release(self)
        self.lose_membership()
        self._place.note(self.service, "crash", words)
        self._crashed(self, words)

    def lose_membership(self) -> None:
        """It is taken for dead and does not know: what it has begun goes on."""
        for consumer in self.broker.consumers:
            consumer.vanish()

    def leave(self) -> None:
        """Let it finish what it has begun, and go."""
        self.runner.stop()

    def interrupt(self) -> None:
        """Let a poll of its worker return."""
        for consumer in self.broker.consumers:
            if consumer.group == self._group:
                consumer.interrupt()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not self.dead and not task.cancelled():
            self._ended(self, task.exception())


def nudge(members: Iterable[Member]) -> None:
    """Let workers that are to stop notice: they do once a poll returns, and polls have no timeouts here.

    Asked at every moment of every worker: what needs no call is none.
    """
    for member in members:
        worker = member.runner.worker
        if worker is not None and worker.is_stopping:
            member.interrupt()
