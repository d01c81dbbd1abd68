"""The spans that the handling of one message leads to: steps, compensations, attempts, waits, and ends.

A span is made when what it stands for is over and stored, by whoever stored it; a process that dies before
has traced nothing. The ids follow from names, so a message that is handled again, here or elsewhere, adds to
the same tree. The payload of an event is never in a span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from sagas.core.definition import START, STEP_TIMED_OUT, Definition, Direction, Role
from sagas.core.enabled import Action
from sagas.core.errors import StepAbandoned
from sagas.core.instance import Fact, SagaStatus
from sagas.core.position import Position
from sagas.observability.contexts import of_saga, place_of, say
from sagas.observability.spans import Spans, Where, current, where_of
from sagas.ports import Superseded, Tombstone
from sagas.ports.telemetry import MessageInHand
from sagas.wire.envelope import Trail
from sagas.wire.ids import idempotency_key
from sagas.wire.trace import context_of, span_name_of, start_name

__all__ = ["MessageTrace"]

_FAILED = frozenset({Role.FAILED, Role.UNDO_FAILED, Role.PARKED})
_NO_FAILURES = (Tombstone, Superseded, StepAbandoned)

_Key = tuple[str, Direction, int]


class MessageTrace:
    """Implements ``Watch``: the spans that the handling of one message leads to."""

    def __init__(self, spans: Spans, message: MessageInHand, now_ns: Callable[[], int]) -> None:
        self._spans = spans
        self._message = message
        self._now_ns = now_ns
        self._saga = message.definition.saga
        self._begun: dict[_Key, int] = {}
        self._links: tuple[Where, ...] = ()
        self._root = self._rooted(message.envelope.trail)
        starts = message.fact.step == START and message.fact.role is Role.DONE
        self._here = self._start if starts else self._root

    def _rooted(self, trail: Trail) -> Where:
        """Where the message is. A trace of the instance's own asks the sampler; of another it was asked."""
        saga_id = self._message.saga_id
        own = where_of(context_of(None, self._saga, saga_id)).context.trace_id
        where = where_of(context_of(trail.traceparent, self._saga, saga_id), trail.tracestate)
        self._is_own = where.context.trace_id == own
        if self._is_own and not self._spans.is_sampled(own, f"start {self._saga}"):
            where = where_of(f"{where.traceparent[:-2]}00")
        return where

    @property
    def _start(self) -> Where:
        return self._root.named(start_name(self._saga, self._message.saga_id))

    def belongs(self, trail: Trail) -> None:
        """See ``Watch``: the message's own trace, if it has one, is another's and is linked."""
        said = place_of(self._message.envelope)
        self._root = self._here = self._rooted(trail)
        if said is not None and said.context.trace_id != self._root.context.trace_id:
            self._links = (said,)

    # --- actions -------------------------------------------------------------------------------------

    def performing(self, action: Action, _at: Position) -> None:
        """See ``Watch``. What has waited for another attempt began when its message came first."""
        waited = self._message.retried
        begun_ns = self._message.published_ms * 1_000_000 if waited else self._now_ns()
        self._begun[_key(action)] = begun_ns

    def attempt(self, action: Action, number: int) -> AbstractContextManager[object]:
        """See ``Watch``. The first attempt is the step itself, as long as it does not fail."""
        return self._attempt(action, number)

    @contextmanager
    def _attempt(self, action: Action, number: int) -> Iterator[None]:
        step, begun_ns = self._of_action(action), self._now_ns()
        named = step if number == 1 else step.named(f"{step.traceparent}/{number}/{begun_ns}")
        failure: Exception | None = None
        try:
            with current(named):
                yield
        except _NO_FAILURES:
            raise
        except Exception as error:
            failure = error
            raise
        finally:
            if failure is not None or number > 1:
                at = step.named(f"{step.traceparent}/{number}/{begun_ns}")
                attributes = self._attributes(action.step.name, action.direction, action.epoch)
                span = self._spans.make(
                    f"attempt {action.step.name}",
                    at=at,
                    below=step,
                    begun_ns=begun_ns,
                    attributes={**attributes, "sagas.attempt": number},
                )
                if failure is not None:
                    say(span, failure)
                span.end(self._now_ns())

    def postponed(self, action: Action, attempts: int) -> None:
        """See ``Watch``: the attempt that has failed is a span, and the next one will be."""

    def conflict(self) -> None:
        """See ``Watch``."""

    # --- what is stored ------------------------------------------------------------------------------

    def stored(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        """See ``Watch``: what has ended with this write is a span."""
        if before is None:
            self._tell_start()
        fact = self._message.fact
        if folded and self._message.definition.by_name[fact.step].waits and not fact.assumed:
            self._tell_wait(stored, fact)
        if recorded is not None:
            self._tell_recorded(stored, recorded)
        if stored.status.is_terminal and (before is None or not before.status.is_terminal):
            self._tell_end(stored)

    def _tell_start(self) -> None:
        began_ns = min(self._message.envelope.time_ms * 1_000_000, self._now_ns())
        self._end(
            self._spans.make(
                f"start {self._saga}",
                at=self._start,
                below=None if self._is_own else self._root,
                begun_ns=began_ns,
                kind=SpanKind.CONSUMER,
                attributes=self._attributes(START, Direction.FORWARD),
            )
        )

    def _tell_wait(self, stored: Position, fact: Fact) -> None:
        """A wait that ended by an answer. One that came early has waited for nothing."""
        name = span_name_of(self._saga, self._message.saga_id, fact)
        below, since_ns = self._trigger(stored, fact.step)
        self._end(
            self._spans.make(
                f"wait {fact.step}",
                at=self._root.named(name),
                below=below,
                begun_ns=since_ns or self._now_ns(),
                kind=SpanKind.CONSUMER,
                attributes=self._attributes(fact.step, Direction.FORWARD) | _of_fact(fact, stored),
                links=(*self._links, *self._joined(stored, fact, below)),
            )
        )

    def _tell_recorded(self, stored: Position, fact: Fact) -> None:
        """The action whose outcome an event is, or what a timer or an operator has decided."""
        begun_ns = self._begun.pop((fact.step, fact.direction, fact.epoch), None)
        below: Where | None = self._here
        if begun_ns is None:
            below, begun_ns = self._woken_by(stored, fact)
        elif self._message.control is not None and fact.direction is Direction.FORWARD:
            below, _ = self._trigger(stored, fact.step)
        span = self._spans.make(
            _title(fact, self._message.definition),
            at=self._root.named(span_name_of(self._saga, self._message.saga_id, fact)),
            below=below,
            begun_ns=begun_ns,
            kind=SpanKind.CONSUMER,
            attributes=self._attributes(fact.step, fact.direction, fact.epoch)
            | _of_fact(fact, stored),
            links=(*self._links, *self._joined(stored, fact, below)),
        )
        if fact.role in _FAILED:
            span.set_status(Status(StatusCode.ERROR, fact.type))
        self._end(span)

    def _woken_by(self, stored: Position, fact: Fact) -> tuple[Where | None, int]:
        """Of what a timer has decided, the time since the step was triggered; of anything else, now."""
        if fact.step != START and fact.role is not Role.AGAIN:
            below, since_ns = self._trigger(stored, fact.step)
            return below, since_ns or self._now_ns()
        return self._start, self._now_ns()

    def _tell_end(self, stored: Position) -> None:
        status = stored.status
        span = self._spans.make(
            f"saga {self._saga}",
            at=self._root.named(f"{self._saga}/{self._message.saga_id}/end"),
            below=self._start,
            begun_ns=stored.times[0] * 1_000_000,
            attributes=self._attributes(START, Direction.FORWARD) | {"sagas.status": status.value},
        )
        if status is SagaStatus.FAILED:
            span.set_status(Status(StatusCode.ERROR, status.value))
        self._end(span)

    # --- places --------------------------------------------------------------------------------------

    def _of_action(self, action: Action) -> Where:
        return self._root.named(
            idempotency_key(
                self._saga,
                self._message.saga_id,
                action.step.name,
                action.direction,
                action.epoch,
            )
        )

    def _trigger(self, at: Position, step: str) -> tuple[Where, int | None]:
        """What triggered a step last, and when, in nanoseconds; the start where nothing has."""
        triggers = self._message.definition.by_name[step].triggers
        there = [at.place.slots[slot] for slot in triggers if slot in at.place.slots]
        if not there:
            return self._start, None
        last = max(there, key=lambda index: at.times[index])
        name = span_name_of(self._saga, self._message.saga_id, at.fact(last))
        return self._root.named(name), at.times[last] * 1_000_000

    def _joined(self, at: Position, fact: Fact, below: Where | None) -> Iterator[Where]:
        """What has triggered a joining step besides what its span is below."""
        triggers = self._message.definition.by_name[fact.step].triggers
        if len(triggers) < 2 or fact.direction is Direction.UNDO:  # noqa: PLR2004 - one is no join
            return
        for slot in triggers:
            index = at.place.slots.get(slot)
            if index is None:
                continue
            name = span_name_of(self._saga, self._message.saga_id, at.fact(index))
            where = self._root.named(name)
            if below is None or where.context.span_id != below.context.span_id:
                yield where

    def _attributes(self, step: str, direction: Direction, epoch: int = 0) -> dict[str, str | int]:
        message, envelope = self._message, self._message.envelope
        found: dict[str, str | int] = {
            "sagas.service": message.service,
            "sagas.step": step,
            "sagas.direction": direction.value,
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": message.topic,
            "messaging.destination.partition.id": str(message.partition),
            "messaging.kafka.offset": message.offset,
            "messaging.kafka.message.key": message.saga_id,
            "messaging.consumer.group.name": message.group,
            "messaging.message.id": envelope.id,
            "messaging.message.body.size": len(envelope.payload),
            "messaging.message.conversation_id": envelope.trail.correlation_id or message.saga_id,
            **of_saga(self._saga, message.saga_id),
        }
        if epoch:
            found["sagas.epoch"] = epoch
        if envelope.trail.tenant is not None:
            found["sagas.tenant"] = envelope.trail.tenant
        return found

    def _end(self, span: Span) -> None:
        span.end(self._now_ns())


def _key(action: Action) -> _Key:
    return action.step.name, action.direction, action.epoch


def _title(fact: Fact, definition: Definition) -> str:
    """A span's name: of few kinds, for a person who looks at a tree."""
    waits = definition.by_name[fact.step].waits
    match fact.role:
        case Role.UNDONE | Role.UNDO_FAILED:
            return f"undo {fact.step}"
        case Role.OTHERWISE if waits:
            return f"wait {fact.step}"
        case Role.PARKED:
            return f"park {fact.step}"
        case Role.DONE | Role.REFUSED | Role.OTHERWISE:
            return fact.step
        case Role.FAILED if fact.type != STEP_TIMED_OUT:
            return fact.step
    return fact.type.split(".")[1]


def _of_fact(fact: Fact, stored: Position) -> dict[str, str | int]:
    return {
        "sagas.outcome": str(fact.role),
        "sagas.event_type": fact.type,
        "sagas.event_id": fact.id,
        "sagas.status": stored.status.value,
    }
