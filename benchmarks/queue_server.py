"""`python -m benchmarks.queue_server PORT SERVICE_MS LOG [STALL_AFTER STALL_S]`: a queue with one server.

Whatever comes waits in line and takes exactly so long: an answer leaves when the one before it has left, or
when it came, plus the service time, by the clock and not by sleeps that add up.  So the times of whoever
calls it can be computed: that of a single-server queue with a known service time.

After so many answers it stands still once, for so many seconds, as a process that collects garbage or is
stopped does.  On SIGTERM it writes into LOG, as JSON, when it stood still so, when it was kept from its work
(a process is, now and then, and so is a virtual machine), when each answer left (all in seconds since 1970),
and the service times that it really had (microseconds).
"""

from __future__ import annotations

import json
import select
import selectors
import signal
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

BODY = b'{"ok": true}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
LATE_NS = 1_000_000
"""From here on being late is told: the machine had something else to do, or stood still itself."""
IDLE_S = 0.002
"""Who waits for nobody looks at the clock so often."""
SPIN_NS = 150_000
"""The last of a wait is spent looking at the clock: who sleeps is woken so much too late."""


@dataclass(slots=True)
class Server:
    """One thread, one line."""

    service_ns: int
    stall_after: int = 0
    """Answers; 0: never."""
    stall_s: float = 0.0
    stalls: list[tuple[float, float]] = field(default_factory=list)
    kept: list[tuple[float, float]] = field(default_factory=list)
    """From when it wanted to go on until it could."""
    services_us: list[int] = field(default_factory=list)
    left_s: list[float] = field(default_factory=list)
    leaving: bool = False

    def serve(self, listener: socket.socket) -> None:
        """Until told to leave."""
        listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            line: deque[tuple[socket.socket, int]] = deque()
            free_ns = 0
            while not self.leaving:
                if not line:
                    line += self._idle(selector)
                    continue
                caller, came_ns = line.popleft()
                begin_ns = max(came_ns, free_ns)
                free_ns = begin_ns + self.service_ns
                line += self._until(selector, free_ns)
                caller.send(ANSWER)
                self.left_s.append(time.time())
                self.services_us.append((time.monotonic_ns() - begin_ns) // 1000)
                if len(self.services_us) == self.stall_after:
                    began_s = time.time()
                    time.sleep(self.stall_s)
                    self.stalls.append((began_s, time.time()))
                    free_ns = time.monotonic_ns()
            for peer in [key.fileobj for key in selector.get_map().values() if key.fileobj is not listener]:
                assert isinstance(peer, socket.socket)
                peer.close()

    def _until(self, selector: selectors.DefaultSelector, end_ns: int) -> list[tuple[socket.socket, int]]:
        """Who comes meanwhile."""
        came: list[tuple[socket.socket, int]] = []
        while (left_ns := end_ns - time.monotonic_ns()) > 0:
            came += self._heard(selector, max(left_ns - SPIN_NS, 0) / 1_000_000_000)
        self._note(end_ns)
        return came

    def _idle(self, selector: selectors.DefaultSelector) -> list[tuple[socket.socket, int]]:
        """Who comes next, if soon."""
        end_ns = time.monotonic_ns() + round(IDLE_S * 1_000_000_000)
        came = self._heard(selector, IDLE_S)
        self._note(end_ns)
        return came

    def _note(self, end_ns: int) -> None:
        """Keep that it could not go on then, if so."""
        if (late_ns := time.monotonic_ns() - end_ns) > LATE_NS:
            now_s = time.time()
            self.kept.append((now_s - late_ns / 1_000_000_000, now_s))

    def _heard(
        self, selector: selectors.DefaultSelector, longest_s: float
    ) -> list[tuple[socket.socket, int]]:
        if longest_s:  # epoll counts whole milliseconds, select does not
            select.select([selector], [], [], longest_s)
        came = []
        for key, _ in selector.select(0):
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            if key.data is None:
                caller, _ = peer.accept()
                caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(caller, selectors.EVENT_READ, bytearray())
                continue
            said = self._read(peer)
            if not said:
                selector.unregister(peer)
                peer.close()
                continue
            key.data.extend(said)
            while (end := key.data.find(b"\r\n\r\n")) >= 0:  # requests without a body
                del key.data[: end + 4]
                came.append((peer, time.monotonic_ns()))
        return came

    @staticmethod
    def _read(peer: socket.socket) -> bytes:
        try:
            return peer.recv(65536)
        except ConnectionError:
            return b""

    def leave(self, *_: object) -> None:
        """For signals."""
        self.leaving = True


def main(words: list[str]) -> None:
    """Serve."""
    port, service_ms, log, *stall = words
    server = Server(round(float(service_ms) * 1_000_000))
    if stall:
        server.stall_after, server.stall_s = int(stall[0]), float(stall[1])
    signal.signal(signal.SIGTERM, server.leave)
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    server.serve(listener)
    told = {"stalls": server.stalls, "kept": server.kept, "left_s": server.left_s}
    Path(log).write_text(json.dumps({**told, "services_us": server.services_us}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
