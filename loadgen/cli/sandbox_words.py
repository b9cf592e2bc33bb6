"""What `loadgen sandbox` can be told: how the stand-in is, how fast, and what goes wrong."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from loadgen.cli.declare import plain


class Version(StrEnum):
    """The versions of Azkaban that there are profiles of."""

    OLD = "3.57"
    WIDESPREAD = "3.90"
    NEW = "4.0"


class Lockdown(StrEnum):
    """What a site may leave to its administrators."""

    CREATE = "create"
    UPLOAD = "upload"


class FrontEnd(StrEnum):
    """What else it can serve."""

    CREATE_JOB = "create-job"


SESSIONS, SITE, SPEED, FAULTS, STORY = (
    "Sessions",
    "What the site is like",
    "How fast it is",
    "What goes wrong",
    "The original story's front end",
)

Name: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="Which one: azkaban, or delay.")]
Port: TypeAlias = Annotated[int, plain("port", "0 takes a free one.", metavar="N", min=0, max=65535)]
AccessLog: TypeAlias = Annotated[
    Path | None, plain("access-log", "One JSON line per request.", metavar="FILE")
]
State: TypeAlias = Annotated[
    Path | None,
    plain("state", "Keep what it holds there, and begin with it; sessions are lost.", metavar="FILE"),
]
IdleExit: TypeAlias = Annotated[
    float | None, plain("idle-exit", "Exit when nothing was asked for so long.", metavar="SECONDS", min=1)
]
Profile: TypeAlias = Annotated[
    Version, plain("profile", "Which Azkaban it is like, where they differ.", SITE)
]
LockedDown: TypeAlias = Annotated[
    Lockdown | None, plain("lockdown", "Only administrators may; the user guest is none.", SITE)
]
UploadUser: TypeAlias = Annotated[
    str,
    plain("upload-user", "What they upload is locked: nobody else may upload to it.", SITE, metavar="NAME"),
]
SiteValidator: TypeAlias = Annotated[
    bool, plain("site-validator", "Warn of Windows line ends in jobs; refuse them with fix=off.", SITE)
]
SessionTtl: TypeAlias = Annotated[
    float,
    plain("session-ttl", "A session ends so long after its last use.", SESSIONS, metavar="SECONDS", min=0),
]
SessionCalls: TypeAlias = Annotated[
    int, plain("session-calls", "And after so many calls; 0: however many.", SESSIONS, metavar="N", min=0)
]
MaxSessions: TypeAlias = Annotated[
    int,
    plain("max-sessions-per-user", "One more login is refused; 0: none is.", SESSIONS, metavar="N", min=0),
]
Threads: TypeAlias = Annotated[
    int,
    plain(
        "threads", "Connections served at a time, more hang; Jetty has 20. 0: all.", SPEED, metavar="N", min=0
    ),
]
Latency: TypeAlias = Annotated[
    float, plain("latency", "Added to every answer, in milliseconds.", SPEED, metavar="MS", min=0)
]
BaseCost: TypeAlias = Annotated[
    float,
    plain(
        "base-cost", "What an upload takes, one after the other in each project.", SPEED, metavar="MS", min=0
    ),
]
CostPerFlow: TypeAlias = Annotated[
    float,
    plain(
        "cost-per-flow",
        "The same for each flow in it, and for each old row that it deletes.",
        SPEED,
        metavar="MS",
        min=0,
    ),
]
RunTime: TypeAlias = Annotated[
    float, plain("run-time", "How long a job of a flow runs.", SPEED, metavar="MS", min=0)
]
FlowThreads: TypeAlias = Annotated[
    int, plain("flow-threads", "Executions that run at once.", SPEED, metavar="N", min=1)
]
QueueSize: TypeAlias = Annotated[
    int, plain("queue-size", "Executions that may wait; not with profile 4.0.", SPEED, metavar="N", min=1)
]
ScanInterval: TypeAlias = Annotated[
    float, plain("scan-interval", "How often schedules are looked at.", SPEED, metavar="S", min=0.001)
]
FailRate: TypeAlias = Annotated[
    float,
    plain(
        "fail-rate",
        "Share of writes answered with 500, without any effect.",
        FAULTS,
        metavar="P",
        min=0,
        max=1,
    ),
]
DropRate: TypeAlias = Annotated[
    float,
    plain(
        "drop-rate",
        "Share of uploads that take effect, and whose connection is reset.",
        FAULTS,
        metavar="P",
        min=0,
        max=1,
    ),
]
Seed: TypeAlias = Annotated[int, plain("seed", "Decides which ones these are.", FAULTS, metavar="N")]
Front: TypeAlias = Annotated[FrontEnd | None, plain("front", "create-job: POST /mammut/jobs.", STORY)]
FrontBaseCost: TypeAlias = Annotated[
    float, plain("front-base-cost", "What creating a job takes.", STORY, metavar="MS", min=0)
]
FrontCostPerJob: TypeAlias = Annotated[
    float,
    plain("front-cost-per-job", "The same for each job that the project holds.", STORY, metavar="MS", min=0),
]
