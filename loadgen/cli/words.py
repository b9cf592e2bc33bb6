"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

AT_A_TIME = "How long, and how many at a time"
GATES = "What is measured, and what stops a run"
OUTPUT = "What comes out"

Out: TypeAlias = Annotated[
    Path, typer.Option("--out", envvar="LOADGEN_OUT", metavar="DIR", help="Where run directories lie.")
]
Run: TypeAlias = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its id, a part of it, its directory, or `latest`.")
]
Processes: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--processes",
        envvar="LOADGEN_PROCESSES",
        min=0,
        metavar="N",
        help="Processes that call the target; 0: only workers that join.  [default: one per core]",
    ),
]
WorkerProcesses: TypeAlias = Annotated[
    int | None,
    typer.Option("--processes", min=0, metavar="N", help="Processes that call the target; 0: one per core."),
]
Concurrency: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--concurrency",
        envvar="LOADGEN_CONCURRENCY",
        min=1,
        max=10_000,
        metavar="N",
        help="Items in flight per process.  [default: as the scenario says, or 16 and more as they pay]",
    ),
]
Connections: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--connections",
        envvar="LOADGEN_CONNECTIONS",
        metavar="keep|new",
        help="Calls share connections, or open a new one each.  [default: keep, or as the scenario says]",
    ),
]
Listen: TypeAlias = Annotated[
    str,
    typer.Option(
        "--listen",
        envvar="LOADGEN_LISTEN",
        metavar="HOST:PORT",
        help="Where workers reach the master; port 0 takes a free one.",
    ),
]
WaitForWorkers: TypeAlias = Annotated[
    int,
    typer.Option(
        "--wait-for-workers",
        envvar="LOADGEN_WAIT_FOR_WORKERS",
        min=0,
        metavar="N",
        help="Hand nothing out before this many workers have joined.",
    ),
]
Json: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", rich_help_panel=OUTPUT, help="Write the summary there too; - for stdout."
    ),
]
Events: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--events",
        metavar="FILE",
        rich_help_panel=OUTPUT,
        help="Append what happens there, as JSON lines, as it happens; - for stdout.",
    ),
]
Influx: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--influx",
        metavar="FILE|URL",
        rich_help_panel=OUTPUT,
        help="The same in InfluxDB's line protocol; udp://HOST:PORT, or the http URL to post it to.",
    ),
]
Otel: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--otel",
        rich_help_panel=OUTPUT,
        help="Send metrics to an OpenTelemetry collector, as the OTEL_* variables say.",
    ),
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option("--quiet", envvar="LOADGEN_QUIET", rich_help_panel=OUTPUT, help="Print the verdict only."),
]
Strict: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--strict",
        envvar="LOADGEN_STRICT",
        rich_help_panel=GATES,
        help="Exit code 1 when the generator was too slow for its times to be true.",
    ),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Set an option of the scenario; may be repeated."),
]
Chunk: TypeAlias = Annotated[
    str,
    typer.Option(
        "--chunk",
        envvar="LOADGEN_CHUNK",
        metavar="N|auto",
        help="Items in one job on the queue; auto decides while it runs.",
    ),
]

ChunkAgain: TypeAlias = Annotated[
    str | None, typer.Option("--chunk", metavar="N|auto", help="Items in one job.  [default: as before]")
]

ScenarioFile: TypeAlias = Annotated[Path, typer.Argument(metavar="SCENARIO.py", help="The scenario file.")]
Target: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--target",
        envvar="LOADGEN_TARGET",
        metavar="URL",
        help="Base URL, or sandbox:azkaban.  [default: the scenario's]",
    ),
]
AllowTarget: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--allow-target",
        envvar="LOADGEN_ALLOW_TARGET",
        help="The target may be written to although it is not on this machine; remembered.",
    ),
]

_LEASE_TTL = typer.Option(
    "--lease-ttl", envvar="LOADGEN_LEASE_TTL", metavar="SECONDS", min=1, max=86_400, hidden=True
)
LeaseTtl: TypeAlias = Annotated[float, _LEASE_TTL]
LeaseTtlAgain: TypeAlias = Annotated[float | None, _LEASE_TTL]

Thresholds: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="EXPR",
        rich_help_panel=GATES,
        help="A gate, like 'STEP.p95<800ms' or 'failed<1%'; may be repeated.  [default: the scenario's]",
    ),
]

WarmUp: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--warm-up",
        envvar="LOADGEN_WARM_UP",
        metavar="TIME|N",
        rich_help_panel=GATES,
        help="Do, but do not measure: what begins in the first '10s', or '500 items'.  [default: none]",
    ),
]
MaxInFlight: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-in-flight",
        envvar="LOADGEN_MAX_IN_FLIGHT",
        min=1,
        max=1_000_000,
        metavar="N",
        rich_help_panel=AT_A_TIME,
        help="Items in flight at most, on all workers together.",
    ),
]
MaxRate: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--max-rate",
        envvar="LOADGEN_MAX_RATE",
        metavar="N/s",
        rich_help_panel=AT_A_TIME,
        help="Items started a second (or N/m: a minute) at most, by all workers together.",
    ),
]
Breaker: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--breaker",
        envvar="LOADGEN_BREAKER",
        metavar="EXPR",
        rich_help_panel=GATES,
        help="Pause while the target is ill, like '50% over 10s': so many of the items failed.",
    ),
]

Dashboard: TypeAlias = Annotated[
    str,
    typer.Option(
        "--dashboard",
        envvar="LOADGEN_DASHBOARD",
        metavar="HOST:PORT",
        help="Where the run is watched in a browser; the next free port, if that is taken.",
    ),
]
NoDashboard: TypeAlias = Annotated[
    bool, typer.Option("--no-dashboard", envvar="LOADGEN_NO_DASHBOARD", help="Serve no dashboard.")
]

OUT = Path("runs")
LISTEN = "127.0.0.1:8888"
PORT = 8888
DASHBOARD = "127.0.0.1:8089"
LEASE_TTL_S = 15.0
"""How long a lease lives without a beat."""
CONCURRENCY = 16
"""Items in flight a process to begin with, where neither the command line nor the scenario says."""
WIDEST = 64
"""How many workers then try at most: each is a thread, and a connection to the target."""
WIDEST_DESCRIBED = 1024
"""The same where all steps describe their calls: no threads."""
