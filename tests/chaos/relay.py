"""A relay between a worker and its master that behaves like a bad network.

It cuts, stalls, half-closes and chops; the bytes of a direction stay in order, as TCP's do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct

from .loops import Loop

_RESET = struct.pack("ii", 1, 0)
SHORTEST_S, LONGEST_S = 0.0005, 0.02


class Relay:
    """Listens on a loopback port and passes everything on to `port`, when it is in the mood."""

    def __init__(self, loop: Loop, port: int, *, host: str = "127.0.0.1") -> None:
        self.chop = 0.0
        """Share of reads that are passed on in single pieces, late."""
        self.refuse = False
        """Close new connections at once."""
        self._to = (host, port)
        self._rng = random.Random()
        self._loop = loop
        self._open: set[asyncio.StreamWriter] = set()
        self._server, self._flow = loop.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset all connections."""
        self._loop.run(self._cut())

    def stall(self, *, stalled: bool) -> None:
        """Pass nothing on for now; the connections stay open."""
        self._loop.loop.call_soon_threadsafe(self._flow.clear if stalled else self._flow.set)

    def half_close(self) -> None:
        """End one direction of every connection, chosen at random."""
        self._loop.run(self._half_close())

    def close(self) -> None:
        """End all."""
        self._loop.loop.call_soon_threadsafe(self._server.close)
        self.cut()

    async def _listen(self) -> tuple[asyncio.Server, asyncio.Event]:
        flow = asyncio.Event()
        flow.set()
        return await asyncio.start_server(self._serve, "127.0.0.1", 0), flow

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.close()
            return
        try:
            onward, back = await asyncio.open_connection(*self._to)
        except OSError:
            writer.close()
            return
        self._open |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back), self._pump(onward, writer))
        finally:
            self._open -= {writer, back}
            for end in (writer, back):
                end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: this direction was closed meanwhile
            while data := await reader.read(1 << 16):
                await self._flow.wait()
                for piece in self._pieces(data):
                    writer.write(piece)
                    await writer.drain()
                    if piece is not data:
                        await asyncio.sleep(self._rng.uniform(SHORTEST_S, LONGEST_S))
            writer.write_eof()

    def _pieces(self, data: bytes) -> list[bytes]:
        if self._rng.random() >= self.chop:
            return [data]
        cuts = sorted(self._rng.sample(range(len(data) + 1), min(len(data), 5)))
        return [data[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    async def _cut(self) -> None:
        for writer in list(self._open):
            sock: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _half_close(self) -> None:
        for writer in list(self._open):
            if self._rng.random() < 0.5:
                with contextlib.suppress(OSError, RuntimeError):
                    writer.write_eof()
