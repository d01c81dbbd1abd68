"""The outbox relay: publishes what a service has stored in its own transactions."""

from __future__ import annotations

import structlog

from sagas.ports import Broker, Clock, Outbox
from sagas.runtime.execution import words_of
from sagas.runtime.patience import Patience

__all__ = ["OutboxRelay"]

_log = structlog.get_logger()


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
        pause_stuck_s: float = 5.0,
        records_max: int = 200,
    ) -> None:
        self._outbox = outbox
        self._broker = broker
        self._clock = clock
        self._patience = patience
        self._pause_s = pause_s
        self._pause_stuck_s = pause_stuck_s
        self._records_max = records_max

    async def run(self) -> None:
        """Relay until cancelled; look again after a pause when there is nothing.

        A record that can not be published (too large, no such topic) stays, is logged each time, and
        ends nothing: the others go on.
        """
        while True:
            try:
                relayed = await self._patience.insist(self._relay)
            except Exception as error:  # noqa: BLE001 - nobody else would relay the rest
                _log.warning(
                    "server.unavailable", error=words_of(error), pause_s=self._pause_stuck_s
                )
                await self._clock.sleep(self._pause_stuck_s)
                continue
            if relayed == 0:
                await self._clock.sleep(self._pause_s)

    async def _relay(self) -> int:
        return await self._outbox.relay(self._broker.publish, records_max=self._records_max)
