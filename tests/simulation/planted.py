"""What is taken away from the semantics, or from participants, to see it missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pytest

from sagas.checks.model import Guards
from sagas.core import decide, enabled, position, unfolding
from sagas.core.decide import Decision, Emission
from sagas.core.definition import STEP_FAILED, Direction, Role, StepDefinition
from sagas.core.handling import Handling
from sagas.core.instance import Fact, Instance, SagaStatus
from sagas.core.position import Position

__all__ = [
    "GUARDS",
    "PATCHES",
    "Patches",
    "emit_then_store",
    "nothing",
    "planted",
    "run_one_action",
    "without_flight",
]


async def emit_then_store(self: Handling, at: Position, fact: Fact) -> Position | None:
    """Instead of storing first."""
    await self._world.emit(fact)
    self._confirmed.add(fact.id)
    return await self._world.store(at.fold(fact), fact)


async def run_one_action(self: Handling) -> Position:
    """Instead of asking again after each."""
    at = await self._refresh()
    if self._control is not None:
        return await self._obey(at, self._control)
    for action in at.enabled(self._service)[:1]:
        at = await self._act(at, action)
    return at


def nothing(*_: object) -> Iterator[Fact]:
    """Instead of what has to be emitted again."""
    return iter(())


def _fails_anywhere(instance: Instance, step: StepDefinition) -> Decision:
    if instance.phase is not SagaStatus.RUNNING or instance.resolved(step):
        return Decision()
    return Decision(Emission(STEP_FAILED, step.name, Role.FAILED, Direction.FORWARD))


_needs_undo = Instance.needs_undo


def without_flight(instance: Instance, step: StepDefinition) -> bool:
    """Instead of counting steps in flight among those that need to be undone."""
    return _needs_undo(instance._replace(in_flight=frozenset()), step)


def _never(*_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True


Patches = tuple[tuple[object, str, Any], ...]

PATCHES: Final[Mapping[str, Patches]] = {
    "emit before storing": ((Handling, "_commit", emit_then_store),),
    "what was lost is not emitted again": ((position, "unproven", nothing),),
    "a fold is not stored first": ((position, "must_store", _never),),
    "what is not published counts": (
        (enabled, "_knows_triggers", lambda instance, step: instance.triggered(step)),
        (enabled, "_knows_failure", _always),
    ),
    "nobody asks again": ((Handling, "run", run_one_action),),
    "from the frontier or not": ((enabled, "_at_frontier", _always),),
    "a step in flight is left": ((Instance, "needs_undo", without_flight),),
    "back past the pivot": (
        (decide, "_decide_failed", _fails_anywhere),
        (Instance, "past_pivot", False),
    ),
}
"""Safeguards of the semantics, each as what replaces it."""

GUARDS: Final[Mapping[str, Guards]] = {
    "compare and set": Guards(checks_stamps=False),
    "refusals": Guards(remembers_refusals=False),
    "tombstones": Guards(leaves_tombstones=False),
}
"""What servers and participants do, each taken away."""


@contextmanager
def planted(name: str) -> Iterator[Guards]:
    """One safeguard is missing, and what is known of places is forgotten, before and after."""
    patch = pytest.MonkeyPatch()
    for owner, attribute, instead in PATCHES.get(name, ()):
        patch.setattr(owner, attribute, instead)
    unfolding.forget_places()
    try:
        yield GUARDS.get(name, Guards())
    finally:
        patch.undo()
        unfolding.forget_places()
