"""`loadgen sandbox azkaban`: a stand-in target."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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


def sandbox(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one: azkaban, or delay.")],
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 8081,
    access_log: Annotated[
        Path | None, typer.Option("--access-log", metavar="FILE", help="One JSON line per request.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", metavar="FILE", help="Keep what it holds there, and begin with it; sessions are lost."
        ),
    ] = None,
    idle_exit: Annotated[
        float | None,
        typer.Option(
            "--idle-exit", metavar="SECONDS", min=1, help="Exit when nothing was asked for so long."
        ),
    ] = None,
    profile: Annotated[
        Version,
        typer.Option("--profile", help="Which Azkaban it is like, where they differ.", rich_help_panel=SITE),
    ] = Version.NEW,
    lockdown: Annotated[
        Lockdown | None,
        typer.Option(
            "--lockdown", help="Only administrators may; the user guest is none.", rich_help_panel=SITE
        ),
    ] = None,
    upload_user: Annotated[
        str,
        typer.Option(
            "--upload-user",
            metavar="NAME",
            help="What they upload is locked: nobody else may upload to it.",
            rich_help_panel=SITE,
        ),
    ] = "",
    site_validator: Annotated[
        bool,
        typer.Option(
            "--site-validator",
            help="Warn of Windows line ends in jobs; refuse them with fix=off.",
            rich_help_panel=SITE,
        ),
    ] = False,
    session_ttl: Annotated[
        float,
        typer.Option(
            "--session-ttl",
            metavar="SECONDS",
            min=0,
            help="A session ends so long after its last use.",
            rich_help_panel=SESSIONS,
        ),
    ] = 36_000.0,
    session_calls: Annotated[
        int,
        typer.Option(
            "--session-calls",
            metavar="N",
            min=0,
            help="And after so many calls; 0: however many.",
            rich_help_panel=SESSIONS,
        ),
    ] = 0,
    max_sessions: Annotated[
        int,
        typer.Option(
            "--max-sessions-per-user",
            metavar="N",
            min=0,
            help="One more login is refused; 0: none is.",
            rich_help_panel=SESSIONS,
        ),
    ] = 0,
    threads: Annotated[
        int,
        typer.Option(
            "--threads",
            metavar="N",
            min=0,
            help="Connections served at a time, more hang; Jetty has 20. 0: all.",
            rich_help_panel=SPEED,
        ),
    ] = 0,
    latency: Annotated[
        float,
        typer.Option(
            "--latency",
            metavar="MS",
            min=0,
            help="Added to every answer, in milliseconds.",
            rich_help_panel=SPEED,
        ),
    ] = 0.0,
    base_cost: Annotated[
        float,
        typer.Option(
            "--base-cost",
            metavar="MS",
            min=0,
            help="What an upload takes, one after the other in each project.",
            rich_help_panel=SPEED,
        ),
    ] = 0.0,
    cost_per_flow: Annotated[
        float,
        typer.Option(
            "--cost-per-flow",
            metavar="MS",
            min=0,
            help="The same for each flow in it, and for each old row that it deletes.",
            rich_help_panel=SPEED,
        ),
    ] = 0.0,
    run_time: Annotated[
        float,
        typer.Option(
            "--run-time", metavar="MS", min=0, help="How long a job of a flow runs.", rich_help_panel=SPEED
        ),
    ] = 200.0,
    flow_threads: Annotated[
        int,
        typer.Option(
            "--flow-threads", metavar="N", min=1, help="Executions that run at once.", rich_help_panel=SPEED
        ),
    ] = 30,
    queue_size: Annotated[
        int,
        typer.Option(
            "--queue-size",
            metavar="N",
            min=1,
            help="Executions that may wait; not with profile 4.0.",
            rich_help_panel=SPEED,
        ),
    ] = 100_000,
    scan_interval: Annotated[
        float,
        typer.Option(
            "--scan-interval",
            metavar="S",
            min=0.001,
            help="How often schedules are looked at.",
            rich_help_panel=SPEED,
        ),
    ] = 60.0,
    fail_rate: Annotated[
        float,
        typer.Option(
            "--fail-rate",
            metavar="P",
            min=0,
            max=1,
            help="Share of writes answered with 500, without any effect.",
            rich_help_panel=FAULTS,
        ),
    ] = 0.0,
    drop_rate: Annotated[
        float,
        typer.Option(
            "--drop-rate",
            metavar="P",
            min=0,
            max=1,
            help="Share of uploads that take effect, and whose connection is reset.",
            rich_help_panel=FAULTS,
        ),
    ] = 0.0,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="Decides which ones these are.", rich_help_panel=FAULTS),
    ] = 0,
    front: Annotated[
        FrontEnd | None,
        typer.Option("--front", help="create-job: POST /mammut/jobs.", rich_help_panel=STORY),
    ] = None,
    front_base_cost: Annotated[
        float,
        typer.Option(
            "--front-base-cost", metavar="MS", min=0, help="What creating a job takes.", rich_help_panel=STORY
        ),
    ] = 900.0,
    front_cost_per_job: Annotated[
        float,
        typer.Option(
            "--front-cost-per-job",
            metavar="MS",
            min=0,
            help="The same for each job that the project holds.",
            rich_help_panel=STORY,
        ),
    ] = 2.0,
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
        state=state,
        idle_exit_s=idle_exit,
        profile=profile,
        lockdown=lockdown or "",
        upload_user=upload_user,
        site_validator=site_validator,
        session_ttl_s=session_ttl,
        session_calls=session_calls,
        max_sessions_per_user=max_sessions,
        threads=threads,
        latency_ms=latency,
        base_cost_ms=base_cost,
        cost_per_flow_ms=cost_per_flow,
        run_time_ms=run_time,
        flow_threads=flow_threads,
        queue_size=queue_size,
        scan_interval_s=scan_interval,
        fail_rate=fail_rate,
        drop_rate=drop_rate,
        seed=seed,
        front=front or "",
        front_base_cost_ms=front_base_cost,
        front_cost_per_job_ms=front_cost_per_job,
    )
    title = name.capitalize()
    servers[name](
        options, ready=lambda bound: typer.echo(f"{title} sandbox listening on http://127.0.0.1:{bound}")
    )
