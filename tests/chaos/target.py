"""A target that writes down what reaches it: the witness against which the ledger is held.

Each POST creates one thing, named by step and item, some time after it arrived and whether or not its
sender is still there, as real servers do.  It may then close the connection instead of answering, or
answer later than anybody waits.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import Counter
from dataclasses import dataclass, field

from .loops import Loop

LOGIN_S = 0.3
"""Logging in takes a moment, as it does: workers that come back find a master that is not ready yet."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How the target behaves."""

    latency_s: float = 0.03
    """Between arrival and effect; half to one and a half of it."""
    drop: float = 0.0
    """Share of requests whose connection is closed after the effect, without an answer."""
    late: float = 0.0
    """Share of requests whose effect is in time and whose answer is not."""
    late_s: float = 3.0


@dataclass(slots=True)
class Hit:
    """A request for work, as it arrived."""

    step: str
    item: int
    attempt: int
    came_s: float
    ended_s: float = 0.0
    """When its effect was there; 0: not yet."""


@dataclass(slots=True)
class Log:
    """What reached the target, in order."""

    hits: list[Hit] = field(default_factory=list)
    effects: Counter[tuple[str, int]] = field(default_factory=Counter)
    """By step and item: how often it was created."""
    other: Counter[str] = field(default_factory=Counter)
    """By first word of the path: login, setup, exists."""


class Target:
    """Serves in a `Loop`; `host` may be that of a link into a network namespace."""

    def __init__(self, loop: Loop, manners: Manners | None = None, *, host: str = "127.0.0.1") -> None:
        self.manners = manners or Manners()
        self.log = Log()
        self.rng = random.Random()
        self._loop = loop
        self._host = host
        self._server = loop.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """For `--target`."""
        return f"http://{self._host}:{self.port}"

    def close(self) -> None:
        """Accept nobody any more."""
        self._loop.loop.call_soon_threadsafe(self._server.close)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), self._host, 0, backlog=512
        )


class _Connection(asyncio.Protocol):
    """One connection, one request at a time, as much of HTTP as libcurl needs."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._serve(lines[0].split()[1].strip("/").split("/"), headers)

    def _serve(self, words: list[str], headers: dict[str, str]) -> None:
        target = self._target
        loop = asyncio.get_running_loop()
        if words[0] == "do":
            hit = Hit(
                words[1], int(headers["x-loadgen-item"]), int(headers["x-loadgen-attempt"]), time.monotonic()
            )
            target.log.hits.append(hit)
            loop.call_later(target.manners.latency_s * target.rng.uniform(0.5, 1.5), self._act, hit)
            return
        target.log.other[words[0]] += 1
        if words[0] == "exists":
            there = (words[1], int(words[2])) in target.log.effects
            self._answer(b"true" if there else b"false")
        else:
            loop.call_later(LOGIN_S, self._answer, b"{}")

    def _act(self, hit: Hit) -> None:
        target, manners = self._target, self._target.manners
        hit.ended_s = time.monotonic()
        target.log.effects[hit.step, hit.item] += 1
        luck = target.rng.random()
        if luck < manners.drop:
            self._transport.close()
        elif luck < manners.drop + manners.late:
            asyncio.get_running_loop().call_later(manners.late_s, self._answer, b"{}")
        else:
            self._answer(b'{"id": %d}' % hit.item)

    def _answer(self, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
