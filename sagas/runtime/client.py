"""The client: start a saga, complete a step that waits, see where a saga stands, wait for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from sagas.core.completion import Completes, Completion
from sagas.core.definition import Definition, Direction, Role, StepDefinition
from sagas.core.errors import ContractViolation, RetriableError
from sagas.core.events import Event
from sagas.core.framework_events import SagaParked
from sagas.core.instance import SagaStatus
from sagas.core.saga import Saga
from sagas.core.steps import Wait
from sagas.ports import Broker, Clock, Outbox, OutgoingRecord, SagaTable
from sagas.runtime.incoming import key_of
from sagas.runtime.patience import Patience
from sagas.runtime.views import SagaView, view_of
from sagas.wire.envelope import Envelope, Trail, encode_headers
from sagas.wire.ids import event_id
from sagas.wire.topics import Topics
from sagas.wire.trace import child_of

__all__ = ["SagaClient", "completion_record", "start_record"]

Answer = TypeVar("Answer")
_T = TypeVar("_T")

_POLL_S = (0.01, 0.02, 0.05, 0.1, 0.25)
"""The pauses between two looks at the table while waiting; the last one repeats."""


def start_record(
    sagas: Iterable[type[Saga]], topics: Topics, event: Event, *, trail: Trail, now_ms: int
) -> tuple[str, OutgoingRecord]:
    """The saga id and the record that starts a saga. Raises ContractViolation for an event that starts
    none of the sagas, and InvalidMessage for an unusable business key.
    """
    _checked_event(event)
    starting = [saga for saga in sagas if event.event_type in saga.definition.start.done]
    if len(starting) != 1:
        known = ", ".join(t for saga in sagas for t in saga.definition.start.done) or "nothing"
        raise ContractViolation(
            f"{event.event_type or type(event).__name__} starts {len(starting)} of the sagas that "
            f"this client knows; expected exactly one of {known}."
        )
    definition = starting[0].definition
    saga_id = key_of(event, definition.key)
    record = _record(
        definition, definition.start, saga_id, event, topics=topics, trail=trail, now_ms=now_ms
    )
    return saga_id, record


def completion_record(
    completion: Completion, topics: Topics, *, trail: Trail, now_ms: int
) -> OutgoingRecord:
    """The record that completes, or refuses, a step that waits: on the topic of that step's service.

    Raises InvalidMessage for an unusable business key.
    """
    definition, event = completion.saga.definition, completion.event
    return _record(
        definition,
        definition.by_name[completion.step],
        key_of(event, definition.key),
        event,
        topics=topics,
        trail=trail,
        now_ms=now_ms,
    )


def _checked_event(event: object) -> None:
    """Raise ContractViolation, in words, for what is no event."""
    if isinstance(event, Event):
        return
    if isinstance(event, type):
        said = f"{event.__name__} is a class; give an event, such as {event.__name__}(...)"
    else:
        said = f"{event!r:.200} is no event; give an instance of an event's class"
    raise ContractViolation(f"{said}.")


def _checked_saga(saga: object) -> None:
    """Raise ContractViolation, in words, for what is no saga's class."""
    if not (isinstance(saga, type) and issubclass(saga, Saga) and saga is not Saga):
        raise ContractViolation(
            f"{saga!r:.200} is no saga; give its class, such as OrderFulfilment."
        )


def _record(
    definition: Definition,
    step: StepDefinition,
    saga_id: str,
    event: Event,
    *,
    topics: Topics,
    trail: Trail,
    now_ms: int,
) -> OutgoingRecord:
    """An event from outside the saga's handlers, as its step's service publishes it."""
    type_ = event.event_type
    id_ = event_id(definition.saga, saga_id, type_, step=step.name, direction=Direction.FORWARD)
    envelope = Envelope(
        id=id_,
        type=type_,
        source=step.service,
        time_ms=now_ms,
        saga=definition.saga,
        saga_id=saga_id,
        payload=event.model_dump_json().encode(),
        fingerprint=definition.fingerprint,
        trail=replace(trail, traceparent=child_of(trail.traceparent, id_)),
    )
    return OutgoingRecord(
        topics.events(step.service), saga_id.encode(), envelope.payload, encode_headers(envelope)
    )


