"""The socket and the process around the sandbox: bind, serve, stop."""

from __future__ import annotations

import signal
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from loadgen.clock import SystemClock
from loadgen.sandbox.accesslog import AccessLog
from loadgen.sandbox.azkaban.app import Azkaban
from loadgen.sandbox.connections import Threads, protocol
from loadgen.sandbox.front import Front
from loadgen.sandbox.journal import Journal
from loadgen.sandbox.listener import listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator, Iterator

    from loadgen.clock import Clock
    from loadgen.sandbox.options import SandboxOptions

KEEP_ALIVE_S = 200
"""Jetty 6's idle time.  A short one would reset clients that send just when it runs out."""
GRACE_S = 3
"""How long requests in flight may take to end once the sandbox is told to stop."""


def serve(options: SandboxOptions, *, ready: Callable[[int], None]) -> None:
    """See `loadgen.sandbox.serve`."""
    with _opened(options) as (listener, log, journal):
        port: int = listener.getsockname()[1]
        _server(options, log, journal, lambda: ready(port), SystemClock()).run(sockets=[listener])


@contextmanager
def running(options: SandboxOptions, clock: Clock) -> Iterator[str]:
    """See `loadgen.sandbox.running`."""
    with _opened(options) as (listener, log, journal):
        started = threading.Event()
        server = _server(options, log, journal, started.set, clock)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True
        )
        thread.start()
        try:
            started.wait()
            host = f"[{options.host}]" if ":" in options.host else options.host
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _opened(options: SandboxOptions) -> Iterator[tuple[socket.socket, AccessLog, Journal]]:
    """All that may be refused: the address, and files."""
    with (
        closing(listen(options)) as listener,
        closing(AccessLog(options.access_log)) as log,
        closing(Journal(options.state)) as journal,
    ):
        yield listener, log, journal


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        enough: Callable[[], bool],
        tick: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._enough = enough
        self._tick = tick

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: let the target do what is due, and say whether to stop."""
        self._tick()
        return await super().on_tick(counter) or self._enough()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn does it, but the signal is not raised again at the end: stopping is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _server(
    options: SandboxOptions, log: AccessLog, journal: Journal, ready: Callable[[], None], clock: Clock
) -> _Server:
    threads = Threads(options.threads)
    azkaban = Azkaban(options, clock, journal, threads)
    front = Front(azkaban, log, latency_ms=options.latency_ms, clock=clock)
    config = uvicorn.Config(
        front,
        http=protocol(threads),
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    idle_exit_s = options.idle_exit_s
    return _Server(
        config, ready, lambda: idle_exit_s is not None and front.idle_s > idle_exit_s, azkaban.tick
    )
