"""What happens to workers, records, clocks and sagas at moments that the seed draws.

Owns the moments and what is done at them. Everything that it does could happen in production.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import Context
from functools import partial
from typing import Protocol

from sagas.core.completion import Completion
from sagas.core.definition import StepDefinition
from sagas.core.events import Event
from sagas.core.framework_events import AgainRequested, CancelRequested
from sagas.core.saga import Saga
from sagas.ports import OutgoingRecord, Record
from sagas.runtime.outside import completion_record
from sagas.service import Service
from sagas.testing.simulation.member import Member, Place
from sagas.testing.simulation.setting import Setting, answer_of
from sagas.wire.envelope import Trail

__all__ = ["Happenings", "Stage"]

_SESSION_S = 10.0
"""So long may a member be silent before its group takes it for dead."""
_PAUSES_S = (2.0, 15.0, 60.0)
_SKEWS_MS = (-40_000, -300, 300, 5_000, 40_000)
_LOST_WRITES = (0, 1, 2, 5, 20)
"""So many of the last writes a server lacks; 0 stands for all."""
_AGAIN_S = 0.7
_ROLLOUT_S = 3.0
_OFTEN = 0.7
_AGAIN = 0.5
_LARGE = b"x" * 900_001


class Stage(Protocol):
    """What the happenings need of a run."""

    place: Place
    setting: Setting

    def members(self, service: str) -> list[Member]:
        """The living workers of a service."""

    def launch(self, service: str) -> None:
        """One more worker."""

    def deploy(self, service: Service) -> None:
        """Whoever is launched from now on is of this version."""

    def publish(self, record: OutgoingRecord) -> None:
        """Publish from outside, past every line."""

    def ask(self, saga: type[Saga], saga_id: str, request: Event) -> None:
        """Ask something as an operator."""


class Happenings:
    """Draws what happens up to ``horizon_s``, and has it happen."""

    def __init__(self, stage: Stage, horizon_s: float) -> None:
        self._stage = stage
        self._place = stage.place
        self._chance = stage.place.chance
        self._horizon_s = horizon_s
        self._services = [service.name for service in stage.setting.services]
        self._waiting = {service.name: service for service in stage.setting.next_services}
        self._deploys = False

    def schedule(self) -> None:
        """Everything that has a budget, at drawn moments."""
        kinds: dict[str, Callable[[], None]] = {
            "crashes": self._crash,
            "pauses": self._pause,
            "rebalances": self._rebalance,
            "clock_jumps": self._jump,
            "duplicates": self._duplicate,
            "poison": self._poison,
            "offset_resets": self._reset,
            "table_losses": self._lose,
        }
        if self._waiting:
            kinds["deployments"] = self._deploy
        for kind, happen in kinds.items():
            draw = self._chance.of(f"when {kind}")
            for _ in range(self._chance.left(kind)):
                self.at(draw.uniform(0.05, self._horizon_s), self._spending(kind, happen))

    def at(self, when_s: float, happen: Callable[[], None]) -> None:
        """Have something happen at a moment, on behalf of no worker."""
        self._place.loop.call_at(when_s, happen, context=Context())

    def _later(self, seconds: float, happen: Callable[[], None]) -> None:
        self.at(self._place.loop.time() + seconds, happen)

    def _spending(self, kind: str, happen: Callable[[], None]) -> Callable[[], None]:
        def spend() -> None:
            if self._chance.left(kind):
                self._chance.spend(kind)
                happen()

        return spend

    def _someone(self) -> Member | None:
        draw = self._chance.of("who")
        members = self._stage.members(draw.choice(self._services))
        return draw.choice(members) if members else None

    # --- workers ----------------------------------------------------------------------------------

    def _crash(self) -> None:
        member = self._someone()
        if member is not None:
            member.crash("in the middle of whatever it did")

    def _pause(self) -> None:
        member = self._someone()
        if member is not None:
            self.stand_still(member, self._chance.of("how long").choice(_PAUSES_S))

    def stand_still(self, member: Member, seconds: float = _PAUSES_S[-1]) -> None:
        """As under SIGSTOP: its group takes it for dead after a while, and then it goes on."""
        self._place.note(member.service, "pause", f"stands still for {seconds:g} s")
        self._place.loop.hold(member)
        if seconds > _SESSION_S:
            self._later(_SESSION_S, member.lose_membership)
            if self._chance.of("who").random() < _OFTEN:
                self._stage.launch(member.service)
        self._later(seconds, lambda: self._place.loop.release(member))

    def _rebalance(self) -> None:
        member = self._someone()
        what = self._chance.of("how").choice(["joins", "leaves", "is taken for dead"])
        if member is None:
            return
        self._place.note(member.service, "rebalance", f"a worker {what}")
        self._place.servers.story.seen[f"a worker {what}"] += 1
        if what == "joins":
            self._stage.launch(member.service)
        elif what == "leaves":
            member.leave()
        else:
            member.lose_membership()

    def _jump(self) -> None:
        member = self._someone()
        if member is not None:
            member.clock.skew_ms += self._chance.of("skew").choice(_SKEWS_MS)
            self._place.note(member.service, "clock", f"is {member.clock.skew_ms} ms off")
            self._place.bell.ring()

    def _deploy(self) -> None:
        """A rolling deployment: service after service, while everything goes on."""
        self._deploys, draw = True, self._chance.of("deployment")
        for name in draw.sample(sorted(self._waiting), len(self._waiting)):
            self._later(draw.uniform(0.0, _ROLLOUT_S), partial(self._replace, name))

    def _replace(self, name: str) -> None:
        """The workers of a service go, most of them in good order, and one of the next version comes."""
        service = self._waiting.pop(name, None)
        if service is None:
            return
        self._place.note(name, "deployment", "its next version takes its place")
        self._stage.deploy(service)
        for member in self._stage.members(name):
            if self._chance.of("deployment").random() < _OFTEN:
                member.leave()
            else:
                member.crash("its next version takes its place")
        self._stage.launch(name)

    def end_deployment(self) -> None:
        """What has begun comes to its end."""
        for name in sorted(self._waiting) if self._deploys else ():
            self._replace(name)

    # --- records ----------------------------------------------------------------------------------

    def _records(self) -> list[Record]:
        servers = self._place.servers
        return [*servers.records(".events"), *servers.records(".control")]

    def _duplicate(self) -> None:
        records = self._records()
        if records:
            record = self._chance.of("which").choice(records)
            self._stage.publish(
                OutgoingRecord(record.topic, record.key, record.value, record.headers)
            )

    def _poison(self) -> None:
        record = self._chance.of("which").choice(list(self._bad_records()))
        self._place.note("outside", "poison", f"{record.topic}: {(record.value or b'')[:20]!r}")
        self._stage.publish(record)

    def _bad_records(self) -> Iterator[OutgoingRecord]:
        saga = self._chance.of("which").choice(self._stage.setting.sagas)
        topic = self._place.topics.events(saga.definition.start.service)
        type_ = saga.definition.start.done[0].encode()
        of_saga = (
            ("ce_type", type_),
            ("ce_saganame", saga.name.encode()),
            ("ce_sagaid", b"nobody"),
        )
        yield OutgoingRecord(topic, b"nobody", b'{"half', of_saga)
        yield OutgoingRecord(topic, b"nobody", b"[" * 5_000, of_saga)
        yield OutgoingRecord(topic, b"nobody", _LARGE, of_saga)
        yield OutgoingRecord(topic, b"nobody", None, of_saga)
        yield OutgoingRecord(topic, b"nobody", b"{}", (("ce_type", b"\xff"),))
        yield OutgoingRecord(topic, b"nobody", b"{}", (("ce_type", b"nobody.Knows.v1"),))
        yield OutgoingRecord(topic, b"nobody", b"{}", (*of_saga[1:], ("ce_type", b"a.B.v1")))
        yield OutgoingRecord(topic, None, b"\x00\xff", ())

    def _reset(self) -> None:
        """An operator sets a group back; its members are gone while it is done."""
        draw = self._chance.of("which")
        service = draw.choice(self._services)
        broker, group = self._place.servers.broker, self._place.topics.group(service)
        if group not in broker.groups():
            return
        for member in self._stage.members(service):
            member.lose_membership()
        committed = broker.committed(group)
        for partition, offset in sorted(committed.items()):
            committed[partition] = max(0, offset - draw.choice([1, 3, 1_000]))
        self._place.note(service, "reset", "its offsets are set back")

    def _lose(self) -> None:
        table, writes = self._place.servers.table, self._chance.of("which").choice(_LOST_WRITES)
        self._place.servers.story.seen["rolled back" if writes else "wiped"] += 1
        if writes:
            self._place.note("table", "loss", f"the last {writes} writes are lost")
            table.lose(writes)
        else:
            self._place.note("table", "loss", "everything is lost")
            table.wipe()

    def lose_soon(self) -> None:
        """The table is lost in the middle of what goes on now."""
        self._later(self._chance.of("which").uniform(0.0, 0.1), self._lose)

    # --- people -----------------------------------------------------------------------------------

    def cancel(self, saga: type[Saga], saga_id: str) -> None:
        """Somebody may cancel the saga at some moment."""
        draw = self._chance.of("people")
        if not self._chance.hits("cancellations", 0.4):
            return

        def cancel() -> None:
            if self._place.servers.table.status(saga.name, saga_id) is not None:
                self._place.note("operator", "cancel", f"cancels {saga_id}")
                self._stage.ask(saga, saga_id, CancelRequested(by="simulation", why="chance"))

        self.at(draw.uniform(0.05, self._horizon_s), cancel)

    def again(self, saga: type[Saga], saga_id: str) -> None:
        """Somebody may have a compensation run once more, at a moment in the run."""
        draw = self._chance.of("again")
        if self._chance.hits("agains", _AGAIN):
            when_s = draw.uniform(0.05, self._horizon_s)
            self.at(when_s, lambda: self.ask_again(saga, saga_id, epoch=draw.choice([1, 2])))

    def ask_again(self, saga: type[Saga], saga_id: str, *, epoch: int) -> None:
        """Ask for the compensation of a drawn step under an epoch; too early, it is passed over."""
        steps = [step.name for step in saga.definition.steps if step.undone is not None]
        if not steps or self._place.servers.table.status(saga.name, saga_id) is None:
            return
        step = self._chance.of("again").choice(steps)
        self._place.note("operator", "again", f"has {step} undone once more, epoch {epoch}")
        request = AgainRequested(step=step, epoch=epoch, by="simulation", why="to be sure")
        self._stage.ask(saga, saga_id, request)

    def answers(self, saga: type[Saga], saga_id: str) -> None:
        """Every step that waits is answered from outside, early or late, or never if its time is up."""
        draw = self._chance.of("people")
        for step in saga.definition.steps:
            if not step.waits or not (step.done or step.refused):
                continue
            if step.timeout_ms is not None and draw.random() < 0.3:  # noqa: PLR2004
                continue
            types = step.done if not step.refused or draw.random() < 0.75 else step.refused  # noqa: PLR2004
            type_ = draw.choice(types or step.refused)
            self.at(
                draw.uniform(0.05, 2 * self._horizon_s), self._answer(saga, saga_id, step, type_)
            )
            if len(step.done + step.refused) > 1 and draw.random() < 0.1:  # noqa: PLR2004
                other = draw.choice([t for t in (*step.done, *step.refused) if t != type_])
                when_s = draw.uniform(0.05, 2 * self._horizon_s)
                self.at(when_s, self._answer(saga, saga_id, step, other))

    def _answer(
        self, saga: type[Saga], saga_id: str, step: StepDefinition, type_: str
    ) -> Callable[[], None]:
        def answer() -> None:
            place = self._place
            if place.servers.table.status(saga.name, saga_id) is None:
                self._later(_AGAIN_S, answer)  # nobody answers what nobody has seen
                return
            event = answer_of(self._stage.setting, saga, step.name, saga_id, type_)
            if event is None:
                return
            completion = Completion(saga, step.name, saga_id, event)
            now_ms = place.servers.now_ms()
            record = completion_record(completion, place.topics, trail=Trail(), now_ms=now_ms)
            place.note("outside", "answer", f"{step.name}: {event.event_type}")
            self._stage.publish(record)

        return answer
