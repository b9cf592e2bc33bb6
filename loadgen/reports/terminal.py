"""The end report in detail: the verdict and what to do next, then what was done, how long it took, and why.

Everything is said once, the important first.  A wider terminal gets more columns, a run that went badly
more lines.  What of it fits a screen is `brief`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from loadgen.record import Event
from loadgen.reports.advice import headline, next_steps, word
from loadgen.reports.chart import chart
from loadgen.reports.gates import shown
from loadgen.reports.grid import Column
from loadgen.reports.happened import chosen
from loadgen.reports.metrics import OTHER, Stats
from loadgen.reports.open import PACED, clocks, kept_pace, parts, targets
from loadgen.reports.page import Page
from loadgen.reports.palette import BAD, GOOD, STRONG
from loadgen.reports.schema import (
    CallSummary,
    StepSummary,
    Summary,
    ThresholdSummary,
    VerificationSummary,
    WorkerSummary,
)
from loadgen.reports.timeline import Timeline
from loadgen.reports.truth import untrue
from loadgen.reports.words import clock, count, duration, iso, percent, three

_RARE = ("dropped", "cancelled", "pending")
"""Ends of items that are named only when there are any."""
_FEW_BUCKETS = 5
"""A chart of less shows nothing that the tables do not."""
_ERRORS, _WORKERS, _CALLS = 5, 8, 12
"""How many of each are shown."""


def report(
    console: Console, summary: Summary, timeline: Timeline, events: Sequence[Event], directory: Path
) -> None:
    """Print the report on the run whose files lie in `directory`."""
    page = Page(console)
    compose(page, summary, timeline, events, directory)
    page.print()


def compose(
    page: Page, summary: Summary, timeline: Timeline, events: Sequence[Event], directory: Path
) -> None:
    """Put the report on a page, of whatever kind."""
    verdict_lines(page, summary)
    _truth(page, summary)
    _next(page, summary, directory)
    page.blank()
    _facts(page, summary)
    _numbers(page, summary)
    thresholds_table(page, summary, summary.thresholds)
    _steps(page, summary)
    _calls(page, summary)
    _warm_up(page, summary)
    _chart(page, timeline, summary.call_time)
    _errors(page, summary)
    _workers(page, summary)
    _events(page, events)


def verdict_lines(page: Page, summary: Summary, most: int | None = None) -> None:
    """The verdict, and why; `most`: so many reasons, None: all."""
    verdict = summary.verdict
    colour = GOOD if verdict.ok else None if verdict.running else BAD
    page.headline(word(summary), headline(summary), f"{STRONG} {colour or ''}".strip())
    more, indent = verdict.reasons[1:], len(word(summary)) + 2
    for reason in more[:most]:
        page.note(reason, indent, lines=3)
    if hidden := len(more) - len(more[:most]):
        page.note(f"and {count(hidden, 'reason')} more, with --verbose", indent)


def _truth(page: Page, summary: Summary) -> None:
    """Said where it cannot be missed: all times below are to be read with this in mind."""
    generator = summary.generator
    if generator.reasons and untrue(generator) not in summary.verdict.reasons:  # else --strict has said it
        page.fact("Generator", f"{(generator.verdict or '').upper()}: {'; '.join(generator.reasons)}")


def _next(page: Page, summary: Summary, directory: Path) -> None:
    for label, command in next_steps(summary, directory):
        page.fact(label, command)
    page.fact("Files", str(directory))


def _facts(page: Page, summary: Summary) -> None:
    run = summary.run
    page.fact("Run", f"{run.id}, {run.started_at[:10]} {clock(run.started_at)} UTC")
    page.fact("Scenario", f"{run.scenario} ({run.digest[:12]}): {run.title}".rstrip(": "))
    page.fact("Target", run.target)
    options = [f"{name}={_value(value)}" for name, value in run.options.items()]
    seed = [] if run.seed is None else [f"seed {run.seed}"]
    if options or seed:
        page.fact("Options", ", ".join([*options, *seed]))
    page.fact("Load", run.load)
    page.fact("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items()))


def _value(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def items_text(summary: Summary) -> str:
    """How many there were, and how they ended."""
    items, run = summary.items, summary.run
    ends = [f"{items.done} done", f"{items.failed} failed", f"{items.unknown} unknown"]
    ends += [f"{number} {kind}" for kind in _RARE if (number := getattr(items, kind))]
    planned = f"{items.planned} planned"
    if run.duration_s is not None:
        planned = f"{items.planned} for {duration(run.duration_s)}, no fixed number of items"
    return f"{planned}: {', '.join(ends)}"


def attempts_text(summary: Summary) -> str:
    """How often they were tried."""
    tries = summary.attempts
    return (
        f"{tries.total}: {tries.retries} retries, {tries.duplicate_executions} duplicate executions,"
        f" {tries.in_doubt_resolved} doubts resolved"
        + (f"; {tries.found} items were there already" if tries.found else "")
    )


def verified_text(found: VerificationSummary) -> str:
    """What the target holds."""
    return (
        f"{found.found} of {found.expected} expected found, {found.missing} missing,"
        f" {found.unexpected} unexpected"
    )


def _numbers(page: Page, summary: Summary) -> None:
    page.fact("Items", items_text(summary))
    page.fact("Attempts", attempts_text(summary))
    run = summary.run
    phases = (
        ("wait", run.wait_s),
        ("active", run.active_s),
        ("drain", run.drain_s),
        ("verify", run.verify_s),
    )
    page.fact("Time", ", ".join(f"{name} {duration(seconds)}" for name, seconds in phases))
    found = summary.verification
    if found is None:
        page.fact("Verified", "no")
        return
    page.fact("Verified", verified_text(found))
    for what, names in found.examples.items():
        if names:
            page.note(f"{what}: {', '.join(names)}", 11)


def thresholds_table(page: Page, summary: Summary, gates: Sequence[ThresholdSummary]) -> None:
    """What was measured for some of them, and whether it held; nothing where there are none."""
    if not gates:
        return
    goes_on = summary.verdict.running or summary.verdict.resumable

    def held(gate: ThresholdSummary) -> str:
        return "-" if gate.value is None and goes_on else "yes" if gate.ok else "NO"

    page.blank()
    page.table(
        [
            Column("Thresholds", tuple(gate.expr for gate in gates), left=True),
            Column("value", tuple(map(shown, gates))),
            Column("held", tuple(map(held, gates))),
        ]
    )
    for gate in gates:
        if gate.reason:
            page.note(f"{gate.expr}: {gate.reason}", 2)


def _steps(page: Page, summary: Summary) -> None:
    steps = summary.steps
    if not steps:
        return
    page.blank()
    steps_table(page, steps, paced=summary.paced)
    if summary.paced:
        page.note(PACED, 2)
        for step in steps:
            page.note(kept_pace(step), 2)


def steps_table(page: Page, steps: Sequence[StepSummary], *, paced: bool) -> None:
    """A line for each; `paced`: their times count from when items were meant to start."""
    times = [step.times for step in steps]
    what = "response" if paced else "item time"
    page.table(
        [
            Column(f"Steps ({what}, ms)", tuple(step.name for step in steps), left=True),
            Column("items", tuple(str(step.items.planned) for step in steps)),
            Column("done", tuple(str(step.items.done) for step in steps)),
            Column("failed", tuple(str(step.items.failed) for step in steps)),
            *_rare(steps),
            *targets(steps),
            Column("rate/s", tuple(three(step.rate_per_s) for step in steps), spare=2),
            *_times(times, p50=0, p90=4, p95=0, p99=1, max=1),
            *parts([step.item_time for step in steps], [step.start_lag for step in steps]),
        ]
    )


def _rare(steps: Sequence[StepSummary]) -> list[Column]:
    """Columns for what did happen, so that the row adds up."""
    columns = (
        Column(kind, tuple(str(getattr(step.items, kind)) for step in steps)) for kind in ("unknown", *_RARE)
    )
    return [column for column in columns if set(column.cells) != {"0"}]


def _calls(page: Page, summary: Summary) -> None:
    if not summary.calls:
        return
    page.blank()
    calls = sorted(summary.calls, key=lambda call: -call.count)[:_CALLS]
    calls = [call for call in summary.calls if call in calls]
    first_bytes = tuple(three(call.time_to_first_byte.p50) for call in calls)
    times = [call.times for call in calls]
    what = "response" if summary.paced else "service time"
    page.table(
        [
            Column(f"Calls ({what}, ms)", tuple(call.name for call in calls), left=True),
            Column("count", tuple(str(call.count) for call in calls)),
            Column("errors", tuple(str(call.errors) for call in calls)),
            Column("rate/s", tuple(three(call.rate_per_s) for call in calls), spare=4),
            *_times(times, min=7, mean=5, p50=0, p90=6, p95=0, p99=1, p999=8, max=2),
            *parts([call.service_time for call in calls], [call.start_lag for call in calls]),
            Column("1st byte", first_bytes, spare=9),
            *_phases(calls),
        ]
    )
    if len(calls) < len(summary.calls):
        page.note(f"and {count(len(summary.calls) - len(calls), 'label')} more, in summary.json", 2)
    _statuses(page, calls)


def _warm_up(page: Page, summary: Summary) -> None:
    """What the times above do not tell."""
    if summary.run.warm_up is not None:
        page.note(summary.run.warm_up.text, 2)


def _phases(calls: Sequence[CallSummary]) -> list[Column]:
    """The median of what opening a connection took, and of its parts where there are any."""
    columns = [Column("connect", tuple(three(call.connect_time.p50) for call in calls), spare=10)]
    if any(call.tls_time.count for call in calls):
        columns = [
            Column("dns", tuple(three(call.dns_time.p50) for call in calls), spare=12),
            *columns,
            Column("tls", tuple(three(call.tls_time.p50) for call in calls), spare=11),
        ]
    return columns


def _times(stats: Sequence[Stats], **spare: int) -> list[Column]:
    """One column for each percentile."""
    headers = {"p999": "p99.9"}
    return [
        Column(headers.get(name, name), tuple(three(getattr(one, name)) for one in stats), spare=loss)
        for name, loss in spare.items()
    ]


def _statuses(page: Page, calls: Sequence[CallSummary]) -> None:
    """A line for each label whose answers differ, or were no success."""
    for call in calls:
        if any(not status.startswith("2") for status in call.statuses):
            shown = (f"{number} x {_status(status)}" for status, number in call.statuses.items())
            page.note(f"{call.name}: {', '.join(shown)}", 2)


def _status(status: str) -> str:
    return "no answer" if status == "0" else status


def _chart(page: Page, timeline: Timeline, what: str) -> None:
    if len(timeline.buckets) < _FEW_BUCKETS:
        return
    page.blank()
    page.title(f"Over time ({what} of calls that ended within each {duration(timeline.width_s)})")
    page.drawing(chart(timeline, page.width, page.glyphs))


def _errors(page: Page, summary: Summary) -> None:
    errors = summary.errors
    if not errors:
        return
    page.blank()
    more = f", the first {_ERRORS} of {len(errors)} kinds" if len(errors) > _ERRORS else ""
    page.title(f"Errors ({sum(error.count for error in errors)}{more})")
    for error in errors[:_ERRORS]:
        since, until = clock(error.first), clock(error.last)
        when = f"at {since}" if since == until else f"{since} to {until}"
        page.note(f"{error.count} x {error.fingerprint}", 2)
        sample = "" if error.sample == error.fingerprint else f", e.g. {error.sample}"
        page.note(f"{when} UTC{sample}", 6)
    if any(error.fingerprint == OTHER for error in errors):
        page.note(f"{len(errors) - 1} kinds are told apart; what came beyond is counted as {OTHER!r}", 2)


def _workers(page: Page, summary: Summary) -> None:
    workers = sorted(summary.workers, key=lambda worker: (not worker.lost, -worker.items))
    if not workers:
        return
    page.blank()
    shown = workers[:_WORKERS]
    items, calls = sum(worker.items for worker in workers), sum(worker.calls for worker in workers)
    page.table(
        [
            Column("Workers", tuple(worker.name for worker in shown), left=True),
            Column("host", tuple(worker.host for worker in shown), spare=2, left=True),
            Column("slots", tuple(str(worker.slots) for worker in shown), spare=4),
            Column("items", tuple(str(worker.items) for worker in shown)),
            Column("share", tuple(percent(worker.items, items) for worker in shown)),
            Column("calls", tuple(str(worker.calls) for worker in shown), spare=1),
            Column("cpu", tuple(f"{100 * worker.cpu:.0f} %" for worker in shown)),
            Column("probe", tuple(three(worker.probe_ms) for worker in shown), spare=3),
            Column("times", tuple(_times_are(worker) for worker in shown)),
            *clocks(shown),
            Column("lost", tuple("LOST" if worker.lost else "no" for worker in shown)),
        ]
    )
    if len(shown) < len(workers):
        page.note(_rest(workers[_WORKERS:], items, calls), 2)


def _times_are(worker: WorkerSummary) -> str:
    if worker.verdict is None:
        return "-"
    return worker.verdict if worker.verdict == "ok" else worker.verdict.upper()


def _rest(workers: Sequence[WorkerSummary], items: int, calls: int) -> str:
    """The workers that are not shown, in one line."""
    theirs = sum(worker.items for worker in workers)
    lost = sum(worker.lost for worker in workers)
    return (
        f"and {count(len(workers), 'worker')} more: {theirs} items ({percent(theirs, items)}),"
        f" {sum(worker.calls for worker in workers)} of {calls} calls, {lost} lost"
    )


def _events(page: Page, events: Sequence[Event]) -> None:
    shown, left_out = chosen(events)
    if not shown:
        return
    page.blank()
    more = f", the last {len(shown)} of {len(shown) + left_out}; more in report.html" if left_out else ""
    page.title(f"Events (UTC{more})")
    for event in shown:
        page.note(f"{clock(iso(event.at_us))} {event.kind}: {event.text}", 2)
