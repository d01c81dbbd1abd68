"""The model checker: everything that can happen to one saga instance within bounds, looked at.

It runs the coroutine that runs in production, ``sagas.core.handling.Handling``, in a world of small numbers.
Pure: no clock, no servers, no handlers; never run at import.
"""

from sagas.checks.model.bounds import FAULTS, Bounds, Fault
from sagas.checks.model.findings import findings
from sagas.checks.model.participants import ALL_GUARDS, Guards
from sagas.checks.model.search import Counterexample, Result, Run, Told, explore
from sagas.checks.model.states import Move
from sagas.checks.model.story import mermaid, pytest_module, replay

__all__ = [
    "ALL_GUARDS",
    "FAULTS",
    "Bounds",
    "Counterexample",
    "Fault",
    "Guards",
    "Move",
    "Result",
    "Run",
    "Told",
    "explore",
    "findings",
    "mermaid",
    "pytest_module",
    "replay",
]
