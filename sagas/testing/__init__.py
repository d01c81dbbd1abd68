"""Testing sagas: the real runtime on memory, in virtual time. Needs neither servers nor pytest."""

from sagas.testing.clock import VirtualClock
from sagas.testing.environment import SagaTestEnvironment
from sagas.testing.history import DeadLetter, FailedAttempt, RecordedEvent
from sagas.testing.interventions import InjectedFailure
from sagas.testing.scenario import given

__all__ = [
    "DeadLetter",
    "FailedAttempt",
    "InjectedFailure",
    "RecordedEvent",
    "SagaTestEnvironment",
    "VirtualClock",
    "given",
]
