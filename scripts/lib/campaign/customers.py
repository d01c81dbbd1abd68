"""The load: customers who order over HTTP, insist until they are answered, and confirm what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from campaign.tail import Tail

__all__ = ["BROKE", "RARE", "Customers"]

BROKE, RARE = "broke", "rare"
"""The customer without credit, and the article that everybody wants and nobody has."""

_ACCEPTED = {200, 201, 202}
_SETTLED = 409
_UNDER_WAY_MAX = 400
"""Nobody orders more while so many wait: a queue that grows for ever proves nothing."""
_AGAIN_S = 0.25
_REQUEST_S = 15


class Customers:
    """``ports`` says where orders can be asked at this moment."""

    def __init__(
        self, ports: Callable[[], Sequence[int]], tail: Tail, *, rate: float, seed: int
    ) -> None:
        self._ports = ports
        self._tail = tail
        self._rate = rate
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._under_way = asyncio.Semaphore(_UNDER_WAY_MAX)
        self._http = httpx.AsyncClient(timeout=_REQUEST_S, trust_env=False)
        self.placing: dict[str, Any] = {}
        """All that customers want, by order id."""
        self.accepted: dict[str, Any] = {}
        self.confirmed: set[str] = set()
        self.refused: set[str] = set()
        """Receipts that came too late, because the order was turned back."""
        self.repeated = 0
        """Requests that were sent again because the answer was missing, or no answer."""

    async def order_until(self, enough: asyncio.Event) -> None:
        """Order at a steady rate; returns when all of these customers are content."""
        async with self._http, asyncio.TaskGroup() as group:
            number = 0
            while not enough.is_set():
                await self._under_way.acquire()
                number += 1
                twice = self._chance.random() < 0.05  # noqa: PLR2004 - an impatient one in twenty
                group.create_task(self._customer(self._order(number), twice=twice))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._chance.expovariate(self._rate)):
                        await enough.wait()

    def _order(self, number: int) -> dict[str, Any]:
        chance = self._chance
        broke, rare = chance.random() < 0.08, chance.random() < 0.05  # noqa: PLR2004
        skus = [RARE if rare else "tea", *(["cup"] if chance.random() < 0.5 else [])]  # noqa: PLR2004
        return {
            "order_id": f"order-{number:06}",
            "customer_id": BROKE if broke else f"customer-{chance.randrange(500)}",
            "lines": [
                {"sku": sku, "quantity": chance.randint(1, 4), "unit_price_cents": 250}
                for sku in skus
            ],
        }

    async def _customer(self, order: dict[str, Any], *, twice: bool) -> None:
        try:
            order_id = order["order_id"]
            self.placing[order_id] = order
            await asyncio.gather(*(self._insist("/orders", order) for _ in range(1 + twice)))
            self.accepted[order_id] = order
            await self._tail.paid(order_id).wait()
            answer = await self._insist(f"/orders/{order_id}/receipt", None)
            (self.refused if answer == _SETTLED else self.confirmed).add(order_id)
        finally:
            self._under_way.release()

    async def _insist(self, path: str, body: object) -> int:
        """Send the request until it is answered for good; it is safe to repeat."""
        while True:
            if ports := self._ports():
                url = f"http://127.0.0.1:{self._chance.choice(ports)}{path}"
                with contextlib.suppress(httpx.HTTPError):
                    answer = await self._http.post(url, json=body)
                    if answer.status_code in _ACCEPTED or answer.status_code == _SETTLED:
                        return answer.status_code
                self.repeated += 1
            await asyncio.sleep(_AGAIN_S)
