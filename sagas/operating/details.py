"""One saga as people look into it: what is recorded, without what is personal; what it waits for, and why.

Pure. Owns what of a row counts as its text, for whoever looks for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sagas.core.printable import printable
from sagas.core.saga import Saga
from sagas.operating.payloads import contracts_of, shown_payload
from sagas.operating.words import Reason, reason_of, short_name
from sagas.ports import Row
from sagas.runtime.views import SagaView, TimelineEntry, view_of
from sagas.wire.envelope import Trail
from sagas.wire.stored import decode_event, decode_instance

__all__ = ["Detail", "ShownEvent", "detail_of"]


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """A recorded event; ``payload`` is JSON without what is personal, None where the table has it no more."""

    entry: TimelineEntry
    payload: str | None

    @property
    def name(self) -> str:
        """``StockReserved`` of ``inventory.StockReserved.v1``."""
        return short_name(self.entry.event)


@dataclass(frozen=True, slots=True)
class Detail:
    """A saga instance in full. ``tenant`` and ``trace_id`` are what its recorded events say, None where they
    say nothing or are kept no more.
    """

    saga: type[Saga]
    view: SagaView
    tenant: str | None
    trace_id: str | None

    @property
    def changed_at_ms(self) -> int:
        """When something was recorded last."""
        return max((entry.time_ms for entry in self.view.timeline), default=0)

    @property
    def steps(self) -> frozenset[str]:
        """The steps that would come next."""
        return frozenset(waiting.step for waiting in self.view.waits_for)

    @property
    def reason(self) -> Reason | None:
        """Why it is parked or has turned back, without what is personal."""
        contracts = contracts_of(self.saga)
        return reason_of(
            self.view,
            shown=lambda event, payload: shown_payload(contracts.get(event), payload.encode()),
        )

    @property
    def events(self) -> list[ShownEvent]:
        """The timeline."""
        contracts = contracts_of(self.saga)
        return [
            ShownEvent(
                entry,
                None
                if entry.payload is None
                else printable(_json(shown_payload(contracts.get(entry.event), entry.payload))),
            )
            for entry in self.view.timeline
        ]

    @property
    def texts(self) -> Iterator[str]:
        """What a text is looked for in: all that is shown of it."""
        yield self.view.saga_id
        yield self.view.state or ""
        yield self.tenant or ""
        for event in self.events:
            yield event.entry.event
            yield event.payload or ""


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def detail_of(saga: type[Saga], saga_id: str, row: Row) -> Detail:
    """What a row that was loaded with its events says. Raises ContractViolation for a damaged one."""
    trail = _trail(saga, saga_id, row)
    trace = (trail.traceparent or "").split("-")
    return Detail(
        saga,
        view_of(saga.definition, saga_id, row),
        trail.tenant,
        trace[1] if len(trace) > 1 else None,
    )


def _trail(saga: type[Saga], saga_id: str, row: Row) -> Trail:
    """What travels with the saga, as any of the events that are still kept has it."""
    definition = saga.definition
    for slot, fact in decode_instance(definition, saga_id, row.state).facts.items():
        if slot in row.events:
            return decode_event(row.events[slot], definition.saga, saga_id, fact).trail
    return Trail()
