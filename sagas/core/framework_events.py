"""The events that the framework itself emits, on the topic of the participant that decided them.

Owns their payloads. They carry no business key: which instance they belong to stands in the
headers, as for every event.
"""

from __future__ import annotations

from sagas.core.definition import SAGA_PARKED, SAGA_RESUMED, STEP_FAILED, Direction
from sagas.core.events import Event

__all__ = ["FRAMEWORK_EVENTS", "SagaParked", "SagaResumed", "StepFailed"]


class StepFailed(Event, type=STEP_FAILED):
    """A compensatable step failed for good: its outcome is unknown, and the saga turns back."""

    step: str
    error: str
    attempts: int


class SagaParked(Event, type=SAGA_PARKED):
    """A retriable step or a compensation failed for good: the saga waits for an operator."""

    step: str
    direction: Direction
    error: str
    attempts: int


class SagaResumed(Event, type=SAGA_RESUMED):
    """An operator let a parked saga go on."""

    by: str
    why: str


FRAMEWORK_EVENTS: tuple[type[Event], ...] = (StepFailed, SagaParked, SagaResumed)
"""Every saga knows these without declaring them."""
