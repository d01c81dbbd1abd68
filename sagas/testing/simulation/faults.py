"""What may go wrong in a run, as budgets, and the chance that spends them.

Owns names and numbers of faults. Each kind draws from a stream of its own, so that a run without one
of them is the same run otherwise: that is how a failing run is made smaller.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from sagas.core.errors import ContractViolation

__all__ = ["NAMES", "Chance", "Faults"]

_SWARM = 0.6
"""The share of the kinds that a run has: fewer at once reach further than all of them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often each thing may happen in one run; 0 is never.

    A run has only some of the kinds, and up to so many of each: which and how many is drawn.
    """

    duplicates: int = 3
    """A record once more at a new offset, with the same id."""
    reorderings: int = 6
    """Records of several partitions arrive in another order, or one partition later."""
    delays: int = 2
    """A call, or a handler, that takes longer than a step's timeout."""
    crashes: int = 3
    """A worker is gone at an await: the call not made, or made and unheard, or at any moment."""
    pauses: int = 1
    """A worker stands still until others own its partitions, then goes on."""
    unheard: int = 4
    """A call of broker, table or journal is executed, and the answer lost."""
    lost: int = 4
    """A call of broker, table or journal is never executed, and says that it may have been."""
    rebalances: int = 2
    """A worker comes, leaves, or is taken for dead, in the middle of whatever happens."""
    clock_jumps: int = 2
    """The clock of a worker is wrong, and jumps."""
    poison: int = 1
    """A record that nobody can read."""
    exceptions: int = 2
    """A handler raises, once or for good, hangs, or is cancelled from within."""
    failing_undos: int = 1
    """A compensation fails some times, or until an operator resumes the saga at the end."""
    double_starts: int = 1
    """The same start is published by two clients at once."""
    offset_resets: int = 1
    """A group starts again at an earlier offset."""
    cancellations: int = 1
    """Somebody cancels the saga."""
    agains: int = 1
    """Somebody asks for a compensation once more, in the middle or after the end."""
    table_losses: int = 2
    """The saga table loses its last acknowledged writes, or all of them."""
    deployments: int = 1
    """One service after the other runs in its next version, where the setting has one."""
    deletions: int = 0
    """Retention deletes a record that one group has not read."""

    @classmethod
    def none(cls) -> Faults:
        """Nothing goes wrong; the order in which things happen is drawn all the same."""
        return cls(**dict.fromkeys(NAMES, 0))

    @classmethod
    def of(cls, names: Iterable[str]) -> Faults:
        """Only these kinds, in their usual numbers. Raises ContractViolation for an unknown name."""
        usual = {name: getattr(cls(), name) or 1 for name in NAMES}
        wanted = list(names)
        unknown = [name for name in wanted if name not in usual]
        if unknown:
            raise ContractViolation(
                f"There is no fault {', '.join(unknown)}; there are {', '.join(usual)}."
            )
        return cls(**{name: usual[name] if name in wanted else 0 for name in usual})

    def without(self, *names: str) -> Faults:
        """All but these kinds."""
        return replace(self, **dict.fromkeys(names, 0))

    @property
    def on(self) -> tuple[str, ...]:
        """The kinds that may happen."""
        return tuple(name for name in NAMES if getattr(self, name))


NAMES = tuple(field.name for field in fields(Faults))


class Chance:
    """The seed's decisions: one stream of chance for each kind of fault, and one for each purpose."""

    def __init__(self, seed: int, faults: Faults) -> None:
        self.seen: Counter[str] = Counter()
        self._seed = seed
        self._streams: dict[str, random.Random] = {}
        self.budgets = {name: self._budget(name, getattr(faults, name)) for name in NAMES}
        """How often each kind may still happen."""

    def _budget(self, name: str, most: int) -> int:
        if not most:
            return 0
        draw = self.of(f"budget {name}")
        return draw.randint(1, most) if draw.random() < _SWARM else 0

    def of(self, purpose: str) -> random.Random:
        """The stream of one purpose."""
        stream = self._streams.get(purpose)
        if stream is None:
            stream = self._streams[purpose] = random.Random(f"{self._seed} {purpose}")
        return stream

    def left(self, name: str) -> int:
        """How often a kind may still happen."""
        return self.budgets[name]

    def hits(self, name: str, probability: float) -> bool:
        """Whether it happens here; then it is spent and counted."""
        if not self.budgets[name] or self.of(name).random() >= probability:
            return False
        self.spend(name)
        return True

    def spend(self, name: str) -> None:
        """It happens."""
        self.budgets[name] -= 1
        self.seen[name] += 1

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        self.budgets.update(dict.fromkeys(NAMES, 0))
