"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from loadgen.cli.declare import option, plain

AT_A_TIME = "How long, and how many at a time"
GATES = "What is measured, and what stops a run"
OUTPUT = "What comes out"

Out: TypeAlias = Annotated[Path, option("out", "Where run directories lie.", metavar="DIR")]
Run: TypeAlias = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its id, a part of it, its directory, or `latest`.")
]
Processes: TypeAlias = Annotated[
    int | None,
    option(
        "processes",
        "Processes that call the target; 0: only workers that join.  [default: one per core]",
        metavar="N",
        min=0,
    ),
]
WorkerProcesses: TypeAlias = Annotated[
    int | None, plain("processes", "Processes that call the target; 0: one per core.", metavar="N", min=0)
]
Concurrency: TypeAlias = Annotated[
    int | None,
    option(
        "concurrency",
        "Items in flight per process.  [default: as the scenario says, or 16 and more as they pay]",
        metavar="N",
        min=1,
        max=10_000,
    ),
]
Connections: TypeAlias = Annotated[
    str | None,
    option(
        "connections",
        "Calls share connections, or open a new one each.  [default: keep, or as the scenario says]",
        metavar="keep|new",
    ),
]
Listen: TypeAlias = Annotated[
    str, option("listen", "Where workers reach the master; port 0 takes a free one.", metavar="HOST:PORT")
]
WaitForWorkers: TypeAlias = Annotated[
    int,
    option("wait-for-workers", "Hand nothing out before this many workers have joined.", metavar="N", min=0),
]
Json: TypeAlias = Annotated[
    Path | None, plain("json", "Write the summary there too; - for stdout.", OUTPUT, metavar="FILE")
]
Events: TypeAlias = Annotated[
    str | None,
    plain(
        "events",
        "Append what happens there, as JSON lines, as it happens; - for stdout.",
        OUTPUT,
        metavar="FILE",
    ),
]
Influx: TypeAlias = Annotated[
    str | None,
    plain(
        "influx",
        "The same in InfluxDB's line protocol; udp://HOST:PORT, or the http URL to post it to.",
        OUTPUT,
        metavar="FILE|URL",
    ),
]
Otel: TypeAlias = Annotated[
    bool, plain("otel", "Send metrics to an OpenTelemetry collector, as the OTEL_* variables say.", OUTPUT)
]
Quiet: TypeAlias = Annotated[bool, option("quiet", "Print the verdict only.", OUTPUT)]
Verbose: TypeAlias = Annotated[
    bool,
    option("verbose", "Print the whole report: calls, workers, phases, errors, circumstances.", OUTPUT),
]
Strict: TypeAlias = Annotated[
    bool, option("strict", "Exit code 1 when the generator was too slow for its times to be true.", GATES)
]
Settings: TypeAlias = Annotated[
    list[str] | None, plain("set", "Set an option of the scenario; may be repeated.", metavar="NAME=VALUE")
]
Chunk: TypeAlias = Annotated[
    str, option("chunk", "Items in one job on the queue; auto decides while it runs.", metavar="N|auto")
]

ChunkAgain: TypeAlias = Annotated[
    str | None, plain("chunk", "Items in one job.  [default: as before]", metavar="N|auto")
]

ScenarioFile: TypeAlias = Annotated[Path, typer.Argument(metavar="SCENARIO.py", help="The scenario file.")]
Target: TypeAlias = Annotated[
    str | None, option("target", "Base URL, or sandbox:azkaban.  [default: the scenario's]", metavar="URL")
]
AllowTarget: TypeAlias = Annotated[
    bool,
    option("allow-target", "The target may be written to although it is not on this machine; remembered."),
]

_LEASE_TTL = typer.Option(
    "--lease-ttl", envvar="LOADGEN_LEASE_TTL", metavar="SECONDS", min=1, max=86_400, hidden=True
)
LeaseTtl: TypeAlias = Annotated[float, _LEASE_TTL]
LeaseTtlAgain: TypeAlias = Annotated[float | None, _LEASE_TTL]

Thresholds: TypeAlias = Annotated[
    list[str] | None,
    plain(
        "threshold",
        "A gate, like 'STEP.p95<800ms' or 'failed<1%'; may be repeated.  [default: the scenario's]",
        GATES,
        metavar="EXPR",
    ),
]

WarmUp: TypeAlias = Annotated[
    str | None,
    option(
        "warm-up",
        "Do, but do not measure: what begins in the first '10s', or '500 items'.  [default: none]",
        GATES,
        metavar="TIME|N",
    ),
]
MaxInFlight: TypeAlias = Annotated[
    int | None,
    option(
        "max-in-flight",
        "Items in flight at most, on all workers together.",
        AT_A_TIME,
        metavar="N",
        min=1,
        max=1_000_000,
    ),
]
MaxRate: TypeAlias = Annotated[
    str | None,
    option(
        "max-rate",
        "Items started a second (or N/m: a minute) at most, by all workers together.",
        AT_A_TIME,
        metavar="N/s",
    ),
]
Breaker: TypeAlias = Annotated[
    str | None,
    option(
        "breaker",
        "Pause while the target is ill, like '50% over 10s': so many of the items failed.",
        GATES,
        metavar="EXPR",
    ),
]

Dashboard: TypeAlias = Annotated[
    str,
    option(
        "dashboard",
        "Where the run is watched in a browser; the next free port, if that is taken.",
        metavar="HOST:PORT",
    ),
]
NoDashboard: TypeAlias = Annotated[bool, option("no-dashboard", "Serve no dashboard.")]

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
