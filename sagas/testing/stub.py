"""A participant that is not under test: its steps are answered by the test, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sagas.core.definition import START
from sagas.core.errors import ContractViolation
from sagas.core.saga import Saga
from sagas.service import Service

__all__ = ["stub_of"]


def stub_of(name: str, sagas: Iterable[type[Saga]], report: Callable[[str], None]) -> Service:
    """A service with a handler for everything that the sagas ask of ``name``.

    A handler that is called without having been replaced reports it and fails for good.
    """
    service = Service(name)
    for saga in sagas:
        for step in saga.definition.steps_of.get(name, ()):
            declared: Any = getattr(saga, step.name)
            if step.waits:
                if step.done or step.refused:
                    service.completes(declared)
            elif step.name != START:
                service.performs(declared)(_unanswered(saga, step.name, report, undo=False))
            if step.undone is not None:
                service.undoes(declared)(_unanswered(saga, step.name, report, undo=True))
    return service


def _unanswered(
    saga: type[Saga], step: str, report: Callable[[str], None], *, undo: bool
) -> Callable[..., Any]:
    async def unanswered(*_: object) -> Any:
        asked = f"{saga.__name__}.{step}"
        problem = (
            f"{asked} was to be {'undone' if undo else 'performed'}, by a stand-in: "
            f"answer with env.replace({asked}, returns=...{', undo=True' if undo else ''})."
        )
        report(problem)
        raise ContractViolation(problem)

    return unanswered
