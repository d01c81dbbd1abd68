"""Which events there are, and their JSON Schemas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import PydanticInvalidForJsonSchema
from pydantic.json_schema import models_json_schema

from sagas.core.errors import ContractViolation
from sagas.core.events import Event
from sagas.core.framework_events import CONTROL_EVENTS
from sagas.core.saga import Saga
from sagas.service import Service

__all__ = ["events_of", "schema_of", "shared_schemas"]


def events_of(sagas: Iterable[type[Saga]], services: Iterable[Service]) -> dict[str, type[Event]]:
    """Every event that these sagas and services know, former versions and the framework's included, by its
    name on the wire.
    """
    found: dict[str, type[Event]] = {}
    for saga in sagas:
        found |= {former: way.former for former, way in saga.formers.items()} | dict(saga.events)
    for service in services:
        for observer in service.observers:
            formers = {former: way.former for former, way in observer.formers.items()}
            found = formers | found | dict(observer.events)
    if found:
        found |= CONTROL_EVENTS
    return dict(sorted(found.items()))


def schema_of(event: type[Event]) -> dict[str, Any]:
    """The schema of what a consumer accepts, as a document of its own (draft 2020-12).

    Raises ContractViolation for a field whose type no JSON Schema can describe.
    """
    try:
        described = event.model_json_schema(mode="validation")
    except PydanticInvalidForJsonSchema as error:
        raise _indescribable(event.event_type, error) from error
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:event:{event.event_type}",
        **described,
        "title": event.event_type,
    }


def shared_schemas(
    events: dict[str, type[Event]], template: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """For each event a reference, and what is referred to: models of one name are told apart.

    ``template`` makes a reference of a name, as in ``#/components/schemas/{model}``. Raises
    ContractViolation.
    """
    models = [(event, "validation") for event in events.values()]
    try:
        references, schemas = models_json_schema(models, ref_template=template)  # type: ignore[arg-type]
    except PydanticInvalidForJsonSchema as error:
        raise _indescribable("an event", error) from error
    return (
        {type_: references[event, "validation"] for type_, event in events.items()},
        schemas.get("$defs", {}),
    )


def _indescribable(event: str, error: PydanticInvalidForJsonSchema) -> ContractViolation:
    said = error.message.rstrip(".")
    return ContractViolation(
        f"{event} has a field that no JSON Schema can describe: {said}. Give its type a "
        "__get_pydantic_json_schema__, or use a type that pydantic can describe."
    )
