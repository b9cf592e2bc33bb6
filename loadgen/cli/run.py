"""`loadgen run SCENARIO.py`: the main job."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from loadgen.cli import course as course_words
from loadgen.cli import pace as pace_words
from loadgen.cli import words


def run(
    context: typer.Context,
    scenario: words.ScenarioFile,
    target: words.Target = None,
    allow_target: words.AllowTarget = False,
    settings: words.Settings = None,
    step: Annotated[
        list[str] | None, typer.Option("--step", metavar="NAME", help="Run this step only; may be repeated.")
    ] = None,
    processes: words.Processes = None,
    concurrency: words.Concurrency = None,
    connections: words.Connections = None,
    chunk: words.Chunk = "auto",
    listen: words.Listen = words.LISTEN,
    wait_for_workers: words.WaitForWorkers = 0,
    out: words.Out = words.OUT,
    json: words.Json = None,
    events: words.Events = None,
    influx: words.Influx = None,
    otel: words.Otel = False,
    quiet: words.Quiet = False,
    verbose: words.Verbose = False,
    strict: words.Strict = False,
    top_up: Annotated[
        bool, typer.Option("--top-up", help="Look for each item first, and do only what is missing.")
    ] = False,
    correlate: Annotated[
        bool,
        typer.Option(
            "--correlate/--no-correlate", help="Send X-Loadgen-Run, -Item and -Attempt with each call."
        ),
    ] = True,
    warm_up: words.WarmUp = None,
    threshold: words.Thresholds = None,
    fail_fast: Annotated[
        bool,
        typer.Option(
            "--fail-fast",
            envvar="LOADGEN_FAIL_FAST",
            rich_help_panel=words.GATES,
            help="Wind down as soon as an item has failed.",
        ),
    ] = False,
    max_in_flight: words.MaxInFlight = None,
    max_rate: words.MaxRate = None,
    breaker: words.Breaker = None,
    lease_ttl: words.LeaseTtl = words.LEASE_TTL_S,
    rate: pace_words.Rate = None,
    stages: pace_words.Stages = None,
    arrivals: pace_words.Arrivals = None,
    seed: pace_words.Seed = None,
    max_lag: pace_words.MaxLag = None,
    duration: course_words.Duration = None,
    ramp: course_words.Ramp = None,
    think_time: course_words.ThinkTime = None,
    mix: course_words.Mix = None,
    dashboard: words.Dashboard = words.DASHBOARD,
    no_dashboard: words.NoDashboard = False,
) -> int:
    """Run a scenario: every item once, in parallel, recorded, verified and timed."""
    from loadgen import options as scenario_options
    from loadgen.cli.admit import admit
    from loadgen.cli.conduct import Conductor
    from loadgen.cli.dash import dashboard_address
    from loadgen.cli.gates import settle_thresholds
    from loadgen.cli.limits import settle_breaker, settle_limits
    from loadgen.cli.order import Order, identity_for
    from loadgen.cli.prepare import check_top_up, parse_chunk, prepare
    from loadgen.cli.said import Said
    from loadgen.loader import load
    from loadgen.warmup import parse as parse_warm_up

    loaded = load(scenario)
    options: Any = scenario_options.parse(loaded.scenario.options, settings or (), os.environ)
    said = Said.of(
        context,
        chunk=chunk,
        rate=rate,
        stages=stages,
        arrivals=arrivals,
        seed=seed,
        max_lag=max_lag,
        duration=duration,
        ramp=ramp,
        think_time=think_time,
        mix=mix,
        dashboard=dashboard,
        no_dashboard=no_dashboard,
    ).heard(paced=bool(loaded.scenario.rate or loaded.scenario.stages))
    pace = pace_words.PaceOrder.settle(
        loaded.scenario, **said.pick("rate", "stages", "arrivals", "seed", "max_lag")
    )
    course = course_words.CourseOrder.settle(
        loaded.scenario, pace, **said.pick("duration", "ramp", "think_time", "mix", "seed")
    )
    prepared = prepare(
        loaded, options, target, steps=step or (), chunk=parse_chunk(chunk), pace=pace, course=course
    )
    said.check(pace, prepared.work.plan)
    if top_up:
        check_top_up(prepared)
    order = Order.settle(
        loaded.scenario,
        processes=processes,
        concurrency=concurrency,
        connections=connections,
        listen=listen,
        wait_for_workers=wait_for_workers,
        json=json,
        events=events,
        influx=influx,
        otel=otel,
        quiet=quiet,
        verbose=verbose,
        strict=strict,
        top_up=top_up,
        warm_up=loaded.scenario.warm_up if warm_up is None else parse_warm_up(warm_up, "--warm-up"),
        thresholds=settle_thresholds(threshold, prepared),
        fail_fast=fail_fast,
        limits=settle_limits(loaded.scenario, max_rate, max_in_flight, paced=pace.is_open),
        breaker=settle_breaker(loaded.scenario, breaker),
        correlate=correlate,
        lease_ttl_s=lease_ttl,
        dashboard=dashboard_address(dashboard, off=said.no_dashboard),
    )
    course.check_warm_up(order.warm_up)
    if not quiet:
        for caution in order.cautions(prepared):
            typer.echo(f"note: {caution}", err=True)
    if not prepared.sandbox:
        admit(prepared.target, prepared.work.plan.items, allow=allow_target)
    with Conductor(order, identity_for()) as conductor:
        return conductor.run(prepared, out)
