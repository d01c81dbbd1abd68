"""What is wrong at the end of a test, in words.

Owns the sentences. They name what is there and what to do about it, because a failing test is
often all that a developer sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sagas.core.definition import Direction
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.runtime.views import SagaView, Waiting
from sagas.testing.history import DeadLetter, RecordedEvent, told
from sagas.testing.running import RunningService

__all__ = ["dead_letters_wrong", "not_seen", "unfinished", "waits", "where"]


def where(view: SagaView) -> str:
    """Where a saga stands: ``order-fulfilment 'o-1' is RUNNING in state 'CREATED'``."""
    state = f" in state {view.state!r}" if view.state else ""
    reason = ""
    if view.reason is not None and view.status is not SagaStatus.COMPENSATED:
        reason = f", because of {view.reason}"
    return f"{view.saga} {view.saga_id!r} is {view.status}{state}{reason}"


def unfinished(
    view: SagaView,
    history: Sequence[RecordedEvent],
    services: Mapping[str, RunningService],
    asleep: Iterable[str],
) -> str:
    """Why a saga has not ended: what it waits for, and what became of it so far."""
    sleeping = [f"  {words}; await env.run() lets that time pass" for words in list(asleep)[:5]]
    return "\n".join(
        (f"{where(view)}:", *waits(view, services), *sleeping, "  so far:", told(history))
    )


def waits(view: SagaView, services: Mapping[str, RunningService]) -> list[str]:
    """What a saga waits for, one indented line for each."""
    if view.status is SagaStatus.PARKED:
        return ["  waits for an operator; if that is right, say env.expect_unfinished(saga_id)"]
    return [f"  waits for {_waited(waiting, services)}" for waiting in view.waits_for]


def not_seen(saga: type[Saga], saga_id: str, services: Mapping[str, RunningService]) -> str:
    """Why the start of a saga came to nothing."""
    definition = saga.definition
    started = {*definition.start.done}
    first = {step.service for step in definition.steps if started & {*step.triggers}}
    missing = sorted(first - services.keys())
    remark = ""
    if missing:
        are = "is" if len(missing) == 1 else "are"
        remark = f" {', '.join(missing)} {are} not in this environment: add the service."
    return f"{saga.name} {saga_id!r} was started, and no service has handled its start.{remark}"


def _waited(waiting: Waiting, services: Mapping[str, RunningService]) -> str:
    verb = "undo" if waiting.direction is Direction.UNDO else "perform"
    service = services.get(waiting.service)
    remark = ""
    if service is None:
        undo = ", undo=True" if waiting.direction is Direction.UNDO else ""
        remark = (
            f", which is not in this environment: add the service, or answer for it with "
            f"env.replace(<saga>.{waiting.step}, returns=...{undo})"
        )
    elif service.has_crashed:
        remark = f", which has crashed: await env.restart({waiting.service!r})"
    return f"{waiting.service} to {verb} {waiting.step}{remark}"


def dead_letters_wrong(found: Sequence[DeadLetter], expected: int) -> Iterator[str]:
    """The complaint about dead letters, if their number is not the expected one."""
    if len(found) == expected:
        return
    listed = "\n".join(
        f"  {letter.service}, from {letter.topic}: {letter.exception}: {letter.reason}"
        for letter in found
    )
    are = "there is 1 dead letter" if len(found) == 1 else f"there are {len(found)} dead letters"
    yield f"{are}, {expected} expected (env.expect_dead_letters):\n{listed}".strip()
