"""What comes from outside of the participants: timers, operators, customers' answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sagas.checks.model.bounds import Fault
from sagas.checks.model.chances import Chances
from sagas.checks.model.continuations import ABSENT
from sagas.checks.model.states import Move, State
from sagas.checks.model.stretches import Stretches
from sagas.core.controls import Cancel, Control, Resume, TimerDue
from sagas.core.definition import Role, StepDefinition
from sagas.core.instance import Fact, SagaStatus
from sagas.core.position import Position

__all__ = ["Outside"]

_LATER_MS: Final = 2**60
"""Later than anything is due."""


class Outside:
    """The moves of time, operators, and the world outside."""

    def __init__(self, stretches: Stretches, chances: Chances) -> None:
        self._register = stretches.register
        self._nodes = stretches.continuations.nodes
        self._chances = chances
        self._waits = tuple(step for step in self._register.definition.steps if step.waits)

    def of(self, state: State) -> Iterator[tuple[Move, State]]:
        """Every move. Operators wait until nothing else happens; so do timers, unless one is early."""
        if state.row == ABSENT:
            return
        at = self._register.rows.values[state.row]
        at_rest = not state.sent and not state.running
        yield from self._timers(state, at, at_rest=at_rest)
        if at.status.is_terminal:
            return
        if self._waits:
            yield from self._answers(state, at)
        running = at.place.model.phase is SagaStatus.RUNNING
        if running and self._chances.may(state, Fault.CANCEL):
            spent = self._chances.spent(state, Fault.CANCEL)
            yield self._ordered(spent, "cancel", Cancel(), "is cancelled")
        if at_rest and at.status is SagaStatus.PARKED and state.repairs:
            state = state._replace(repairs=state.repairs - 1)
            yield self._ordered(state, "resume", Resume(), "is resumed by an operator")

    def _timers(self, state: State, at: Position, *, at_rest: bool) -> Iterator[tuple[Move, State]]:
        early = not at.status.is_terminal and self._chances.may(state, Fault.TIMER)
        if not at_rest and not early:
            return
        spent = state if at_rest else self._chances.spent(state, Fault.TIMER)
        for source in at.place.sources:
            if source.slots or at.deadline_ms is not None:
                due = TimerDue(source.name, _LATER_MS)
                words = f"the timer {source.name} is due"
                yield self._ordered(spent, f"timer {source.name}", due, words)

    def _ordered(self, state: State, name: str, control: Control, words: str) -> tuple[Move, State]:
        """A control message under a name that is not used yet: two of a kind are not the same."""
        used = self._names(state)
        number = 1
        while f"{name} {number}" in used:
            number += 1
        message = self._register.control(f"{name} {number}", control)
        sent = self._register.put(state.sent, self._register.sent(message))
        log = state.log
        if self._chances.may(state, Fault.DUPLICATE):
            log |= 1 << message
        return Move(words, None, ()), state._replace(sent=sent, log=log)

    def _names(self, state: State) -> set[str]:
        """The names of messages that are under way or in hand, and of causes that are recorded."""
        deliveries = self._register.deliveries.values
        numbers = [*state.sent, *(self._nodes[node].delivery for node, _ in state.running)]
        names = {self._register.name(deliveries[number].message) for number in numbers}
        names.update(self._register.rows.values[state.row].outside)
        return names

    def _answers(self, state: State, at: Position) -> Iterator[tuple[Move, State]]:
        """Somebody outside completes or refuses a step that waits, triggered or not."""
        for index, step in enumerate(self._waits):
            early = not at.place.model.triggered(step)
            if early and not self._chances.may(state, Fault.EARLY):
                continue
            spent = self._chances.spent(state, Fault.EARLY) if early else state
            if state.answered >> index & 1 or at.place.model.resolved(step):
                continue
            for type_, role in _kinds_of_answer(step):
                message = self._register.event(Fact(f"outside/{type_}", type_, step.name, role))
                after = spent._replace(
                    sent=self._register.put(state.sent, self._register.sent(message)),
                    log=state.log | 1 << message,
                    answered=state.answered | 1 << index,
                )
                yield Move(f"{type_} comes from outside", None, ()), after


def _kinds_of_answer(step: StepDefinition) -> Iterator[tuple[str, Role]]:
    yield from ((type_, Role.DONE) for type_ in step.done)
    yield from ((type_, Role.REFUSED) for type_ in step.refused)
