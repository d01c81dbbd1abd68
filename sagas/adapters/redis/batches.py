"""Commands that are issued together travel together.

Owns the way from a command to its reply: what is issued in one turn of the event loop, or while all
connections are busy, goes out as one pipeline. Sends what was not answered again after a connection
error, so every command given to it must be safe to repeat. Knows nothing of sagas.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from sagas.adapters.redis.replies import USUAL, received_on, settled

__all__ = ["Batches"]

_BACKOFF_S: Final = 0.02
_BACKOFF_MAX_S: Final = 1.0

_Call = tuple[bytes, asyncio.Future[Any], bool]
"""A packed command, who waits for its reply, and whether it has to be on disk first."""


class Batches:
    """Sends commands over a pool's connections, one pipeline per connection at a time.

    A future gets redis-py's ResponseError for the one command that the server refused; all that are
    unanswered get its ConnectionError after ``attempts`` attempts, or TimeoutError after the
    timeout. With ``fsync`` each pipeline that holds a durable command is followed by WAITAOF on its
    connection, and the replies to those commands are given out only after the server's disk has them.
    """

    def __init__(
        self,
        pool: BlockingConnectionPool,
        *,
        in_flight_max: int,
        batch_max: int,
        timeout_s: float,
        attempts: int,
        fsync: bool = False,
    ) -> None:
        wait = ("WAITAOF", "1", "0", str(round(timeout_s * 1000)))
        self._wait = pack_command(wait)  # type: ignore[arg-type]  # as below
        self._fsync = fsync
        self._pool = pool
        self._in_flight_max = in_flight_max
        self._batch_max = batch_max
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._waiting: deque[_Call] = deque()
        self._in_flight: set[asyncio.Task[None]] = set()
        self._idle: list[AbstractConnection] = []
        self._flush_scheduled = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def call(self, *command: bytes | str | int, durable: bool = False) -> asyncio.Future[Any]:
        """Put one command into the next pipeline; the future gets its raw reply or its error."""
        return self.put(command, durable=durable)

    def put(
        self, command: tuple[bytes | str | int, ...], *, durable: bool = False
    ) -> asyncio.Future[Any]:
        """``call`` for a command that is a tuple already."""
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        packed = pack_command(command)  # type: ignore[arg-type]  # the stub knows one argument only
        self._waiting.append((packed, future, durable and self._fsync))
        if not self._flush_scheduled and len(self._in_flight) < self._in_flight_max:
            self._flush_scheduled = True
            loop.call_soon(self._flush)
        return future

    async def stop(self) -> None:
        """Wait for the pipelines in flight, then close the connections."""
        while self._in_flight or self._waiting:
            self._flush()
            await asyncio.wait(self._in_flight)
        await self._pool.aclose()  # those at hand, too: to it they are in use
        self._idle.clear()

    def _flush(self) -> None:
        self._flush_scheduled = False
        waiting = self._waiting
        while waiting and len(self._in_flight) < self._in_flight_max:
            batch = [waiting.popleft() for _ in range(min(len(waiting), self._batch_max))]
            task = asyncio.ensure_future(self._travel(batch))
            self._in_flight.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._flush()

    async def _travel(self, batch: list[_Call]) -> None:
        try:
            await self._send_until_answered(batch)
        except asyncio.CancelledError:
            for _, future, _ in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            for _, future, _ in batch:
                if not future.done():
                    future.set_exception(error)

    async def _send_until_answered(self, batch: list[_Call]) -> None:
        attempt = 1
        while True:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._send(batch)
            except RedisConnectionError:
                # A server that refuses or drops connections may be restarting. One that stays
                # silent for the whole timeout is not asked again: the caller has waited long
                # enough.
                if attempt == self._attempts:
                    raise
                await asyncio.sleep(min(_BACKOFF_S * 4**attempt, _BACKOFF_MAX_S))
                attempt += 1
                batch = [call for call in batch if not call[1].done()]

    async def _send(self, batch: list[_Call]) -> None:
        connection = await self._connection()
        try:
            packed = b"".join([packed for packed, _, _ in batch])
            durable = self._fsync and any(durable for _, _, durable in batch)
            await connection.send_packed_command([packed + self._wait if durable else packed])
            received = received_on(connection)
            held: list[tuple[asyncio.Future[Any], Any]] = []
            for _, future, waits in batch:
                reply = received()
                if type(reply) not in USUAL:
                    reply = await settled(connection, reply)
                if isinstance(reply, ResponseError):
                    if not future.done():
                        future.set_exception(reply)
                elif waits:
                    held.append((future, reply))
                elif not future.done():
                    future.set_result(reply)
            if durable:
                _give_out(held, await settled(connection, received()))
        except BaseException:
            # Whoever gets this connection next must not read the replies that were left on it.
            try:
                await connection.disconnect(nowait=True)
            finally:
                await self._pool.release(connection)
            raise
        self._idle.append(connection)

    async def _connection(self) -> AbstractConnection:
        """A connection with nothing left on it. Those that were good are kept at hand: to give one back
        to its pool and to get it from there took a third of the time of a pipeline of one command.
        """
        connection: AbstractConnection
        while self._idle:
            connection = self._idle.pop()
            if await _is_good(connection):
                return connection
            await self._pool.release(connection)
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        return connection


async def _is_good(connection: AbstractConnection) -> bool:
    """Whether it is connected, and nothing is left on it; what the pool looks at, too."""
    try:
        return connection.is_connected and not await connection.can_read()
    except RedisConnectionError:
        return False


def _give_out(held: list[tuple[asyncio.Future[Any], Any]], on_disk: Any) -> None:
    """Give out replies to what is on the server's disk now. Raises redis-py's ConnectionError, or its
    ResponseError where the server refuses to say.
    """
    if isinstance(on_disk, ResponseError):
        raise on_disk
    if on_disk[0] < 1:
        raise RedisConnectionError("the server did not write to its disk in time (WAITAOF)")
    for future, reply in held:
        if not future.done():
            future.set_result(reply)
