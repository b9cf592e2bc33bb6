"""The verdict in a word, and what to do next: the same in every form for people.  Pure."""

from __future__ import annotations

import shlex
from pathlib import Path

from loadgen.errors import ExitCode
from loadgen.reports.schema import Summary
from loadgen.reports.verdict import RUNNING, WORDS
from loadgen.reports.words import count, duration

DEFAULT_OUT = Path("runs")
"""Where commands look for runs that are not told."""


def word(summary: Summary) -> str:
    """The verdict."""
    if summary.verdict.running:
        return RUNNING
    return WORDS.get(summary.verdict.exit_code, "ERROR")


def headline(summary: Summary) -> str:
    """What is said behind the word: the first reason, and what the run's caller was told."""
    verdict = summary.verdict
    first = next(iter(verdict.reasons), all_well(summary))
    return first if verdict.running else f"{first} (exit code {verdict.exit_code})"


def all_well(summary: Summary) -> str:
    """What stands where a run that went badly has its first reason."""
    items = summary.items
    if not items.planned:
        return "there was nothing to do"
    run = summary.run
    spent = [part for part in (run.active_s, run.drain_s) if part is not None]
    return f"{items.done} of {count(items.planned, 'item')} done" + (
        f" in {duration(sum(spent))}" if spent else ""
    )


def next_steps(summary: Summary, directory: Path) -> list[tuple[str, str]]:
    """What one may want to do with a run whose files lie in `directory`: a word, a command."""
    run = summary.run.id
    if directory.parent != DEFAULT_OUT:
        run = f"{run} --out {shlex.quote(str(directory.parent))}"
    if summary.verdict.running:
        return [("Stop", f"loadgen stop {run}"), ("Report", f"loadgen report {run}")]
    steps = []
    if summary.verdict.resumable:
        steps.append(("Go on", f"loadgen resume {run}"))
    elif summary.verdict.exit_code in (ExitCode.ITEMS, ExitCode.THRESHOLD):
        kinds = [kind for kind in ("failed", "dropped") if getattr(summary.items, kind)]
        if kinds:
            steps.append(("Again", f"loadgen resume {run} {' '.join(f'--only {kind}' for kind in kinds)}"))
    steps.append(("Report", f"loadgen report {run}"))
    if summary.run.undoable and summary.items.planned > summary.items.pending:
        steps.append(("Undo", f"loadgen clean {run}"))
    return steps
