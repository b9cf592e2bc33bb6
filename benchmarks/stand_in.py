"""`python -m benchmarks.stand_in PORT`: the addresses of nginx where there is none, in asyncio."""

from __future__ import annotations

import asyncio
import random
import sys

from benchmarks.servers import FAST_MS, FIXED_MS, JSON, SLOW_MS, SLOW_SHARE

ANSWER = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(JSON)}\r\n\r\n{JSON}"
).encode()


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests have no body and come one after the other."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request, at once or later."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            delay_ms = self._delay_ms(head.split(b" ", 2)[1])
            if delay_ms:
                asyncio.get_running_loop().call_later(delay_ms / 1000, self._transport.write, ANSWER)
            else:
                self._transport.write(ANSWER)

    def _delay_ms(self, path: bytes) -> float:
        if path == b"/fixed":
            return FIXED_MS
        if path == b"/bimodal":
            return SLOW_MS if self._chance.random() < SLOW_SHARE else FAST_MS
        return 0.0


async def serve(port: int) -> None:
    """Until killed."""
    chance = random.Random(4711)  # noqa: S311 - no secret
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(chance), "127.0.0.1", port, backlog=4096
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
