"""`loadgen manifest RUN`: what the steps of a run returned, as JSON lines or CSV."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from loadgen.cli import words

FORMS = ("jsonl", "csv")


def manifest(
    run: words.Run,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="jsonl or csv.")] = FORMS[0],
    out: words.Out = words.OUT,
) -> None:
    """Print what the steps of a run returned: step, item, value."""
    from loadgen.errors import UsageError
    from loadgen.ledger import directory
    from loadgen.ledger.manifest import csv_lines, lines
    from loadgen.ledger.reader import Reader

    if form not in FORMS:
        raise UsageError(f"no manifest format {form!r}: choose one of {', '.join(FORMS)}")
    with Reader(directory.find(out, run)) as reader:
        for line in (csv_lines if form == "csv" else lines)(reader.manifest()):
            sys.stdout.write(line)
