"""`loadgen report RUN`: the end report again, from the ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from loadgen.cli import words


def report(
    run: words.Run,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="terminal, json, html.")] = "terminal",
    out: words.Out = words.OUT,
) -> None:
    """Show the report of a run again, also of one that is under way."""
    from rich.console import Console

    from loadgen.cli.finish import verdict_of
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.reports.forms import render

    with Reader(directory.find(out, run)) as reader:
        render(form, reader, verdict_of(reader), Console())
