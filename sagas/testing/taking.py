"""What a test hands to the environment, judged in words.

Owns the sentences for what is not a list of services. Knows nothing of a running environment.
"""

from __future__ import annotations

from collections.abc import Iterable

from sagas.core.errors import ContractViolation
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.service import Service

__all__ = ["services_of", "status_of"]


def services_of(given: object, more: tuple[object, ...]) -> tuple[Service, ...]:
    """The services of an environment. Raises ContractViolation for anything else."""
    if isinstance(given, Service):
        names = ", ".join(_shown(one) for one in (given, *more))
        raise ContractViolation(
            f"SagaTestEnvironment({names}) got services one by one; give a list: "
            f"SagaTestEnvironment([{names}])."
        )
    if more or isinstance(given, str) or not isinstance(given, Iterable):
        raise ContractViolation(
            f"SagaTestEnvironment got {', '.join(_shown(one) for one in (given, *more))}; expected "
            "one list of services, such as SagaTestEnvironment([orders, inventory])."
        )
    services = tuple(given)
    for one in services:
        if isinstance(one, type) and issubclass(one, Saga):
            by = ", ".join(one.definition.services)
            raise ContractViolation(
                f"SagaTestEnvironment got the saga {one.__name__}; give the services that take part in "
                f"it, those called {by}. The environment learns the saga from their handlers."
            )
        if not isinstance(one, Service):
            raise ContractViolation(
                f"SagaTestEnvironment got {_shown(one)}; expected services, such as the object that "
                'Service("orders") made.'
            )
    return services


def status_of(ends: object) -> SagaStatus:
    """The status that ``ends=`` names. Raises ContractViolation."""
    try:
        return SagaStatus(str(ends).upper())
    except ValueError:
        known = ", ".join(f"SagaStatus.{status}" for status in SagaStatus)
        raise ContractViolation(
            f"ends={ends!r} is no status of a saga; expected one of {known}, or its name as text."
        ) from None


def _shown(given: object) -> str:
    return given.name if isinstance(given, Service) else getattr(given, "__name__", repr(given))
