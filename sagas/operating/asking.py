"""The way of a request of people: looked at first, refused or published, and waited for.

Owns when a request is refused, and how long its effect is waited for. Decides nothing itself: a participant
does (rule 6), and a dry run asks the same pure function.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from sagas.core.controls import Control
from sagas.core.definition import Definition, Role
from sagas.core.errors import ContractViolation, InvalidMessage
from sagas.core.events import Event
from sagas.core.framework_events import SkipRequested, control_of, wakes
from sagas.core.instance import Fact, Instance
from sagas.core.saga import Saga
from sagas.core.starts import key_of_instance
from sagas.operating.errors import Misasked, NotFound, Refused, Unanswered, nearest
from sagas.operating.mending import refusal_of
from sagas.operating.words import short_name
from sagas.ports import SagaTable
from sagas.runtime.decisions import skip_event
from sagas.runtime.operator import Outlook, outlook_of
from sagas.wire.stored import decode_instance

__all__ = ["Wish", "effect_of", "outlook_for", "payload_of", "skip_request"]

_POLL_S = (0.01, 0.02, 0.05, 0.1, 0.25)
"""The pauses between two looks at the table while waiting; the last one repeats."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request about one saga; ``verb`` as in "is not cancelled"."""

    saga_id: str
    verb: str
    request: Event

    @property
    def control(self) -> Control:
        """What it asks of whoever handles it. Raises ContractViolation for an event that asks nothing."""
        control = control_of(self.request)
        if control is None:
            raise ContractViolation(f"{self.request.event_type} asks for nothing.")
        return control

    def outlook(self, instance: Instance) -> Outlook:
        """What would come of it now, possibly nothing."""
        return outlook_of(instance, self.control, time.time_ns() // 1_000_000)

    def refused(self, instance: Instance) -> Refused:
        """The error that says why nothing comes of it."""
        why = refusal_of(instance, self.control)
        return Refused(f"{self.saga_id!r} is not {self.verb}: {why}.")


def outlook_for(wish: Wish, instance: Instance) -> Outlook:
    """What would come of the request now; it may wake everybody and decide nothing. Changes nothing.

    Raises Refused for one of which nothing would come.
    """
    outlook = wish.outlook(instance)
    only_wakes = wakes(wish.request) and not instance.status.is_terminal
    if not outlook.emissions and not only_wakes:
        raise wish.refused(instance)
    return outlook


async def effect_of(
    wish: Wish, outlook: Outlook, id_: str, *, table: SagaTable, timeout_s: float
) -> tuple[Outlook, list[Fact]]:
    """Wait for what comes of a request that was published under that id: where the saga stands then, and
    the events that were recorded for it.

    Raises Refused if something else came first, Unanswered if no participant takes it up in time (it stays
    on Kafka), NotFound and TableUnavailable.
    """
    definition = outlook.before.definition
    if not outlook.emissions:
        return outlook, []
    until, looks = time.monotonic() + timeout_s, 0
    while True:
        instance = await _load(wish, table, definition)
        recorded = [fact for fact in instance.facts.values() if fact.cause == id_]
        nothing_left = not wish.outlook(instance).emissions
        if nothing_left or any(one.type == outlook.emissions[-1].type for one in recorded):
            break
        if time.monotonic() > until:
            raise Unanswered(
                f"The request is published, but within {timeout_s:g} s no participant of "
                f"{definition.saga} has taken it up. It stays there: see that the services run, "
                f"and look with `sagas show {wish.saga_id}`."
            )
        await asyncio.sleep(_POLL_S[min(looks, len(_POLL_S) - 1)])
        looks += 1
    if not recorded:  # something else came first
        raise wish.refused(instance)
    return replace(outlook, after=instance), recorded


async def _load(wish: Wish, table: SagaTable, definition: Definition) -> Instance:
    row = await table.load(definition.saga, wish.saga_id)
    if row is None:
        raise NotFound(f"{wish.saga_id!r} has expired meanwhile.")
    return decode_instance(definition, wish.saga_id, row.state, notes=row.notes)


def payload_of(type_: str, request: Event) -> object:
    """What an event carries that follows from the request."""
    match request:
        case SkipRequested() if type_ == request.event:
            return request.payload
        case _:
            return request.model_dump(mode="json", include={"by", "why"})


def skip_request(
    saga: type[Saga],
    saga_id: str,
    event: str,
    payload: Mapping[str, JsonValue] | None,
    *,
    by: str,
    why: str,
) -> SkipRequested:
    """The request that says that a step was done, or undone, by hand: by its full name or the part between
    the dots, with the business key alone where no payload is given. Raises Misasked.
    """
    alone: dict[str, JsonValue] = {saga.definition.key: key_of_instance(saga_id)}
    content = alone if payload is None else dict(payload)
    type_ = _full_name(saga.definition, event)
    built = SkipRequested(event=type_, payload=content, by=by, why=why)
    try:
        skip_event(saga, saga_id, built)
    except InvalidMessage as error:
        raise Misasked(f"{error}. Give what it carries by --payload.") from error
    return built


def _full_name(definition: Definition, given: str) -> str:
    """The event's name on the wire."""
    known = [
        type_
        for type_, outcome in definition.outcome_of.items()
        if outcome.role in {Role.DONE, Role.UNDONE}
    ]
    meant = [type_ for type_ in known if given in {type_, short_name(type_)}]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise Misasked(f"{given!r} is one of {', '.join(meant)}: say which.")
    hint = nearest(given, map(short_name, known), "Its done and undone events")
    raise Misasked(f"{definition.saga} has no done or undone event {given!r}.{hint}")
