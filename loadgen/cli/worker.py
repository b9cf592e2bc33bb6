"""`loadgen worker`: join a master and work for it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import signals, words

if TYPE_CHECKING:
    from loadgen.worker.worker import Worker


def worker(
    server: Annotated[
        str,
        typer.Option(
            "--server", envvar="LOADGEN_SERVER", metavar="HOST[:PORT]", help="Where the master listens."
        ),
    ] = "localhost",
    processes: words.WorkerProcesses = None,
    concurrency: words.Concurrency = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            envvar="LOADGEN_TOKEN_FILE",
            metavar="F",
            help="The run's token.  [default: LOADGEN_TOKEN, or the one of a master on this machine]",
        ),
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario", metavar="PATH", help="Run this copy only, and only if it is what the master runs."
        ),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            metavar="DIR",
            help="Where results lie until the master has them.  [default: the state directory]",
        ),
    ] = None,
    stay: Annotated[
        bool, typer.Option("--stay", help="Wait for the next run when this one is over.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait", metavar="SECONDS", min=0, help="How long to look for a master before giving up."
        ),
    ] = 600.0,
    max_clock_error: Annotated[
        str,
        typer.Option(
            "--max-clock-error",
            envvar="LOADGEN_MAX_CLOCK_ERROR",
            metavar="TIME",
            help="How well it has to know the master's clock, when items start at times of their own.",
        ),
    ] = "10ms",
    tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
) -> int:
    """Join a master and work for it until its queue is drained."""
    from loadgen.clock import SystemClock
    from loadgen.errors import MasterGone
    from loadgen.pace.pacing import parse_duration
    from loadgen.queues import token as tokens
    from loadgen.queues.client import QueueClient
    from loadgen.worker.worker import Worker, WorkerSettings

    host, port = tokens.split_address(server, words.PORT)
    host = host or "localhost"
    if tied:  # its master said all; what the configuration says of workers is about those that people start
        token_file, scenario, stay = None, None, False

    def find() -> QueueClient:
        try:
            token = tokens.find(os.environ, port, token_file)
        except FileNotFoundError as error:
            raise MasterGone(f"no master at {host}:{port} (no token in {error.filename})") from error
        return QueueClient(token, host, port)

    settings = WorkerSettings(
        processes=processes or os.cpu_count() or 1,
        concurrency=concurrency,
        patience_s=float("inf") if stay else wait,
        spool=spool or tokens.state_directory(os.environ) / "spool",
        scenario=scenario,
        max_clock_error_us=round(parse_duration(max_clock_error, "--max-clock-error") * 1_000_000),
    )
    stopped = False
    while not stopped:
        current = Worker(find, settings, SystemClock(), _say)
        stop = _Stop(current)
        if tied:
            threading.Thread(target=_finish_with_stdin, args=(current,), name="tie", daemon=True).start()
        try:
            with signals.handled(stop):
                items = current.run()
        except MasterGone as error:
            if not (stay and stop.called):  # told to leave while it waits for the next run: all is well
                raise
            _say(str(error))
            return 0
        _say(f"{current.name} is done: {items} items")
        stopped = not stay or stop.called
    return 0


class _Stop:
    """The first signal winds the worker down, the second ends it at once."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.called = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        signals.leave_terminal(number)
        if self.called and signals.hangs_up(number):
            return
        if self.called:
            os._exit(128 + number)
        self.called = True
        self._worker.stop(f"got {signal.Signals(number).name}")


def _finish_with_stdin(worker: Worker) -> None:
    """The master that started this worker holds the other end: when that closes, it is gone.

    Whoever resumes the run starts a worker of its own; this one hands over what it did, and leaves.
    """
    while os.read(sys.stdin.fileno(), 1):
        pass
    worker.finish("the master that started it is gone")


def _say(text: str) -> None:
    print(f"loadgen: {text}", file=sys.stderr, flush=True)  # noqa: T201 - a worker's log
