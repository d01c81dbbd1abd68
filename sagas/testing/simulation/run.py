"""One run: services, servers and everything that goes wrong, from one seed.

Owns the course of a run: it begins, things happen, they are healed, and all has to come to rest. What is
asked of it then is the checkers' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextvars import Context
from dataclasses import dataclass, field
from functools import partial

from sagas.core.events import Event
from sagas.core.framework_events import ResumeRequested
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.ports import OutgoingRecord, Record
from sagas.runtime.operator import Operator
from sagas.runtime.outside import start_record, started_by
from sagas.service import Service
from sagas.testing.simulation.checkers import violations
from sagas.testing.simulation.evidence import Witness
from sagas.testing.simulation.faults import Chance, Faults
from sagas.testing.simulation.happenings import Happenings
from sagas.testing.simulation.line import Bell, CrashAt, MemberClock
from sagas.testing.simulation.loop import Livelock, SeededLoop
from sagas.testing.simulation.member import Member, Place, nudge
from sagas.testing.simulation.participants import Participants
from sagas.testing.simulation.rebuilding import Rebuilding
from sagas.testing.simulation.setting import Setting, lifespan_of, start_of
from sagas.testing.simulation.world import Moment, Servers, SimulatedBroker, SimulatedTable, Story
from sagas.wire.envelope import Trail
from sagas.wire.topics import Topics

__all__ = ["Outcome", "Run"]

_HORIZONS_S = (1.0, 3.0, 60.0)
_RELAUNCHED_AFTER_S = (0.0, 0.2, 3.0, 20.0)
_REST_BESIDES_S = 7_200.0
_RESUMED_MAX, _ALARMS_MAX = 8, 40
_TIMER = "sagas.TimerFired.v1"
_LATE_EPOCH = 3
_TURNED_BACK = frozenset({"COMPENSATED", "FAILED"})
_ENDED = frozenset({"COMPLETED", "COMPENSATED", "FAILED"})


@dataclass(slots=True)
class Outcome:
    """What became of a run. ``calls`` are those of all workers to the servers."""

    seed: int
    violations: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    virtual_s: float = 0.0
    moments: list[Moment] = field(default_factory=list)


class Run:
    """Create it, ``execute`` it once. The same arguments give the same run, to the last byte."""

    def __init__(
        self,
        setting: Setting,
        *,
        seed: int,
        faults: Faults,
        sagas: int = 1,
        crash_at: CrashAt | None = None,
    ) -> None:
        self.setting = setting
        self._declared = setting.sagas
        self.seed = seed
        self._chance = Chance(seed, faults)
        self._loop = SeededLoop(self._chance.of("loop"))
        self._story = Story()
        table = SimulatedTable()
        bell = Bell(self._loop, table)
        self._clock = MemberClock(self._loop, bell)
        broker = SimulatedBroker(self._clock, partitions=self._chance.of("size").choice([1, 2, 3]))
        self._servers = Servers(broker, table, self._story, self._clock.now_ms)
        self._participants = Participants(setting.sagas, self._chance, self._story)
        self._crash_at = crash_at or CrashAt()
        self.place = Place(
            loop=self._loop,
            servers=self._servers,
            chance=self._chance,
            crash_at=self._crash_at,
            topics=Topics("sim"),
            participants=self._participants,
            published=self._published,
            note=self._note,
            bell=bell,
        )
        self._rebuilding = Rebuilding(setting.sagas, self._servers, self.place, self._clock)
        self._services = {service.name: service for service in setting.services}
        self._lifespans = {name: lifespan_of(setting, s) for name, s in self._services.items()}
        self._members: list[Member] = []
        self._started: dict[tuple[str, str], type[Saga]] = {}
        self._sagas = sagas
        self._happenings: Happenings | None = None
        self._alarms = (0, 0)
        self._problems: list[str] = []
        at, clock = self.place, self._clock
        self._operator = Operator(
            topics=at.topics, broker=broker, table=table, clock=clock, ids=at.ids
        )

    def execute(self) -> Outcome:
        """Let it all happen, heal, wait for rest, and judge."""
        try:
            self._course()
            self._problems += self._judged()
            if not self._problems:
                self._problems += self._rebuilt_again()
        except Livelock as error:
            self._problems.append(f"liveness: {error}")
        finally:
            self._close()
        seen = self._story.seen + self._chance.seen
        seen.update(self._stands(key) or "never seen" for key in self._started)
        moments = self._story.moments
        return Outcome(
            *(self.seed, self._problems, seen, self._crash_at.calls, self._loop.time(), moments)
        )

    # --- the course -------------------------------------------------------------------------------

    def _course(self) -> None:
        horizon_s = self._chance.of("horizon").choice(_HORIZONS_S)
        self._outside(self._rebuilding.announce())
        self._loop.run_until(self._never, 0.0)
        self._soon(lambda: self._begin(horizon_s))
        self._loop.run_until(self._never, horizon_s)
        again = self._chance.left("agains") > 0
        self._soon(self._heal)
        for _ in range(_RESUMED_MAX):
            budget_s = self._budget_s
            until_s = self._loop.time() + budget_s
            if not self._loop.run_until(self._rests, until_s) or self._is_stuck:
                self._problems += self._unrest(budget_s)
                return
            parked = [key for key in self._started if self._stands(key) == SagaStatus.PARKED]
            if parked:
                self._soon(partial(self._resume, parked))
            elif again:
                again = False
                self._soon(self._ask_again)
            else:
                return

    def _ask_again(self) -> None:
        """After the end: a compensation of each saga that turned back is run once more."""
        for key, saga in self._started.items():
            if self._happenings is not None and self._stands(key) in _TURNED_BACK:
                self._story.seen["asked again after the end"] += 1
                self._happenings.ask_again(saga, key[1], epoch=_LATE_EPOCH)

    @property
    def _budget_s(self) -> float:
        """The virtual time within which everything has to come to rest: all timeouts, and two hours."""
        declared_ms = sum(
            (saga.definition.deadline_ms or 0)
            + sum(step.timeout_ms or 0 for step in saga.definition.steps)
            for saga in self.setting.sagas
        )
        return 2 * declared_ms / 1000 + _REST_BESIDES_S

    def _begin(self, horizon_s: float) -> None:
        for name in self._services:
            self.launch(name)
        happenings = self._happenings = Happenings(self, horizon_s)
        draw = self._chance.of("starts")
        for number in range(1, self._sagas + 1):
            event = start_of(self.setting, number)
            saga = started_by(self.setting.sagas, event)
            saga_id = str(getattr(event, saga.key))
            self._started[saga.name, saga_id] = saga
            when_s = draw.uniform(0, 0.2)
            happenings.at(when_s, partial(self._start, event))
            if self._chance.hits("double_starts", 0.5):
                again_s = draw.choice([when_s, draw.uniform(0, horizon_s)])
                happenings.at(again_s, partial(self._start, event))
            happenings.answers(saga, saga_id)
            happenings.cancel(saga, saga_id)
            happenings.again(saga, saga_id)
        happenings.schedule()

    def _heal(self) -> None:
        """Nothing goes wrong any more: whoever stands still goes on, and every service has a worker."""
        self._chance.heal()
        self._note("", "healed", "nothing goes wrong any more")
        for member in self._members:
            self._loop.release(member)
            member.clock.skew_ms = 0
        self._participants.heal()
        if self._happenings is not None:
            self._happenings.end_deployment()
        self.place.bell.ring()
        for name in self._services:
            if not self.members(name):
                self.launch(name)

    def _resume(self, parked: list[tuple[str, str]]) -> None:
        for saga, saga_id in parked:
            self._story.seen["resumed"] += 1
            self._note("operator", "resume", f"resumes {saga_id}")
            request = ResumeRequested(by="simulation", why="it is mended")
            self.ask(self._started[saga, saga_id], saga_id, request)

    def _start(self, event: Event) -> None:
        _, record = start_record(
            self.setting.sagas,
            self.place.topics,
            event,
            trail=Trail(),
            now_ms=self._clock.now_ms(),
        )
        self.publish(record)

    # --- what happenings need ---------------------------------------------------------------------

    def members(self, service: str) -> list[Member]:
        """The living workers of a service."""
        return [one for one in self._members if one.service == service]

    def launch(self, service: str) -> None:
        """One more worker of a service."""
        member = Member(
            self._services[service],
            self._lifespans[service],
            self.place,
            crashed=self._crashed,
            ended=self._ended,
            stand_still=self._stand_still,
            lose_soon=self._lose_soon,
        )
        self._members.append(member)

    def deploy(self, service: Service) -> None:
        """Whoever is launched from now on is of this version."""
        self._services[service.name] = service
        self._lifespans[service.name] = lifespan_of(self.setting, service)

    def publish(self, record: OutgoingRecord) -> None:
        """Publish from outside."""

        async def publish() -> None:
            kept = await self._servers.broker.append(record)
            if record.key == b"nobody" or record.key is None:
                self._story.poison.add((kept.topic, kept.partition, kept.offset))
            self._published(kept)

        self._outside(publish())

    def ask(self, saga: type[Saga], saga_id: str, request: Event) -> None:
        """Ask something as an operator."""

        async def ask() -> None:
            await self._operator.ask(saga.name, saga_id, request)

        self._outside(ask())

    def _outside(self, coroutine: object) -> None:
        self._loop.create_task(coroutine, context=Context())

    def _stand_still(self, member: Member) -> None:
        if self._happenings is not None:
            Context().run(self._happenings.stand_still, member)

    def _lose_soon(self) -> None:
        if self._happenings is not None:
            Context().run(self._happenings.lose_soon)

    def _crashed(self, member: Member, _: str) -> None:
        self._members.remove(member)
        after_s = self._chance.of("relaunch").choice(_RELAUNCHED_AFTER_S)
        self._relaunch(member.service, after_s)

    def _ended(self, member: Member, error: BaseException | None) -> None:
        """A worker has left, or was ended by an error: only a handler that cancels itself may do that."""
        if member in self._members:
            self._members.remove(member)
        if error is not None and "cancelled its own task" not in str(error):
            self._problems.append(f"a worker of {member.service} ended with {error!r}")
        self._relaunch(member.service, 1.0)

    def _relaunch(self, service: str, after_s: float) -> None:
        def launch() -> None:
            if not self.members(service):
                self.launch(service)

        self._loop.call_later(after_s, launch, context=Context())

    # --- rest -------------------------------------------------------------------------------------

    def _never(self) -> bool:
        nudge(self._members)
        return False

    def _rests(self) -> bool:
        """Every saga has ended or is parked, everything is read and acknowledged, and nobody is busy."""
        self._never()
        if self._is_stuck:
            return True
        for key in self._started:
            status = self._stands(key)
            if status not in _ENDED and status != SagaStatus.PARKED:
                return False
        return next(self._busy(), None) is None

    @property
    def _is_stuck(self) -> bool:
        """Whether timers are told again and again, and nothing comes of it."""
        return self._alarms[1] > _ALARMS_MAX and self._alarms[0] == self._servers.table.stores

    def _stands(self, key: tuple[str, str]) -> str | None:
        return self._servers.table.status(*key)

    def _busy(self) -> Iterator[str]:
        broker = self._servers.broker
        for saga in self._declared:
            if not self._servers.table.is_ready(saga.name):
                yield f"the table has not got {saga.name} back"
        working = {member.service for member in self._members}
        for name in self._services:
            if name not in working:
                yield f"{name} has no worker"
        for member in self._members:
            if member.is_busy:
                yield f"a worker of {member.service} is busy"
            group = self.place.topics.group(member.service)
            for consumer in member.broker.consumers:
                if unread := consumer.group == group and broker.unread(group, consumer.topics):
                    yield f"{member.service} has {unread} records to acknowledge"

    def _unrest(self, budget_s: float) -> Iterator[str]:
        """What keeps everything from rest, in words."""
        told = f"liveness: no rest within {budget_s:.0f} s after the faults"
        for key in self._started:
            status = self._stands(key)
            if status not in _ENDED and status != SagaStatus.PARKED:
                yield f"I1: {key[1]} is left {status or 'unseen'}; {told}"
        for words in self._busy():
            yield f"{told}: {words}"

    # --- afterwards -------------------------------------------------------------------------------

    def _judged(self) -> list[str]:
        witness = Witness(self._servers, self._services)
        found: list[str] = []
        for (name, saga_id), saga in self._started.items():
            evidence = witness.of(saga.definition, saga_id)
            found += [f"{words} ({name} {saga_id})" for words in violations(evidence)]
            self._story.seen.update(evidence.seen)
        found += witness.disagreements()
        found += [f"I12: {words}" for words in self.setting.check()]
        return found

    def _rebuilt_again(self) -> list[str]:
        """I13, once every worker is gone: they would bring the table back themselves."""
        self._cut_off()
        task = self._loop.create_task(self._rebuilding.violations(), context=Context())
        self._loop.run_until(task.done, self._loop.time() + _REST_BESIDES_S)
        found: list[str] = task.result()
        return found

    def _cut_off(self) -> None:
        for member in self._members:
            self._loop.release(member)
            member.kill()

    def _close(self) -> None:
        """Cut off what is left, so that nothing of this run is there in the next."""
        self._cut_off()
        tasks = self._loop.left
        for task in tasks:
            task.cancel()
        self._loop.run_until(lambda: all(task.done() for task in tasks), self._loop.time() + 1_000)
        self._loop.close()

    def _soon(self, call: object) -> None:
        self._loop.call_soon(call, context=Context())

    def _published(self, record: Record) -> None:
        headers = dict(record.headers)
        type_ = headers.get("ce_type", b"").decode(errors="replace")
        saga = headers.get("ce_saganame", b"").decode(errors="replace")
        saga_id = (record.key or b"").decode(errors="replace")
        self._story.published.setdefault((saga, saga_id), set()).add(type_)
        if type_ == _TIMER:
            stores, told = self._alarms
            now = self._servers.table.stores
            self._alarms = (now, told + 1 if stores == now else 1)
        self._note(record.topic.split(".")[1], "event", type_, saga_id)

    def _note(self, who: str, kind: str, words: str, saga_id: str = "") -> None:
        self._story.moments.append(Moment(self._loop.time(), who, kind, saga_id, words))
