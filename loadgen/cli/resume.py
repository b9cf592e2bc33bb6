"""`loadgen resume RUN`: finish what a run left open."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from loadgen.cli import words


def resume(
    run: words.Run,
    settings: words.Settings = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="URL", help="Where the target is now.  [default: as before]"),
    ] = None,
    processes: words.Processes = None,
    concurrency: words.Concurrency = None,
    chunk: words.Chunk = "auto",
    listen: words.Listen = words.LISTEN,
    wait_for_workers: words.WaitForWorkers = 0,
    out: words.Out = words.OUT,
    json: words.Json = None,
    quiet: words.Quiet = False,
    lease_ttl: Annotated[
        float, typer.Option("--lease-ttl", envvar="LOADGEN_LEASE_TTL", metavar="SECONDS", min=1, hidden=True)
    ] = words.LEASE_TTL_S,
) -> int:
    """Finish what a run left open: the items without an outcome, with the same options."""
    from loadgen import options as scenario_options
    from loadgen.cli.conduct import Conductor, Order
    from loadgen.cli.prepare import parse_chunk, prepare
    from loadgen.errors import ScenarioError
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.loader import load

    path = directory.find(out, run)
    with Reader(path) as reader:
        facts, steps = reader.facts(), reader.steps()
    loaded = load(Path(facts.path))
    if loaded.bundle.digest != facts.digest:
        raise ScenarioError(
            f"{facts.path}: changed since the run began (digest {loaded.bundle.digest[:12]}, "
            f"the run has {facts.digest[:12]}); what it left open is meant for the old one"
        )
    options: Any = scenario_options.parse(
        loaded.scenario.options, settings or (), os.environ, kept=facts.options
    )
    prepared = prepare(
        loaded,
        options,
        target or facts.target,
        steps=[step.name for step in steps],
        chunk=parse_chunk(chunk),
    )
    if [step.items for step in prepared.steps] != [step.items for step in steps]:
        raise ScenarioError(
            f"run {facts.id} has other item counts than {facts.path} gives with these options"
        )
    order = Order.settle(
        loaded.scenario,
        processes=processes,
        concurrency=concurrency,
        listen=listen,
        wait_for_workers=wait_for_workers,
        json=json,
        quiet=quiet,
        correlate=bool(facts.settings.get("correlate", True)),
        lease_ttl_s=lease_ttl,
    )
    with Conductor(order) as conductor:
        return conductor.resume(prepared, path, facts)
