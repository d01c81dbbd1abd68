"""A TCP proxy in front of a Kafka broker that can cut connections, fall silent, and heal.

A broker tells its clients its own address; the proxy puts its own in its place, so that they come
back to it.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

HOST = "127.0.0.1"


class KafkaProxy:
    """Forwards bytes between clients and ``upstream`` (``127.0.0.1:port``)."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.partition(":")
        assert host == HOST, "the address to replace must be as long as the proxy's"
        self._upstream_port = int(port)
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self.address = ""

    def cut(self) -> None:
        """Close all connections, and new ones at once."""
        self._refusing = True
        for writer in tuple(self._writers):
            writer.close()

    def reset(self) -> None:
        """End all connections as the kernel does for a process that was killed (RST)."""
        for writer in tuple(self._writers):
            taken = writer.get_extra_info("socket")
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def hang(self) -> None:
        """Keep connections open and let nothing through."""
        self._open.clear()

    def heal(self) -> None:
        """Work again; what hung is lost, as after a network partition."""
        for writer in tuple(self._writers):
            writer.close()
        self._refusing = False
        self._open.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["KafkaProxy"]:
        server = await asyncio.start_server(self._accept, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        self._theirs = struct.pack(">h9si", 9, HOST.encode(), self._upstream_port)
        self._ours = struct.pack(">h9si", 9, HOST.encode(), port)
        self.address = f"{HOST}:{port}"
        try:
            yield self
        finally:
            server.close()
            self.cut()
            self._open.set()
            await server.wait_closed()
            await asyncio.gather(*self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(serving)
        serving.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.close()
            return
        to_reader, to_writer = await asyncio.open_connection(HOST, self._upstream_port)
        pair = {writer, to_writer}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._pump(reader, to_writer))
                pumps.create_task(self._pump(to_reader, writer))
        finally:
            self._writers -= pair

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 20):
                await self._open.wait()
                if writer.is_closing():
                    break
                writer.write(data.replace(self._theirs, self._ours))
                await writer.drain()
        writer.close()
