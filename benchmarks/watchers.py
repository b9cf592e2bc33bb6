"""`python -m benchmarks.watchers PORT COUNT`: so many watch a dashboard, in one process, until its end."""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections.abc import Iterator

PATIENCE_S = 60.0
"""How long to look for the dashboard."""


def main(port: int, count: int) -> int:
    """Watch; prints how many messages came."""
    with selectors.DefaultSelector() as selector:
        for watcher in _connect(port, count):
            watcher.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
            selector.register(watcher, selectors.EVENT_READ)
        messages = 0
        while selector.get_map():
            for key, _ in selector.select():
                peer = key.fileobj
                assert isinstance(peer, socket.socket)
                part = _heard(peer)
                messages += part.count(b"data: ")
                if not part:
                    selector.unregister(peer)
                    peer.close()
    print(messages)
    return 0


def _heard(peer: socket.socket) -> bytes:
    """What came; nothing: it is over, however it was ended."""
    try:
        return peer.recv(1 << 20)
    except ConnectionResetError:
        return b""


def _connect(port: int, count: int) -> Iterator[socket.socket]:
    deadline_s = time.monotonic() + PATIENCE_S
    for _ in range(count):
        while True:
            try:
                yield socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
