"""A comparison for people, on a terminal or in Markdown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import chain

from loadgen.reports.chart import MARGIN
from loadgen.reports.compare import Comparison, Line
from loadgen.reports.compare_verdict import headline, verdicts
from loadgen.reports.grid import Column
from loadgen.reports.overlay import Quantity, legend, overlaid
from loadgen.reports.page import Page
from loadgen.reports.side_by_side import SideBySide, Told
from loadgen.reports.timeline import timeline
from loadgen.reports.words import three

_STYLES = {
    "REGRESSION": "bold red",
    "DIFFERENT": "bold yellow",
    "UNKNOWN": "bold yellow",
    "BETTER": "bold green",
    "SAME": "bold green",
}
_DRAWN = (Quantity("p95", "ms", "p95"), Quantity("calls", "/s", "rate_per_s"))


def compose(page: Page, told: SideBySide) -> None:
    """Put it on a page, of whatever kind."""
    said: set[str] = set()
    for comparison, lost in zip(told.comparisons, told.lost, strict=True):
        _show(page, comparison, lost, said)
        said.update(comparison.cautions)
        page.blank()
    _over_time(page, told.runs, told.call_time)


def _show(page: Page, comparison: Comparison, lost: Sequence[Line], said: Collection[str]) -> None:
    """`said`: cautions that need not be said again."""
    word, text = headline(comparison, lost)
    page.headline(word, text, _STYLES[word])
    for each in verdicts(comparison):
        page.note(f"{each.step}: {each.text}", 2)
    page.fact("Base", comparison.base)
    page.fact("Compared", comparison.other)
    for difference in comparison.differences:
        page.fact("Unlike", difference)
    for caution in comparison.cautions:
        if caution not in said:
            page.fact("Caution", caution)
    for part in dict.fromkeys((line.of, line.time) for line in comparison.lines):
        _part(page, part[1], [line for line in comparison.lines if (line.of, line.time) == part])


def _over_time(page: Page, runs: Sequence[Told], what: str) -> None:
    """All runs in one plot, and their rates in another."""
    room = max(page.width - MARGIN, 10)
    lines = [(told.name, timeline(told.calls(room))) for told in runs]
    drawings = [overlaid(lines, quantity, page.width, page.glyphs) for quantity in _DRAWN]
    if not any(drawings):
        return
    page.title(f"Over time, each from its own start: p95 {what} and rate of all calls")
    for key in legend([told.name for told in runs]):
        page.note(key, 2)
    page.drawing(list(chain.from_iterable(drawings)))


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
