"""A comparison as a page: the verdict, then all runs in the same charts, then every number with its noise.

Made with the building blocks of report.html, and as self-contained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from loadgen.reports.bands import Bands
from loadgen.reports.compare_verdict import headline, judged, verdicts
from loadgen.reports.html import findings, overlays
from loadgen.reports.html.charts import Chart
from loadgen.reports.html.compare_tables import calls, runs, steps
from loadgen.reports.html.document import frame
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.html.overlays import KINDS, Line, Overlay, in_items, in_time
from loadgen.reports.html.parts import Section, cell, figure, note
from loadgen.reports.side_by_side import SideBySide
from loadgen.reports.wobble import SHARE
from loadgen.reports.words import count

_BAD = frozenset({"REGRESSION", "DIFFERENT", "UNKNOWN"})
_CHOSEN = "p95"
_FOOT = (
    "Made by loadgen. Times are milliseconds; numbers are those of the runs' summaries; the data block"
    " “comparison” in this file is what --format json gives."
)
_STRIPE = f"The pale band: {SHARE} % of the first run's own points lie within it."
_THINNED = "choose “slowest” and “fastest” to see the extremes: none is left out."
_ENDS = "the first and the last of a run may not be full."
_UNCLEAR = "no clear trend"
_CURVE = "The pale band: where the first run's curve may lie when it is measured again (95 %, bootstrap)."


def page(told: SideBySide) -> str:
    """The whole file."""
    names = " and ".join(run.side.summary.run.id for run in told.runs)
    head = join(_head(told), *(_verdict(told, number) for number in range(len(told.comparisons))))
    return frame(f"{_word(told)}: {names}", head, sections(told), _FOOT, {"comparison": told.builtins()})


def sections(told: SideBySide) -> list[Section]:
    """All parts."""
    drawn = overlays.overlays(told)
    made = (
        runs(told),
        _latency(told, drawn),
        _throughput(told, drawn),
        _distribution(told, drawn),
        _growth(told, drawn),
        steps(told),
        calls(told),
    )
    return [section for section in made if section is not None]


def _word(told: SideBySide) -> str:
    """The worst of the comparisons."""
    words = [headline(*pair)[0] for pair in zip(told.comparisons, told.lost, strict=True)]
    return min(words, key=("REGRESSION", "DIFFERENT", "UNKNOWN", "BETTER", "SAME").index)


def _head(told: SideBySide) -> Markup:
    run = told.runs[0].side.summary.run
    others = ", ".join(each.name for each in told.runs[1:])
    return tag(
        "header",
        tag("h1", f"{(run.title or run.scenario).rstrip('.')}: {count(len(told.runs), 'run')} compared"),
        tag("p", f"{others} against {told.runs[0].name}", class_="about"),
    )


def _verdict(told: SideBySide, number: int) -> Markup:
    comparison, letter = told.comparisons[number], told.runs[number + 1].letter
    word, text = headline(comparison, told.lost[number])
    doubts = [("Unlike:", each) for each in comparison.differences]
    told_before = {text for each in told.comparisons[:number] for text in each.cautions}
    doubts += [("Caution:", each) for each in comparison.cautions if each not in told_before]
    return tag(
        "section",
        tag("p", f"{letter} {word}: {text}", class_="word"),
        tag("ul", *(tag("li", tag("b", each.step), f": {each.text}") for each in verdicts(comparison))),
        *(tag("p", tag("b", what), Markup(" "), each, class_="doubt") for what, each in doubts),
        class_="verdict not" if word in _BAD else "verdict",
        aria_label=f"Verdict on {letter}",
    )


def _latency(told: SideBySide, drawn: Sequence[Overlay]) -> Section | None:
    shown = [each for each in drawn if each.along(in_time)]
    short = [each.step for each in drawn if each not in shown and each.measured > 1]
    alone = [each.step for each in drawn if each.measured == 1]
    if not shown:
        return None
    finding = _found(told, shown, "p95")
    panes, charts = _panes(
        ("latency", finding),
        shown,
        overlays.over_time,
        lambda each, kind: _said(told, each.step, kind),
        lambda each: f"Each point stands for what ended within {_seconds(each)}; {_THINNED}",
    )
    body = join(
        panes,
        note(f"Over too soon for a picture: {', '.join(short)}.") if short else None,
        note(f"Measured in one of the runs only, and not drawn: {', '.join(alone)}.") if alone else None,
    )
    return Section("latency", "Latency over time", finding, body, charts)


def _growth(told: SideBySide, drawn: Sequence[Overlay]) -> Section | None:
    shown = [each for each in drawn if each.along(in_items)]
    if not shown:
        return None
    finding = _trends(_most(told, shown))
    panes, charts = _panes(
        ("growth", finding),
        shown,
        overlays.over_items,
        lambda each, _: _trends(each),
        lambda each: f"Each point stands for {_indexes(each)}; {_THINNED}",
    )
    return Section("growth", "By item index", finding, panes, charts)


def _throughput(told: SideBySide, drawn: Sequence[Overlay]) -> Section | None:
    shown = [each for each in drawn if each.along(in_time)]
    if not shown:
        return None
    finding, charts = _found(told, shown, "rate"), tuple(map(overlays.rates, shown))
    headings = [_said(told, each.step, "rate") for each in shown]
    notes = [f"Each point is the mean over {_seconds(each)}; {_ENDS}" for each in shown]
    body = tag("div", *_cells(headings, _noted(charts, notes, _STRIPE), finding), class_="cells")
    return Section("throughput", "Throughput over time", finding, body, charts)


def _distribution(told: SideBySide, drawn: Sequence[Overlay]) -> Section | None:
    pairs = [(each, chart) for each in drawn if (chart := overlays.curve(each)) is not None]
    if not pairs:
        return None
    shown, charts = zip(*pairs, strict=True)
    finding = _found(told, shown, "p99")
    headings = [_said(told, each.step, "p99") for each in shown]
    body = tag("div", *_cells(headings, _noted(charts, [""] * len(charts), _CURVE), finding), class_="cells")
    return Section("distribution", "Distribution", finding, body, charts)


def _panes(
    named: tuple[str, str],
    shown: Sequence[Overlay],
    draw: Callable[[Overlay, str], Chart],
    head: Callable[[Overlay, str], str],
    say: Callable[[Overlay], str],
) -> tuple[Markup, tuple[Chart, ...]]:
    """A choice of which times are shown, and the charts of each: without a script, by the style sheet.

    `named`: what the choice is called, and the finding above it.
    """
    name, finding = named
    charts = {kind: [draw(each, kind) for each in shown] for kind in KINDS}
    choices = (
        tag("label", tag("input", type="radio", name=name, value=kind, checked=kind == _CHOSEN), label)
        for kind, label in KINDS.items()
    )
    notes = list(map(say, shown))
    panes = (
        tag(
            "div",
            *_cells([head(each, kind) for each in shown], _noted(drawn, notes, _STRIPE), finding),
            class_=f"cells pane {kind}",
        )
        for kind, drawn in charts.items()
    )
    chooser = tag("fieldset", tag("legend", "Show"), *choices)
    return tag("div", chooser, *panes, class_="choice"), tuple(chain.from_iterable(charts.values()))


def _noted(charts: Sequence[Chart], notes: Sequence[str], band: str) -> list[Markup]:
    """Charts, each with its note, and with a word about its band where it has one."""
    return [
        figure(
            chart, f"{text} {band}".strip() if any(each.shape == "band" for each in chart.series) else text
        )
        for chart, text in zip(charts, notes, strict=True)
    ]


def _cells(headings: Sequence[str], figures: Sequence[Markup], finding: str) -> Sequence[Markup]:
    """Figures side by side, each with its heading; one alone does not say again what the finding says."""
    if list(headings) == [finding]:
        return figures
    return [cell(*each) for each in zip(headings, figures, strict=True)]


def _said(told: SideBySide, step: str, measure: str) -> str:
    """How a measure of a step changed, in each of the other runs; else only the step's name."""
    said = []
    for comparison, run in zip(told.comparisons, told.runs[1:], strict=True):
        lines = judged([line for line in comparison.lines if line.of == "items"], step)
        said += [
            f"{run.letter} {line.text}" if len(told.comparisons) > 1 else line.text
            for line in lines
            if line.measure == measure
        ]
    return f"{step}: {measure} {', '.join(said)}" if said else step


