"""`loadgen runs`: the runs there are; `runs rm` and `runs prune` make room."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import words
from loadgen.cli.grouped import Grouped
from loadgen.cli.tidy import prune, rm

if TYPE_CHECKING:
    from loadgen.cli.shelf import Shelved

HEADINGS = ("run", "started (UTC)", "target", "verdict", "size", "rate/s", "planned", "done", "failed")
MORE_HEADINGS = ("unknown", "dropped", "pending")
TEXTS = 4
"""Columns that are read from the left; the others are numbers."""


def make_runs() -> typer.Typer:
    """The command and those below it."""
    app = typer.Typer(name="runs", invoke_without_command=True, rich_markup_mode=None)
    app.callback()(runs)
    for command in (rm, prune):
        app.command(cls=Grouped)(command)
    return app


def runs(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="As JSON, all that is known of each.")] = False,
    out: words.Out = words.OUT,
) -> None:
    """List the runs, newest last; or remove some."""
    if context.invoked_subcommand is not None:
        return
    from loadgen.cli.shelf import look
    from loadgen.ledger import directory

    found = [look(path) for path in directory.everything(out)]
    if json:
        import json as notation

        sys.stdout.write(notation.dumps([run.told() for run in found], indent=2) + "\n")
    elif found:
        _table(found)
    else:
        sys.stdout.write(f"no runs in {out}\n")


def _table(found: list[Shelved]) -> None:
    headings = (*HEADINGS, *MORE_HEADINGS)
    table = [headings, *map(_row, found)]
    widths = [max(len(row[place]) for row in table if place < len(row)) for place in range(len(headings))]
    widths[1] = len("2026-11-20 22:18:33")  # the reason why a run cannot be read stands there, too
    for row in table:  # never cut to the terminal's width: names are there to be copied
        cells = [
            cell.ljust(width) if place < TEXTS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _row(run: Shelved) -> tuple[str, ...]:
    from loadgen.cli.shelf import size
    from loadgen.reports.words import three

    if run.facts is None:
        return (run.path.name, run.error)
    started = datetime.fromtimestamp(run.started_us / 1_000_000, UTC)
    counts = run.counts
    numbers = (counts.planned, counts.done, counts.failed, counts.unknown, counts.dropped, counts.pending)
    return (
        run.path.name,
        f"{started:%Y-%m-%d %H:%M:%S}",
        run.facts.target,
        run.word,
        size(run.bytes),
        three(run.rate_per_s),
        *map(str, numbers),
    )
