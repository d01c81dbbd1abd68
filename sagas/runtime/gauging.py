"""Tells those who watch, now and then, how things stand: what nobody learns from a single message.

Owns how often, and who tells what: each worker its own lag; how a saga stands in the table only the one on
timer duty, for all would tell the same. What a server does not answer is left out until the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from sagas.core.errors import ContractViolation, RetriableError
from sagas.core.instance import SagaStatus
from sagas.core.lifecycle import WorkerState
from sagas.core.saga import Saga
from sagas.ports import Clock, Listed, SagaTable
from sagas.ports.listing import SagaListing
from sagas.ports.telemetry import Gauges
from sagas.runtime.timers import TimerDuty
from sagas.runtime.worker import Worker
from sagas.wire.stored import decode_position

__all__ = ["INTERVAL_S", "OLDEST_OF", "SOON_S", "Gauging"]

_log = structlog.get_logger()

INTERVAL_S = 15.0
"""Between two looks: as often as Prometheus scrapes where nobody says otherwise."""

SOON_S = 1.0
"""While the worker has not joined its group."""

OLDEST_OF = 64
"""Among so many instances that have been quiet for longest the oldest is looked for."""

_UNFINISHED = tuple(status.value for status in SagaStatus if not status.is_terminal)


class Gauging:
    """Looks for one service. ``worker`` is asked each time: it is built later, and may be replaced."""

    def __init__(
        self,
        service: str,
        gauges: Gauges,
        *,
        sagas: Sequence[type[Saga]],
        duties: Sequence[TimerDuty],
        worker: Callable[[], Worker | None],
        table: SagaTable,
        listing: SagaListing,
        clock: Clock,
    ) -> None:
        self._service = service
        self._gauges = gauges
        self._sagas = {saga.name: saga for saga in sagas}
        self._duties = duties
        self._worker = worker
        self._table = table
        self._listing = listing
        self._clock = clock
        self._told: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled. Whatever goes wrong is logged, and no reason to stop a service."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - see above
                _log.warning("gauges.failed", service=self._service, error=str(error))
            worker = self._worker()
            runs = worker is not None and worker.state is WorkerState.RUNNING
            await self._clock.sleep(INTERVAL_S if runs else SOON_S)

    async def look(self) -> None:
        """Look once, and tell. A server that is away leaves a gap."""
        await self._look_at_lags()
        for duty in self._duties:
            on_duty = duty.is_on_duty
            self._gauges.duty(self._service, duty.saga, on_duty=on_duty)
            if on_duty:
                await self._look_at(self._sagas[duty.saga])
            elif duty.saga in self._told:
                self._forget(duty.saga)

    async def _look_at_lags(self) -> None:
        worker = self._worker()
        if worker is None:
            return
        try:
            self._gauges.lags(self._service, await worker.lags())
        except RetriableError:
            self._gauges.lags(self._service, {})

    async def _look_at(self, saga: type[Saga]) -> None:
        try:
            unfinished = await self._table.count_sagas(saga.name, statuses=_UNFINISHED)
            quiet = await self._listing.page(
                saga.name, statuses=_UNFINISHED, limit=OLDEST_OF, oldest_first=True
            )
            started_ms = [at_ms for one in quiet if (at_ms := await self._started_ms(saga, one))]
        except RetriableError:
            self._forget(saga.name)
            return
        now_ms = self._clock.now_ms()
        oldest_ms = max((now_ms - at_ms for at_ms in started_ms), default=0)
        self._told.add(saga.name)
        self._gauges.standing(saga.name, unfinished, max(0, oldest_ms) / 1000)

    async def _started_ms(self, saga: type[Saga], listed: Listed) -> int | None:
        """When an instance began; of a row that can not be read, when it was changed."""
        try:
            row = await self._table.load(saga.name, listed.saga_id)
            if row is None:
                return None
            times = decode_position(saga.definition, listed.saga_id, row.state).times
        except ContractViolation:
            return listed.changed_at_ms
        return times[0] if times else listed.changed_at_ms

    def _forget(self, saga: str) -> None:
        self._told.discard(saga)
        self._gauges.standing_unknown(saga)
