"""The parts of report.html that are pictures.  Pure.

A part says in its heading what was found; one that has nothing to show is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadgen.reports.detail import ENOUGH, LABELS, StepDetail
from loadgen.reports.html import figures, findings, tables
from loadgen.reports.html.charts import Chart, Mark
from loadgen.reports.html.figures import Clock
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.html.parts import Section, Story, cell, figure, note
from loadgen.reports.schema import StepSummary
from loadgen.reports.words import count

FEW = 5
"""A chart of fewer points shows nothing that the tables do not."""
SHOWN = 6
"""Pictures of one kind that are seen at once: of more, nobody sees any."""


def latency(story: Story) -> Section | None:
    """Times of items over time, a chart for each step."""
    if not story.measured:
        return None
    clock, cells, charts, short = story.clock, list[Markup](), list[Chart](), list[str]()
    what = story.summary.item_time
    for number, step, detail in _longest_first(story):
        bands = detail.over_time
        if len(bands.bands) < FEW:
            short.append(step.name)
            continue
        marks = _within(_marks(story), detail, clock)
        charts.append(figures.over_time(number, detail, clock, marks, what))
        drawn = figure(charts[-1], figures.in_time(bands))
        cells.append(cell(findings.latency(step, bands), drawn) if len(story.measured) > 1 else drawn)
    notes = [figures.unseen(story.events)]
    if short:
        notes.append(
            f"Over too soon for a picture: {', '.join(short)}. Their times are in the table of steps."
        )
    body = join(_gallery(cells), *map(note, filter(None, notes)))
    return Section("latency", "Latency over time", findings.latencies(story.measured), body, tuple(charts))


def throughput(story: Story) -> Section | None:
    """Rates, errors, and the labels' times beside each other."""
    detail, clock = story.detail, story.clock
    if len(detail.calls.bands) < FEW:
        return None
    charts = [figures.rates(detail, clock, _marks(story))]
    width = f"{detail.calls.width / 1_000_000:g} s"
    each = f"Each point is the mean over {width}; the first and the last of these may not be full."
    unseen = len(detail.steps) - (figures.LINES - 1)
    also = f" {count(unseen, 'later step')} not drawn." if unseen > 0 else ""
    parts = [figure(charts[0], each + also)]
    if detail.calls.failed:
        charts.append(figures.failures(detail, clock))
        parts += [tag("h3", f"{detail.calls.failed:,} failed calls"), figure(charts[-1], each)]
    else:
        parts.append(note("No call failed."))
    if sum(len(bands.bands) > 1 for bands in detail.labels.values()) > 1:
        what = story.summary.call_time
        charts.append(figures.labels(detail, clock, what))
        more = len(story.summary.calls) - len(charts[-1].series)
        text = f"Labels that came first, the most frequent of them; {more} more are in the table."
        said = text if more > 0 else ""
        parts += [tag("h3", f"{what.capitalize()} by label, p95"), figure(charts[-1], said)]
    return Section(
        "throughput", "Throughput and errors", findings.throughput(story.summary), join(*parts), tuple(charts)
    )


def distribution(story: Story) -> Section | None:
    """Percentile curves and histograms."""
    items = story.distributions.steps
    measured = [step for step, _ in story.measured]
    if not measured:
        return None
    what = story.summary.item_time
    title = f"{what.capitalize()}s by percentile"
    longest = [step.name for _, step, _ in _longest_first(story)]
    drawn = {name: items[name] for name in longest[: figures.LINES]}
    charts = [figures.curve("curve-items", title, drawn, what)]
    more = len(longest) - len(drawn)
    text = f"The {len(drawn)} steps that took the most time; {more} more are in the table." if more else ""
    cells = [cell(title, figure(charts[0], text))]
    calls = sorted(story.distributions.calls.items(), key=lambda pair: -pair[1].count)
    often = [pair for pair in calls if pair[1].count >= ENOUGH][: figures.LINES] or calls[: figures.LINES]
    if often:
        called = story.summary.call_time
        title = f"{called.capitalize()}s of calls by percentile"
        charts.append(figures.curve("curve-calls", title, dict(often), called))
        more = len(calls) - len(often)
        text = f"The {len(often)} most frequent labels; {more} more are in the table." if more else ""
        cells.append(cell(title, figure(charts[-1], text)))
    for number, step, _ in _longest_first(story):
        charts.append(figures.histogram(number, step.name, items[step.name], what))
        cells.append(cell(f"{step.name}: how many took how long ({what})", figure(charts[-1])))
    most = max(measured, key=lambda step: step.times.count)
    return Section(
        "distribution", "Distribution", findings.distribution(most), _gallery(cells), tuple(charts)
    )


def growth(story: Story) -> Section | None:
    """Times of items against the index and against the place within the key."""
    cells, charts, said = list[Markup](), list[Chart](), list[str]()
    for number, step, detail in _longest_first(story):
        along = (
            ("by item index", detail.over_items, figures.over_items, figures.in_items),
            ("by what its key holds already", detail.within_key, figures.within_key, figures.in_keys),
        )
        said.append(findings.growth(step.name, [(what, bands) for what, bands, _, _ in along]))
        for what, bands, draw_it, say in along:
            if len(bands.bands) >= FEW:
                charts.append(draw_it(number, detail, story.summary.item_time))
                cells.append(cell(findings.grown(step.name, what, bands), figure(charts[-1], say(bands))))
    if not charts:
        return None
    finding = findings.several(list(filter(None, said))) or "No step gets slower with its items"
    return Section("growth", "Growth", finding, _gallery(cells), tuple(charts))


def phases(story: Story) -> Section | None:
    """What calls spent their time on."""
    parts = sorted(story.detail.parts.items(), key=lambda pair: -pair[1].total_us)
    if not parts:
        return None
    label, most = parts[0]
    share, name = max((getattr(most, field) / max(most.total_us, 1), name) for field, name, _ in tables.PARTS)
    waited = "waiting for the first byte" if name == "first byte" else name
    finding = f"{label}: {100 * share:.0f} % of the time is {waited}"
    said = (
        "Means in ms over all answered calls, those on kept connections included, so that the parts add up."
    )
    if len(story.summary.calls) > len(parts):
        said += f" The first {LABELS} labels."
    return Section("phases", "Phases of a call", finding, join(tables.phases(parts), note(said)))


def _longest_first(story: Story) -> list[tuple[int, StepSummary, StepDetail]]:
    """The steps that were measured, numbered: in their order, or when they are many, by their time."""
    numbered = [(number, step, detail) for number, (step, detail) in enumerate(story.measured)]
    if len(numbered) <= SHOWN:
        return numbered
    return sorted(numbered, key=lambda each: -each[1].times.count * (each[1].times.mean or 0.0))


def _gallery(cells: Sequence[Markup]) -> Markup:
    """Pictures side by side; of many, those after the first few when they are asked for."""
    shown, more = cells[:SHOWN], cells[SHOWN:]
    rest = tag(
        "details",
        tag("summary", count(len(more), "more picture")),
        tag("div", *more, class_="cells"),
        class_="more",
    )
    return join(tag("div", *shown, class_="cells"), rest if more else None)


def _marks(story: Story) -> list[Mark]:
    clock = story.clock
    return [*figures.retries(story.detail, clock), *figures.moments(story.events, story.started_us, clock)]


def _within(marks: Sequence[Mark], step: StepDetail, clock: Clock) -> list[Mark]:
    """Those of the time of a step."""
    bands = step.over_time
    first, last = (at / clock.us for at in (bands.bands[0].at, bands.bands[-1].at + bands.width))
    return [mark for mark in marks if first <= mark.x <= last]
