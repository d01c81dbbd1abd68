"""What can happen next in a state: every move, and the state that it leads to.

A state is what servers, participants and workers hold: the row, messages under way, handlings in the
middle, the participants' stores, what was ever published, what processes know to be published, and what
may still go wrong. Nothing else is remembered of how it came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import combinations
from typing import Final, NamedTuple

from sagas.checks.model.bounds import Bounds, Fault
from sagas.checks.model.chances import Chances
from sagas.checks.model.continuations import ABSENT, Asked, Node
from sagas.checks.model.invariants import End
from sagas.checks.model.outside import Outside
from sagas.checks.model.participants import ALL_GUARDS, Guards
from sagas.checks.model.register import Delivery
from sagas.checks.model.settling import Settling
from sagas.checks.model.states import Move, State
from sagas.checks.model.stretches import Stretch, Stretches
from sagas.core.controls import Park
from sagas.core.definition import START, Definition, Role
from sagas.core.instance import Fact
from sagas.core.unfolding import places_of

__all__ = ["Moves"]

_NOBODY: Final = -1
_TAKES: Final = "takes"
_GOES_ON: Final = "goes on with"
_DIES: Final = "dies with"

Found = list[tuple[Move, State, tuple[int, ...]]]
"""Moves, where each leads, and the deliveries that it put under way."""


class _At(NamedTuple):
    """A state whose moves are looked for: its number, who is busy, and the deliveries that are idle."""

    state: State
    source: int
    busy: AbstractSet[tuple[str, bool]]
    idle: tuple[int, ...]


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
        self.stretches = Stretches(definition, guards, in_order=not bounds.any_order)
        self._register = self.stretches.register
        self._chances = Chances(bounds)
        self._outside = Outside(self.stretches, self._chances)
        self.settling = Settling(self.stretches, self._chances.bits([Fault.CRASH]))
        self._services = {name: index for index, name in enumerate(definition.services)}
        self._reduced = reduced
        self._checks = guards.checks_stamps
        self._words: dict[tuple[str, int], str] = {}

    def initial(self, faults: Iterable[Fault]) -> State:
        """The start is published, and nobody has seen it yet; each of ``faults`` may still happen, once."""
        start = self.definition.start.done[0]
        message = self._register.event(Fact(start, start, START, Role.DONE))
        bits = self._chances.bits(faults)
        return State(
            ABSENT,
            self._register.put((), self._register.sent(message)),
            (),
            self.stretches.initial,
            1 << message,
            (0,) * len(self._services),
            bits,
            bits.bit_count(),
            0,
            self._bounds.repairs,
        )

    # --- what can happen -------------------------------------------------------------------------------

    def of(self, state: State, source: int = _NOBODY) -> list[tuple[Move, State]]:
        """Every move, and where it leads. None: the state is an end. ``source`` is the state's number, for
        whoever wants to be told that what was said of it is wrong.
        """
        found: Found = []
        busy = self._busy(state)
        idle = self._idle(state, busy)
        at = _At(state, source, busy, idle)
        self._deliver(found, at)
        if self._chances.may(state, Fault.DUPLICATE):
            self._deliver_again(found, at)
        self._go_on(found, state, source)
        found += [(move, after, ()) for move, after in self._outside.of(state)]
        if idle:
            found = list(self._passed_over(found, idle))
            if len(idle) == len(state.sent) and not state.running:
                found.append((Move("", None, (), (), idle), state._replace(sent=()), ()))
        if not self._reduced:
            return [(move, after) for move, after, _ in found]
        row, settling = state.row, self.settling
        for _, after, _ in found:
            if after.row != row != ABSENT:
                settling.spent.follows(row, after.row)
        return [(move, settling.settled(after, source)) for move, after, _ in found]

    # --- what would do nothing, and is left for later --------------------------------------------------

    def _busy(self, state: State) -> set[tuple[str, bool]]:
        """The workers that have a message in hand."""
        return {self._taken_by(node) for node, _ in state.running}

    def _idle(self, state: State, busy: AbstractSet[tuple[str, bool]]) -> tuple[int, ...]:
        """Deliveries that could be handled now, and nothing would come of it."""
        if not self._reduced or self._register.in_order or state.row == ABSENT:
            return ()
        return tuple(d for d in state.sent if not self._calls(d, state, busy))

    def _calls(self, delivery: int, state: State, busy: AbstractSet[tuple[str, bool]]) -> bool:
        """Whether something would come of a delivery, or it can not be handled now."""
        one = self._register.deliveries.values[delivery]
        if (one.service, one.copy) in busy:
            return True
        memory = 0 if one.copy else state.memory[self._services[one.service]]
        node = self.stretches.continuations.root(delivery, memory).number
        return not self.settling.spent.is_inert(node, state.row)

    def _passed_over(
        self, found: Found, idle: tuple[int, ...]
    ) -> Iterator[tuple[Move, State, tuple[int, ...]]]:
        """The same moves, and before each any of the idle deliveries that it would bring to life."""
        for move, after, emitted in found:
            yield move, after, emitted
            busy = self._busy(after)
            lost = [d for d in idle if d not in emitted and self._calls(d, after, busy)]
            for some in range(1, len(lost) + 1):
                for passed in combinations(lost, some):
                    sent = tuple(d for d in after.sent if d not in passed)
                    yield move._replace(passed=passed), after._replace(sent=sent), emitted

    # --- handlings ---------------------------------------------------------------------------------------

    def _deliver(self, found: Found, at: _At) -> None:
        state = at.state
        in_order, topics = self._register.in_order, set()
        for index, number in enumerate(state.sent):
            one = self._register.deliveries.values[number]
            if in_order:
                if (one.service, one.topic) in topics:
                    continue
                topics.add((one.service, one.topic))
            if (one.service, one.copy) in at.busy or number in at.idle:
                continue
            if state.row == ABSENT and self._register.messages.values[one.message].control:
                continue
            sent = (*state.sent[:index], *state.sent[index + 1 :])
            memory = 0 if one.copy else state.memory[self._services[one.service]]
            node = self.stretches.continuations.root(number, memory)
            self._handle(found, state._replace(sent=sent), node, at.source, _TAKES)

    def _deliver_again(self, found: Found, at: _At) -> None:
        """What was delivered comes once more, to another worker of the service. One that comes and does
        nothing might as well not have come.
        """
        state = at.state
        if state.row == ABSENT:
            return
        rest = self._chances.spent(state, Fault.DUPLICATE)
        rest = rest._replace(log=rest.log & ~self._register.controls)
        for number in self._register.sent_of(state.log):
            one = self._register.deliveries.values[number]
            if (number in state.sent and number not in at.idle) or (one.service, True) in at.busy:
                continue
            node = self.stretches.continuations.root(self._register.copy_of(number), 0)
            if not self.settling.spent.is_inert(node.number, state.row):
                self._handle(found, rest, node, at.source, _TAKES)

    def _taken_by(self, node: int) -> tuple[str, bool]:
        one = self._register.deliveries.values[self.stretches.continuations.nodes[node].delivery]
        return one.service, one.copy

    def _go_on(self, found: Found, state: State, source: int) -> None:
        dies = self._chances.may(state, Fault.CRASH)
        for index, (number, changed) in enumerate(state.running):
            rest = state._replace(running=(*state.running[:index], *state.running[index + 1 :]))
            node = self.stretches.continuations.nodes[number]
            self._handle(found, rest, node, source, _GOES_ON, changed=changed)
            if dies:
                service = self._register.deliveries.values[node.delivery].service
                words = f"{self._told(_DIES, node.delivery)} in hand"
                crashed = self._crashed(rest, node)
                found.append((Move(words, service, ()), crashed, (node.delivery,)))

    def taking(self, delivery: int) -> Move:
        """A delivery is handled, and nothing comes of it."""
        service = self._register.deliveries.values[delivery].service
        return Move(self._told(_TAKES, delivery), service, ())

    def going_on(self, node: int) -> str:
        """What it is called when a handling goes on from a node."""
        return self._told(_GOES_ON, self.stretches.continuations.nodes[node].delivery)

    def _told(self, verb: str, delivery: int) -> str:
        """What a worker does with a message."""
        words = self._words.get((verb, delivery))
        if words is None:
            one = self._register.deliveries.values[delivery]
            worker = f"another worker of {one.service}" if one.copy else one.service
            words = f"{worker} {verb} {self._register.name(one.message)}"
            self._words[verb, delivery] = words
        return words

    def _handle(
        self,
        found: Found,
        rest: State,
        node: Node,
        source: int,
        verb: str,
        *,
        changed: bool = False,
        calls: tuple[str, ...] = (),
        emitted: tuple[int, ...] = (),
    ) -> None:
        """The state after each stretch from a node. ``rest`` is without the handling; ``calls`` were made
        before.
        """
        one = self._register.deliveries.values[node.delivery]
        fine, log = self._is_rivalled(rest, one), rest.log & ~self._register.controls
        ways = self.stretches.of(node, rest.row, rest.stores, log, changed=changed, fine=fine)
        for stretch in ways:
            if (stretch.died or stretch.fault is not None) and not self._may_be(rest, stretch):
                continue
            after = self._after(rest, node, one, stretch)
            all_calls, all_sent = (*calls, *stretch.calls), (*emitted, *stretch.sent)
            if self._reduced and self._is_no_news(rest, stretch, source):
                alone, further = after._replace(running=rest.running), stretch.node or node
                self._handle(
                    *(found, alone, further, source, verb),
                    changed=stretch.changed,
                    calls=all_calls,
                    emitted=all_sent,
                )
                continue
            if stretch.died:
                all_sent = (*all_sent, node.delivery)
            words = self._told(verb, node.delivery)
            move = Move(words, one.service, all_calls, stretch.violations)
            found.append((move, after, all_sent))

    def _may_be(self, rest: State, stretch: Stretch) -> bool:
        """Whether the faults of a stretch may still happen, and together."""
        if stretch.died and not self._chances.may(rest, Fault.CRASH):
            return False
        if stretch.fault is None:
            return True
        together = rest.at_once > 1 or not stretch.died
        return together and self._chances.may(rest, stretch.fault)

    def _is_no_news(self, rest: State, stretch: Stretch, source: int) -> bool:
        """Whether all that others could notice of a stretch is there already: what was emitted is under way
        to everybody, or nobody would do anything about it any more. Then nobody needs to come before what
        follows: it were as if it had begun later. That a store fails when the row has changed is needed for
        it.
        """
        if not self._checks or stretch.node is None:
            return False
        if stretch.node.asked not in {Asked.STORE, Asked.LOAD}:
            return False
        if stretch.performed or stretch.stored or stretch.published & ~rest.log:
            return False
        return not self.settling.is_noticed(rest, stretch.sent, source)

    def _is_rivalled(self, rest: State, one: Delivery) -> bool:
        """Whether another worker of the service is, or may soon be, at work on the saga."""
        if one.copy or self._chances.may(rest, Fault.DUPLICATE):
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
        after = State(
            stretch.row,
            self._register.put(rest.sent, stretch.sent) if stretch.sent else rest.sent,
            tuple(sorted(running)) if len(running) > 1 else running,
            stretch.stores,
            rest.log | stretch.published,
            memory,
            *(rest.faults, rest.at_once, rest.answered, rest.repairs),
        )
        if stretch.fault is not None:
            after = self._chances.spent(after, stretch.fault)
        if stretch.dead_letter:
            after = self._parked_for(after, one)
        return self._crashed(after, node) if stretch.died else after

    def _parked_for(self, state: State, one: Delivery) -> State:
        """The message has become a dead letter: the saga is to be parked for it."""
        name = f"dead letter {self._register.name(one.message)} of {one.service}"
        message, delivery = self._register.letter(one.service, name, Park())
        log = state.log
        if self._chances.may(state, Fault.DUPLICATE):
            log |= 1 << message
        return state._replace(sent=self._register.put(state.sent, (delivery,)), log=log)

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
        sent = self._register.put((node.delivery,), rest.sent)
        return self._chances.spent(rest._replace(sent=sent, memory=memory), Fault.CRASH)

    # --- the end -----------------------------------------------------------------------------------------

    def end(self, state: State) -> End:
        """What is there at an end."""
        row = None if state.row == ABSENT else self._register.rows.values[state.row]
        log = self._register.events(state.log)
        return End(row, self.stretches.stores.values[state.stores], log)
