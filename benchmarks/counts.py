"""How much Python an operation executes: bytecode instructions, and calls of built-in functions.

Counts, unlike times, are the same on every machine and under any load, so a test can hold them.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NamedTuple

from benchmarks.parts import Part

__all__ = ["Counts", "counts"]

_WARM_UP = 3


class Counts(NamedTuple):
    """Of one call."""

    instructions: int
    built_in_calls: int


def counts(part: Part) -> Counts:
    """Count one call, after some that fill caches."""
    operation = part.run
    part.prepare(_WARM_UP + 2)
    for _ in range(_WARM_UP):
        operation()
    instructions = calls = 0

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal instructions
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            instructions += 1
        return trace

    def profile(_frame: FrameType, event: str, _arg: Any) -> None:
        nonlocal calls
        calls += event == "c_call"

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    try:
        operation()
    finally:
        sys.settrace(before[0])
    sys.setprofile(profile)
    try:
        operation()
    finally:
        sys.setprofile(before[1])
    return Counts(instructions, calls - 1)  # without the call that ended the counting
