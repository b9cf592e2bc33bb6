"""`loadgen compare A B [C...]`: what changed from one run to the next, and whether it is more than noise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadgen.cli import words
from loadgen.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from loadgen.ledger.reader import Reader

_FEWEST = 2
"""Runs."""


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C...]", help="Runs, the base first: ids, parts of them, directories, or `latest`."
        ),
    ],
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if the runs are unlike.")] = False,
    fail_on_regression: Annotated[
        str | None,
        typer.Option(
            "--fail-on-regression",
            metavar="PERCENT",
            help="Exit code 1 when a time or a rate is worse by more than that, noise allowed for; like 10%.",
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option("--format", metavar="FORM", help="terminal, json, html (one page with charts) or md."),
    ] = "terminal",
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write it there.")] = None,
    out: words.Out = words.OUT,
) -> int:
    """Compare runs with the first one: rates, times and errors, with their noise."""
    from contextlib import ExitStack

    from rich.console import Console

    from loadgen.cli.finish import verdict_now
    from loadgen.ledger import directory
    from loadgen.ledger.reader import Reader
    from loadgen.reports.compare_forms import export, known, render
    from loadgen.reports.side_by_side import LETTERS, lay

    if not _FEWEST <= len(names) <= len(LETTERS):
        raise UsageError(
            f"compare: name two runs, or more, {len(LETTERS)} at most;"
            " the first is what the others are compared with"
        )
    known(form)
    limit = None if fail_on_regression is None else parse_percent(fail_on_regression)
    with ExitStack() as stack:
        readers = [stack.enter_context(Reader(directory.find(out, name))) for name in names]
        if not anyway:
            _refuse_unlike(readers)
        told = lay([(reader, verdict_now(reader)) for reader in readers], limit)
    if output is None:
        render(form, told, Console(), readers[-1].directory)
    else:
        export(form, told, output)
    return ExitCode.INTERNAL if any(told.lost) else ExitCode.OK


def parse_percent(text: str) -> float:
    """A share.  Raises UsageError.

    >>> parse_percent("10%")
    10.0
    """
    found = re.fullmatch(r"(\d{1,4}(?:\.\d{1,3})?) ?%", text)
    if found is None:
        raise UsageError(f"--fail-on-regression {text}: expected a percentage, like 10%")
    return float(found[1])


def _refuse_unlike(readers: Sequence[Reader]) -> None:
    """Raises UsageError, naming what differs, when runs differ in more than their times."""
    from loadgen.reports.side_by_side import unlike

    base, *others = readers
    found = [(reader.facts().id, unlike(base, reader)) for reader in others]
    told = [f"{name}: {'; '.join(each)}" for name, each in found if each]
    if told:
        raise UsageError(
            f"the runs are unlike {base.facts().id}: {' | '.join(told)} (--anyway compares them)"
        )
