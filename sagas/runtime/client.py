"""The client: start a saga, complete a step that waits, see where a saga stands, wait for its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar
from uuid import UUID

from sagas.core.completion import Completes, Completion
from sagas.core.controls import Cancel
from sagas.core.errors import ContractViolation, RetriableError, SagaExists
from sagas.core.events import Event
from sagas.core.framework_events import CancelRequested
from sagas.core.saga import Saga
from sagas.core.starts import Reuse, Verdict, place_of
from sagas.core.steps import Wait
from sagas.ports import Broker, Clock, Outbox, OutgoingRecord, Row, SagaTable, TableUnavailable
from sagas.ports.telemetry import Telemetry
from sagas.restoring import TableLost, TopicReader
from sagas.runtime.beginnings import Beginnings
from sagas.runtime.incoming import key_of
from sagas.runtime.operator import Outlook, outlook_of, request_id, request_record
from sagas.runtime.outside import (
    cancellation_record,
    completion_record,
    start_record,
    started_by,
)
from sagas.runtime.patience import Patience
from sagas.runtime.runs import Run, Runs, refusal_words
from sagas.runtime.views import SagaView, standing_words, view_of
from sagas.wire.envelope import Trail
from sagas.wire.stored import decode_instance
from sagas.wire.topics import Topics

__all__ = ["SagaClient"]

Answer = TypeVar("Answer")
_T = TypeVar("_T")

_POLL_S = (0.01, 0.02, 0.05, 0.1, 0.25)
"""The pauses between two looks at the table while waiting; the last one repeats."""


def _checked_saga(saga: object) -> None:
    """Raise ContractViolation, in words, for what is no saga's class."""
    if not (isinstance(saga, type) and issubclass(saga, Saga) and saga is not Saga):
        raise ContractViolation(
            f"{saga!r:.200} is no saga; give its class, such as OrderFulfilment."
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
        reader: TopicReader | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._sagas = tuple(sagas)
        self._topics = topics
        self._broker = broker
        self._table = table
        self._clock = clock
        self._outbox = outbox
        self._telemetry = telemetry
        self._beginnings = Beginnings(topics, reader)
        self._patience = Patience(clock)

    async def start(
        self,
        event: Event,
        *,
        trail: Trail | None = None,
        within: object | None = None,
        timeout_s: float | None = None,
    ) -> str:
        """Start a saga with its start event and return the saga id: the business key, or that of a later
        run, ``key~2`` and so on.

        Returns once the event is acknowledged by the broker; safe to repeat: the same key and content
        start nothing twice, and give the id of that run also after its end. With another content the
        saga's ``reuse`` decides: the next run begins, the running one stands for it, or SagaExists is
        raised. Of several starts at the same moment one counts; the others become dead letters of the
        saga's host.

        Waits for a broker that is away, with ``timeout_s`` no longer than that: then it raises
        TimeoutError, and whether the saga has started is not known. With ``within``, a transaction of
        the service's own database, the event is stored in the outbox instead and published after the
        commit, or never if the transaction is rolled back; a saga with ``Reuse.NEVER`` is then started
        without a look at the saga table.
        Raises ContractViolation for an event that starts no saga.
        """
        saga = started_by(self._sagas, event)
        trail = trail or Trail()
        looks = within is None or saga.reuse is not Reuse.NEVER
        async with _limited(timeout_s):
            saga_id, record = await self._patience.insist(
                lambda: self._placed(saga, event, trail, looks=looks)
            )
            if record is not None and within is None:
                await self._publish(record, None)
        if record is not None and within is not None:
            await self._publish(record, within)
        return saga_id

    async def _placed(
        self, saga: type[Saga], event: Event, trail: Trail, *, looks: bool
    ) -> tuple[str, OutgoingRecord | None]:
        """The saga id that a start gets, and its record unless it has begun before."""
        key, runs = key_of(event, saga.definition.key), Runs(saga, partial(self._row, saga))
        known = await self._runs_of(runs, key, saga.reuse) if looks else []
        payload = event.model_dump_json().encode()
        verdict, run = place_of(saga.reuse, runs.known(known, payload, type_=event.event_type))
        if verdict is Verdict.REFUSE:
            last = known[-1]
            raise SagaExists(refusal_words(saga, last), saga_id=last.saga_id, status=last.status)
        saga_id, record = start_record(
            *([saga], self._topics, event),
            trail=trail,
            now_ms=self._clock.now_ms(),
            run=run,
        )
        return saga_id, record if verdict is Verdict.BEGIN else None

    async def _runs_of(self, runs: Runs, key: str, reuse: Reuse) -> Sequence[Run]:
        """Where every key is used once, a look is a courtesy: a table that is away stops no start."""
        try:
            return await runs.of(key)
        except TableUnavailable:
            if reuse is Reuse.NEVER:
                return []
            raise

    async def _row(self, saga: type[Saga], saga_id: str) -> Row | None:
        """The row; None, too, where no worker has ever prepared the saga's table."""
        name = saga.definition.saga
        try:
            return await self._table.load(name, saga_id, events=True)
        except TableLost:
            if await self._beginnings.is_ahead(name):
                return None
            raise

    async def latest(
        self, saga: type[Saga], key: str | int | UUID, *, timeout_s: float | None = None
    ) -> SagaView | None:
        """The last run of a business key, as ``get`` shows it, or None. It waits as ``get`` does."""
        _checked_saga(saga)
        runs = Runs(saga, partial(self._row, saga))
        known = await self._insist(lambda: runs.of(str(key)), timeout_s)
        return None if not known else await self.get(saga, known[-1].saga_id, timeout_s=timeout_s)

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
        async with _limited(timeout_s if within is None else None):
            await self._publish(record, within)

    async def cancel(
        self,
        saga: type[Saga],
        saga_id: str | int | UUID,
        *,
        by: str,
        why: str,
        timeout_s: float | None = None,
    ) -> Outlook | None:
        """Ask an instance to turn back, and return what would come of it as of now.

        Asking is asynchronous: a participant decides when it handles the request, and another event may
        come first. Where the outlook is not ``possible``, because the pivot is triggered, the saga is on
        its way back or has ended, nothing is asked. None for an instance of which nothing is known (yet).
        ``by`` and ``why`` are recorded. Safe to repeat. Waits as ``get`` does.
        """
        _checked_saga(saga)
        id_ = str(saga_id)
        async with _limited(timeout_s):
            row = await self._patience.insist(lambda: self._row(saga, id_))
            if row is None:
                return None
            now_ms = self._clock.now_ms()
            instance = decode_instance(saga.definition, id_, row.state)
            outlook = outlook_of(instance, Cancel(), now_ms)
            if outlook.possible:
                request = CancelRequested(by=by, why=why)
                await self._publish(
                    request_record(
                        *(self._topics, saga.definition.saga, id_, request),
                        id_=request_id(saga.definition.saga, id_, request),
                        now_ms=now_ms,
                    ),
                    None,
                )
        return outlook

    async def cancel_by(
        self,
        event: Event,
        *,
        trail: Trail | None = None,
        within: object | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Publish an event that some saga is ``cancelled_by``: by its key it turns back the last run of
        each such saga that is still before its pivot.

        Returns as ``start`` does, and takes ``within`` and ``timeout_s`` as it does: within a transaction
        of the service that starts the saga it comes behind the start. Raises ContractViolation for an
        event that cancels none of the sagas that this client knows.
        """
        record = cancellation_record(
            *(self._sagas, self._topics, event),
            trail=trail or Trail(),
            now_ms=self._clock.now_ms(),
        )
        async with _limited(timeout_s if within is None else None):
            await self._publish(record, within)

    async def _publish(self, record: OutgoingRecord, within: object | None) -> None:
        if self._telemetry is None:
            await self._send(record, within)
        else:
            with self._telemetry.publishing(record) as traced:
                await self._send(traced, within)

    async def _send(self, record: OutgoingRecord, within: object | None) -> None:
        if within is None:
            await self._patience.insist(lambda: self._broker.publish(record))
        elif self._outbox is None:
            raise ContractViolation("This client has no outbox; give it one, or leave within= out.")
        else:
            await self._outbox.add(within, record)

    async def _insist(self, call: Callable[[], Awaitable[_T]], timeout_s: float | None) -> _T:
        async with _limited(timeout_s):
            return await self._patience.insist(call)

    async def get(
        self, saga: type[Saga], saga_id: str, *, timeout_s: float | None = None
    ) -> SagaView | None:
        """The saga as the table has it now, or None: not started, not seen yet, or expired.

        Waits for a table that is away or lost; with ``timeout_s`` no longer than that, then TimeoutError.
        """
        _checked_saga(saga)
        return await self._insist(lambda: self._look(saga, saga_id), timeout_s)

    async def _look(self, saga: type[Saga], saga_id: str) -> SagaView | None:
        row = await self._row(saga, str(saga_id))
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
                status = "unknown: no service has seen it" if view is None else standing_words(view)
            if deadline_ms is not None and self._clock.now_ms() >= deadline_ms:
                raise TimeoutError(
                    f"{saga.definition.saga} {saga_id!r} has not ended after {timeout_s} s; it is "
                    f"{status}."
                )
            await self._clock.sleep(_POLL_S[min(looks, len(_POLL_S) - 1)])
            looks += 1


@asynccontextmanager
async def _limited(timeout_s: float | None) -> AsyncIterator[None]:
    """Wait for a server that is away, but not for ever where a limit is given (in real time)."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise TimeoutError(
            f"No answer after {timeout_s} s; the log says why. If it is to last longer, give a "
            "larger timeout_s=, or none."
        ) from error
