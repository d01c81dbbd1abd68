"""A definition as the bytes that are kept of it, so that the next version knows what the last one was."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from sagas.core.definition import Definition, StepDefinition
from sagas.core.errors import ContractViolation
from sagas.core.kinds import Join, UndoPolicy
from sagas.core.printable import printable

__all__ = ["decode_definition", "encode_definition"]

_STEP = tuple(one.name for one in fields(StepDefinition) if one.init)
_SAGA = tuple(one.name for one in fields(Definition) if one.init and one.name != "steps")
_LATER = ("upcasts", "retired")


def encode_definition(definition: Definition) -> bytes:
    """The definition as JSON, in the order in which it is declared."""
    found: dict[str, object] = {name: getattr(definition, name) for name in _SAGA}
    for name in _LATER:  # whoever does not know the word yet can read what does not use it
        if not found[name]:
            del found[name]
    found["steps"] = [{name: getattr(step, name) for name in _STEP} for step in definition.steps]
    return json.dumps(found).encode()


def decode_definition(kept: bytes) -> Definition:
    """The definition that ``encode_definition`` was given; fields that it did not know are as usual.

    Raises ContractViolation for bytes that nobody of ours has written, or a newer version of the framework.
    """
    try:
        found = json.loads(kept)
        steps = tuple(_step(step) for step in found.pop("steps"))
        upcasts = tuple((former, current) for former, current in found.pop("upcasts", ()))
        retired = tuple(found.pop("retired", ()))
        definition = Definition(steps=steps, upcasts=upcasts, retired=retired, **found)
        definition.fingerprint  # noqa: B018 - whatever is wrong shows here
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        seen = printable(f"{type(error).__name__}: {error}", chars_max=200)
        raise ContractViolation(
            f"A definition that was kept can not be read ({seen}). A newer version of the framework has "
            "written it, or something else."
        ) from error
    return definition


def _step(found: dict[str, Any]) -> StepDefinition:
    given: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in found.items()
    }
    given["join"] = Join(given.get("join", Join.ALL))
    given["if_undo_fails"] = UndoPolicy(given.get("if_undo_fails", UndoPolicy.BLOCK))
    return StepDefinition(**given)
