"""`loadgen resume RUN`: finish what a run left open."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from loadgen.cli import words
from loadgen.errors import ScenarioError, UsageError
from loadgen.sample import Outcome


def resume(
    context: typer.Context,
    run: words.Run,
    settings: words.Settings = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="URL", help="Where the target is now.  [default: as before]"),
    ] = None,
    allow_target: words.AllowTarget = False,
    processes: words.Processes = None,
    concurrency: words.Concurrency = None,
    connections: words.Connections = None,
    chunk: words.ChunkAgain = None,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen", metavar="HOST:PORT", help="Where workers reach the master.  [default: as before]"
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="failed|unknown|dropped", help="Do these items again; may be repeated."
        ),
    ] = None,
    accept_changed_scenario: Annotated[
        bool,
        typer.Option("--accept-changed-scenario", help="Go on although the scenario file changed."),
    ] = False,
    wait_for_workers: words.WaitForWorkers = 0,
    out: words.Out = words.OUT,
    json: words.Json = None,
    events: words.Events = None,
    influx: words.Influx = None,
    otel: words.Otel = False,
    quiet: words.Quiet = False,
    verbose: words.Verbose = False,
    strict: words.Strict = False,
    threshold: words.Thresholds = None,
    fail_fast: Annotated[
        bool | None,
        typer.Option(
            "--fail-fast/--no-fail-fast",
            rich_help_panel=words.GATES,
            help="Wind down as soon as an item has failed.  [default: as before]",
        ),
    ] = None,
    max_in_flight: words.MaxInFlight = None,
    max_rate: words.MaxRate = None,
    breaker: words.Breaker = None,
    lease_ttl: words.LeaseTtlAgain = None,
    dashboard: words.Dashboard = words.DASHBOARD,
    no_dashboard: words.NoDashboard = False,
) -> int:
    """Finish what a run left open: the items without an outcome, with the same options."""
    from loadgen import options as scenario_options
    from loadgen.cli.admit import admit
    from loadgen.cli.conduct import Conductor
    from loadgen.cli.course import CourseOrder
    from loadgen.cli.dash import dashboard_address
    from loadgen.cli.gates import settle_thresholds
    from loadgen.cli.limits import settle_breaker, settle_limits
    from loadgen.cli.order import Order, identity_for
    from loadgen.cli.pace import PaceOrder
    from loadgen.cli.prepare import parse_chunk, prepare
    from loadgen.cli.said import Said
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.loader import load
    from loadgen.warmup import parse as parse_warm_up

    said = Said.of(context, chunk=chunk, dashboard=dashboard, no_dashboard=no_dashboard)
    path = directory.find(out, run)
    with Reader(path) as reader:
        facts, steps = reader.facts(), reader.steps()
        phases = reader.phases()
        if (phases.cleaned_us or phases.clean_started_us) is not None:
            raise UsageError(f"run {facts.id} was cleaned: what it built on is gone; start a new one")
    before = facts.settings
    loaded = load(Path(facts.path))
    if loaded.bundle.digest != facts.digest and not accept_changed_scenario:
        raise ScenarioError(
            f"{facts.path}: changed since the run began (digest {loaded.bundle.digest[:12]}, the run has "
            f"{facts.digest[:12]}): put it back, or say --accept-changed-scenario"
        )
    options: Any = scenario_options.parse(
        loaded.scenario.options, settings or (), os.environ, kept=facts.options
    )
    prepared = prepare(
        loaded,
        options,
        target or facts.target,
        steps=[step.name for step in steps],
        chunk=parse_chunk(chunk or str(before.get("chunk", "auto"))),
        pace=PaceOrder.kept(before),
        course=CourseOrder.kept(before),
    )
    said.check(prepared.pace, prepared.work.plan)
    if [step.items for step in prepared.steps] != [step.items for step in steps]:
        raise ScenarioError(
            f"run {facts.id} has other item counts than {facts.path} gives with these options"
        )
    order = Order.settle(
        loaded.scenario,
        processes=before.get("processes") if processes is None else processes,
        concurrency=concurrency or before.get("concurrency"),
        connections=connections or before.get("connections"),
        listen=listen or str(facts.settings.get("listen", words.LISTEN)),
        wait_for_workers=wait_for_workers,
        json=json,
        events=events,
        influx=influx,
        otel=otel,
        quiet=quiet,
        verbose=verbose,
        strict=strict or bool(before.get("strict")),
        top_up=bool(before.get("top_up")),
        warm_up=parse_warm_up(before.get("warm_up") or "0"),
        thresholds=settle_thresholds(threshold or before.get("thresholds"), prepared),
        fail_fast=bool(before.get("fail_fast")) if fail_fast is None else fail_fast,
        limits=settle_limits(
            loaded.scenario,
            max_rate or before.get("max_rate"),
            max_in_flight or before.get("max_in_flight"),
            paced=prepared.pace.is_open,
        ),
        breaker=settle_breaker(loaded.scenario, breaker or before.get("breaker")),
        correlate=bool(facts.settings.get("correlate", True)),
        lease_ttl_s=lease_ttl or float(before.get("lease_ttl_s", words.LEASE_TTL_S)),
        dashboard=dashboard_address(dashboard, off=said.no_dashboard),
    )
    if prepared.sandbox:
        raise UsageError("--target: a run cannot be moved to a sandbox that holds nothing of it")
    if prepared.target != facts.target:  # that one was allowed when the run began
        admit(prepared.target, prepared.work.plan.items, allow=allow_target)
    with Conductor(order, identity_for(facts.id), path) as conductor:
        return conductor.resume(prepared, path, facts, reopen=_outcomes(only or ()))


def _outcomes(names: Sequence[str]) -> list[Outcome]:
    """The outcomes that `--only` names.  Raises UsageError."""
    choices = {"failed": Outcome.FAILED, "unknown": Outcome.UNKNOWN, "dropped": Outcome.DROPPED}
    for name in names:
        if name not in choices:
            raise UsageError(f"--only {name}: expected failed, unknown or dropped")
    return [choices[name] for name in names]
