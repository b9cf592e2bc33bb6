"""`loadgen selftest`: what this machine can drive truly."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from loadgen.launch.sandbox import SandboxProcess
    from loadgen.reports.schema import Summary

SCRIPTED = '''"""What this machine can drive truly."""

from dataclasses import dataclass

from loadgen import Scenario, Session


@dataclass(frozen=True)
class Options:
    calls: int = 100


scenario = Scenario(options=Options)


@scenario.step(items=lambda options: options.calls)
def call(http: Session, item: int, options: Options) -> None:
    http.get("/").json()
'''
DESCRIBED = (
    SCRIPTED.partition("def call")[0].replace("Session", "Call")
    + """def call(item: int, options: Options) -> Call:
    return Call("GET", "/")
"""
)


def selftest(
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", min=0.1, max=600, help="How long each level takes.")
    ] = 2.0,
    delay: Annotated[
        float,
        typer.Option("--delay", metavar="MS", min=1, max=10_000, help="After how long the server answers."),
    ] = 20.0,
    most: Annotated[
        int, typer.Option("--most", metavar="N", min=1, max=10_000, help="The most in flight that is tried.")
    ] = 1000,
    described: Annotated[
        bool, typer.Option("--described", help="With a step that describes its call, not one that makes it.")
    ] = False,
) -> None:
    """Find out what this machine can drive truly: against a built-in server, with more and more in flight."""
    import tempfile

    from loadgen.launch.sandbox import SandboxProcess
    from loadgen.reports.capacity import HEADING, Level, calls, conclusion, is_over, steps

    levels: list[Level] = []
    with tempfile.TemporaryDirectory(prefix="loadgen-selftest-") as name:
        folder = Path(name)
        (folder / "selftest.py").write_text(DESCRIBED if described else SCRIPTED, encoding="utf-8")
        server = SandboxProcess.start("delay", folder, "--latency", str(delay))
        try:
            typer.echo(HEADING)
            for in_flight in steps(most):
                planned = calls(in_flight, delay, seconds, levels[-1] if levels else None)
                summary = _measured(folder, server, in_flight, planned)
                levels.append(Level.of(in_flight, delay, summary, server.status()))
                typer.echo(levels[-1].row)
                if is_over(levels):
                    break
        finally:
            server.stop()
    for line in conclusion(levels, "described" if described else "Python"):
        typer.echo(line)


def _measured(folder: Path, server: SandboxProcess, in_flight: int, calls: int) -> Summary:
    """A run of so many calls.  Raises LoadgenError when it did not come to its report."""
    import msgspec

    from loadgen.errors import LoadgenError
    from loadgen.launch.again import again
    from loadgen.reports.schema import Summary

    processes = min(os.cpu_count() or 1, in_flight)
    told = folder / f"{in_flight}.json"
    server.status()  # what was late until now is forgotten
    words = again(
        [
            *("run", "selftest.py", "--target", server.url, "--set", f"calls={calls}"),
            *("--processes", str(processes), "--concurrency", str(-(-in_flight // processes))),
            *("--listen", "127.0.0.1:0", "--json", str(told), "--quiet", "--no-correlate"),
        ],
        folder,
        os.environ,
    )
    if not told.exists():
        raise LoadgenError(f"a run of {calls} calls with {in_flight} in flight failed: {words}")
    return msgspec.json.decode(told.read_bytes(), type=Summary)
