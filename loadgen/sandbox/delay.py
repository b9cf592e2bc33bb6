"""A target whose truth is known: it answers every GET after the same delay, and tells how late it was itself.

One process, one event loop, no framework: what it adds to the delay must be small beside what a load
generator adds, or nothing could be said about the generator.  As all delays are equal, answers become
due in the order of the requests: a queue and one timer, no heap.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections import deque
from collections.abc import Callable
from contextlib import closing

from loadgen.lag import BUCKETS, bucket, percentile
from loadgen.sandbox.listener import BACKLOG, listen
from loadgen.sandbox.options import SandboxOptions

_END = b"\r\n\r\n"
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
_EARLY_S = 0.0005
"""The event loop's timers know milliseconds only, and round up: meant to be early by half a one, answers are
on time in the mean."""


class Delay:
    """Answers that are due, and how late the earlier ones left."""

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float) -> None:
        self._loop = loop
        self._delay_s = delay_s
        self._due: deque[tuple[float, asyncio.Transport]] = deque()
        self._late = [0] * BUCKETS
        self.used_s = loop.time()
        """When it was last asked."""

    def ask(self, transport: asyncio.Transport) -> None:
        """A request came."""
        self.used_s = self._loop.time()
        self._due.append((self.used_s + self._delay_s, transport))
        if len(self._due) == 1:
            self._loop.call_at(self._due[0][0] - _EARLY_S, self._answer)

    def _answer(self) -> None:
        """Answer all that is due, and come again for the next."""
        due, late = self._due, self._late
        now_s = self._loop.time()
        while due and due[0][0] - _EARLY_S <= now_s:
            at_s, transport = due.popleft()
            late[bucket(round((now_s - at_s) * 1_000_000))] += 1
            transport.write(_ANSWER)
            now_s = self._loop.time()
        if due:
            self._loop.call_at(due[0][0] - _EARLY_S, self._answer)

    def status(self) -> bytes:
        """How late answers left since the last time that somebody asked, as JSON."""
        late, self._late = self._late, [0] * BUCKETS
        told = {
            "pid": os.getpid(),
            "answers": sum(late),
            "late_p50_ms": percentile(late, 50) / 1000,
            "late_p99_ms": percentile(late, 99) / 1000,
        }
        body = json.dumps(told).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class _Connection(asyncio.Protocol):
    """Requests without a body, one after the other."""

    def __init__(self, delay: Delay) -> None:
        self._delay = delay
        self._left = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Some of a request, one, or several."""
        *heads, self._left = (self._left + data).split(_END)
        for head in heads:
            if head.startswith(b"GET /status "):
                self._transport.write(self._delay.status())
            else:
                self._delay.ask(self._transport)


def serve(options: SandboxOptions, *, ready: Callable[[int], None]) -> None:
    """See `loadgen.sandbox.serve_delay`."""
    with closing(listen(options)) as listener:
        asyncio.run(_serve(listener, options, ready))


async def _serve(listener: socket.socket, options: SandboxOptions, ready: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    delay = Delay(loop, options.latency_ms / 1000)
    server = await loop.create_server(lambda: _Connection(delay), sock=listener, backlog=BACKLOG)
    ready(listener.getsockname()[1])
    while not stop.is_set() and not _is_idle(delay, loop.time(), options.idle_exit_s):
        try:
            await asyncio.wait_for(stop.wait(), 1.0)
        except TimeoutError:
            continue
    server.close()


def _is_idle(delay: Delay, now_s: float, idle_exit_s: float | None) -> bool:
    return idle_exit_s is not None and now_s - delay.used_s > idle_exit_s
