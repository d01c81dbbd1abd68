"""What happens to one record: observers are told, a saga's step is run, what cannot be handled is
dead-lettered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import structlog

from sagas.context import EventContext
from sagas.core.controls import Park, TimerDue, Wake
from sagas.core.decide import ActionResult, ResultKind
from sagas.core.definition import START, Direction, Role
from sagas.core.errors import InvalidMessage
from sagas.core.framework_events import SagaParked
from sagas.core.handling import Handling, UnknownInstance
from sagas.core.position import Position
from sagas.core.saga import Saga, SagaEnded
from sagas.core.timers import RETRY
from sagas.observability.in_hand import have_in_hand
from sagas.ports import Record, Row
from sagas.ports.telemetry import MessageInHand, Telemetry, Watch
from sagas.runtime.attempts import Attempts, InHand
from sagas.runtime.dead_letters import DeadLetters
from sagas.runtime.execution import Pauses, Performed, attempt_until_done, invoke, words_of
from sagas.runtime.incoming import (
    Incoming,
    decode_cancellation,
    decode_former,
    decode_incoming,
    decode_payload,
)
from sagas.runtime.message_world import MessageWorld, Participant
from sagas.runtime.reception import OtherStart, Reception, StartRefused
from sagas.runtime.runs import Runs
from sagas.runtime.subscription import Interest
from sagas.runtime.trails import log_fields
from sagas.service import Observer
from sagas.wire.envelope import Envelope, decode_headers
from sagas.wire.retried import Retried

__all__ = ["Dispatch"]

_log = structlog.get_logger()


class Dispatch:
    """Handles the records of one service, one at a time per call; calls may run side by side."""

    def __init__(self, participant: Participant, dead_letters: DeadLetters) -> None:
        self._participant = participant
        self._name = participant.service.name
        self._dead_letters = dead_letters
        at = participant
        self._reception = Reception(
            at.service.name,
            at.topics,
            load=lambda saga, saga_id: at.patience.insist(
                at.table.load, saga, saga_id, events=True
            ),
            publish=lambda record: at.patience.insist(at.broker.publish, record),
        )

    async def handle(
        self, record: Record, interest: Interest, retried: Retried | None = None
    ) -> None:
        """Handle a record to its end; when this returns its offset may be committed.

        ``retried`` says that it has waited for another attempt: observers were told of it before.

        At-least-once: a crash before the commit brings the record back, which changes nothing in the
        saga; observers see it again. Nothing is raised but a cancellation. To be run as a task of its
        own: what it binds for the logs stays bound.
        """
        told = _Told(self._name, record)
        have_in_hand(told)
        try:
            waits = retried and await self._participant.retries.put_again(record, retried)
            if not waits:
                await self._handle(InHand(record, retried), interest, told)
        except Exception as error:  # noqa: BLE001 - nothing may block the partition
            await self._dead_letters.add(record, error)

    async def reject(self, record: Record, error: Exception) -> None:
        """Dead-letter a record that the filter could not read."""
        have_in_hand(_Told(self._name, record))
        await self._dead_letters.add(record, error)

    async def _handle(self, in_hand: InHand, interest: Interest, told: _Told) -> None:
        record, retried = in_hand
        envelope = decode_headers(record.headers, record.value or b"", time_ms=record.timestamp_ms)
        if interest.saga is not None:
            incoming = decode_incoming(envelope, interest.saga, interest.event_type)
            envelope = told.envelope = incoming.envelope
            try:
                if not incoming.starts:
                    await self._run_saga(incoming, in_hand)
                elif not await self._receive(incoming, in_hand):
                    return
            except (UnknownInstance, StartRefused):
                raise
            except Exception as error:
                await self._park(incoming, in_hand, error)
                raise
        else:
            told.envelope = envelope
        if (interest.cancels or interest.observers) and not retried:
            await self._tell_all(envelope, interest, in_hand)

    async def _tell_all(self, envelope: Envelope, interest: Interest, in_hand: InHand) -> None:
        """Ask the sagas that the event cancels, and tell the observers, each whatever the others raise."""
        failed: Exception | None = None
        for saga in interest.cancels:
            try:
                await self._cancel(envelope, saga, interest.event_type, in_hand)
            except Exception as error:  # noqa: BLE001 - the others are asked all the same
                failed = failed or error
        for observer in interest.observers:
            try:
                await self._tell(observer, interest.event_type, envelope)
            except Exception as error:  # noqa: BLE001 - the others are told all the same
                failed = failed or error
        if failed is not None:
            try:
                raise failed
            finally:
                del failed  # it holds this frame

    async def _receive(self, incoming: Incoming, in_hand: InHand) -> bool:
        """Run the saga of a start; False for one that is another service's to decide on, or that leads to
        one of which observers are told when it comes.
        """
        tells = True
        while True:
            try:
                await self._run_saga(incoming, in_hand)
            except OtherStart:
                received = await self._reception.receive(incoming)
                if received is None:
                    return False
                tells = not received.envelope.seq
                incoming = received
            else:
                return tells

    async def _cancel(
        self, envelope: Envelope, saga: type[Saga], type_: str, in_hand: InHand
    ) -> None:
        """Turn an instance back that is still before its pivot; afterwards it is too late, and said so.

        Where nothing is known of it, the host makes a dead letter, and the others pass the event over.
        """
        participant, definition = self._participant, saga.definition
        is_host = participant.service.name == definition.host
        incoming = decode_cancellation(envelope, saga, type_)
        if not incoming.named:
            runs = Runs(saga, partial(self._row, definition.saga))
            meant = await runs.meant(incoming.saga_id, incoming.fact)
            incoming = incoming.of_run(meant)
        have_in_hand(_Told(self._name, in_hand.record, incoming.envelope))
        try:
            at = await self._run_saga(incoming, in_hand)
        except UnknownInstance as error:
            if not is_host:
                return
            raise InvalidMessage(
                f"{type_} cancels {definition.saga} {incoming.saga_id!r}, of which nothing is known (yet). "
                "If it has begun meanwhile, replay this dead letter."
            ) from error
        turned = any(fact.cause == incoming.fact.id for fact in at.instance.facts.values())
        if is_host and not turned:
            _log.warning("cancellation.too_late", status=str(at.status))

    async def _row(self, saga: str, saga_id: str) -> Row | None:
        at = self._participant
        return await at.patience.insist(at.table.load, saga, saga_id)

    async def _park(self, incoming: Incoming, in_hand: InHand, error: Exception) -> None:
        """Park the saga of a message that becomes a dead letter: without it the saga may never end.

        Safe to repeat. A saga that can not even be parked is left as it is, and said so.
        """
        name, fact = self._name, incoming.fact
        reason = f"{name} made {fact.type} a dead letter: {words_of(error)}"[:1000]
        parked = SagaParked(step=START, direction=Direction.FORWARD, error=reason, attempts=0)
        asking = fact._replace(id=f"{fact.id}-dead", role=Role.CONTROL, step=START)
        try:
            asked = incoming._replace(fact=asking, event=parked, control=Park())
            await self._run_saga(asked, InHand(in_hand.record))
        except Exception as unparkable:  # noqa: BLE001 - the dead letter is what counts
            _log.error("saga.not_parked", error=words_of(unparkable))

    async def _run_saga(self, incoming: Incoming, in_hand: InHand) -> Position:
        participant, retried = self._participant, in_hand.retried
        telemetry = participant.telemetry
        if retried and incoming.control is not None:
            # What it asked for is decided. It comes back for the attempt, and asks for nothing again.
            incoming = incoming._replace(control=Wake())
        watch = None if telemetry is None else self._watch(telemetry, incoming, in_hand)
        world = MessageWorld(participant, incoming, in_hand, watch)
        try:
            at = await self._handling(incoming, world).run()
        except UnknownInstance:  # once more, if the topics know its start
            if not await world.restored():
                raise
            at = await self._handling(incoming, world).run()
        if incoming.fact.role is Role.WAKE and isinstance(incoming.control, TimerDue):
            await self._settle(world.attempts, incoming.control.name, at)
        if incoming.envelope.status is None and _ended_from_outside(at, incoming, self._name):
            await world.tell_end(at)
        if world.has_written:
            await world.forget_events(at)
        return at

    def _watch(self, telemetry: Telemetry, incoming: Incoming, in_hand: InHand) -> Watch | None:
        at, record = self._participant, in_hand.record
        return telemetry.message(
            MessageInHand(
                at.service.name,
                at.topics.group(at.service.name),
                incoming.saga.definition,
                incoming.saga_id,
                incoming.envelope,
                incoming.fact,
                incoming.control,
                *(record.topic, record.partition, record.offset, record.timestamp_ms),
                retried=in_hand.retried is not None,
            )
        )

    def _handling(self, incoming: Incoming, world: MessageWorld) -> Handling:
        return Handling(
            incoming.saga.definition,
            self._name,
            incoming.saga_id,
            incoming.fact,
            world,
            control=incoming.control,
            deadline_ms=incoming.envelope.trail.deadline_ms,
            confirmed=self._participant.confirmed,
        )

    async def _settle(self, attempts: Attempts, timer: str, at: Position) -> None:
        """A timer that asks for an attempt is cleared by the service whose step it names."""
        step = at.definition.by_name.get(timer.removeprefix(RETRY).partition("/")[0])
        if step is not None and step.service == self._name:
            await self._participant.patience.insist(attempts.settle, timer, at)

    async def _tell(self, observer: Observer, type_: str, envelope: Envelope) -> None:
        """Tell one observer; after the last attempt its error makes the record a dead letter."""
        context = EventContext(
            saga=envelope.saga or "",
            saga_id=envelope.saga_id or "",
            tenant=envelope.trail.tenant,
            correlation_id=envelope.trail.correlation_id or envelope.saga_id or "",
            causation_id=envelope.causation_id,
            deadline_ms=envelope.trail.deadline_ms,
            traceparent=envelope.trail.traceparent,
            status=envelope.status or "",
            resources=self._participant.resources,
        )
        event: object
        if type_ in observer.event_types:
            event = decode_payload(observer.events[type_], type_, envelope.payload)
        elif type_ in observer.formers:
            event = decode_former(observer.formers[type_], envelope.payload)
        else:
            event = SagaEnded(saga=context.saga, saga_id=context.saga_id, status=context.status)

        at, name = self._participant, observer.handler.name

        async def attempt(number: int) -> Performed:
            if at.telemetry is None:
                await invoke(observer.handler, event, context)
            else:
                with at.telemetry.observing(at.service.name, name, envelope):
                    await invoke(observer.handler, event, context)
            return Performed(ActionResult(ResultKind.RETURNED), attempts=number)

        pauses = Pauses(at.clock, at.ids)
        done = await attempt_until_done(attempt, pauses, name, observer.retry)
        if not isinstance(done, Performed):
            try:
                raise done[1]
            finally:
                del done  # the error holds this frame


def _ended_from_outside(at: Position, incoming: Incoming, service: str) -> bool:
    """Whether a message without a status is an answer from outside to one of the service's waits, of a saga
    that has ended.

    Whoever answers from outside does not know that nothing else is open. Every event that a service
    decides on, a timeout of a wait too, carries the status that it leads to, and keeps its bytes.
    """
    fact = incoming.fact
    if not at.status.is_terminal or incoming.control is not None:
        return False
    step, recorded = at.definition.by_name[fact.step], at.index_of(fact)
    return (
        step.waits
        and step.service == service
        and recorded is not None
        and at.ids[recorded] == fact.id
    )


class _Told:
    """What the log lines say of the message in hand; its envelope, once it is decoded."""

    __slots__ = ("envelope", "record", "service")

    def __init__(self, service: str, record: Record, envelope: Envelope | None = None) -> None:
        self.service = service
        self.record = record
        self.envelope = envelope

    def __call__(self) -> Mapping[str, object]:
        record, envelope = self.record, self.envelope
        place = f"{record.topic}-{record.partition}-{record.offset}"
        fields: dict[str, object] = {"service": self.service, "at": place}
        if envelope is None:
            return fields
        fields |= {
            "saga": envelope.saga,
            "saga_id": envelope.saga_id,
            "message_id": envelope.id,
            "message_type": envelope.type,
            "causation_id": envelope.causation_id,
            **log_fields(envelope.trail),
        }
        return {name: value for name, value in fields.items() if value is not None}
