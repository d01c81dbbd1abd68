"""A model of the world in which every call is a point where anything may happen.

Owns the log, the table, the participants' stores and the schedule. The code under test is the very
``Handling`` that the worker runs; only its world is a model. One thread, one seed, one trace.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sagas.core.controls import Again, Cancel, Control, Park, Resume, TimerDue
from sagas.core.decide import ActionResult, ResultKind
from sagas.core.definition import DEADLINE, START, Definition, Direction, Role, StepDefinition
from sagas.core.enabled import Action
from sagas.core.errors import CompensationFailed
from sagas.core.handling import Handling
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.position import Position
from sagas.core.timers import PROOF, timers_of
from sagas.core.unfolding import places_of
from sagas.wire.ids import event_id
from tests.simulation.parts import NO_FAULTS, Attempted, Call, Faults, Message, Participant, Plan
from tests.simulation.world import World

__all__ = ["Model", "Unrest"]

SAGA_ID = "s"


class Unrest(AssertionError):
    """The world did not come to rest within its budget: messages wake each other without end."""


@dataclass(slots=True)
class Task:
    """A worker handling one message."""

    service: str
    message: Message
    coroutine: Coroutine[Any, Any, Position]
    pending: Call[Any] | None = None


class Model:
    """One saga instance in a world with a schedule. ``run`` it once, then look."""

    def __init__(
        self,
        definition: Definition,
        plans: dict[str, Plan],
        *,
        seed: int,
        faults: Faults = NO_FAULTS,
        remembers_refusals: bool = True,
        checks_stamps: bool = True,
        refuses_lower_epochs: bool = True,
        leaves_tombstones: bool = True,
        remembers_acknowledged: bool = False,
    ) -> None:
        self.definition = definition
        self.plans = plans
        self.stored: Position | None = None
        places_of(definition).forget()  # a test may have taken something away since
        self.log: list[Fact] = []
        self.participants = {step.name: Participant() for step in definition.steps}
        self.undo_order: list[str] = []
        self.unfounded: list[str] = []
        self.trace: list[str] = []
        self.seen: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._faults = faults
        self._remembers_refusals = remembers_refusals
        self._checks_stamps = checks_stamps
        self._refuses_lower_epochs = refuses_lower_epochs
        self._leaves_tombstones = leaves_tombstones
        self._acknowledged: dict[str, set[str]] | None = {} if remembers_acknowledged else None
        self._queue: list[tuple[str, Message]] = []
        self._tasks: list[Task] = []
        self.calls = 0
        self._crashes = faults.crashes
        self._duplicates = faults.duplicates
        self._timers = faults.timers
        self._cancels = faults.cancels
        self._agains = faults.agains
        self._postponements = faults.postponements
        self.noted: dict[Attempted, int] = {}
        self._due: set[int] = set()
        self._repairs = 8
        self._answered: set[str] = set()
        self.outside: set[str] = set()

    # --- the schedule -----------------------------------------------------------------------------

    def run(self, calls_max: int = 4000) -> Model:
        """Publish the start, then let things happen until nothing is left to happen."""
        start = self.definition.start
        self.publish(
            Fact(
                self.id_of(start.done[0], START, Direction.FORWARD, ""),
                start.done[0],
                START,
                Role.DONE,
            )
        )
        while self._queue or self._tasks or self._move_on():
            if self.calls > calls_max:
                for task in self._tasks:
                    task.coroutine.close()
                raise Unrest(f"no rest after {calls_max} calls; the trace ends {self.trace[-12:]}")
            self._interfere()
            if self._queue and (not self._tasks or self._random.random() < 0.4):
                self._deliver()
            else:
                self._step(self._random.choice(self._tasks))
        return self

    def _interfere(self) -> None:
        """By chance a timer is due, somebody cancels, or an answer comes from outside."""
        if self._timers and self._random.random() < 0.03 and self._fire():
            self._timers -= 1
        if self._cancels and self._random.random() < 0.02:
            self._cancels -= 1
            self.seen["cancel"] += 1
            self._order(Cancel())
        if self._agains and self._random.random() < 0.05:
            self._again()
        if not self.definition.is_plain and self._random.random() < 0.05:
            self._answer()

    def _move_on(self) -> bool:
        """Nothing happens any more: time passes, an answer comes, or an operator acts. False at the end."""
        if self.row is None:
            return False
        if self.row.phase.is_terminal:
            return self._again() or self._fire()
        if self.row.status is SagaStatus.PARKED and self._repairs:
            self._repairs -= 1
            self.plans.clear()  # what was broken is mended
            self.seen["resumed"] += 1
            self._order(Resume())
            return True
        return self._answer() or self._fire()

    def _again(self) -> bool:
        """An operator has a compensation run once more, now and then one that is under way already."""
        turned_back = self.row is not None and self.row.phase is not SagaStatus.RUNNING
        if not turned_back or not self._agains:
            return False
        self._agains -= 1
        undone = [step for step in self.definition.steps if step.undone is not None]
        if not undone:
            return False
        step = self._random.choice(undone)
        self._order(Again(step.name, self._random.randint(1, 3)))
        return True

    def _fire(self) -> bool:
        timers = {} if self.row is None else timers_of(self.row)
        if not timers:
            return False
        name = self._random.choice(sorted(timers))
        self.seen[f"timer {name if name in {DEADLINE, PROOF} else 'of a step'}"] += 1
        self._order(TimerDue(name, timers[name]))
        return True

    def _order(self, control: Control) -> None:
        """Publish a control message; every participant reads it."""
        id_ = f"control {self.calls} {len(self._queue)} {self._random.random()}"
        fact = Fact(id_, "control", START, Role.CONTROL, published=True)
        self._queue += [(service, Message(fact, control)) for service in self.definition.services]

    def _answer(self) -> bool:
        """Complete or refuse a step that waits, from outside, triggered or not."""
        if self.row is None:
            return False
        waiting = [
            step
            for step in self.definition.steps
            if step.waits
            and self._answers(step)
            and step.name not in self._answered
            and self.plans.get(step.name, Plan()).kind != "never"
            and not self.row.resolved(step)
        ]
        if not waiting:
            return False
        step = self._random.choice(waiting)
        self._answered.add(step.name)
        plan, types = self.plans.get(step.name, Plan()), self._answers(step)
        refused = types == step.refused
        type_ = types[plan.choice % len(types)]
        role = Role.REFUSED if refused else Role.DONE
        self.seen["answer"] += 1
        self.outside.add(type_)
        self.publish(Fact(f"outside {type_}", type_, step.name, role, at_ms=self.calls))
        return True

    def _answers(self, step: StepDefinition) -> tuple[str, ...]:
        """The events by which a wait may be answered from outside, as planned or as it can be."""
        planned = self.plans.get(step.name, Plan()).kind
        return step.refused if step.refused and planned == "refused" else step.done or step.refused

    def publish(self, fact: Fact) -> None:
        """Append to the log and deliver to every service that the type concerns."""
        self.log.append(fact)
        for service in self.definition.services:
            if fact.type in self.definition.wakes[service]:
                self._queue.append((service, Message(fact._replace(published=True))))

    def _deliver(self) -> None:
        index = self._random.randrange(len(self._queue))
        service, message = self._queue.pop(index)
        if message.attempt is not None:
            self._due.add(message.attempt)
        if self._duplicates and self._random.random() < 0.3:
            self._duplicates -= 1
            self.seen["duplicate"] += 1
            self._queue.append((service, message))
        world = World(self, service, message)
        if self.row is None and message.control is not None:
            return  # in the product: a dead letter
        handling = Handling(
            *(self.definition, service, SAGA_ID, message.fact, world),
            control=message.control,
            confirmed=self._memory_of(service),
        )
        self._tasks.append(Task(service, message, handling.run()))
        self.trace.append(f"{service} takes {message.control or message.fact.type}")

    def _step(self, task: Task) -> None:
        self.calls += 1
        if task.pending is None:
            self._resume(task, None)
            return
        call, task.pending = task.pending, None
        planned = self._faults.crash_at == self.calls
        by_chance = self._crashes > 0 and self._random.random() < 0.1
        if planned or by_chance:
            self._crashes -= by_chance
            self._crash(task, call)
            return
        self.trace.append(f"{task.service} {call.name}")
        self._resume(task, call.perform())

    def _crash(self, task: Task, call: Call[Any]) -> None:
        """The worker dies before the call, or after it; the message is delivered again."""
        self.seen["crash"] += 1
        after = self._faults.crash_after if self._faults.crash_at else self._random.random() < 0.5
        if after:
            call.perform()
        self.trace.append(f"{task.service} dies {'after' if after else 'before'} {call.name}")
        task.coroutine.close()
        self._tasks.remove(task)
        self._queue.append((task.service, task.message))
        if self._acknowledged is not None:
            self._acknowledged.pop(task.service, None)

    def _resume(self, task: Task, value: object) -> None:
        try:
            task.pending = task.coroutine.send(value)
        except StopIteration:
            self._tasks.remove(task)
        except CompensationFailed:  # in the product: a dead letter, and the saga is parked for it
            self.seen["dead letter"] += 1
            self._tasks.remove(task)
            fact = Fact(f"dead {self.calls}", "control", START, Role.CONTROL, published=True)
            self._queue.append((task.service, Message(fact, Park())))

    # --- the servers ------------------------------------------------------------------------------

    @property
    def row(self) -> Instance | None:
        """The row, in full."""
        return None if self.stored is None else self.stored.instance

    def store(self, at: Position, recorded: Fact | None) -> Position | None:
        """Compare-and-set on the version."""
        version = self.stored.version if self.stored is not None else 0
        if version != at.version and self._checks_stamps:
            self.seen["conflict"] += 1
            return None
        if recorded is not None:
            self.seen[recorded.role] += 1
        self.stored = at.stamped(at.generation, version + 1)
        return self.stored

    def perform(self, action: Action, instance: Instance) -> ActionResult:
        """The participant, with a journal: its effect and its outcome commit together."""
        self._check_founded(action, instance)
        participant = self.participants[action.step.name]
        if action.direction is Direction.UNDO:
            return self._undo(action, participant)
        if participant.tombstone:
            self.seen["tombstone"] += 1
            return ActionResult(ResultKind.REJECTED)
        if participant.forward is not None:
            self.seen["repeated"] += 1
            return ActionResult(ResultKind.RETURNED, participant.forward)
        if self.definition.deadline_ms and not instance.past_pivot and self._random.random() < 0.05:
            return ActionResult(ResultKind.EXPIRED)
        plan = self.plans.get(action.step.name, Plan())
        match plan.kind:
            case "refused":
                refusal = action.step.refused[plan.choice]
                if self._remembers_refusals:
                    participant.forward = refusal
                else:  # forgotten: the next run of the same step will answer otherwise
                    self.plans[action.step.name] = Plan()
                return ActionResult(ResultKind.RETURNED, refusal)
            case "otherwise" if action.step.otherwise is not None:
                participant.forward = action.step.otherwise
                return ActionResult(ResultKind.RETURNED, participant.forward)
            case "failed":
                if plan.effect:
                    participant.forward = action.step.done[0]
                    participant.effects[Direction.FORWARD] += 1
                return ActionResult(ResultKind.FAILED)
            case _:
                participant.forward = action.step.done[plan.choice]
                participant.effects[Direction.FORWARD] += 1
                return ActionResult(ResultKind.RETURNED, participant.forward)

    def _undo(self, action: Action, participant: Participant) -> ActionResult:
        step, epoch = action.step, action.epoch
        if max(participant.undone, default=0) > epoch and self._refuses_lower_epochs:
            self.seen["superseded"] += 1
            return ActionResult(ResultKind.SUPERSEDED)
        came_late = not epoch and self._is_left(step, participant) and not self._leaves_tombstones
        if epoch not in participant.undone or came_late:
            if self.plans.get(step.name, Plan()).undo_fails:
                self.seen["undo fails"] += 1
                return ActionResult(ResultKind.FAILED)
            participant.undone[epoch] = step.undone or ""
            if epoch:
                participant.again[epoch] += 1
            elif participant.forward in step.done or step.name == START:
                participant.effects[Direction.UNDO] += 1
                self.undo_order.append(step.name)
            elif participant.forward is None:
                participant.tombstone = self._leaves_tombstones
                self.seen["null compensation"] += 1
        return ActionResult(ResultKind.RETURNED, step.undone)

    def _memory_of(self, service: str) -> set[str] | None:
        """What a process has had acknowledged, shared by its handlings; it dies with it."""
        return None if self._acknowledged is None else self._acknowledged.setdefault(service, set())

    @staticmethod
    def _is_left(step: StepDefinition, participant: Participant) -> bool:
        """Whether the step took effect after it was undone."""
        effects = participant.effects
        done = participant.forward in step.done
        return done and effects[Direction.UNDO] < effects[Direction.FORWARD]

    def waits(self, action: Action, noted: Mapping[Attempted, int]) -> bool:
        """Whether a message that is under way brings the next attempt, by notes that were read."""
        attempt = noted.get((action.step.name, action.direction, action.epoch))
        return attempt is not None and attempt not in self._due

    def postpones(self) -> bool:
        """Whether an attempt fails now, and another is to be made later."""
        if not self._postponements or self._random.random() > 0.4:
            return False
        self._postponements -= 1
        self.seen["postponed"] += 1
        return True

    def put_off(self, service: str, message: Message) -> int:
        """Publish the message for another attempt, and return that attempt's number."""
        number = self.calls
        self._queue.append((service, replace(message, attempt=number)))
        return number

    def note(self, action: Action, attempt: int) -> None:
        """Others leave the action to that attempt until it is due."""
        self.noted[action.step.name, action.direction, action.epoch] = attempt

    def _check_founded(self, action: Action, instance: Instance) -> None:
        """No one acts on an event whose cause is not durable (I10)."""
        on_log = {fact.id for fact in self.log}
        durable = {slot for slot, fact in instance.facts.items() if fact.id in on_log}
        if action.direction is Direction.FORWARD:
            triggers = [t in durable for t in action.step.triggers]
            founded = any(triggers) if action.step.join == "any" else all(triggers)
        else:
            roles = {Role.REFUSED, Role.FAILED, Role.UNDONE, Role.CANCELLED, Role.OTHERWISE}
            founded = any(instance.facts[slot].role in roles for slot in durable)
        if not founded:
            self.unfounded.append(f"{action.direction} {action.step.name}")

    def id_of(self, type_: str, step: str, direction: Direction, cause: str) -> str:
        return event_id("saga", SAGA_ID, type_, step=step, direction=direction, cause=cause)
