"""The end report on one screen: verdict, items, steps, what went wrong, what to do next.

A run that went well fits 24 lines of 80 columns; what went wrong is folded, and says how much it left
out.  All else (calls, workers, circumstances, the course of time) is in the detailed one, `terminal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from loadgen.record import Event
from loadgen.reports.advice import next_steps
from loadgen.reports.gates import shown
from loadgen.reports.grid import cut
from loadgen.reports.happened import summed_up
from loadgen.reports.open import kept_pace
from loadgen.reports.page import LABEL, Page
from loadgen.reports.schema import CallSummary, Generator, Summary
from loadgen.reports.terminal import (
    attempts_text,
    items_text,
    steps_table,
    thresholds_table,
    verdict_lines,
    verified_text,
)
from loadgen.reports.truth import untrue
from loadgen.reports.words import clock, count, iso, three

_REASONS, _STEPS, _ERRORS, _EVENTS, _GATES, _LOST = 4, 6, 3, 3, 4, 3
"""How many of each are shown."""
_LINES = 3
"""For what is long in full."""
FULL = "--verbose"


def report(console: Console, summary: Summary, events: Sequence[Event], directory: Path) -> None:
    """Print the report on the run whose files lie in `directory`."""
    page = Page(console)
    compose(page, summary, events, directory)
    page.print()


def compose(page: Page, summary: Summary, events: Sequence[Event], directory: Path) -> None:
    """Put the report on a page."""
    verdict_lines(page, summary, most=_REASONS)
    _numbers(page, summary)
    _circumstances(page, summary)
    _thresholds(page, summary)
    _steps(page, summary)
    _errors(page, summary)
    _events(page, events)
    page.blank()
    page.fact("Files", str(directory))
    for label, command in next_steps(summary, directory):
        page.fact(label, f"{command} {FULL}" if label == "Report" else command)


def _numbers(page: Page, summary: Summary) -> None:
    page.fact("Items", items_text(summary))
    tries = summary.attempts
    if tries.retries or tries.duplicate_executions or tries.in_doubt_resolved or tries.found:
        page.fact("Attempts", attempts_text(summary))
    if summary.verification is not None:
        page.fact("Verified", verified_text(summary.verification))


def _circumstances(page: Page, summary: Summary) -> None:
    """What the times below are to be read with."""
    generator, workers = summary.generator, summary.workers
    if generator.verdict is not None and untrue(generator) not in summary.verdict.reasons:
        _fact(page, "Generator", _judged(generator))
    _calls(page, summary.calls)
    if workers:
        lost = [worker.name for worker in workers if worker.lost]
        more = f" and {len(lost) - _LOST} more" if len(lost) > _LOST else ""
        names = f"{len(lost)} LOST: {', '.join(lost[:_LOST])}{more}" if lost else "none lost"
        slots = count(sum(worker.slots for worker in workers), "slot")
        _fact(page, "Workers", f"{len(workers)} with {slots}, {names}")
    _fact(page, "Target", summary.run.target)
    if summary.run.load:
        _fact(page, "Load", summary.run.load)


def _judged(generator: Generator) -> str:
    """The word, and the first sentence of why."""
    word = generator.verdict or ""
    if not generator.reasons:
        return word
    first, *more = generator.reasons
    others = f" (and {count(len(more), 'reason')} more)" if more else ""
    return f"{word.upper()}: {first.partition('. ')[0]}{others}"


def _calls(page: Page, calls: Sequence[CallSummary]) -> None:
    if not calls:
        return
    longest = max(calls, key=lambda call: call.count * (call.times.mean or 0.0))
    total, errors = sum(call.count for call in calls), sum(call.errors for call in calls)
    p50, p95 = three(longest.times.p50), three(longest.times.p95)
    where = f"; most time in {longest.name}: p50 {p50} ms, p95 {p95} ms"
    _fact(page, "Calls", f"{total}, {count(errors, 'error')}{where}")


def _fact(page: Page, label: str, text: str) -> None:
    room = (page.width - LABEL) * _LINES - 2 * _LINES
    page.fact(label, cut(text, room, page.glyphs.ellipsis))


def _thresholds(page: Page, summary: Summary) -> None:
    """Those that were crossed, with why; the others in a line."""
    gates = summary.thresholds
    held = [gate for gate in gates if gate.ok]
    if held:
        told = ", ".join(f"{gate.expr} ({shown(gate)})" for gate in held)
        _fact(page, "Thresholds", f"{len(held)} of {len(gates)} held: {told}")
    crossed = [gate for gate in gates if not gate.ok]
    thresholds_table(page, summary, crossed[:_GATES])
    if len(crossed) > _GATES:
        page.note(f"and {count(len(crossed) - _GATES, 'threshold')} more, with {FULL}", 2)


def _steps(page: Page, summary: Summary) -> None:
    steps = summary.steps
    if not steps:
        return
    page.blank()
    steps_table(page, steps[:_STEPS], paced=summary.paced)
    if len(steps) > _STEPS:
        page.note(f"and {count(len(steps) - _STEPS, 'step')} more, with {FULL}", 2)
    if summary.paced:
        for step in steps[:_STEPS]:
            if step.rate_per_s is not None or step.items.dropped:
                page.note(kept_pace(step), 2, lines=1)
    if summary.run.warm_up is not None:
        page.note(summary.run.warm_up.text, 2)


def _errors(page: Page, summary: Summary) -> None:
    errors = summary.errors
    if not errors:
        return
    page.blank()
    page.title(f"Errors ({sum(error.count for error in errors)})")
    for error in errors[:_ERRORS]:
        page.note(f"{error.count} x {error.fingerprint}", 2, lines=1)
    if len(errors) > _ERRORS:
        rest = errors[_ERRORS:]
        kinds = count(len(rest), "other kind")
        page.note(f"{sum(error.count for error in rest)} of {kinds}, with {FULL}", 2)


def _events(page: Page, events: Sequence[Event]) -> None:
    """The last ones: without those that steered the run its figures cannot be understood."""
    told = summed_up(events)
    if not told:
        return
    page.blank()
    earlier = len(told) - len(told[-_EVENTS:])
    page.title(f"Events (UTC{f'; {earlier} earlier, with {FULL}' if earlier else ''})")
    for event in told[-_EVENTS:]:
        page.note(f"{clock(iso(event.at_us))} {event.kind}: {event.text}", 2, lines=1)
