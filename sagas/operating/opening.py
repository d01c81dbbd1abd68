"""A lookout over the real servers. Owns nothing but the assembling."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from sagas.adapters.clock import SystemClock
from sagas.adapters.redis.settings import redacted
from sagas.application import broker_admin, dead_letter_boxes
from sagas.core.saga import Saga
from sagas.operating.explainer import Where
from sagas.operating.lookout import Lookout
from sagas.restoring import ListedTable
from sagas.service import Service
from sagas.settings import SagaSettings
from sagas.watching import topics_read, worker_registry
from sagas.wire.topics import Topics

__all__ = ["open_lookout", "where_of"]


@asynccontextmanager
async def open_lookout(
    settings: SagaSettings,
    table: ListedTable,
    sagas: Sequence[type[Saga]],
    services: Iterable[Service] = (),
    *,
    client_id: str,
    patience_s: float = 2.0,
) -> AsyncIterator[Lookout]:
    """A lookout over these sagas. Connects when it is asked; a server that is away hinders nobody.

    Of services that are not handed in, what they only observe does not count for their lag.
    """
    topics = Topics(settings.namespace)
    participants = sorted({name for saga in sagas for name in saga.definition.services})
    registry = worker_registry(settings, timeout_s=patience_s)
    opening = dead_letter_boxes(
        settings, participants, client_id=client_id, timeout_s=patience_s, writes=False
    )
    try:
        async with opening as boxes:
            yield Lookout(
                table,
                topics=topics,
                clock=SystemClock(),
                read=topics_read(sagas, services, topics),
                registry=registry,
                offsets=broker_admin(settings, client_id=client_id, timeout_s=patience_s),
                boxes=boxes,
                patience_s=patience_s,
            )
    finally:
        await registry.stop()


def where_of(settings: SagaSettings) -> Where:
    """Where these settings look."""
    return Where(settings.namespace, redacted(settings.redis), settings.keep_ended_ms)
