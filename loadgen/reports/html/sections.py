"""The parts of report.html, in the order in which they stand.  Pure.

A part says in its heading what was found; one that has nothing to show says so in a line, or is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen.record import Event
from loadgen.reports.detail import LABELS, Detail, StepDetail
from loadgen.reports.html import figures, findings, tables
from loadgen.reports.html.charts import Chart, Mark, Series
from loadgen.reports.html.figures import Clock
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.html.svg import SIGNS, draw
from loadgen.reports.metrics import Distributions
from loadgen.reports.schema import StepSummary, Summary, Tries
from loadgen.reports.words import count, duration

ERRORS, EVENTS, CALLS = 20, 200, 60
"""How many of each are shown."""
FEW = 5
"""A chart of fewer points shows nothing that the tables do not."""


@dataclass(frozen=True, slots=True)
class Story:
    """All that a report is made of."""

    summary: Summary
    detail: Detail
    distributions: Distributions
    events: Sequence[Event]
    started_us: int
    settings: Mapping[str, Any]
    directory: Path

    @property
    def clock(self) -> Clock:
        """The unit of its time axes."""
        return Clock.of(self.detail)

    @property
    def measured(self) -> list[tuple[StepSummary, StepDetail]]:
        """The steps of which items were measured."""
        pairs = zip(self.summary.steps, self.detail.steps, strict=True)
        return [(step, detail) for step, detail in pairs if step.item_time.count]


@dataclass(frozen=True, slots=True)
class Section:
    """One part."""

    id: str
    label: str
    finding: str
    body: Markup
    charts: tuple[Chart, ...] = ()
    """Those in the body."""


def sections(story: Story) -> list[Section]:
    """All of them."""
    made = (
        latency(story), throughput(story), distribution(story), growth(story), phases(story), steps(story),
        errors(story), workers(story), verification(story), circumstances(story), thresholds(story),
    )  # fmt: skip
    return [section for section in made if section is not None]


def latency(story: Story) -> Section | None:
    """Item times over time, a chart for each step."""
    if not story.measured:
        return None
    clock, parts, charts = story.clock, list[Markup](), list[Chart]()
    for number, (step, detail) in enumerate(story.measured):
        if len(story.measured) > 1:
            parts.append(tag("h3", findings.latency(step, detail.over_time)))
        if len(detail.over_time.bands) < FEW:
            parts.append(
                tag(
                    "p",
                    f"{step.name} was over too soon for a picture: see the table of steps.",
                    class_="note",
                )
            )
            continue
        chart = figures.over_time(number, detail, clock, _within(_marks(story), detail, clock))
        charts.append(chart)
        parts.append(figure(chart, figures.said(detail.over_time, clock)))
    note = figures.unseen(story.events)
    return Section(
        "latency", "Latency over time", findings.latencies(story.measured),
        join(*parts, tag("p", note, class_="note") if note else None), tuple(charts),
    )  # fmt: skip


def throughput(story: Story) -> Section | None:
    """Rates, errors, and the labels' times beside each other."""
    detail, clock = story.detail, story.clock
    if len(detail.calls.bands) < FEW:
        return None
    charts = [figures.rates(detail, clock, _marks(story))]
    parts = [
        figure(
            charts[0],
            f"Each point is a mean: of calls over {detail.calls.width / 1_000_000:g} s, of items as above.",
        )
    ]
    if detail.calls.failed:
        charts.append(figures.failures(detail, clock))
        parts += [tag("h3", f"{detail.calls.failed:,} failed calls"), figure(charts[-1])]
    else:
        parts.append(tag("p", "No call failed.", class_="note"))
    if sum(len(bands.bands) > 1 for bands in detail.labels.values()) > 1:
        charts.append(figures.labels(detail, clock))
        parts += [tag("h3", "Service time by label, p95"), figure(charts[-1])]
    return Section(
        "throughput", "Throughput and errors", findings.throughput(story.summary), join(*parts), tuple(charts)
    )


def distribution(story: Story) -> Section | None:
    """Percentile curves and histograms."""
    items, calls = story.distributions.steps, story.distributions.calls
    measured = [step for step, _ in story.measured]
    if not measured:
        return None
    most = max(measured, key=lambda step: step.item_time.count)
    charts = [figures.curve("curve-items", "Item times by percentile", items)]
    parts = [
        tag("h3", "Item times by percentile"),
        figure(charts[0], "From the merged histograms, as all percentiles here."),
    ]
    often = dict(sorted(calls.items(), key=lambda pair: -pair[1].count)[: figures.LINES])
    if often:
        charts.append(figures.curve("curve-calls", "Service times of calls by percentile", often))
        more = len(calls) - len(often)
        note = f"The {len(often)} most frequent labels; {more} more are in the table." if more else ""
        parts += [tag("h3", "Service times of calls by percentile"), figure(charts[-1], note)]
    for number, step in enumerate(measured):
        charts.append(figures.histogram(number, step.name, items[step.name]))
        parts += [
            tag("h3", findings.distribution(step) if len(measured) > 1 else "How many took how long"),
            figure(charts[-1]),
        ]
    return Section("distribution", "Distribution", findings.distribution(most), join(*parts), tuple(charts))


