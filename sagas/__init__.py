"""Sagas by choreography over Kafka: declared once, checked, observable.

Owns the public names for those who declare sagas and write handlers. Importing it connects to
nothing and reads no settings.
"""

from sagas.context import EventContext, StepContext
from sagas.core.combinations import AllOf, AnyOf, OneOf
from sagas.core.completion import Completion
from sagas.core.concurrency import Adaptive
from sagas.core.data import Guard, Locks, Reads, Unlocks, Writes
from sagas.core.durations import NEVER, days, hours, minutes, seconds
from sagas.core.errors import (
    CompensationFailed,
    ContractViolation,
    DefinitionError,
    InvalidMessage,
    RetriableError,
    SagaError,
    SagaExists,
    SettingsError,
    StepAbandoned,
)
from sagas.core.events import Event
from sagas.core.instance import SagaStatus
from sagas.core.personal import Personal
from sagas.core.retry import Retry
from sagas.core.saga import Saga, SagaEnded
from sagas.core.starts import Reuse
from sagas.core.steps import (
    BLOCK,
    CONTINUE,
    ESCALATE,
    NOTHING,
    Start,
    Step,
    Wait,
)
from sagas.core.upcasting import upcasts
from sagas.service import Service

__version__ = "0.1.0"

__all__ = [
    "BLOCK",
    "CONTINUE",
    "ESCALATE",
    "NEVER",
    "NOTHING",
    "Adaptive",
    "AllOf",
    "AnyOf",
    "CompensationFailed",
    "Completion",
    "ContractViolation",
    "DefinitionError",
    "Event",
    "EventContext",
    "Guard",
    "InvalidMessage",
    "Locks",
    "OneOf",
    "Personal",
    "Reads",
    "RetriableError",
    "Retry",
    "Reuse",
    "Saga",
    "SagaEnded",
    "SagaError",
    "SagaExists",
    "SagaStatus",
    "Service",
    "SettingsError",
    "Start",
    "Step",
    "StepAbandoned",
    "StepContext",
    "Unlocks",
    "Wait",
    "Writes",
    "days",
    "hours",
    "minutes",
    "seconds",
    "upcasts",
]
