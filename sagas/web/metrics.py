"""``/metrics``: what Prometheus scrapes, as a route for the server that answers ``/livez``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sagas.observability.prometheus import CONTENT_TYPE, Metrics

__all__ = ["metrics_route"]


def metrics_route(metrics: Metrics) -> Route:
    """The page of these metrics, made anew for each request."""

    async def page(_request: Request) -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE)

    return Route("/metrics", page)
