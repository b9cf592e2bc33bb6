"""The built-in target: an Azkaban that behaves like the real one, for tests, demos and rehearsals.

It is a real HTTP server on a real socket.  What it was asked, it writes into its access log, one
line a request, and that log is what tests hold the generator's own books against.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from loadgen.clock import SystemClock
from loadgen.sandbox.options import SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadgen.clock import Clock

__all__ = ["SandboxOptions", "running", "serve", "serve_delay"]


def serve(options: SandboxOptions, *, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is told the port once the socket listens.

    Call it from the main thread.  Raises AddressInUse when the port is taken, UsageError when the
    address or the access log cannot be used for another reason.
    """
    from loadgen.sandbox import server  # uvicorn is heavy; only who serves pays

    server.serve(options, ready=ready)


def serve_delay(options: SandboxOptions, *, ready: Callable[[int], None]) -> None:
    """Serve the target that only waits, likewise."""
    from loadgen.sandbox import delay  # as above

    delay.serve(options, ready=ready)


@contextmanager
def running(options: SandboxOptions | None = None, clock: Clock | None = None) -> Iterator[str]:
    """The sandbox in a thread, for tests: yields its base URL, stops it on leaving.

    With a clock that is stepped, executions and schedules go on when the test says so.
    """
    from loadgen.sandbox import server  # as above

    with server.running(options or SandboxOptions(), clock or SystemClock()) as url:
        yield url
