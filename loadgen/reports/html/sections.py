"""The parts of report.html, in the order in which they stand.  Pure.

A part says in its heading what was found; one that has nothing to show says so in a line, or is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loadgen.record import Event
from loadgen.reports.html import findings, tables
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.html.parts import Section, Story, note, pairs
from loadgen.reports.html.pictures import distribution, growth, latency, phases, throughput
from loadgen.reports.load import TOLD
from loadgen.reports.open import PACED, kept_pace
from loadgen.reports.schema import Summary, Tries
from loadgen.reports.words import count, duration

ERRORS, EVENTS, CALLS, PACES = 20, 200, 60, 6
"""How many of each are shown."""
_CLOSED = "How long a step's function ran, in the attempts that settled their items."


def sections(story: Story) -> list[Section]:
    """All of them."""
    made = (
        latency(story), throughput(story), distribution(story), growth(story), phases(story), steps(story),
        errors(story), workers(story), verification(story), circumstances(story), thresholds(story),
    )  # fmt: skip
    return [section for section in made if section is not None]


def steps(story: Story) -> Section:
    """The tables."""
    summary = story.summary
    calls = sorted(summary.calls, key=lambda call: -call.count)[:CALLS]
    more = len(summary.calls) - len(calls)
    parts = [
        tag("h3", "Steps: how their items ended"),
        tables.steps(summary.steps),
        tag("h3", f"Steps: {summary.item_time}, ms"),
        tables.step_times(summary.steps),
        *(_open(summary) if summary.paced else [note(_CLOSED)]),
        tag("h3", f"Calls: {summary.call_time}, ms"),
        tables.times(calls) if calls else note("No call was made."),
        tag("h3", "Calls: connections, bytes, answers") if calls else None,
        tables.traffic(calls) if calls else None,
        note(f"and {count(more, 'label')} more, in summary.json") if more else None,
    ]
    finding = f"{count(len(summary.steps), 'step')}, {count(len(summary.calls), 'kind')} of calls"
    return Section("tables", "Steps and calls", finding, join(*parts))


def _open(summary: Summary) -> list[Markup]:
    """What an open model adds: the pace, and what times are made of."""
    return [
        *(note(kept_pace(step)) for step in summary.steps[:PACES]),
        tag("h3", "What response times are made of, ms"),
        tables.made_of([*summary.steps, *summary.calls[:CALLS]]),
        note(PACED),
    ]


def errors(story: Story) -> Section:
    """By fingerprint, with a sample."""
    kinds = story.summary.errors
    if not kinds:
        return Section(
            "errors",
            "Errors",
            findings.errors(kinds),
            tag("p", "No attempt and no call failed.", class_="note"),
        )
    shown = tables.errors(kinds[:ERRORS])
    more = (
        tag("p", f"and {count(len(kinds) - ERRORS, 'kind')} more, in summary.json", class_="note")
        if len(kinds) > ERRORS
        else None
    )
    return Section("errors", "Errors", findings.errors(kinds), join(shown, more))


def workers(story: Story) -> Section:
    """Who took part."""
    if not story.summary.workers:
        return Section("workers", "Workers", "No worker joined", Markup())
    generator = story.summary.generator
    note = (
        "Of its share: items against the share of all slots. Probe: how late a thread woke that had asked"
        " to be woken at a moment."
    )
    parts = [
        tables.workers(story.summary),
        tag("p", note, class_="note"),
        *(tag("p", reason) for reason in generator.reasons),
    ]
    return Section("workers", "Workers", findings.workers(story.summary), join(*parts))


def verification(story: Story) -> Section:
    """What the target holds."""
    found = story.summary.verification
    if found is None:
        note = "The scenario has no verify, or the run did not come to it."
        return Section(
            "verification",
            "Verification",
            findings.verification(story.summary),
            tag("p", note, class_="note"),
        )
    rows = [(name, f"{getattr(found, name):,}") for name in ("expected", "found", "missing", "unexpected")]
    rows += [(f"{what}, e.g.", ", ".join(names)) for what, names in found.examples.items() if names]
    return Section("verification", "Verification", findings.verification(story.summary), pairs(rows))


def circumstances(story: Story) -> Section:
    """Options, settings, versions, phases, events."""
    run = story.summary.run
    times = (("wait", run.wait_s), ("active", run.active_s), ("drain", run.drain_s), ("verify", run.verify_s))
    rows = [
        ("Run", run.id),
        ("Scenario", f"{run.scenario}, SHA-256 {run.digest}"),
        ("Target", run.target),
        ("Started", run.started_at),
        ("Ended", run.ended_at or "not yet"),
        ("Time", ", ".join(f"{name} {duration(seconds)}" for name, seconds in times)),
        ("Attempts", _tries(story.summary.attempts)),
        ("Seed", "none" if run.seed is None else str(run.seed)),
        ("Options", _named(run.options)),
        ("Load", run.load),
        ("Settings", _named({name: told for name, told in story.settings.items() if name not in TOLD})),
        ("Versions", ", ".join(f"{name} {version}" for name, version in run.versions.items())),
    ]
    said = f"{run.scenario} against {run.target}"
    return Section("circumstances", "Options and circumstances", said, join(pairs(rows), _events(story)))


def thresholds(story: Story) -> Section | None:
    """The gates."""
    gates = story.summary.thresholds
    if not gates:
        return None
    return Section("thresholds", "Thresholds", findings.thresholds(story.summary), tables.thresholds(gates))


def _tries(tries: Tries) -> str:
    return (
        f"{tries.total:,}: {tries.retries:,} retries, {tries.duplicate_executions:,} duplicate executions,"
        f" {tries.in_doubt_resolved:,} doubts resolved, {tries.found:,} items were there already"
    )


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _events(story: Story) -> Markup:
    """What happened, for those who want to know."""
    events = story.events
    if not events:
        return Markup()

    def line(event: Event) -> str:
        return f"{(event.at_us - story.started_us) / 1_000_000:.1f} s  {event.kind}: {event.text}"

    more = f", the first {EVENTS}" if len(events) > EVENTS else ""
    listed: Iterator[Markup] = (tag("li", line(event)) for event in events[:EVENTS])
    return tag("details", tag("summary", f"{count(len(events), 'event')}{more}"), tag("ul", *listed))
