"""Which faults may still happen in a state, and that one of them has."""

from __future__ import annotations

from collections.abc import Iterable

from sagas.checks.model.bounds import Bounds, Fault
from sagas.checks.model.states import State

__all__ = ["Chances"]


class Chances:
    """The faults of some bounds, each a bit."""

    def __init__(self, bounds: Bounds) -> None:
        self._bits = {fault: 1 << index for index, fault in enumerate(bounds.counted)}

    def bits(self, faults: Iterable[Fault]) -> int:
        """Some faults as bits; one that is not among the bounds' has none."""
        return sum(self._bits.get(fault, 0) for fault in faults)

    def may(self, state: State, fault: Fault) -> bool:
        """Whether a fault may still happen."""
        return bool(state.faults & self._bits.get(fault, 0))

    def spent(self, state: State, fault: Fault) -> State:
        """The state in which it has happened: the same once more is one too many, as is one more than
        may happen at once.
        """
        left = state.at_once - 1
        faults = state.faults & ~self._bits[fault] if left else 0
        return state._replace(faults=faults, at_once=left if faults else 0)
