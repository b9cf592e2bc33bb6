"""The end of a run: verdict, summary.json, manifest, report."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rich.console import Console

from loadgen.clock import SystemClock
from loadgen.errors import Incomplete, one_line
from loadgen.ledger import manifest
from loadgen.ledger.lock import RunLock
from loadgen.ledger.reader import Reader
from loadgen.reports import brief, terminal
from loadgen.reports.forms import gather_all
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.sessions import RESUMED
from loadgen.reports.summary import encode, total, write
from loadgen.reports.verdict import judge, under_way
from loadgen.reports.waiting import Waiting
from loadgen.steering import CONTINUED, PAUSED

REPORTING = "putting the report together"


class Wanted(Protocol):
    """What its user wants to read at the end of a run."""

    @property
    def json(self) -> Path | None:
        """Where the summary goes, too; `-` is standard output."""
        ...

    @property
    def quiet(self) -> bool:
        """The verdict only."""
        ...

    @property
    def verbose(self) -> bool:
        """All there is."""
        ...


def verdict_of(reader: Reader, stopped: Incomplete | None = None) -> Verdict:
    """Whether the run did what it promised.

    `stopped`: why it stopped early, where the ledger could not keep that.
    """
    counts, verified = total(reader), reader.verified()
    if stopped is not None:
        return judge(counts, verified, str(stopped), stopped.exit_code)
    early = "its time is not over" if reader.time_left() else None
    return judge(counts, verified, reader.incomplete() or early, reader.stopped_with())


def verdict_now(reader: Reader) -> Verdict:
    """The same of a run that another process may still be working on: how far it is then."""
    cleaning = reader.phases().clean_started_us is not None  # which holds the run, too
    if cleaning or not RunLock.is_held(reader.directory):
        return verdict_of(reader)
    steered = [event for event in reader.events() if event.kind in (PAUSED, CONTINUED, RESUMED)]
    paused = steered[-1].text.partition(":")[0] if steered and steered[-1].kind == PAUSED else ""
    return under_way(total(reader), paused, timed=any(step.items < 0 for step in reader.steps()))


def finish(directory: Path, console: Console, stopped: Incomplete | None, wanted: Wanted) -> Verdict:
    """Write the run's files, show the report, and return the verdict."""
    with Reader(directory) as reader:
        with Waiting(console, SystemClock(), REPORTING, quiet=wanted.quiet) as waiting:
            summary, timeline, draw = gather_all(reader, verdict_of(reader, stopped), console)
            waiting.tell(f"{REPORTING}: summary.json and the manifest")
            try:
                write(summary, directory / "summary.json")
                manifest.write(directory, reader.manifest())
            except OSError as error:  # the ledger has it all: `loadgen report` shows it when there is room
                _say(console, f"{directory}: cannot write the summary: {error.strerror}")
            waiting.tell(f"{REPORTING}: report.html")
            _write_page(draw, directory, console)
        if wanted.json == Path("-"):
            sys.stdout.write(encode(summary).decode())
        elif wanted.json is not None:
            _write_there(summary, wanted.json, console)
        if wanted.quiet:
            _say(console, _one_line(summary))
        elif wanted.verbose:
            terminal.report(console, summary, timeline, reader.events(), directory)
        else:
            brief.report(console, summary, reader.events(), directory)
    return summary.verdict  # thresholds and --strict look at the times as well


def _one_line(summary: Summary) -> str:
    verdict = summary.verdict
    reasons = "; ".join(verdict.reasons)
    word = "ok" if verdict.ok else f"exit {verdict.exit_code}"
    return f"{summary.run.id}: {word}{': ' + reasons if reasons else ''}"


def _say(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _write_there(summary: Summary, path: Path, console: Console) -> None:
    """Where people wanted it as well; the run is over, whether that can be written or not."""
    try:
        write(summary, path)
    except OSError as error:
        _say(console, f"--json {path}: {error.strerror}")


def _write_page(draw: Callable[[], str], directory: Path, console: Console) -> None:
    """The run is over and counted: whatever is wrong with its picture is a line, and no more."""
    from loadgen.reports.html import document

    try:
        document.write(draw(), directory / document.FILE)
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) else one_line(error)
        _say(console, f"{directory}: cannot write {document.FILE}: {reason}")
