"""Who watches may fail: sagas go on as if nobody had watched, and it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from sagas.application import client_of, embedded_platform, run_services
from sagas.core.enabled import Action
from sagas.core.instance import Fact, SagaStatus
from sagas.core.position import Position
from sagas.observability.events import LogEvent
from sagas.ports import OutgoingRecord
from sagas.ports.telemetry import MessageInHand, Watch
from sagas.telemetry import watched
from sagas.wire.envelope import Envelope, Trail
from tests.handlers import Shop
from tests.samples import OrderFulfilment, OrderPlaced

DEADLINE_S = 30
PLACES = (
    "message",
    "observing",
    "observing ends",
    "publishing",
    "publishing ends",
    "dead_lettered",
    "timer_published",
    "belongs",
    "performing",
    "attempt",
    "attempt begins",
    "attempt ends",
    "postponed",
    "stored",
    "conflict",
)


class ExporterBroke(Exception):
    """Of a library, or of somebody's processor of spans."""


@dataclass
class Broken:
    """Implements ``Telemetry`` and ``Watch``, and fails in one place."""

    place: str
    called: set[str] = field(default_factory=set)

    def _at(self, place: str) -> None:
        self.called.add(place)
        if place == self.place:
            raise ExporterBroke(place)

    @contextmanager
    def _around(self, place: str) -> Iterator[None]:
        self._at(f"{place} begins")
        try:
            yield
        finally:
            self._at(f"{place} ends")

    def message(self, message: MessageInHand) -> Watch:
        self._at("message")
        return self

    def observing(
        self, service: str, handler: str, envelope: Envelope
    ) -> AbstractContextManager[object]:
        self._at("observing")
        return self._around("observing")

    @contextmanager
    def publishing(self, record: OutgoingRecord) -> Iterator[OutgoingRecord]:
        self._at("publishing")
        with self._around("publishing"):
            yield record

    def dead_lettered(self, service: str, error: Exception) -> None:
        self._at("dead_lettered")

    def timer_published(self, saga: str, late_ms: int) -> None:
        self._at("timer_published")

    def belongs(self, trail: Trail) -> None:
        self._at("belongs")

    def performing(self, action: Action, at: Position) -> None:
        self._at("performing")

    def attempt(self, action: Action, number: int) -> AbstractContextManager[object]:
        self._at("attempt")
        return self._around("attempt")

    def postponed(self, action: Action, attempts: int) -> None:
        self._at("postponed")

    def stored(
        self, before: Position | None, stored: Position, recorded: Fact | None, *, folded: bool
    ) -> None:
        self._at("stored")

    def conflict(self) -> None:
        self._at("conflict")


@pytest.mark.parametrize("place", PLACES)
async def test_sagas_end_as_if_nobody_had_watched(place: str) -> None:
    shop, broken, stop, joined = Shop(), Broken(place), asyncio.Event(), asyncio.Event()
    async with embedded_platform() as platform, asyncio.timeout(DEADLINE_S):
        there = watched(platform, broken)
        with capture_logs() as lines:
            work = asyncio.create_task(
                run_services(shop.services, there, stop=stop, on_running=joined.set)
            )
            await joined.wait()
            client = client_of(there, [OrderFulfilment])
            await client.start(OrderPlaced(order_id="o-1"))
            ended = await client.wait_for_end(OrderFulfilment, "o-1", timeout_s=DEADLINE_S)
            stop.set()
            await work
    assert ended.status is SagaStatus.COMPLETED
    events = [line["event"] for line in lines]
    assert LogEvent.MESSAGE_DEAD_LETTERED not in events
    assert LogEvent.HANDLER_FAILED not in events
    if place in broken.called:
        (told,) = [line for line in lines if line["event"] == LogEvent.TELEMETRY_FAILED]
        assert place in told["error"]
