"""What can happen next in a state: every move, and the state that it leads to.

A state is what servers, participants and workers hold: the row, messages under way, handlings in the
middle, the participants' stores, what was ever published, what processes know to be published, and what
may still go wrong. Nothing else is remembered of how it came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sagas.checks.model.bounds import Bounds, Fault
from sagas.checks.model.continuations import ABSENT, Asked, Node
from sagas.checks.model.invariants import End
from sagas.checks.model.participants import ALL_GUARDS, Guards
from sagas.checks.model.register import Delivery
from sagas.checks.model.spent import Spent
from sagas.checks.model.states import Move, State
from sagas.checks.model.stretches import Stretch, Stretches
from sagas.core.controls import Cancel, Control, Park, Resume, TimerDue
from sagas.core.definition import START, Definition, Role, StepDefinition
from sagas.core.instance import Fact, SagaStatus
from sagas.core.position import Position, places_of

__all__ = ["Moves"]

_LATER_MS: Final = 2**60
"""Later than anything is due."""


class Moves:
    """The moves of one definition within bounds.

    Unless ``reduced`` also those are kept that can change nothing, and nothing is put together.
    """

    def __init__(
        self,
        definition: Definition,
        bounds: Bounds,
        guards: Guards = ALL_GUARDS,
        *,
        reduced: bool = True,
    ) -> None:
        places_of(definition).forget()
        self.definition = definition
        self._bounds = bounds
        self.stretches = Stretches(definition, guards)
        self.spent = Spent(self.stretches)
        self._register = self.stretches.register
        self._services = {name: index for index, name in enumerate(definition.services)}
        self._bit = {fault: 1 << index for index, fault in enumerate(bounds.counted)}
        self._kept: dict[tuple[Any, ...], tuple[Any, Any, Any]] = {}
        self._reduced = reduced
        self._checks = guards.checks_stamps
        self._in_order = not bounds.any_order
        self._waits = tuple(step for step in definition.steps if step.waits)

    def begin(self) -> None:
        """A round begins, with what is known from those before."""
        self.spent.begin()
        self._kept.clear()

    def initial(self, faults: Iterable[Fault]) -> State:
        """The start is published, and nobody has seen it yet; each of ``faults`` may still happen, once."""
        start = self.definition.start.done[0]
        message = self._register.event(Fact(start, start, START, Role.DONE))
        bits = [self._bit[fault] for fault in faults]
        return State(
            ABSENT,
            self._sorted(self._register.sent(message)),
            (),
            self.stretches.initial,
            1 << message,
            (0,) * len(self._services),
            sum(bits),
            len(bits),
            0,
            self._bounds.repairs,
        )

    # --- what can happen -------------------------------------------------------------------------------

    def of(self, state: State) -> Iterator[tuple[Move, State]]:
        """Every move, and where it leads. None: the state is an end."""
        for move, after in self._all(state):
            if state.row not in {after.row, ABSENT}:
                self.spent.follows(state.row, after.row)
            yield move, self._settled(after)

    def _settled(self, state: State) -> State:
        """Without what can change nothing any more."""
        if state.row == ABSENT or not self._reduced:
            return state
        dies = self._may(state, Fault.CRASH)
        key = (state.row, state.sent, state.running, state.memory, dies)
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = self._left(state, dies=dies)
        sent, running, memory = found
        return State(
            *(state.row, sent, running, state.stores, state.log, memory, *state[6:]),
        )

    def _left(self, state: State, *, dies: bool) -> tuple[Any, Any, Any]:
        row, memory = state.row, state.memory
        if any(memory):
            memory = tuple(
                known and self.spent.kept(service, known, row)
                for service, known in zip(self._services, memory, strict=True)
            )
        sent = tuple(d for d in state.sent if not self._is_spent(d, memory, row, dies=dies))
        running = tuple(one for one in state.running if not self._is_over(one, row))
        return sent, running, memory

    def _is_spent(self, delivery: int, memory: tuple[int, ...], row: int, *, dies: bool) -> bool:
        one = self._register.deliveries.values[delivery]
        known = 0 if dies or one.copy else memory[self._services[one.service]]
        return self.spent.is_spent(self.stretches.continuations.root(delivery, known), row)

    def _is_over(self, handling: tuple[int, bool], row: int) -> bool:
        node = self.stretches.continuations.nodes[handling[0]]
        return node.asked is Asked.LOAD and self.spent.is_spent(node, row)

    def _all(self, state: State) -> Iterator[tuple[Move, State]]:
        yield from self._deliveries(state)
        yield from self._continuations(state)
        if state.row == ABSENT:
            return
        at = self._register.rows.values[state.row]
        at_rest = not state.sent and not state.running
        yield from self._timers(state, at, at_rest=at_rest)
        if at.status.is_terminal:
            return
        yield from self._answers(state, at)
        if self._may(state, Fault.CANCEL) and at.place.model.phase is SagaStatus.RUNNING:
            yield self._ordered(
                self._spent(state, Fault.CANCEL), "cancel", Cancel(), "is cancelled"
            )
        if at_rest and at.status is SagaStatus.PARKED and state.repairs:
            state = state._replace(repairs=state.repairs - 1)
            yield self._ordered(state, "resume", Resume(), "is resumed by an operator")

    def _deliveries(self, state: State) -> Iterator[tuple[Move, State]]:
        busy = {self._taken_by(node) for node, _ in state.running}
        topics: set[tuple[str, str]] = set()
        last = None
        for index, number in enumerate(state.sent):
            if number == last:
                continue
            last = number
            one = self._register.deliveries.values[number]
            if self._in_order and (one.service, one.topic) in topics:
                continue
            topics.add((one.service, one.topic))
            if (one.service, one.copy) in busy:
                continue
            rest = state._replace(sent=(*state.sent[:index], *state.sent[index + 1 :]))
            if state.row == ABSENT and self._register.messages.values[one.message].control:
                continue
            yield from self._taken(rest, number, one, "takes")
            if not one.copy and self._may(state, Fault.DUPLICATE):
                copied = self._spent(rest, Fault.DUPLICATE)
                copied = copied._replace(
                    sent=self._sorted((*copied.sent, self._register.copy_of(number)))
                )
                yield from self._taken(copied, number, one, "takes, to be delivered again,")

    def _taken_by(self, node: int) -> tuple[str, bool]:
        one = self._register.deliveries.values[self.stretches.continuations.nodes[node].delivery]
        return one.service, one.copy

    def _taken(
        self, rest: State, number: int, one: Delivery, verb: str
    ) -> Iterator[tuple[Move, State]]:
        memory = 0 if one.copy else rest.memory[self._services[one.service]]
        node = self.stretches.continuations.root(number, memory)
        words = f"{self._worker(one)} {verb} {self._register.name(one.message)}"
        yield from self._gone_on(rest, node, changed=False, words=words)

    def _continuations(self, state: State) -> Iterator[tuple[Move, State]]:
        for index, (number, changed) in enumerate(state.running):
            running = (*state.running[:index], *state.running[index + 1 :])
            rest = state._replace(running=running)
            node = self.stretches.continuations.nodes[number]
            one = self._register.deliveries.values[node.delivery]
            yield from self._gone_on(rest, node, changed=changed, words=self.going_on(number))
            if self._may(state, Fault.CRASH):
                crashed = self._crashed(self._spent(rest, Fault.CRASH), node)
                name = self._register.name(one.message)
                words = f"{self._worker(one)} dies with {name} in hand"
                yield Move(words, one.service, ()), crashed

    def going_on(self, node: int) -> str:
        """What it is called when a handling goes on from a node."""
        delivery = self.stretches.continuations.nodes[node].delivery
        one = self._register.deliveries.values[delivery]
        return f"{self._worker(one)} goes on with {self._register.name(one.message)}"

    @staticmethod
    def _worker(one: Delivery) -> str:
        return f"another worker of {one.service}" if one.copy else one.service

    def _gone_on(
        self, rest: State, node: Node, *, changed: bool, words: str
    ) -> Iterator[tuple[Move, State]]:
        """The state after each stretch. ``rest`` is without the handling."""
        one = self._register.deliveries.values[node.delivery]
        fine = self._is_rivalled(rest, one)
        found = self.stretches.of(node, rest.row, rest.stores, rest.log, changed=changed, fine=fine)
        for stretch in found:
            if stretch.died and not self._may(rest, Fault.CRASH):
                continue
            if stretch.fault is not None and not self._may(rest, stretch.fault):
                continue
            if stretch.died and stretch.fault is not None and rest.at_once < 2:  # noqa: PLR2004
                continue
            after = self._after(rest, node, one, stretch)
            if self._reduced and stretch.node is not None and self._is_no_news(rest, stretch):
                alone = after._replace(running=rest.running)
                for move, end in self._gone_on(
                    alone, stretch.node, changed=stretch.changed, words=words
                ):
                    yield move._replace(calls=(*stretch.calls, *move.calls)), end
                continue
            yield Move(words, one.service, stretch.calls, stretch.violations), after

    @staticmethod
    def _is_no_news(rest: State, stretch: Stretch) -> bool:
        """Whether all that others could notice of a stretch is there already: what was emitted is under way
        to everybody. Then nobody needs to come before what follows: it were as if it had begun later.
        """
        if stretch.node is None or stretch.node.asked is not Asked.STORE:
            return False
        if stretch.performed or stretch.stored or stretch.published & ~rest.log:
            return False
        return set(stretch.sent) <= set(rest.sent)

    def _is_rivalled(self, rest: State, one: Delivery) -> bool:
        """Whether another worker of the service is, or may soon be, at work on the saga."""
        if one.copy:
            return True
        deliveries = self._register.deliveries.values
        if any(deliveries[d].copy and deliveries[d].service == one.service for d in rest.sent):
            return True
        return any(self._taken_by(number) == (one.service, True) for number, _ in rest.running)

    def _after(self, rest: State, node: Node, one: Delivery, stretch: Stretch) -> State:
        running = rest.running
        if stretch.stored and running:
            running = tuple(map(self._overtaken, running))
        if stretch.node is not None:
            running = (*running, (stretch.node.number, stretch.changed))
        memory = rest.memory
        if stretch.remembered and not one.copy:
            index = self._services[one.service]
            known = memory[index] | stretch.remembered
            memory = (*memory[:index], known, *memory[index + 1 :])
        sent = rest.sent
        if stretch.sent:
            sent = self._sorted((*sent, *stretch.sent))
        after = rest._replace(
            row=stretch.row,
            sent=sent,
            running=tuple(sorted(running)) if len(running) > 1 else running,
            stores=stretch.stores,
            log=rest.log | stretch.published,
            memory=memory,
        )
        if stretch.fault is not None:
            after = self._spent(after, stretch.fault)
        if stretch.dead_letter:
            name = self._register.name(one.message)
            park = self._register.control(f"dead letter {name}", Park())
            letter = self._register.delivery(one.service, park)
            after = after._replace(sent=self._sorted((*after.sent, letter)))
        if stretch.died:
            after = self._crashed(self._spent(after, Fault.CRASH), node)
        return after

    def _overtaken(self, handling: tuple[int, bool]) -> tuple[int, bool]:
        """A handling whose row has changed: what it wants to store can not be stored any more."""
        continuations, node = self.stretches.continuations, handling[0]
        if self._checks and continuations.nodes[node].asked is Asked.STORE:
            node = continuations.after(continuations.nodes[node], ABSENT).number
        return node, True

    def _crashed(self, rest: State, node: Node) -> State:
        """What a process knew is gone with it, and what it had in hand comes again, before anything else."""
        one = self._register.deliveries.values[node.delivery]
        memory = rest.memory
        if not one.copy:
            index = self._services[one.service]
            memory = (*memory[:index], 0, *memory[index + 1 :])
        sent = self._sorted((node.delivery, *rest.sent))
        return rest._replace(sent=sent, memory=memory)

    # --- time, operators, and the world outside ----------------------------------------------------------

    def _timers(self, state: State, at: Position, *, at_rest: bool) -> Iterator[tuple[Move, State]]:
        early = self._may(state, Fault.TIMER) and not at.status.is_terminal
        if not at_rest and not early:
            return
        spent = state if at_rest else self._spent(state, Fault.TIMER)
        for source in at.place.sources:
            if source.slots or at.deadline_ms is not None:
                due = TimerDue(source.name, _LATER_MS)
                words = f"the timer {source.name} is due"
                yield self._ordered(spent, f"timer {source.name}", due, words)

    def _ordered(self, state: State, name: str, control: Control, words: str) -> tuple[Move, State]:
        """A control message under a name that is not used yet: two of a kind are not the same."""
        used = {
            self._register.name(self._register.deliveries.values[d].message) for d in state.sent
        }
        nodes, deliveries = self.stretches.continuations.nodes, self._register.deliveries.values
        used |= {
            self._register.name(deliveries[nodes[n].delivery].message) for n, _ in state.running
        }
        used.update(self._register.rows.values[state.row].outside)
        number = 1
        while f"{name} {number}" in used:
            number += 1
        message = self._register.control(f"{name} {number}", control)
        sent = self._sorted((*state.sent, *self._register.sent(message)))
        return Move(words, None, ()), state._replace(sent=sent)

    def _answers(self, state: State, at: Position) -> Iterator[tuple[Move, State]]:
        """Somebody outside completes or refuses a step that waits, triggered or not."""
        for index, step in enumerate(self._waits):
            early = not at.place.model.triggered(step)
            if early and not self._may(state, Fault.EARLY):
                continue
            spent = self._spent(state, Fault.EARLY) if early else state
            if state.answered >> index & 1 or at.place.model.resolved(step):
                continue
            for type_, role in self._kinds_of_answer(step):
                message = self._register.event(Fact(f"outside/{type_}", type_, step.name, role))
                sent = self._sorted((*state.sent, *self._register.sent(message)))
                after = spent._replace(
                    sent=sent,
                    log=state.log | 1 << message,
                    answered=state.answered | 1 << index,
                )
                yield Move(f"{type_} comes from outside", None, ()), after

    @staticmethod
    def _kinds_of_answer(step: StepDefinition) -> Iterator[tuple[str, Role]]:
        yield from ((type_, Role.DONE) for type_ in step.done)
        yield from ((type_, Role.REFUSED) for type_ in step.refused)

    # --- the end -----------------------------------------------------------------------------------------

    def end(self, state: State) -> End:
        """What is there at an end."""
        row = None if state.row == ABSENT else self._register.rows.values[state.row]
        messages = self._register.messages.values
        log = [one.fact for n, one in enumerate(messages) if state.log >> n & 1]
        return End(row, self.stretches.stores.values[state.stores], log)

    def _may(self, state: State, fault: Fault) -> bool:
        return bool(state.faults & self._bit.get(fault, 0))

    def _spent(self, state: State, fault: Fault) -> State:
        left = state.at_once - 1
        faults = state.faults & ~self._bit[fault] if left else 0
        return state._replace(faults=faults, at_once=left if faults else 0)

    def _sorted(self, sent: tuple[int, ...]) -> tuple[int, ...]:
        """Any order is the same, or that of each service's topics is kept. What is emitted again while it is
        still under way is the same message.
        """
        if not self._in_order:
            return tuple(sorted(set(sent)))
        sent = tuple(dict.fromkeys(sent))
        deliveries = self._register.deliveries.values
        return tuple(
            sorted(
                sent, key=lambda d: (deliveries[d].service, deliveries[d].topic, deliveries[d].copy)
            )
        )
