"""The simulator: your services on one thread, in virtual time, while everything around them fails.

The same runtime as in production, on a broker, a saga table and journals in memory. One seed, one run.
"""

from sagas.testing.simulation.campaign import Simulation, simulate
from sagas.testing.simulation.checkers import INVARIANTS
from sagas.testing.simulation.examples import example
from sagas.testing.simulation.faults import Faults
from sagas.testing.simulation.line import CrashAt
from sagas.testing.simulation.report import Failure, Report
from sagas.testing.simulation.run import Outcome
from sagas.testing.simulation.setting import Setting, Workload

__all__ = [
    "INVARIANTS",
    "CrashAt",
    "Failure",
    "Faults",
    "Outcome",
    "Report",
    "Setting",
    "Simulation",
    "Workload",
    "example",
    "simulate",
]
