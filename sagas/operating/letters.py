"""Dead letters as people choose and read them. Owns how bytes from anywhere become text."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from sagas.core.printable import printable
from sagas.runtime.dead_letter_box import Letter

__all__ = ["Parked", "Wanted", "safe"]


@dataclass(frozen=True, slots=True)
class Parked:
    """A saga that a replayed message belongs to; ``several`` says that the project has other sagas, too."""

    saga: str
    saga_id: str
    several: bool

    @property
    def command(self) -> str:
        """What lets it go on, to be typed as it is but for the reason."""
        named = f" --saga {self.saga}" if self.several else ""
        return f'sagas resume {shlex.quote(self.saga_id)}{named} --why "..."'


def safe(content: str | bytes | None, *, lines: bool = False) -> str:
    """Content as text: what is not UTF-8 or can not be printed is escaped, line breaks unless ``lines``."""
    text = (
        content.decode(errors="backslashreplace") if isinstance(content, bytes) else content or ""
    )
    return printable(text, lines=lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which letters are meant."""

    id: str | None = None
    reason: str | None = None
    saga_id: str | None = None
    since_ms: int = 0

    def matches(self, letter: Letter) -> bool:
        """Whether the letter is one of them."""
        said = f"{letter.exception} {letter.reason}".casefold()
        return (
            self.id in {None, letter.id}
            and (self.reason or "").casefold() in said
            and self.saga_id in {None, letter.saga_id}
            and letter.time_ms >= self.since_ms
        )
