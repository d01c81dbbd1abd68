"""Settings and servers, as commands that only look at them need them: bounded in time, one line on
failure.

Owns the patience of a human at a terminal. ``sagas run`` waits for its servers by other rules.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sagas.adapters.redis.settings import redacted
from sagas.application import (
    SagaClient,
    SagaSettings,
    broker_admin,
    dead_letter_boxes,
    hasty_broker,
    saga_client,
    saga_operator,
    saga_table,
)
from sagas.cli.errors import CommandError, ExitCode
from sagas.core.saga import Saga
from sagas.observability.logs import configure_logs
from sagas.ports import Broker, BrokerAdmin, BrokerUnavailable, SagaTable, TableUnavailable
from sagas.ports.workers import WorkerRegistry
from sagas.restoring import ListedTable, TableLost, TableRebuilding
from sagas.runtime.dead_letter_box import DeadLetterBox
from sagas.runtime.operator import Operator
from sagas.watching import worker_registry

__all__ = [
    "open_admin",
    "open_boxes",
    "open_broker",
    "open_client",
    "open_operator",
    "open_registry",
    "open_table",
    "read_settings",
]


def read_settings() -> SagaSettings:
    """The environment's settings, for a command that logs nothing but what is broken.

    Raises pydantic's ValidationError.
    """
    settings = SagaSettings()
    configure_logs("CRITICAL", "console")
    return settings


@asynccontextmanager
async def open_table(
    settings: SagaSettings, timeout_s: float, *, within_s: float | None = None
) -> AsyncIterator[ListedTable]:
    """The saga table. Raises CommandError for a Redis that does not answer in time, also later, and for what
    is lost.

    ``within_s`` bounds all that is done with it, ``timeout_s`` if left out.
    """
    try:
        async with (
            asyncio.timeout(timeout_s if within_s is None else within_s),
            saga_table(settings, timeout_s=timeout_s) as table,
        ):
            yield table
    except (TableLost, TableRebuilding) as error:  # Redis answers
        raise CommandError(ExitCode.UNAVAILABLE, str(error)) from error
    except (TableUnavailable, TimeoutError) as error:
        address = redacted(settings.redis)
        raise _away("Redis", address, "SAGAS_REDIS", timeout_s, error) from error


@asynccontextmanager
async def open_registry(settings: SagaSettings, timeout_s: float) -> AsyncIterator[WorkerRegistry]:
    """The register of workers. Raises CommandError for a Redis that does not answer in time, also later."""
    registry = worker_registry(settings, timeout_s=timeout_s)
    try:
        yield registry
    except TableUnavailable as error:
        address = redacted(settings.redis)
        raise _away("Redis", address, "SAGAS_REDIS", timeout_s, error) from error
    finally:
        await registry.stop()


@asynccontextmanager
async def open_admin(settings: SagaSettings, timeout_s: float) -> AsyncIterator[BrokerAdmin]:
    """What looks at topics. Raises CommandError for a Kafka that does not answer in time."""
    try:
        async with asyncio.timeout(timeout_s):
            yield broker_admin(settings, client_id="sagas-cli", timeout_s=timeout_s)
    except (BrokerUnavailable, TimeoutError) as error:
        raise _away("Kafka", settings.kafka, "SAGAS_KAFKA", timeout_s, error) from error


@asynccontextmanager
async def open_operator(
    settings: SagaSettings, table: SagaTable, timeout_s: float
) -> AsyncIterator[Operator]:
    """Who asks something of sagas. Raises CommandError for a Kafka that does not answer in time."""
    asking = saga_operator(settings, table, client_id="sagas-cli", timeout_s=timeout_s)
    try:
        async with asyncio.timeout(timeout_s), asking as operator:
            yield operator
    except (BrokerUnavailable, TimeoutError) as error:
        raise _away("Kafka", settings.kafka, "SAGAS_KAFKA", timeout_s, error) from error


@asynccontextmanager
async def open_broker(settings: SagaSettings, timeout_s: float) -> AsyncIterator[Broker]:
    """Kafka. Raises CommandError for one that does not answer in time, also later."""
    try:
        async with hasty_broker(settings, client_id="sagas-cli", timeout_s=timeout_s) as broker:
            yield broker
    except (BrokerUnavailable, TimeoutError) as error:
        raise _away("Kafka", settings.kafka, "SAGAS_KAFKA", timeout_s, error) from error


@asynccontextmanager
async def open_client(
    settings: SagaSettings, sagas: Sequence[type[Saga]], table: SagaTable, timeout_s: float
) -> AsyncIterator[SagaClient]:
    """A client. Raises CommandError for a Kafka that does not answer in time, also later."""
    opening = saga_client(settings, sagas, table, client_id="sagas-cli", timeout_s=timeout_s)
    try:
        async with asyncio.timeout(timeout_s), opening as client:
            yield client
    except (BrokerUnavailable, TimeoutError) as error:
        raise _away("Kafka", settings.kafka, "SAGAS_KAFKA", timeout_s, error) from error


@asynccontextmanager
async def open_boxes(
    settings: SagaSettings, services: Sequence[str], timeout_s: float, *, writes: bool
) -> AsyncIterator[Sequence[DeadLetterBox]]:
    """The dead letters of services. Raises CommandError for topics that are missing, and for a Kafka that
    does not answer in time, also later; how long all of it takes depends on how many there are.
    """
    opening = dead_letter_boxes(
        settings, services, client_id="sagas-cli", timeout_s=timeout_s, writes=writes
    )
    try:
        async with asyncio.timeout(timeout_s) as limit, opening as boxes:
            admin = broker_admin(settings, client_id="sagas-cli", timeout_s=timeout_s)
            there = await admin.describe_topics()
            limit.reschedule(None)
            missing = [box.topic for box in boxes if box.topic not in there]
            if missing:
                raise CommandError(
                    ExitCode.DIFFERENCES,
                    f"{len(missing)} of {len(boxes)} topics of dead letters are missing on Kafka: "
                    f"{', '.join(missing)}. Create them with `sagas topics apply`.",
                )
            yield boxes
    except (BrokerUnavailable, TimeoutError) as error:
        raise _away("Kafka", settings.kafka, "SAGAS_KAFKA", timeout_s, error) from error


def _away(
    server: str, address: str, variable: str, timeout_s: float, error: Exception
) -> CommandError:
    cause: BaseException = error.__cause__ or error
    seen = str(cause).rstrip(". ") or type(cause).__name__
    seen = re.sub(r"\('([^']*)', (\d+), <[^>]*>\)", r"\1:\2", seen)  # how Python writes an address
    if isinstance(error, TimeoutError) or isinstance(cause, TimeoutError):
        seen = f"no answer within {timeout_s:g} s"
    return CommandError(
        ExitCode.UNAVAILABLE,
        f"{server} at {address} is not available: {seen}. See that it runs, or name the right "
        f"address in {variable}.",
    )
