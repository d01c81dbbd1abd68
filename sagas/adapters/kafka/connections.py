"""Keeps aiokafka's clients from writing to a connection that is closed already.

From the moment a connection breaks until aiokafka is told of it, uvloop answers a write with a
RuntimeError, which aiokafka expects nowhere. The task that learns where the partitions and the
coordinator are ends by it, and its consumer waits for ever: it stays out of its group and commits
nothing. So each connection is looked at before it is used. By private names: the version is pinned,
and ``tests/integration/test_kafka_connections.py`` sees what happens without.
"""

# ruff: noqa: SLF001 - see above

from __future__ import annotations

from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason

__all__ = ["guard"]


def guard(client: AIOKafkaClient) -> None:
    """Let this client replace connections that are closing. Call it before the client starts."""
    connection_of = client._get_conn

    async def usable(node_id: Any, **how: Any) -> AIOKafkaConnection | None:
        try:
            connection = await connection_of(node_id, **how)
            if connection is not None and _is_closing(connection):
                connection.close(reason=CloseReason.CONNECTION_BROKEN)
                connection = await connection_of(node_id, **how)
        except RuntimeError:  # it was closed again while it was being opened
            return None
        return connection

    client._get_conn = usable


def _is_closing(connection: AIOKafkaConnection) -> bool:
    writer = connection._writer
    return writer is not None and writer.is_closing()
