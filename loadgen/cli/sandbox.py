"""`loadgen sandbox azkaban`: a stand-in target."""

from __future__ import annotations

import typer

from loadgen.cli import sandbox_words as said


def sandbox(
    name: said.Name,
    port: said.Port = 8081,
    access_log: said.AccessLog = None,
    state: said.State = None,
    idle_exit: said.IdleExit = None,
    profile: said.Profile = said.Version.NEW,
    lockdown: said.LockedDown = None,
    upload_user: said.UploadUser = "",
    site_validator: said.SiteValidator = False,
    session_ttl: said.SessionTtl = 36_000.0,
    session_calls: said.SessionCalls = 0,
    max_sessions: said.MaxSessions = 0,
    threads: said.Threads = 0,
    latency: said.Latency = 0.0,
    base_cost: said.BaseCost = 0.0,
    cost_per_flow: said.CostPerFlow = 0.0,
    run_time: said.RunTime = 200.0,
    flow_threads: said.FlowThreads = 30,
    queue_size: said.QueueSize = 100_000,
    scan_interval: said.ScanInterval = 60.0,
    fail_rate: said.FailRate = 0.0,
    drop_rate: said.DropRate = 0.0,
    seed: said.Seed = 0,
    front: said.Front = None,
    front_base_cost: said.FrontBaseCost = 900.0,
    front_cost_per_job: said.FrontCostPerJob = 2.0,
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