def _found(told: SideBySide, drawn: Sequence[Overlay], measure: str) -> str:
    """The same of the step with the most items."""
    return _said(told, _most(told, drawn).step, measure)


def _most(told: SideBySide, drawn: Sequence[Overlay]) -> Overlay:
    items = {step.name: step.items.planned for run in told.runs for step in run.side.summary.steps}
    return max(drawn, key=lambda each: items[each.step])


def _trends(overlay: Overlay) -> str:
    """Whether items get slower, in each of the runs."""
    pairs = [(line, findings.trend(bands)) for line, bands in overlay.along(in_items)]
    said = (f"{line.letter} {_UNCLEAR if ratio is None else f'{ratio:.1f}x'}" for line, ratio in pairs)
    return f"{overlay.step}: p95 of the last third against the first: {', '.join(said)}"


def _seconds(overlay: Overlay) -> str:
    return _widths(overlay.along(in_time), lambda width: f"{width / 1_000_000:g} s")


def _indexes(overlay: Overlay) -> str:
    return _widths(
        overlay.along(in_items), lambda width: "one item" if width == 1 else f"{width:,} items in a row"
    )


def _widths(drawn: Sequence[tuple[Line, Bands]], say: Callable[[int], str]) -> str:
    """How much a point stands for: in all runs the same, or not."""
    letters: dict[int, list[str]] = {}
    for line, bands in drawn:
        letters.setdefault(bands.width, []).append(line.letter)
    if len(letters) == 1:
        return say(*letters)
    return ", ".join(f"{say(width)} ({', '.join(runs)})" for width, runs in letters.items())
