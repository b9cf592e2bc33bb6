"""`loadgen clean RUN`: undo on the target what a run made there.

A teardown that broke half way is called again by the next `clean`: the run counts as cleaned only when
one came to its end.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadgen.cli import words

if TYPE_CHECKING:
    from rich.console import Console

    from loadgen.ledger.reader import Reader
    from loadgen.loader import Loaded

SHOWN = 5
"""Entries of the manifest that are shown before anything is undone."""


def clean(
    run: words.Run,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what the ledger says that the run made; send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Even if the run was cleaned before.")] = False,
    out: words.Out = words.OUT,
) -> None:
    """Undo a run on its target: the scenario's teardown, with the run's options."""
    from rich.console import Console

    from loadgen.cli.prepare import kept_scenario
    from loadgen.launch.sandbox import is_alive
    from loadgen.ledger import directory
    from loadgen.ledger.lock import RunLock
    from loadgen.ledger.reader import Reader
    from loadgen.master import teardown_of

    console = Console(soft_wrap=True, highlight=False, markup=False)
    path = directory.find(out, run)
    with Reader(path) as reader:
        facts, cleaned_us = reader.facts(), reader.phases().cleaned_us
        if facts.sandbox and not is_alive(facts.target):
            console.print("the sandbox of this run is gone, and all that it held: nothing to clean")
            return
        if cleaned_us is not None:
            console.print(f"run {facts.id} was cleaned at {_moment(cleaned_us)}")
        loaded = kept_scenario(path)
        if dry_run:
            console.print(*_findings(reader, loaded, path), sep="\n")
            return
    if cleaned_us is not None and not again:
        return
    teardown_of(loaded)  # before anybody is asked
    with ExitStack() as stack:
        stack.callback(RunLock(path).release)  # not under the feet of a run that goes on
        if not yes:
            _ask(path, loaded, console)
        _clean(path, loaded, console)
    console.print(f"cleaned {facts.target} of run {facts.id}")


def _ask(path: Path, loaded: Loaded, console: Console) -> None:
    """Show what would be undone, and ask.  Raises UsageError where nobody can answer, or says no."""
    from loadgen.errors import UsageError
    from loadgen.ledger.reader import Reader

    with Reader(path) as reader:
        target = reader.facts().target
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(
                f"clean would undo this run on {target}, and there is no terminal to ask at: "
                "look with --dry-run, then say --yes"
            )
        console.print(*_findings(reader, loaded, path), sep="\n")
    if not typer.confirm(f"Undo it on {target}?"):
        raise UsageError("not confirmed: nothing was undone")


def _findings(reader: Reader, loaded: Loaded, path: Path) -> Iterator[str]:
    """What a clean would undo, as the ledger tells it."""
    facts, phases = reader.facts(), reader.phases()
    yield f"Run        {facts.id}, {_moment(phases.started_us)}"
    yield f"Target     {facts.target}"
    yield f"Scenario   {facts.scenario} ({facts.digest[:12]}): {facts.title}"
    for step in reader.steps():
        counts = reader.counts(step)
        yield (
            f"Step       {step.name}: {counts.done} of {counts.planned} items done, {counts.failed} failed, "
            f"{counts.unknown} unknown, {counts.pending} open"
        )
    if phases.clean_started_us is not None and phases.cleaned_us is None:
        yield f"Clean      began at {_moment(phases.clean_started_us)} and did not come to its end"
    from loadgen.ledger.manifest import lines
    from loadgen.reports.advice import named

    entries = list(itertools.islice(lines(reader.manifest()), SHOWN + 1))
    for entry in entries[:SHOWN]:
        yield f"Manifest   {entry.strip()}"
    if len(entries) > SHOWN:
        yield f"           ... loadgen manifest {named(facts.id, path)} has them all"
    has_one = "teardown" in loaded.scenario.hooks
    yield f"Teardown   {'there is one' if has_one else 'none: clean could do nothing'}"


def _clean(path: Path, loaded: Loaded, console: Console) -> None:
    from loadgen import options as scenario_options
    from loadgen.clock import SystemClock
    from loadgen.ledger.reader import Reader
    from loadgen.master import made_by, reach, undo
    from loadgen.reports.waiting import Waiting
    from loadgen.reports.words import count

    clock = SystemClock()
    with Reader(path) as reader:
        facts = reader.facts()
    options: Any = scenario_options.parse(loaded.scenario.options, (), os.environ, kept=facts.options)
    reach(facts.target)  # where nothing answers, nothing has begun
    _mark(path, "clean_started_us", clock.now_us())
    text = f"cleaning {facts.target}"
    if not console.is_terminal:
        console.print(text)
    calls = itertools.count(1)
    with Reader(path) as reader, Waiting(console, clock, text) as waiting:
        undo(
            *(loaded, options, facts.target, made_by(loaded, reader), clock),
            lambda _: waiting.tell(f"{text}: {count(next(calls), 'call')}"),
        )
    _mark(path, "cleaned_us", clock.now_us())


def _mark(path: Path, phase: str, at_us: int) -> None:
    from loadgen.ledger.reader import Reader
    from loadgen.ledger.store import Ledger
    from loadgen.record import Mark

    with Reader(path) as reader:
        started_us = reader.phases().started_us
    with closing(Ledger(path, started_us=started_us)) as ledger:
        ledger.submit([Mark(phase, at_us)]).wait()


def _moment(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
