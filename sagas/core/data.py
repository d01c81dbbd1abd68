"""What a step does with its participant's data, and what keeps sagas apart there: the words of ``data=``.

Sagas have no isolation: what one has done is seen before it has ended, and may be undone. Owns the words in
which a step says what it touches; ``sagas check`` finds what they add up to. Nothing here changes how a
saga runs, and nothing of it is part of the definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from sagas.core.errors import DefinitionError

__all__ = ["Data", "Guard", "Locks", "Reads", "Unlocks", "Writes", "problems_of_data"]


class Guard(StrEnum):
    """What makes an access safe although other sagas come between (Garcia-Molina's and Frank's remedies).

    The fifth is the semantic lock: ``Locks`` and ``Unlocks``.
    """

    COMMUTATIVE = "commutative"
    """The change and its undo may come in any order: so much more, so much less."""
    REREAD = "reread"
    """The step reads once more before it writes, and refuses if somebody was faster."""
    VERSION_FILE = "version-file"
    """The changes are kept with their order, and put into it when they come the other way round."""
    BY_VALUE = "by-value"
    """So little is at stake that the anomaly is accepted; where more is, the handler goes another way."""


class _Names:
    """One or several names, as the participant calls its data or its locks."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        given: tuple[object, ...] = names
        unfit = [name for name in given if not (isinstance(name, str) and name)]
        if unfit or not names:
            seen = ", ".join(map(repr, unfit)) or "nothing"
            raise DefinitionError(
                f"{type(self).__name__}({seen}) names no data; give names, such as "
                f'{type(self).__name__}("stock").'
            )
        self.names = names

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.names))})"


class _Access(_Names):
    """``own`` says that the row belongs to this saga's key, so that no other instance of it comes there."""

    guard: Guard | None
    own: bool

    def __init__(self, *names: str, guard: Guard | None = None, own: bool = False) -> None:
        super().__init__(*names)
        given: object = guard
        if not isinstance(given, Guard | None):
            raise DefinitionError(
                f"{self!r} has guard={guard!r}; expected one of "
                f"{', '.join(f'Guard.{one.name}' for one in Guard)}, or leave it out."
            )
        self.guard = guard
        self.own = own


class Reads(_Access):
    """The step looks at this data, and decides by it: ``data=Reads("credit_limit")``.

    A name is the participant's own: ``stock`` of one service is not that of another. ``guard`` names what
    keeps the decision right although another saga may change, or undo, what was seen.
    """


class Writes(_Access):
    """The step changes this data, and its undo changes it back:
    ``data=Writes("stock", guard=Guard.COMMUTATIVE)``.
    """


class Locks(_Names):
    """The step takes a semantic lock: data of the participant says that a saga is at it, and whoever else
    wants it is refused, or waits. The step's own undo gives it back. Names are known to all sagas.
    """


class Unlocks(_Names):
    """The step gives a semantic lock back that this saga has taken."""


Data = Reads | Writes | Locks | Unlocks


def problems_of_data(step: str, written: object) -> Iterator[str]:
    """What is no data where a step has ``data=``."""
    for one in written if isinstance(written, tuple) else (written,):
        if not isinstance(one, Reads | Writes | Locks | Unlocks):
            yield (
                f"{step}: data= is {one!r}; expected Reads(...), Writes(...), Locks(...) or Unlocks(...), "
                "or a tuple of them."
            )
