"""`loadgen report RUN`: the end report again, from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loadgen.cli import words


def report(
    run: words.Run,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORM",
            help="terminal, json, html, csv, junit, md, prom, hdr, or parquet (with --output).",
        ),
    ] = "terminal",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write it there; csv: into that folder, unless it ends in .csv."
        ),
    ] = None,
    out: words.Out = words.OUT,
) -> None:
    """Show the report of a run again, also of one that is under way."""
    from rich.console import Console

    from loadgen.cli.finish import verdict_now
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.reports.forms import export, render

    with Reader(directory.find(out, run)) as reader:
        if output is None:
            render(form, reader, verdict_now(reader), Console())
        else:
            export(form, reader, verdict_now(reader), output)
