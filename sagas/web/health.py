"""``/readyz`` and ``/health``: whether the workers of this process take work, for orchestrators and alerts.

Owns the codes. Mounted on the server of ``/livez``; asks neither Kafka nor Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sagas.runtime.health import Condition, Health, worst

__all__ = ["health_routes"]

_READY = frozenset({Condition.ACCEPTING, Condition.BACKLOG})
_CODES = {Condition.ACCEPTING: 200, Condition.BACKLOG: 429}
_ELSE = 503


def health_routes(services: Callable[[], Mapping[str, Health]]) -> list[Route]:
    """``services`` says how each is at the moment. The worst of them is the process's."""

    async def health(_request: Request) -> JSONResponse:
        seen = services()
        condition = worst(one.condition for one in seen.values())
        return _answer(condition.value, seen, _CODES.get(condition, _ELSE))

    async def readyz(_request: Request) -> JSONResponse:
        seen = services()
        ready = all(one.condition in _READY for one in seen.values())
        return _answer("ready" if ready else "not ready", seen, 200 if ready else _ELSE)

    return [Route("/readyz", readyz), Route("/health", health)]


def _answer(status: str, seen: Mapping[str, Health], code: int) -> JSONResponse:
    services = {
        name: {"status": one.condition.value, "reason": one.reason} for name, one in seen.items()
    }
    return JSONResponse({"status": status, "services": services}, status_code=code)
