"""The outbox relay: publishes what a service has stored in its own transactions."""

from __future__ import annotations

from sagas.ports import Broker, Clock, Outbox
from sagas.runtime.patience import Patience

__all__ = ["OutboxRelay"]


class OutboxRelay:
    """Publishes an outbox, oldest first, for as long as it runs. At-least-once."""

    def __init__(
        self,
        outbox: Outbox,
        *,
        broker: Broker,
        clock: Clock,
        patience: Patience,
        pause_s: float = 0.05,
        records_max: int = 200,
    ) -> None:
        self._outbox = outbox
        self._broker = broker
        self._clock = clock
        self._patience = patience
        self._pause_s = pause_s
        self._records_max = records_max

    async def run(self) -> None:
        """Relay until cancelled; look again after a pause when there is nothing."""
        while True:
            relayed = await self._patience.insist(self._relay)
            if relayed == 0:
                await self._clock.sleep(self._pause_s)

    async def _relay(self) -> int:
        return await self._outbox.relay(self._broker.publish, records_max=self._records_max)
