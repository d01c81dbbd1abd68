"""What processes have used so far, from ``/proc``: CPU time and peak memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["cpu_ms", "peak_kb", "resident_kb", "with_children"]

_TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


def with_children(pid: int) -> set[int]:
    """The process and all that it has started, as PostgreSQL's postmaster does for each connection."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_ms(groups: Mapping[str, Iterable[int]]) -> dict[str, float]:
    """CPU time used so far by each group of processes, in user and system mode, in milliseconds.

    Children that have ended count; the resolution is that of the kernel's clock, mostly 10 ms.
    """
    return {name: sum(map(_cpu_ms, pids)) for name, pids in groups.items()}


def peak_kb(pids: Iterable[int]) -> int:
    """The sum of the processes' peaks of resident memory, in KiB."""
    return sum(_status(pid, "VmHWM") for pid in pids)


def resident_kb(pids: Iterable[int]) -> int:
    """The sum of the processes' resident memory now, in KiB."""
    return sum(_status(pid, "VmRSS") for pid in pids)


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name, from the state on; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _cpu_ms(pid: int) -> float:
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) * _TICK_MS if fields else 0.0


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)
