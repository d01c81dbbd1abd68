"""What one worker of the model sees of it: each call is a point where the schedule may do anything.

Owns the order of the calls that one of the product's makes where it makes several.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sagas.core.decide import ActionResult, Emission, ResultKind
from sagas.core.definition import START, Role
from sagas.core.enabled import Action
from sagas.core.instance import Fact
from sagas.core.position import Position
from tests.simulation.parts import Attempted, Call, Message

if TYPE_CHECKING:
    from tests.simulation.model import Model

__all__ = ["World"]

T = TypeVar("T")


class World:
    """What one worker sees of the model."""

    def __init__(self, model: Model, service: str, message: Message) -> None:
        self._model = model
        self._service = service
        self._message = message
        self._noted: dict[Attempted, int] = {}

    def begins(self) -> bool:
        """As in the product: a start is stored unseen."""
        fact = self._message.fact
        return self._message.control is None and fact.step == START and fact.role is Role.DONE

    async def load(self) -> Position | None:
        row, self._noted = await _call(
            "loads", lambda: (self._model.stored, dict(self._model.noted))
        )
        return row

    async def store(self, at: Position, recorded: Fact | None) -> Position | None:
        name = f"stores {recorded.type if recorded else 'a fold'}"
        return await _call(name, lambda: self._model.store(at, recorded))

    async def emit(self, fact: Fact) -> bool:
        await _call(f"emits {fact.type}", lambda: self._model.publish(fact))
        return True

    async def perform(self, action: Action, at: Position, *, at_once: bool = False) -> ActionResult:
        model, name = self._model, f"{action.step.name} {action.direction}"
        if not at_once:
            if model.waits(action, self._noted):
                return ActionResult(ResultKind.POSTPONED)
            if model.postpones():
                put = partial(model.put_off, self._service, self._message)
                attempt = await _call(f"puts off {name}", put)
                await _call(f"notes {name}", lambda: model.note(action, attempt))
                return ActionResult(ResultKind.POSTPONED)
        name = f"performs {name}"
        return await _call(name, lambda: self._model.perform(action, at.instance))

    def now_ms(self) -> int:
        return self._model.calls

    def event_id(self, emission: Emission, cause: Fact) -> str:
        return self._model.id_of(emission.type, emission.step, emission.direction, cause.id)


async def _call(name: str, perform: Callable[[], T]) -> T:
    result: T = await Call(name, perform)
    return result
