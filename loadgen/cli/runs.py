"""`loadgen runs`: the runs there are; `runs rm` and `runs prune` make room."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import words
from loadgen.cli.grouped import Grouped
from loadgen.cli.tidy import prune, rm

if TYPE_CHECKING:
    from loadgen.cli.shelf import Shelved

HEADINGS = (
    *("run", "started (UTC)", "target", "verdict", "size", "rate/s"),
    *("planned", "done", "failed", "unknown", "dropped", "pending"),
)
TEXTS = 4
"""Columns that are read from the left; the others are numbers."""
IF_ANY = ("unknown", "dropped", "pending")
"""What a narrow table leaves out first, where it is 0 in all rows,"""
SPARE = ("started (UTC)", "target", "size", "rate/s", "planned", *IF_ANY, "failed", "done")
"""and then, in this order: the run's name begins with when it started."""


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
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    sys.stdout.write("".join(f"{line}\n" for line in lines([*map(_row, found)], width)))


def lines(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    """A heading and a line for each row; `width`: of the terminal, None: there is none, all is shown.

    Names are never cut: they are there to be copied.
    """
    table = [HEADINGS, *rows]
    widths = [
        max(len(row[place]) for row in table if len(row) == len(HEADINGS)) for place in range(len(HEADINGS))
    ]
    widths[0] = max(len(row[0]) for row in table)
    shown = _shown(rows, widths, width)
    return [_line(row, widths, shown, width) for row in table]


def _shown(rows: list[tuple[str, ...]], widths: list[int], width: int | None) -> list[int]:
    """The columns that there is room for."""
    shown = [*range(len(HEADINGS))]
    zero = {
        name for name in IF_ANY if {row[HEADINGS.index(name)] for row in rows if len(row) > TEXTS} <= {"0"}
    }
    for name in (*(name for name in IF_ANY if name in zero), *(name for name in SPARE if name not in zero)):
        if width is None or sum(widths[place] for place in shown) + 2 * (len(shown) - 1) <= width:
            break
        shown.remove(HEADINGS.index(name))
    return shown


def _line(row: tuple[str, ...], widths: list[int], shown: list[int], width: int | None) -> str:
    if len(row) < len(HEADINGS):  # a name, and why there is no more to tell
        return "  ".join([row[0].ljust(widths[0]), *row[1:]])[:width]
    cells = [
        row[place].ljust(widths[place]) if place < TEXTS else row[place].rjust(widths[place])
        for place in shown
    ]
    return "  ".join(cells).rstrip()


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
