"""`loadgen runs`: the runs there are."""

from __future__ import annotations

from datetime import UTC, datetime

from loadgen.cli import words


def runs(out: words.Out = words.OUT) -> None:
    """List the runs, newest last."""
    from rich.console import Console
    from rich.table import Table

    from loadgen.errors import LoadgenError
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.record import ItemCounts

    table = Table(box=None, pad_edge=False)
    for heading in ("run", "started (UTC)", "target", "planned", "done", "failed", "open"):
        table.add_column(
            heading, justify="left" if heading in ("run", "started (UTC)", "target") else "right"
        )
    found = directory.everything(out)
    for path in found:
        try:
            with Reader(path) as reader:
                counts = ItemCounts()
                for step in reader.steps():
                    counts = counts.plus(reader.counts(step))
                started = datetime.fromtimestamp(reader.phases().started_us / 1_000_000, UTC)
                target = reader.facts().target
        except LoadgenError as error:
            table.add_row(path.name, "", str(error))
            continue
        numbers = (counts.planned, counts.done, counts.failed, counts.pending)
        table.add_row(path.name, f"{started:%Y-%m-%d %H:%M:%S}", target, *map(str, numbers))
    console = Console()
    console.print(table if found else f"no runs in {out}")
