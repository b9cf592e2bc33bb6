"""The end of a run: verdict, summary.json, manifest, report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from loadgen.errors import Incomplete, one_line
from loadgen.ledger import manifest
from loadgen.ledger.reader import Reader
from loadgen.reports.forms import gather_all
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.summary import encode, total, write
from loadgen.reports.terminal import report
from loadgen.reports.verdict import judge


def verdict_of(reader: Reader, stopped: Incomplete | None = None) -> Verdict:
    """Whether the run did what it promised.

    `stopped`: why it stopped early, where the ledger could not keep that.
    """
    counts, verified = total(reader), reader.verified()
    if stopped is not None:
        return judge(counts, verified, str(stopped), stopped.exit_code)
    early = "its time is not over" if reader.time_left() else None
    return judge(counts, verified, reader.incomplete() or early, reader.stopped_with())


def finish(
    directory: Path, console: Console, stopped: Incomplete | None, *, json: Path | None, quiet: bool
) -> Verdict:
    """Write the run's files, show the report, and return the verdict."""
    with Reader(directory) as reader:
        verdict = verdict_of(reader, stopped)
        summary, timeline, draw = gather_all(reader, verdict, console)
        verdict = summary.verdict  # thresholds and --strict look at the times as well
        try:
            write(summary, directory / "summary.json")
            manifest.write(directory, reader.manifest())
        except OSError as error:  # the ledger has it all: `loadgen report` shows it when there is room
            console.print(
                f"{directory}: cannot write the summary: {error.strerror}", soft_wrap=True, markup=False
            )
        _write_page(draw, directory, console)
        if json == Path("-"):
            sys.stdout.write(encode(summary).decode())
        elif json is not None:
            _write_there(summary, json, console)
        if quiet:
            reasons = "; ".join(verdict.reasons)
            word = "ok" if verdict.ok else f"exit {verdict.exit_code}"
            console.print(
                f"{summary.run.id}: {word}{': ' + reasons if reasons else ''}",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )
        else:
            report(console, summary, timeline, reader.events(), directory)
    return verdict


def _write_there(summary: Summary, path: Path, console: Console) -> None:
    """Where people wanted it as well; the run is over, whether that can be written or not."""
    try:
        write(summary, path)
    except OSError as error:
        console.print(f"--json {path}: {error.strerror}", soft_wrap=True, markup=False, highlight=False)


def _write_page(draw: Callable[[], str], directory: Path, console: Console) -> None:
    """The run is over and counted: whatever is wrong with its picture is a line, and no more."""
    from loadgen.reports.html import document

    try:
        document.write(draw(), directory / document.FILE)
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) else one_line(error)
        console.print(
            f"{directory}: cannot write {document.FILE}: {reason}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
