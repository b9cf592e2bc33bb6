"""`loadgen runs`: the runs there are."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from loadgen.cli import words

HEADINGS = ("run", "started (UTC)", "target", "planned", "done", "failed", "unknown", "open")
TEXTS = 3
"""Columns that are read from the left; the others are numbers."""


def runs(out: words.Out = words.OUT) -> None:
    """List the runs, newest last."""
    from loadgen.ledger import directory

    rows = [_row(path) for path in directory.everything(out)]
    if not rows:
        sys.stdout.write(f"no runs in {out}\n")
        return
    table = [HEADINGS, *rows]
    widths = [max(len(row[place]) for row in table if place < len(row)) for place in range(len(HEADINGS))]
    widths[1] = len("2026-11-20 22:18:33")  # the reason why a run cannot be read stands there, too
    for row in table:  # never cut to the terminal's width: names are there to be copied
        cells = [
            cell.ljust(width) if place < TEXTS else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _row(path: Path) -> tuple[str, ...]:
    from loadgen.errors import LoadgenError
    from loadgen.ledger.reader import Reader
    from loadgen.record import ItemCounts

    try:
        with Reader(path) as reader:
            counts = ItemCounts()
            for step in reader.steps():
                counts = counts.plus(reader.counts(step))
            started = datetime.fromtimestamp(reader.phases().started_us / 1_000_000, UTC)
            target = reader.facts().target
    except LoadgenError as error:
        return (path.name, str(error))
    numbers = (counts.planned, counts.done, counts.failed, counts.unknown, counts.pending)
    return (path.name, f"{started:%Y-%m-%d %H:%M:%S}", target, *map(str, numbers))
