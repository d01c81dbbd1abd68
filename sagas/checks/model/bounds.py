"""How far the model checker looks: what may go wrong, how often, and how many states at most."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import Final

from sagas.core.errors import ContractViolation

__all__ = ["FAULTS", "Bounds", "Fault"]


class Fault(StrEnum):
    """What may go wrong, or come at a bad moment."""

    DUPLICATE = "duplicate"
    """A message comes twice: the copy at any later moment, to another worker of the same service."""
    REORDERING = "reordering"
    """Messages come in any order. Without it, those of one topic come as they were emitted."""
    CRASH = "crash"
    """A worker dies between any two of its calls; what it had in hand comes again."""
    TIMER = "timer"
    """A timer is due at any moment at which it is set, and not only when nothing else happens."""
    EARLY = "early"
    """An answer from outside comes before the wait that it answers is triggered."""
    FAILURE = "failure"
    """A compensation, the pivot, or what follows it fails for good, so that an operator is needed. That a
    step before the pivot does is no fault, but one of its outcomes.
    """
    CANCEL = "cancel"
    """Somebody cancels, at any moment."""


FAULTS: Final = tuple(Fault)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is explored.

    Of ``faults`` each happens at most once in an execution, and at most ``at_once`` of them in one; but
    messages in any order are not counted: they are the rule, or they are not. ``states_max`` states are
    looked at; if there are more, nothing is proven. An operator resumes a parked saga ``repairs`` times, when
    nothing else happens any more.
    """

    faults: frozenset[Fault] = frozenset(FAULTS)
    at_once: int = 1
    states_max: int = 1_000_000
    repairs: int = 2

    @classmethod
    def of(cls, names: Iterable[str], *, at_once: int = 1, states_max: int = 1_000_000) -> Bounds:
        """Bounds with these faults, by name. Raises ContractViolation for a name that there is not."""
        faults = set()
        for name in names:
            if name not in set(Fault):
                raise ContractViolation(
                    f"There is no fault {name!r} for the model checker; expected some of "
                    f"{', '.join(Fault)}."
                )
            faults.add(Fault(name))
        return cls(frozenset(faults), at_once, states_max)

    @property
    def counted(self) -> tuple[Fault, ...]:
        """The faults that happen once each."""
        return tuple(one for one in FAULTS if one in self.faults and one is not Fault.REORDERING)

    @property
    def any_order(self) -> bool:
        """Whether messages come in any order."""
        return Fault.REORDERING in self.faults

    @property
    def choices(self) -> tuple[tuple[Fault, ...], ...]:
        """Which faults an execution may have; what is allowed by another choice is not among them."""
        return tuple(combinations(self.counted, min(self.at_once, len(self.counted))))

    def __str__(self) -> str:
        """In words, for the end of a report."""
        counted = ", ".join(self.counted)
        faults = f"of {counted} at most {self.at_once} in an execution" if counted else "no fault"
        order = (
            "messages in any order" if self.any_order else "messages of one topic in their order"
        )
        return (
            f"{faults}; {order}; each handler done, refused or otherwise, and before the pivot failing for "
            "good, with its effect or without; each wait answered, or its time up; every timer due once "
            f"nothing else happens; {self.repairs} resumptions of a parked saga"
        )
