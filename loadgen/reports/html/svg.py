"""A chart as SVG, for paper, for readers without JavaScript, and until plotly has woken up.  Pure.

Colours are those of the page's style sheet, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from loadgen.reports.html.charts import AREAS, Axis, Chart, Mark, Series, log_ticks, span, ticks
from loadgen.reports.html.markup import Markup, join, tag

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 16, 26, 54
SIGNS = {"joined": "▲", "left": "▽", "lost": "✕", "retries": "•", "event": "◆"}


@dataclass(frozen=True, slots=True)
class _Scale:
    """From values to places."""

    low: float
    high: float
    log: bool
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(max(value, self.low * 1e-3) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.stop - self.start)


def draw(chart: Chart) -> Markup:
    """The SVG."""
    (x_low, x_high), (y_low, y_high) = span(chart)
    across = _Scale(x_low, x_high, chart.x.log, LEFT, WIDTH - RIGHT)
    up = _Scale(y_low, y_high, chart.y.log, HEIGHT - BOTTOM, TOP)
    order = sorted(chart.series, key=lambda each: each.shape not in AREAS)
    return tag(
        "svg",
        tag("title", chart.title),
        *_grid(chart.y, up),
        *_foot(chart.x, across),
        *(_shape(each, across, up) for each in order),
        *(_mark(mark, across) for mark in chart.marks),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        class_="still",
    )


def short(value: float) -> str:
    """A number beside a tick.

    >>> short(0.25), short(1500), short(2_000_000)
    ('0.25', '1,500', '2,000,000')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:g}"  # noqa: PLR2004 - from here on with commas


def marks(axis: Axis, low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Where marks stand on an axis and what they say."""
    if axis.ticks:
        return [tick for tick in axis.ticks if low <= tick[0] <= high * 1.001]
    places = log_ticks(low, high) if axis.log else ticks(low, high, most)
    return [(place, short(place)) for place in places]


def _grid(axis: Axis, up: _Scale) -> Iterator[Markup]:
    for value, label in marks(axis, up.low, up.high):
        y = up(value)
        yield tag("path", d=f"M{LEFT} {y:.1f}H{WIDTH - RIGHT}", class_="grid")
        yield tag("text", label, x=LEFT - 8, y=f"{y + 4:.1f}", text_anchor="end")
    yield tag("text", axis.label, x=2, y=TOP - 10, class_="unit")


def _foot(axis: Axis, across: _Scale) -> Iterator[Markup]:
    y = HEIGHT - BOTTOM
    yield tag("path", d=f"M{LEFT} {y}H{WIDTH - RIGHT}", class_="axis")
    for value, label in marks(axis, across.low, across.high):
        x = across(value)
        yield tag("path", d=f"M{x:.1f} {y}v4", class_="axis")
        yield tag("text", label, x=f"{x:.1f}", y=y + 20, text_anchor="middle")
    yield tag(
        "text", axis.label, x=(LEFT + WIDTH - RIGHT) // 2, y=HEIGHT - 7, text_anchor="middle", class_="unit"
    )


def _shape(series: Series, across: _Scale, up: _Scale) -> Markup:
    if series.shape in AREAS:
        return tag("path", d=_area(series, across, up), class_=f"area {series.role}")
    if series.shape == "steps":
        return tag("path", d=_steps(series, across, up), class_=f"steps {series.role}")
    return _line(series, across, up)


def _line(series: Series, across: _Scale, up: _Scale) -> Markup:
    """Broken where a value is missing; a point that stands alone is a dot."""
    drawn = []
    for part in _unbroken(series.x, series.y):
        places = [f"{across(x):.1f} {up(y):.1f}" for x, y in part]
        if len(places) == 1:
            x, y = places[0].split()
            drawn.append(tag("circle", cx=x, cy=y, r=2.5, class_=f"dot {series.role}"))
        else:
            drawn.append(tag("path", d=f"M{'L'.join(places)}", class_=f"line {series.role}"))
    return join(*drawn)


def _area(series: Series, across: _Scale, up: _Scale) -> str:
    rows = list(zip(series.x, series.y, series.y0, strict=True))
    paths = []
    for is_there, group in groupby(rows, key=lambda row: row[1] is not None and row[2] is not None):
        part = list(group)
        if is_there:
            above = [f"{across(x):.1f} {up(high or 0):.1f}" for x, high, _ in part]
            below = [f"{across(x):.1f} {up(low or 0):.1f}" for x, _, low in reversed(part)]
            paths.append(f"M{'L'.join([*above, *below])}Z")
    return "".join(paths)


def _steps(series: Series, across: _Scale, up: _Scale) -> str:
    """Each value holds until the next x."""
    floor = up(up.low)
    path = []
    for (x, y), (end, _) in pairwise(zip(series.x, series.y, strict=True)):
        if y:
            path.append(f"M{across(x):.1f} {floor:.1f}V{up(y):.1f}H{across(end):.1f}V{floor:.1f}Z")
    return "".join(path)


def _unbroken(xs: Sequence[float], ys: Sequence[float | None]) -> Iterator[list[tuple[float, float]]]:
    is_there: Callable[[tuple[float, float | None]], bool] = lambda row: row[1] is not None  # noqa: E731
    for there, group in groupby(zip(xs, ys, strict=True), key=is_there):
        if there:
            yield [(x, y) for x, y in group if y is not None]


def _mark(mark: Mark, across: _Scale) -> Markup:
    x, y = across(mark.x), HEIGHT - BOTTOM
    return tag(
        "g",
        tag("title", mark.text),
        tag("path", d=f"M{x:.1f} {TOP}V{y}", class_="moment") if mark.sign != "retries" else None,
        tag("text", SIGNS[mark.sign], x=f"{x:.1f}", y=y - 3, text_anchor="middle"),
        class_=f"mark {mark.sign}",
    )
