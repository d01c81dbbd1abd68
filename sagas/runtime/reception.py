"""What becomes of a start whose instance is not simply its own: another start of a key in use, or a later
run that nobody has let begin.

Owns the decision where the start is handled, which is the one that counts: clients look first, but two of
them may look at once, and outside producers do not look at all. Only the saga's host decides
(``Definition.host``); the others pass such a start over. It must never touch the run that exists.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from sagas.core.definition import Direction
from sagas.core.errors import InvalidMessage
from sagas.core.instance import SagaStatus
from sagas.core.position import Position
from sagas.core.starts import Verdict, after, key_of_instance, place_of, run_of, saga_id_of
from sagas.ports import OutgoingRecord, Row
from sagas.runtime.incoming import Incoming, decode_incoming
from sagas.runtime.runs import Run, Runs, refusal_words
from sagas.wire.envelope import Envelope, encode_headers
from sagas.wire.ids import digest_of, event_id
from sagas.wire.topics import Topics
from sagas.wire.trace import context_of

__all__ = ["OtherStart", "Reception", "StartRefused", "accepted_start", "in_question"]

_log = structlog.get_logger()


class StartRefused(InvalidMessage):
    """The saga takes no such start of this key, or it is too old: a dead letter, and no harm to a run that
    exists.
    """


class OtherStart(Exception):
    """The start in hand is not the one that its instance has, or may not begin it: see ``Reception``."""


def in_question(incoming: Incoming, at: Position | None) -> bool:
    """Whether a start is to be decided on before it may be folded: the instance has another one, or it
    would begin a later run that the host has not let begin.
    """
    if not incoming.starts:
        return False
    if at is None:
        return run_of(incoming.saga_id) > 1 and not incoming.envelope.seq
    recorded = at.index_of(incoming.fact)
    return recorded is not None and at.ids[recorded] != incoming.fact.id


@dataclass(frozen=True, slots=True)
class Reception:
    """Receives the starts of one saga for one service.

    ``load`` and ``publish`` wait for a server that is away.
    """

    service: str
    topics: Topics
    load: Callable[[str, str], Awaitable[Row | None]]
    publish: Callable[[OutgoingRecord], Awaitable[None]]

    async def receive(self, incoming: Incoming) -> Incoming | None:
        """The start to go on with; None where there is nothing to be done with it here.

        Where the recorded start says the same, that is the one, or there is nothing to be done if its run
        has ended and keeps it no more. A start that may begin a later run is
        published as the start of that run, which everybody takes up; one that named the run is also gone on
        with at once, so that the row is there before whatever was sent behind it. Safe to repeat: what is
        published has the same id and bytes. Raises StartRefused, where the service is the host.
        """
        saga = incoming.saga
        runs = Runs(saga, lambda saga_id: self.load(saga.definition.saga, saga_id))
        there = await runs.one(incoming.saga_id)
        envelope = incoming.envelope
        if there is not None and runs.same(there, envelope.payload, type_=envelope.type):
            if there.start is None:
                _log.debug("start.passed_over", reason="it has begun a run that has ended")
                return None
            return decode_incoming(there.start, saga, there.start.type)
        if self.service != saga.definition.host:
            _log.debug("start.passed_over", reason="another service decides on it")
            return None
        if incoming.named:
            return await self._named(incoming, runs, there)
        await self._unnamed(incoming, runs)
        return None

    async def _named(self, incoming: Incoming, runs: Runs, there: Run | None) -> Incoming | None:
        """A start that says which run it begins begins that one, or none."""
        reuse, key = incoming.saga.reuse, key_of_instance(incoming.saga_id)
        if there is not None:
            if after(reuse, there.status) is not Verdict.SHARE:
                raise StartRefused(refusal_words(incoming.saga, there))
            _log.info("start.shared", run=there.saga_id)
            return None
        known = await runs.of(key)
        if run_of(incoming.saga_id) != len(known) + 1:
            last = known[-1].saga_id if known else "none"
            raise StartRefused(
                f"{incoming.saga_id!r} can not begin: the last run of {key!r} is {last!r}. A run begins "
                "behind the one before it; leave ce_sagaid out, and the next one is meant."
            )
        verdict = after(reuse, known[-1].status)
        if verdict is Verdict.REFUSE:
            raise StartRefused(refusal_words(incoming.saga, known[-1]))
        if verdict is Verdict.SHARE:
            _log.info("start.shared", run=known[-1].saga_id)
            return None
        envelope = await self._begin(incoming, incoming.saga_id)
        return decode_incoming(envelope, incoming.saga, envelope.type)

    async def _unnamed(self, incoming: Incoming, runs: Runs) -> None:
        """A start from outside: the run that has its content, or the next one."""
        key = key_of_instance(incoming.saga_id)
        known = await runs.of(key)
        envelope = incoming.envelope
        same = runs.known(known, envelope.payload, type_=envelope.type)
        verdict, number = place_of(incoming.saga.reuse, same)
        match verdict:
            case Verdict.REFUSE:
                raise StartRefused(refusal_words(incoming.saga, known[number - 1]))
            case Verdict.BEGIN:
                await self._begin(incoming, saga_id_of(key, number))
            case Verdict.SHARE:
                _log.info("start.shared", run=saga_id_of(key, number))
            case Verdict.SAME:
                _log.debug("start.passed_over", reason="it has begun this run before", run=number)

    async def _begin(self, incoming: Incoming, saga_id: str) -> Envelope:
        envelope = accepted_start(incoming, saga_id, by=self.service)
        record = OutgoingRecord(
            self.topics.of(incoming.saga.definition, envelope.type),
            saga_id.encode(),
            envelope.payload,
            encode_headers(envelope),
        )
        await self.publish(record)
        _log.info("start.begins_again", run=saga_id)
        return envelope


def accepted_start(incoming: Incoming, saga_id: str, *, by: str) -> Envelope:
    """The start of a later run, as the host publishes it: it carries the version that it leads to."""
    definition, envelope = incoming.saga.definition, incoming.envelope
    id_ = event_id(
        *(definition.saga, saga_id, envelope.type),
        step=definition.start.name,
        direction=Direction.FORWARD,
        content=digest_of(envelope.payload),
    )
    given = envelope.trail.traceparent
    if given == context_of(None, definition.saga, incoming.saga_id):
        given = None  # it came without one, and has got that of another run
    traceparent = context_of(given, definition.saga, saga_id)
    return envelope._replace(
        id=id_,
        source=by,
        saga_id=saga_id,
        fingerprint=definition.fingerprint,
        seq=1,
        status=SagaStatus.RUNNING,
        trail=envelope.trail._replace(traceparent=traceparent),
    )
