"""A comparison for people, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from loadgen.reports.chart import overlaid
from loadgen.reports.compare import Comparison, Line
from loadgen.reports.grid import Column
from loadgen.reports.page import Page
from loadgen.reports.timeline import Timeline
from loadgen.reports.words import three


def show(console: Console, comparison: Comparison, lost: Sequence[Line]) -> None:
    """Print it; `lost`: what has got worse by more than was allowed."""
    page = Page(console)
    _headline(page, comparison, lost)
    page.fact("Base", comparison.base)
    page.fact("Compared", comparison.other)
    for difference in comparison.differences:
        page.fact("Unlike", difference)
    for caution in comparison.cautions:
        page.fact("Caution", caution)
    for part in dict.fromkeys((line.of, line.time) for line in comparison.lines):
        _part(page, part[1], [line for line in comparison.lines if (line.of, line.time) == part])
    page.blank()
    page.print()


def show_timelines(console: Console, timelines: Sequence[tuple[str, Timeline]]) -> None:
    """The runs over time, one below the other on the same scales."""
    page = Page(console)
    page.title("Over time (p95 of all calls, each run from its own start)")
    page.drawing(overlaid(timelines, page.width, page.glyphs))
    page.print()


def _headline(page: Page, comparison: Comparison, lost: Sequence[Line]) -> None:
    worse = [line for line in comparison.lines if line.finding == "worse"]
    better = [line for line in comparison.lines if line.finding == "better"]
    if lost:
        text = "; ".join(f"{line.name} {_measure(line)} {line.text}" for line in lost[:3])
        page.headline("REGRESSION", text, "bold red")
    elif worse or better:
        text = f"{len(worse)} of {len(comparison.lines)} figures are worse, {len(better)} are better"
        page.headline("DIFFERENT" if worse else "BETTER", text, "bold yellow" if worse else "bold green")
    elif all(line.finding == "unknown" for line in comparison.lines):
        page.headline("UNKNOWN", "there is too little of everything to tell", "bold yellow")
    else:
        page.headline("SAME", "no difference beyond noise", "bold green")


def _measure(line: Line) -> str:
    return f"{line.time} {line.measure}" if line.time == "response time" else line.measure


def _part(page: Page, what: str, lines: Sequence[Line]) -> None:
    """A table for each step, or label; one line for all of those that there is too little of."""
    names = list(dict.fromkeys(line.name for line in lines))
    silent = [name for name in names if not _telling(lines, name)]
    for name in names:
        if name not in silent:
            page.blank()
            page.title(f"{name} ({what})")
            _table(page, _telling(lines, name))
    if silent:
        page.blank()
        page.note(f"too little to tell: {', '.join(silent)}", 0)


def _telling(lines: Sequence[Line], name: str) -> list[Line]:
    """What is worth a line: no errors on both sides are not."""
    return [
        line
        for line in lines
        if line.name == name
        and line.finding != "unknown"
        and (line.measure != "errors" or line.base or line.other)
    ]


def _table(page: Page, lines: Sequence[Line]) -> None:
    page.table(
        [
            Column("", tuple(line.measure for line in lines), left=True),
            Column("base", tuple(three(line.base) for line in lines)),
            Column("now", tuple(three(line.other) for line in lines)),
            Column("", tuple(line.unit for line in lines), left=True),
            Column("change (95 % band)", tuple(line.text for line in lines), left=True),
        ],
        style="",
    )