def growth(story: Story) -> Section | None:
    """Item times against the index and against the place within the key."""
    parts, charts, said = list[Markup](), list[Chart](), list[str]()
    for number, (step, detail) in enumerate(story.measured):
        for bands, draw_it, along in (
            (detail.over_items, figures.over_items, "the item index"),
            (detail.within_key, figures.within_key, "what its key holds already"),
        ):
            if len(bands.bands) < FEW:
                continue
            charts.append(draw_it(number, detail))
            said.append(findings.growth(step.name, bands, along))
            parts += [tag("h3", said[-1]), figure(charts[-1], figures.said(bands))]
    if not charts:
        return None
    grown = [finding for finding in said if "grows" in finding]
    return Section(
        "growth",
        "Growth",
        "; ".join(grown[:2]) or "No step grows slower with its items",
        join(*parts),
        tuple(charts),
    )


def phases(story: Story) -> Section | None:
    """What calls spent their time on."""
    parts = sorted(story.detail.parts.items(), key=lambda pair: -pair[1].total_us)
    if not parts:
        return None
    label, most = parts[0]
    share, name = max((getattr(most, field) / max(most.total_us, 1), name) for field, name, _ in tables.PARTS)
    finding = f"{label}: {100 * share:.0f} % of the time is {name}"
    note = "Means over all answered calls, those on kept connections included, so that the parts add up."
    if len(story.summary.calls) > len(parts):
        note += f" The first {LABELS} labels."
    return Section(
        "phases", "Phases of a call", finding, join(tables.phases(parts), tag("p", note, class_="note"))
    )


def steps(story: Story) -> Section:
    """The tables."""
    summary = story.summary
    calls = sorted(summary.calls, key=lambda call: -call.count)[:CALLS]
    more = len(summary.calls) - len(calls)
    parts = [
        tag("h3", "Steps: item time, ms"),
        tables.steps(summary.steps),
        tag("p", "How long a step's function ran, in the attempts that settled their items.", class_="note"),
        tag("h3", "Calls: service time, ms"),
        tables.calls(calls) if calls else tag("p", "No call was made.", class_="note"),
        tag("p", f"and {count(more, 'label')} more, in summary.json", class_="note") if more else None,
    ]
    finding = f"{count(len(summary.steps), 'step')}, {count(len(summary.calls), 'kind')} of calls"
    return Section("tables", "Steps and calls", finding, join(*parts))


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
        ("Settings", _named(story.settings)),
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


def figure(chart: Chart, note: str = "") -> Markup:
    """A chart with its legend: a still picture, and a place for the live one."""
    signs = dict.fromkeys(mark.sign for mark in chart.marks)
    keys = [*(_key(each) for each in chart.series), *(_sign(sign) for sign in signs)]
    return tag(
        "figure",
        tag("ul", *keys, class_="legend") if len(keys) > 1 else None,
        draw(chart),
        tag("div", class_="live"),
        tag("figcaption", note) if note else None,
        id=chart.id,
    )


def pairs(rows: Sequence[tuple[str, str]]) -> Markup:
    """Names and values."""
    return tag(
        "dl", *(join(tag("dt", name), tag("dd", value or "-")) for name, value in rows), class_="pairs"
    )


def _key(series: Series) -> Markup:
    d, kind = (
        ("M0 6h26", "line")
        if series.shape == "line"
        else ("M0 0h26v12H0z", "area" if series.shape == "range" else "fill")
    )
    picture = tag(
        "svg", tag("path", d=d, class_=f"{kind} {series.role}"), viewBox="0 0 26 12", aria_hidden="true"
    )
    return tag("li", picture, series.name)


def _sign(sign: str) -> Markup:
    words = {
        "joined": "worker joined",
        "left": "worker left",
        "lost": "lost",
        "retries": "retries",
        "event": "event",
    }
    return tag("li", tag("span", SIGNS[sign], class_="sign"), words[sign])


def _marks(story: Story) -> list[Mark]:
    clock = story.clock
    return [*figures.retries(story.detail, clock), *figures.moments(story.events, story.started_us, clock)]


def _within(marks: Sequence[Mark], step: StepDetail, clock: Clock) -> list[Mark]:
    """Those of the time of a step."""
    bands = step.over_time
    first, last = (at / clock.us for at in (bands.bands[0].at, bands.bands[-1].at + bands.width))
    return [mark for mark in marks if first <= mark.x <= last]


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
