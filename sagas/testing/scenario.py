"""Given, when, then: a saga's story in one sentence.

Owns the order of the words. Everything else is the environment's.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Self

from sagas.core.events import Event
from sagas.core.instance import SagaStatus
from sagas.testing.environment import SagaTestEnvironment
from sagas.testing.history import RecordedEvent, shown, told
from sagas.testing.interventions import Answer, AnyStep
from sagas.testing.taking import status_of

__all__ = ["Given", "When", "given"]

_Expected = type[Event] | Event
Expected = _Expected | AbstractSet[_Expected]
"""An event's class, an event, or a set of those: in any order, where steps run side by side."""


def given(env: SagaTestEnvironment) -> Given:
    """Begin a sentence.

    ``await given(env).fail(step).when(event).then(Outcome, ends=status)``
    """
    return Given(env)


class Given:
    """How the participants behave. The words are those of the environment."""

    def __init__(self, env: SagaTestEnvironment) -> None:
        self._env = env
        env.begun_sentences[self] = "a given(env) leads to nothing; write `await given(env)…`"

    def fail(
        self,
        step: AnyStep,
        times: int | None = 1,
        *,
        error: Exception | None = None,
        undo: bool = False,
    ) -> Self:
        """A step's handler raises that many times, None for ever."""
        self._env.fail(step, times, error=error, undo=undo)
        return self

    def delay(self, step: AnyStep, seconds: float, *, undo: bool = False) -> Self:
        """A step's handler takes that much virtual time."""
        self._env.delay(step, seconds, undo=undo)
        return self

    def replace(self, step: AnyStep, *, returns: Answer, undo: bool = False) -> Self:
        """A step is answered for."""
        self._env.replace(step, returns=returns, undo=undo)
        return self

    def when(self, event: Event) -> When:
        """What starts the saga."""
        name = event.__name__ if isinstance(event, type) else type(event).__name__
        self._env.begun_sentences[self] = (
            f"a given(…).when({name}).then(…) was never awaited; write `await given(env)…`"
        )
        return When(self._env, event, said_by=self)


class When:
    """A saga that is about to start."""

    def __init__(self, env: SagaTestEnvironment, event: Event, *, said_by: Given) -> None:
        self._env = env
        self._said_by = said_by
        self._event = event

    async def then(self, *expected: Expected, ends: SagaStatus | str) -> str:
        """Run to rest; assert what followed the start, in order, and where that leaves the saga.

        ``ends`` is a status or its name. Returns the saga id. A saga that is to end PARKED may stay
        so when the block is left. Raises AssertionError with the whole history.
        """
        env = self._env
        env.begun_sentences.pop(self._said_by, None)
        wanted = status_of(ends)
        saga_id = await env.start(self._event)
        await env.run()
        history = env.history(saga_id)
        story = f"\nWhat happened:\n{told(history)}"
        status = env.status(saga_id)
        if status is not wanted:
            stands = "unknown" if status is None else status
            why = "" if status is not None and status.is_terminal else f"\n{env.why(saga_id)}"
            raise AssertionError(f"{saga_id!r} is {stands}, expected {wanted}.{why}{story}")
        _compare(history[1:], expected, story)
        if not wanted.is_terminal:
            env.expect_unfinished(saga_id)
        return saga_id


def _compare(recorded: list[RecordedEvent], expected: tuple[Expected, ...], story: str) -> None:
    left = [one.event for one in recorded]
    for group in expected:
        wanted: list[_Expected] = list(group) if isinstance(group, AbstractSet) else [group]
        while wanted:
            event = left.pop(0) if left else None
            fitting = next((one for one in wanted if event is not None and _fits(one, event)), None)
            if fitting is None:
                seen = "nothing" if event is None else shown(event)
                raise AssertionError(f"Then {seen}, expected {_shown(wanted)}.{story}")
            wanted.remove(fitting)
    if left:
        raise AssertionError(f"Then {shown(left[0])}, expected nothing more.{story}")


def _fits(expected: _Expected, event: Event) -> bool:
    return isinstance(event, expected) if isinstance(expected, type) else event == expected


def _shown(expected: list[_Expected]) -> str:
    names = (one.__name__ if isinstance(one, type) else shown(one) for one in expected)
    return " or ".join(sorted(names))
