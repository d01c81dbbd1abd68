"""A table that holds many instances already, all paid and none shipped, none of them of this run."""

from __future__ import annotations

import asyncio
import time

from pydantic import SecretStr
from pydantic_core import to_json
from redis.asyncio import Redis

from benchmarks.framework.declaration import (
    OrderPlaced,
    OrderToNotification,
    PaymentAuthorized,
    StockReserved,
)
from benchmarks.orders import order
from benchmarks.setup import PIPELINE
from benchmarks.systems import Running
from sagas.adapters.redis import RedisSagaTable, RedisTableSettings
from sagas.core.definition import Direction, Role
from sagas.core.evolve import evolve
from sagas.core.instance import Fact, Instance
from sagas.core.timers import timers_of
from sagas.ports import BUCKETS, RowChange, Stamp
from sagas.wire.envelope import Envelope
from sagas.wire.ids import event_id
from sagas.wire.stored import encode_event, encode_instance

__all__ = ["fill", "paid"]

_CHUNK = 2_000
_BY_HAND = ("placed", "reserve", "authorize")
_EVENTS = (
    (OrderPlaced, "start", "orders"),
    (StockReserved, "reserve_stock", "inventory"),
    (PaymentAuthorized, "authorize_payment", "payments"),
)


def paid(saga_id: str, payload: bytes, *, at_ms: int) -> tuple[Instance, RowChange]:
    """An instance that waits for its shipment, and the write that puts it into an empty row."""
    definition = OrderToNotification.definition
    instance = Instance(definition, saga_id)
    events, cause = {}, None
    for version, (kind, step, service) in enumerate(_EVENTS, start=1):
        type_ = kind.event_type
        id_ = event_id(definition.saga, saga_id, type_, step=step, direction=Direction.FORWARD)
        fact = Fact(
            id_, type_, step, Role.DONE, cause, published=version < len(_EVENTS), at_ms=at_ms
        )
        instance, cause = evolve(instance, fact), id_
        envelope = Envelope(
            id=id_,
            type=type_,
            source=service,
            time_ms=at_ms,
            saga=definition.saga,
            saga_id=saga_id,
            payload=payload,
            causation_id=fact.cause,
            fingerprint=definition.fingerprint,
            seq=version,
            generation=1,
            status=instance.status,
        )
        events[fact.slot] = encode_event(envelope)
    instance = instance._replace(version=len(_EVENTS))
    return instance, RowChange(
        saga=definition.saga,
        saga_id=saga_id,
        expected=None,
        stamp=Stamp(1, instance.version),
        status=instance.status,
        state=encode_instance(instance),
        events=events,
        at_ms=at_ms,
        token=saga_id,
        timers_set=timers_of(instance),
    )


async def fill(system: Running) -> None:
    """Put as many instances into the table as the setup says."""
    setup = system.setup
    filling = _by_hand if setup.system == PIPELINE else _by_framework
    if setup.live:
        await filling(system)


async def _by_framework(system: Running) -> None:
    settings = RedisTableSettings(
        url=SecretStr(system.servers.redis), namespace=system.namespace, timeout_ms=30_000
    )
    table = RedisSagaTable(settings)
    await table.start()
    now_ms = time.time_ns() // 1_000_000
    saga, buckets = OrderToNotification.name, range(BUCKETS)
    try:
        # Nobody has been here before: without a marker the table counts as lost.
        await table.begin_rebuild(saga, buckets, "live")
        await table.finish_rebuild(saga, buckets, "live", 1)
        for first in range(0, system.setup.live, _CHUNK):
            numbers = range(first, min(first + _CHUNK, system.setup.live))
            changes = [
                paid(f"live-{number}", _payload(system, number), at_ms=now_ms)[1]
                for number in numbers
            ]
            await asyncio.gather(*map(table.store, changes))
    finally:
        await table.stop()


async def _by_hand(system: Running) -> None:
    async with Redis.from_url(system.servers.redis) as redis:
        for first in range(0, system.setup.live, _CHUNK):
            async with redis.pipeline(transaction=False) as pipeline:
                for number in range(first, min(first + _CHUNK, system.setup.live)):
                    payload = _payload(system, number)
                    fields = [part for name in _BY_HAND for part in (name, payload)]
                    key = f"{system.namespace}:live-{number}"
                    pipeline.execute_command("HSET", key, *fields, "status", "authorize")
                await pipeline.execute()


def _payload(system: Running, number: int) -> bytes:
    return to_json(order(number, payload_bytes=system.setup.payload_bytes, declined=0)._asdict())
