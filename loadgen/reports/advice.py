"""The verdict in a word, and what to do next: the same in every form for people.  Pure."""

from __future__ import annotations

import shlex
from pathlib import Path

from loadgen.errors import ExitCode
from loadgen.reports.schema import Summary
from loadgen.reports.verdict import WORDS
from loadgen.reports.words import count, duration

DEFAULT_OUT = Path("runs")
"""Where commands look for runs that are not told."""


def word(summary: Summary) -> str:
    """The verdict."""
    return WORDS.get(summary.verdict.exit_code, "ERROR")


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


def named(run: str, directory: Path) -> str:
    """How a command is told of a run whose files lie in `directory`."""
    if directory.parent == DEFAULT_OUT:
        return run
    return f"{run} --out {shlex.quote(str(directory.parent))}"


def next_steps(summary: Summary, directory: Path) -> list[tuple[str, str]]:
    """What one may want to do with a run whose files lie in `directory`: a word, a command."""
    run = named(summary.run.id, directory)
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
