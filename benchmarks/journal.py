"""A participant's journal by itself: forward actions side by side, what each costs, and the round trips.

``python -m benchmarks.journal URL`` prints, for an action that only answers, for one with an INSERT of its
own, and for that INSERT without any journal: actions per second, CPU time of this process and of the
server's per action, and round trips per action. In a schema, or a file, of its own, which is removed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import uvloop
from sqlalchemy import event, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sagas.adapters.sql import SqlJournal, create_tables, open_engine
from sagas.core.definition import Direction
from sagas.ports import JournalKey, JournalOutcome

__all__ = ["main"]

_AT_ONCE = 50
_CONNECTIONS = 5
_WARM_UP_S = 1.0
_MEASURED_S = 4.0
_OUTCOME = JournalOutcome("inventory.StockReserved.v1", b"x" * 300)
_INSERT = text("INSERT INTO effects (name) VALUES ('reserved')")


Work = Callable[[AsyncEngine], Awaitable[Callable[[int], Awaitable[object]]]]
"""Given an engine, what does one action, by its number."""


class Measured(NamedTuple):
    """Actions per second, CPU microseconds per action here and in the server, and how many there were."""

    rate: float
    own_us: float
    server_us: float
    actions: int


class Line:
    """A relay between client and server that counts what the client sends: each is a round trip."""

    def __init__(self, host: str, port: int) -> None:
        self.trips = 0
        self._address = (host, port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways, to its end."""
        server_reader, server_writer = await asyncio.open_connection(*self._address)

        async def up() -> None:
            while sent := await reader.read(1 << 16):
                self.trips += 1
                server_writer.write(sent)
            server_writer.close()

        async def down() -> None:
            while answered := await server_reader.read(1 << 16):
                writer.write(answered)
            writer.close()

        await asyncio.gather(up(), down())


async def main(url: str) -> None:
    """Measure the three, each on a fresh journal; on PostgreSQL once more for the round trips."""
    works: dict[str, Work] = {
        "only answers": _answers,
        "one INSERT": _inserts,
        "INSERT, no journal": _bare,
    }
    for name, work in works.items():
        rate, own_us, server_us, _ = await _measured(url, work)
        trips = await _trips(url, work) if url.startswith("postgresql") else float("nan")
        sys.stdout.write(
            f"{name:20} {rate:7.0f}/s {own_us:6.0f} us here {server_us:6.0f} us in the server "
            f"{trips:6.2f} round trips\n"
        )


async def _answers(engine: AsyncEngine) -> Callable[[int], Awaitable[object]]:
    async def action(_: object) -> JournalOutcome:
        return _OUTCOME

    journal = SqlJournal(engine)
    return lambda number: journal.forward(_key(number), action)


async def _inserts(engine: AsyncEngine) -> Callable[[int], Awaitable[object]]:
    async def action(connection: object) -> JournalOutcome:
        assert isinstance(connection, AsyncConnection)
        await connection.execute(_INSERT)
        return _OUTCOME

    journal = SqlJournal(engine)
    return lambda number: journal.forward(_key(number), action)


async def _bare(engine: AsyncEngine) -> Callable[[int], Awaitable[object]]:
    async def insert(_: int) -> None:
        async with engine.begin() as connection:
            await connection.execute(_INSERT)

    return insert


def _key(number: int) -> JournalKey:
    return JournalKey("OrderFulfilment", f"order-{number}", "reserve_stock", Direction.FORWARD)


async def _measured(url: str, work: Work) -> Measured:
    async with _opened(url) as (engine, pids):
        act, numbers, stop = await work(engine), count(), False

        async def keep_on() -> None:
            while not stop:
                await act(next(numbers))

        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(keep_on())
            await asyncio.sleep(_WARM_UP_S)
            began = (next(numbers), time.perf_counter(), time.process_time(), _cpu_s(pids))
            await asyncio.sleep(_MEASURED_S)
            ended = (next(numbers), time.perf_counter(), time.process_time(), _cpu_s(pids))
            stop = True
        done, took_s, own_s, server_s = (
            at - before for at, before in zip(ended, began, strict=True)
        )
        return Measured(done / took_s, own_s / done * 1e6, server_s / done * 1e6, next(numbers))


async def _trips(url: str, work: Work) -> float:
    """Round trips per action, counted on the way to the server; it costs time, so apart from the rest."""
    to = make_url(url)
    line = Line(to.host or "127.0.0.1", to.port or 5432)
    async with await asyncio.start_server(line.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        through = to.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        measured = await _measured(through, work)
        return line.trips / measured.actions


@asynccontextmanager
async def _opened(url: str) -> AsyncIterator[tuple[AsyncEngine, list[int]]]:
    """A fresh place with a journal, and the server's processes that work for it, as they come."""
    with TemporaryDirectory() as directory:
        schema = f"bench_{token_hex(4)}" if url.startswith("postgresql") else None
        place = url if schema else f"sqlite:///{directory}/journal.db"
        engine = open_engine(place, schema=schema, connections=_CONNECTIONS if schema else 1)
        pids: list[int] = []

        @event.listens_for(engine.sync_engine, "connect")
        def connected(connection: Any, _: object) -> None:
            if schema:
                pids.append(connection.driver_connection.get_server_pid())

        try:
            await create_tables(engine)
            async with engine.begin() as connection:
                await connection.execute(text("CREATE TABLE effects (name TEXT NOT NULL)"))
            yield engine, pids
            if schema:
                async with engine.begin() as connection:
                    await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
        finally:
            await engine.dispose()


def _cpu_s(pids: list[int]) -> float:
    """CPU time used so far by these processes, in seconds."""
    used_ns = 0
    for pid in pids:
        try:
            used_ns += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
        except OSError:
            continue
    return used_ns / 1e9


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
