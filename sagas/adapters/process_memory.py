"""What this process holds in memory, and what it may hold: by Linux's files under /proc and /sys.

Owns how they are read. What other processes of the container hold is not counted: leaving would not free it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["limit_bytes", "resident_bytes"]

_ROOT = Path("/")
_UNLIMITED = 1 << 60
"""What the first version of control groups says for no limit is more than this."""


def resident_bytes(root: Path = _ROOT) -> int | None:
    """The pages of this process that are in memory; None where nobody says so."""
    try:
        pages = (root / "proc/self/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def limit_bytes(root: Path = _ROOT) -> int | None:
    """The smallest limit of the control groups that this process is in; None where there is none."""
    return min(_limits(root), default=None)


def _limits(root: Path) -> Iterator[int]:
    for directory, name in _groups(root):
        for above in (directory, *directory.parents):
            value = _number(root / "sys/fs/cgroup" / above / name)
            if value is not None and 0 < value < _UNLIMITED:
                yield value


def _groups(root: Path) -> Iterator[tuple[PurePosixPath, str]]:
    """The directories of the process's groups, and the file that has the limit: of both versions.

    Within a container the path may be one that only the host sees: the root is always looked at, too.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        inside = PurePosixPath(path.lstrip("/"))
        if not controllers:
            yield inside, "memory.max"
        elif "memory" in controllers.split(","):
            yield PurePosixPath("memory") / inside, "memory.limit_in_bytes"


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
