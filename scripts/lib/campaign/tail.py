"""Following the topics while the campaign runs: who has paid, who has ended, what was said lately."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.errors import KafkaError

from campaign.records import TERMINAL, Seen, seen
from campaign.topics import consumer_of_all

__all__ = ["Tail"]

_RECENT_MAX = 3_000
_PAUSE_S = 0.5


class Tail:
    """Knows how far each saga is. It only drives the load; what is judged is read anew at the end."""

    def __init__(self, kafka: str) -> None:
        self._kafka = kafka
        self._paid: dict[str, asyncio.Event] = {}
        self._positions: dict[Any, int] = {}
        self.ended: dict[str, str] = {}
        self.parked: set[str] = set()
        self.recent: deque[Seen] = deque(maxlen=_RECENT_MAX)
        self.types: Counter[str] = Counter()
        self.letters = 0
        self.changed = asyncio.Event()
        """Set with every record; whoever waits clears it."""

    def paid(self, saga_id: str) -> asyncio.Event:
        """Set once the order needs nothing more of its customer but the receipt, or has ended."""
        return self._paid.setdefault(saga_id, asyncio.Event())

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Follow the topics in the background until the block is left."""
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await self._read()
            await asyncio.sleep(_PAUSE_S)  # Kafka is away: another attempt

    async def _read(self) -> None:
        async with consumer_of_all(self._kafka) as consumer:
            for partition, position in self._positions.items():
                consumer.seek(partition, position)
            while True:
                for partition, messages in (await consumer.getmany(timeout_ms=200)).items():
                    self._positions[partition] = messages[-1].offset + 1
                    for message in messages:
                        self.note(seen(message))

    def note(self, record: Seen) -> None:
        """A record was read. Those of two topics come in any order."""
        self.changed.set()
        if record.place.topic.endswith(".dlq"):
            self.letters += record.is_letter
            return
        self.types[record.type] += 1
        saga_id = record.saga_id
        if not saga_id:
            return
        if record.type == "sagas.SagaParked.v1" and saga_id not in self.ended:
            self.parked.add(saga_id)  # it may come again, and on another topic, after the end
        elif record.type == "sagas.SagaResumed.v1":
            self.parked.discard(saga_id)
        if record.status in TERMINAL:
            self.ended[saga_id] = record.status
            self.parked.discard(saga_id)
        if record.type == "payments.PaymentCaptured.v1" or record.status in TERMINAL:
            self.paid(saga_id).set()
        if record.is_event:
            self.recent.append(record)
