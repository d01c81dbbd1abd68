"""A definition as text that says all that is declared, once and in a fixed order.

Owns the form of which the fingerprint is taken. What a definition does not use is not in it, so that a word
that comes later changes no fingerprint.
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sagas.core.definition import Definition, StepDefinition

__all__ = ["canonical"]


def canonical(definition: Definition) -> str:
    """One line of JSON. Of the order of steps only the host follows, which is named."""
    start, *rest = definition.steps
    rest.sort(key=lambda step: step.name)
    parts: dict[str, object] = {
        "saga": definition.saga,
        "key": definition.key,
        "host": definition.host,
        "deadline_ms": definition.deadline_ms,
        "steps": [_step(step) for step in (start, *rest)],
    }
    later = {
        "cancelled_by": definition.cancelled_by,
        "upcasts": sorted(definition.upcasts),
        "retired": sorted(definition.retired),
    }
    return json.dumps(parts | {name: said for name, said in later.items() if said}, sort_keys=True)


def _step(step: StepDefinition) -> dict[str, object]:
    """What a step declares; several events in one place are a set."""
    said = {one.name: getattr(step, one.name) for one in fields(step) if one.compare}
    return {
        name: sorted(value) if isinstance(value, tuple) else value for name, value in said.items()
    }
