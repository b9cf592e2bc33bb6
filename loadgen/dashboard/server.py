"""The dashboard's socket and threads: there from the start, and next to nothing until somebody looks.

The web server is imported and started when the first visitor knocks: a run that nobody watches pays for
a socket and for a look at the clock each second.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from loadgen.errors import UsageError

if TYPE_CHECKING:
    import uvicorn

    from loadgen.dashboard.parts import Parts

TRIES: Final = 200
"""Ports that are tried, one after the other; then any free one is taken."""
BACKLOG: Final = 128
TICK_S: Final = 1.0
CONNECTIONS: Final = 256
KEEP_ALIVE_S: Final = 5
LEAVE_S: Final = 1.0
"""How long who watches may take for the last message."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket: at this port, or at the next one that is free.  Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + TRIES, 65536) if port else 1
    for each in [*range(port, last), 0]:
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # elsewhere the option means that two may share the port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, each))
            listener.listen(BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                reason = error.strerror or str(error)
                raise UsageError(f"--dashboard {host}:{port}: cannot listen there: {reason}") from error
        else:
            return listener
    raise UsageError(f"--dashboard {host}:{port}: no port is free")


class Dashboard:
    """Serves; a context manager."""

    def __init__(self, listener: socket.socket, parts: Parts) -> None:
        self._listener = listener
        self._parts = parts
        self._over = threading.Event()
        self._wake, self._waker = socket.socketpair()
        self._server: uvicorn.Server | None = None
        work: dict[str, Callable[[], None]] = {"dashboard-clock": self._tick, "dashboard": self._serve}
        self._threads = [threading.Thread(target=body, name=name, daemon=True) for name, body in work.items()]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let who watches have the last message, for a moment."""
        self._over.set()
        with contextlib.suppress(OSError):  # it woke long ago
            self._waker.send(b"x")
        for thread in self._threads:
            thread.join(LEAVE_S)
        self._waker.close()

    def _tick(self) -> None:
        """Once a second, and for the last time at the end."""
        board, hub = self._parts.board, self._parts.hub
        over = False
        while not over:
            over = self._over.wait(TICK_S)
            with contextlib.suppress(Exception):  # whatever it is, the run must not know
                message = board.tick(watched=hub.tick(for_all=over or board.is_new))
                if message is not None:
                    hub.publish(message)
        hub.close()
        if self._server is not None:
            self._server.should_exit = True

    def _serve(self) -> None:
        """Wait for the first visitor, then serve."""
        with self._listener, self._wake:
            select.select([self._listener, self._wake], [], [])
            if self._over.is_set():
                return
            with contextlib.suppress(Exception):
                self._server = server = _server(self._parts)
                if not self._over.is_set():
                    server.run(sockets=[self._listener])


def _server(parts: Parts) -> uvicorn.Server:
    """With quiet logs: the terminal belongs to the run."""
    import uvicorn

    from loadgen.dashboard.connection import Connection
    from loadgen.dashboard.site import site

    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
    return uvicorn.Server(
        uvicorn.Config(
            site(parts),
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
    )
