"""Connections as Jetty 6 has them: each holds a thread for all its life, however idle.

There are only so many.  Who gets none is connected all the same, and waits: nothing is read of it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

POOL = 20
"""Threads that Jetty has, when nobody says how many."""
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets."""


class Threads:
    """Who has one, and who waits; 0 of them: everybody has one.  Of one event loop."""

    def __init__(self, count: int = 0) -> None:
        self._count = count
        self._waiting: deque[Callable[[], None]] = deque()
        self.busy = 0
        """Threads that have a connection, which may be idle itself."""

    @property
    def total(self) -> int:
        """Threads that there are; where everybody gets one, as many more as it takes."""
        return self._count or max(POOL, self.busy)

    @property
    def connections(self) -> int:
        """Open connections, also those that wait."""
        return self.busy + len(self._waiting)

    def take(self, start: Callable[[], None]) -> bool:
        """Whether there was one left; else `start` is called when there is."""
        if not self._count or self.busy < self._count:
            self.busy += 1
            return True
        self._waiting.append(start)
        return False

    def give_back(self) -> None:
        """One is free, and goes to who waited longest."""
        if self._waiting:
            self._waiting.popleft()()
        else:
            self.busy -= 1


def protocol(threads: Threads) -> type[HttpToolsProtocol]:
    """uvicorn's, on these threads, whose connections can be reset: `scope["state"]["reset"]()`."""

    class Connection(HttpToolsProtocol):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.app_state = {**self.app_state, "reset": self._reset}

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if not threads.take(self.flow.resume_reading):
                self.flow.pause_reading()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            threads.give_back()

        def _reset(self) -> None:
            connection: socket.socket = self.transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self.transport.abort()

    return Connection
