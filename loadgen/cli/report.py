"""`loadgen report RUN`: the end report again, from the ledger."""

from __future__ import annotations

import sys
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
            help="terminal, json, html, csv, junit, md, prom, hdr, verbose, or parquet (with --output).",
        ),
    ] = "terminal",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write it there; csv: into that folder, unless it ends in .csv."
        ),
    ] = None,
    verbose: words.Verbose = False,
    out: words.Out = words.OUT,
) -> None:
    """Show the report of a run again, also of one that is under way."""
    from rich.console import Console

    from loadgen.cli.finish import verdict_now
    from loadgen.clock import SystemClock
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.reports.forms import export, render
    from loadgen.reports.waiting import Waiting

    if verbose and form == "terminal":  # the others have it all
        form = "verbose"
    wait = Waiting(Console(stderr=True), SystemClock(), f"reading the ledger of {run}")
    with Reader(directory.find(out, run)) as reader, wait:
        if output is None:
            render(form, reader, verdict_now(reader), Console(file=wait.before(sys.stdout)))
        else:
            export(form, reader, verdict_now(reader), output)
