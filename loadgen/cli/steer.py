"""`loadgen pause|continue|stop|set RUN`: steer a run that goes on, from another terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import words

if TYPE_CHECKING:
    from loadgen.control import Answer, Request


def pause(run: words.Run, out: words.Out = words.OUT) -> None:
    """Pause a run: what is in flight settles, nothing more is started until `loadgen continue`."""
    from loadgen.control import Pause

    _steer(run, out, Pause())


def continue_(run: words.Run, out: words.Out = words.OUT) -> None:
    """Let a paused run go on."""
    from loadgen.control import Continue

    _steer(run, out, Continue())


def stop(run: words.Run, out: words.Out = words.OUT) -> None:
    """Stop a run, as its first Ctrl-C does: what is in flight settles, and it can be resumed."""
    from loadgen.control import Stop

    _steer(run, out, Stop())


def set_(
    run: words.Run,
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=VALUE...",
            help="rate=50/s (or 30/m), concurrency=32, max-in-flight=100; none takes a limit off.",
        ),
    ],
    out: words.Out = words.OUT,
) -> None:
    """Change the limits of a run while it goes on."""
    from loadgen.control import Set
    from loadgen.steering import parse_settings

    parse_settings(settings)  # before the run is looked for: a typo is one wherever it is
    _steer(run, out, Set(tuple(settings)))


def _steer(run: str, out: Path, request: Request) -> None:
    """Ask the run's master, and say how it stands."""
    import os

    from loadgen.control import ask, socket_path
    from loadgen.ledger import directory

    path = directory.find(out, run)
    name = path.resolve().name
    answer = ask(socket_path(path, os.environ), request, name)
    from loadgen.reports.advice import named  # takes its time, which the order must not wait for

    sys.stdout.write(said(answer, named(name, path)) + "\n")


def said(answer: Answer, run: str) -> str:
    """How the run stands, in a line; `run`: as commands are told of it."""
    kept = [f"{name} {value}" for name, value in answer.limits.items() if value != "none"]
    pace = [f"({answer.pace})" if kept else answer.pace] if answer.pace else []
    limits = ", ".join(kept) + " " * bool(kept and pace) + "".join(pace)
    limits = f"{limits}; " if limits else ""
    if answer.stopping:
        state, then = "stopping", f"{answer.in_flight} in flight settle; then: loadgen resume {run}"
    elif answer.paused:
        state, then = f"paused {answer.paused}", f"{limits}loadgen continue {run}"
    else:
        state, then = "running", limits.removesuffix("; ") or "no limits"
    items = f"{answer.settled:,} of {answer.planned:,} items settled" if answer.planned else "no item yet"
    late = ""
    if answer.late and not answer.stopping:
        workers = f"{answer.late} of {answer.workers} workers"
        late = f"; not yet on {workers}, {answer.in_flight} in flight"
    return f"{state}: {items}; {then}{late}"
