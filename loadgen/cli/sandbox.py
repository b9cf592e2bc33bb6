"""`loadgen sandbox azkaban`: a stand-in target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sandbox(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one: azkaban, or delay.")],
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 8081,
    access_log: Annotated[
        Path | None, typer.Option("--access-log", metavar="FILE", help="One JSON line per request.")
    ] = None,
    latency: Annotated[
        float, typer.Option("--latency", metavar="MS", min=0, help="Added to every answer, in milliseconds.")
    ] = 0.0,
    fail_rate: Annotated[
        float,
        typer.Option("--fail-rate", metavar="P", min=0, max=1, help="Share of writes answered with 500."),
    ] = 0.0,
    run_time: Annotated[
        float,
        typer.Option(
            "--run-time", metavar="MS", min=0, help="How long a job of a flow runs, in milliseconds."
        ),
    ] = 200.0,
    scan_interval: Annotated[
        float,
        typer.Option("--scan-interval", metavar="S", min=0.001, help="How often schedules are looked at."),
    ] = 60.0,
    flow_threads: Annotated[
        int, typer.Option("--flow-threads", metavar="N", min=1, help="Executions that run at once.")
    ] = 30,
    queue_size: Annotated[
        int, typer.Option("--queue-size", metavar="N", min=1, help="Executions that may wait.")
    ] = 100_000,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            "--idle-exit", metavar="SECONDS", min=1, help="Exit when nothing was asked for so long."
        ),
    ] = None,
) -> None:
    """Serve a stand-in target on loopback, until Ctrl-C."""
    from loadgen.errors import UsageError
    from loadgen.sandbox import SandboxOptions, serve, serve_delay

    servers = {"azkaban": serve, "delay": serve_delay}
    if name not in servers:
        raise UsageError(f"{name}: no such sandbox; there are {' and '.join(servers)}")
    options = SandboxOptions(
        port=port,
        access_log=access_log,
        latency_ms=latency,
        fail_rate=fail_rate,
        run_time_ms=run_time,
        scan_interval_s=scan_interval,
        flow_threads=flow_threads,
        queue_size=queue_size,
        idle_exit_s=idle_exit,
    )
    title = name.capitalize()
    servers[name](
        options, ready=lambda bound: typer.echo(f"{title} sandbox listening on http://127.0.0.1:{bound}")
    )
