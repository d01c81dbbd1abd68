"""The headers of every record, as a JSON Schema. docs/reference/wire.md says more of them."""

from __future__ import annotations

from typing import Any

__all__ = ["HEADERS"]

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_NUMBER = {"type": "string", "pattern": "^[0-9]+$"}

HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode, with extensions for sagas.",
    "required": ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": _TEXT | {"description": "The same for every delivery of the same event."},
        "ce_type": _TEXT | {"description": "publisher.Name.vN"},
        "ce_source": _TEXT | {"description": "The service that emitted it."},
        "ce_time": _TIME,
        "content-type": {"const": "application/json"},
        "ce_saganame": _TEXT | {"description": "The saga that the event belongs to."},
        "ce_sagaid": _TEXT | {"description": "The instance: its business key, or key~2 and so on."},
        "ce_sagadef": _TEXT | {"description": "The fingerprint of the definition."},
        "ce_sagaseq": _NUMBER | {"description": "The instance's version after this event."},
        "ce_sagagen": _NUMBER | {"description": "The generation of the saga table."},
        "ce_sagaepoch": _NUMBER
        | {"description": "Above 0 for a compensation that is run once more."},
        "ce_sagaassumed": {"const": "1", "description": "No handler returned it."},
        "ce_sagastatus": _TEXT | {"description": "The instance's status after this event."},
        "ce_sagafolded": _TEXT | {"description": "What the decision had heard of."},
        "ce_causationid": _TEXT | {"description": "The id of the message that caused this one."},
        "ce_correlationid": _TEXT | {"description": "Constant through a saga."},
        "ce_tenant": _TEXT,
        "ce_deadline": _TIME,
        "traceparent": _TEXT | {"description": "W3C trace context."},
        "tracestate": _TEXT | {"description": "What tracers add to it."},
    },
}
"""Header values are text; numbers among them, too."""