class SagaClient:
    """Starts sagas, completes their waits and reads them; holds no state of its own."""

    def __init__(
        self,
        sagas: Iterable[type[Saga]],
        *,
        topics: Topics,
        broker: Broker,
        table: SagaTable,
        clock: Clock,
        outbox: Outbox | None = None,
    ) -> None:
        self._sagas = tuple(sagas)
        self._topics = topics
        self._broker = broker
        self._table = table
        self._clock = clock
        self._outbox = outbox
        self._patience = Patience(clock)

    async def start(
        self,
        event: Event,
        *,
        trail: Trail | None = None,
        within: object | None = None,
        timeout_s: float | None = None,
    ) -> str:
        """Start a saga with its start event and return the saga id.

        Returns once the event is acknowledged by the broker; safe to repeat: the same key starts nothing
        twice. Waits for a broker that is away, with ``timeout_s`` no longer than that: then it raises
        TimeoutError, and whether the saga has started is not known. With ``within``, a transaction of
        the service's own database, the event is stored in the outbox instead and published after the
        commit, or never if the transaction is rolled back.
        Raises ContractViolation for an event that starts no saga.
        """
        saga_id, record = start_record(
            self._sagas,
            self._topics,
            event,
            trail=trail or Trail(),
            now_ms=self._clock.now_ms(),
        )
        await self._publish(record, within, timeout_s)
        return saga_id

    async def complete(
        self,
        wait: Wait[Answer],
        saga_id: str | int | UUID,
        event: Answer,
        *,
        trail: Trail | None = None,
        within: object | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Complete, or refuse, a step that waits: with one of its done or refused events.

        Safe to repeat, and may come before the step waits; of several answers the first one counts.
        Returns as ``start`` does, and takes ``within`` and ``timeout_s`` as it does. Raises
        ContractViolation for an event that is no answer there or belongs to another instance.
        """
        completion = Completes(wait)(saga_id, event)
        await self.tell(completion, trail=trail, within=within, timeout_s=timeout_s)

    async def tell(
        self,
        completion: Completion,
        *,
        trail: Trail | None = None,
        within: object | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Publish what ``Service.completes`` has checked; otherwise as ``complete``."""
        record = completion_record(
            completion, self._topics, trail=trail or Trail(), now_ms=self._clock.now_ms()
        )
        await self._publish(record, within, timeout_s)

    async def _publish(
        self, record: OutgoingRecord, within: object | None, timeout_s: float | None
    ) -> None:
        if within is None:
            await self._insist(lambda: self._broker.publish(record), timeout_s)
        elif self._outbox is None:
            raise ContractViolation("This client has no outbox; give it one, or leave within= out.")
        else:
            await self._outbox.add(within, record)

    async def _insist(self, call: Callable[[], Awaitable[_T]], timeout_s: float | None) -> _T:
        """Wait for a server that is away, but not for ever where a limit is given (in real time)."""
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                return await self._patience.insist(call)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"No answer after {timeout_s} s; the log says why. If it is to last longer, give a "
                "larger timeout_s=, or none."
            ) from error

    async def get(
        self, saga: type[Saga], saga_id: str, *, timeout_s: float | None = None
    ) -> SagaView | None:
        """The saga as the table has it now, or None: not started, not seen yet, or expired.

        Waits for a table that is away; with ``timeout_s`` no longer than that, then TimeoutError.
        """
        _checked_saga(saga)
        return await self._insist(lambda: self._look(saga, saga_id), timeout_s)

    async def _look(self, saga: type[Saga], saga_id: str) -> SagaView | None:
        row = await self._table.load(saga.definition.saga, str(saga_id), events=True)
        return None if row is None else view_of(saga.definition, str(saga_id), row)

    async def wait_for_end(
        self, saga: type[Saga], saga_id: str, *, timeout_s: float | None = None
    ) -> SagaView:
        """The saga once it has ended. Raises TimeoutError after ``timeout_s`` of the clock's time."""
        _checked_saga(saga)
        deadline_ms = None if timeout_s is None else self._clock.now_ms() + timeout_s * 1000
        looks = 0
        while True:
            try:
                view = await self._look(saga, saga_id)
            except RetriableError as error:  # the next look may be luckier, and the time is limited
                status = f"unknown: {error}"
            else:
                if view is not None and view.has_ended:
                    return view
                status = "unknown: no service has seen it" if view is None else _stands(view)
            if deadline_ms is not None and self._clock.now_ms() >= deadline_ms:
                raise TimeoutError(
                    f"{saga.definition.saga} {saga_id!r} has not ended after {timeout_s} s; it is "
                    f"{status}."
                )
            await self._clock.sleep(_POLL_S[min(looks, len(_POLL_S) - 1)])
            looks += 1


def _stands(view: SagaView) -> str:
    """Where a saga stands that has not ended, in words."""
    if view.status is SagaStatus.PARKED:
        return f"{view.status} and waits for an operator{_why_parked(view)}"
    verbs = {Direction.FORWARD: "perform", Direction.UNDO: "undo"}
    waits = [f"{one.service} to {verbs[one.direction]} {one.step}" for one in view.waits_for]
    return f"{view.status} and waits for {' and '.join(waits) or 'nothing'}"


def _why_parked(view: SagaView) -> str:
    for entry in reversed(view.timeline):
        if entry.role is Role.PARKED:
            said = SagaParked.model_validate_json(entry.payload)
            attempts = f" (attempts: {said.attempts})" if said.attempts else ""
            return f", because of {said.step}: {said.error}{attempts}"
    return ""
