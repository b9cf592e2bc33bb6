"""A chart as a value: drawn as SVG here, and by plotly in a browser, from the same points.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["p50", "p95", "p99", "range", "bad", "a", "b", "c", "d", "e", "f"]
"""What a series is: decides its colour and its dashes."""
Sign: TypeAlias = Literal["joined", "left", "lost", "retries", "event"]
"""What a mark stands for."""
Shape: TypeAlias = Literal["line", "range", "steps", "band"]
"""A line; an area between two, which are read as well; a filled staircase; an area that is only seen."""
AREAS: tuple[Shape, ...] = ("range", "band")
LETTERS: tuple[Role, ...] = ("a", "b", "c", "d", "e", "f")
"""For series that are alike."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Of a chart."""

    label: str
    """What it shows, with the unit."""
    log: bool = False
    ticks: tuple[tuple[float, str], ...] = ()
    """Where marks stand and what they say; empty: found by the one who draws."""
    low: float | None = None
    """Where it begins; None: 0, or with the data."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind; a gap where the value is None."""

    name: str
    role: Role
    shape: Shape
    x: Sequence[float]
    y: Sequence[float | None]
    y0: Sequence[float | None] = ()
    """The lower edge of an area."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, on the horizontal axis."""

    x: float
    sign: Sign
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """What is to be drawn."""

    id: str
    title: str
    """What it shows, for those who cannot see it."""
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Mark, ...] = ()


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between the two: 1, 2 or 5 times a power of ten.

    >>> ticks(0, 47), ticks(0, 1)
    ([0.0, 10.0, 20.0, 30.0, 40.0], [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    """
    rough = max(high - low, 1e-9) / (most - 1)
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 9) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """The same on a logarithmic axis: powers of ten, with 2 and 5 of each where there are few.

    >>> log_ticks(3, 40), log_ticks(1, 100000)
    ([5.0, 10.0, 20.0], [1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0])
    >>> log_ticks(250, 730)
    [300.0, 400.0, 500.0, 600.0, 700.0]
    """
    if high < 5 * low:
        return ticks(low, high)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1.0, 2.0, 5.0) if math.log10(high / low) < 2.5 else (1.0,)  # noqa: PLR2004 - decades
    marks = (factor * 10.0**power for power in range(first, last + 1) for factor in factors)
    return [round(mark, 9) for mark in marks if low * 0.999 <= mark <= high * 1.001]


def span(chart: Chart) -> tuple[tuple[float, float], tuple[float, float]]:
    """From where to where the axes go."""
    xs = [x for each in chart.series for x in each.x] + [mark.x for mark in chart.marks]
    ys = [y for each in chart.series for y in (*each.y, *each.y0) if y is not None]
    return _span(chart.x, xs, 0.0), _span(chart.y, ys, 0.06)


def _span(axis: Axis, values: Sequence[float], air: float) -> tuple[float, float]:
    if axis.log:
        values = [value for value in values if value > 0]
        low, high = min(values, default=1.0), max(values, default=10.0)
        low = axis.low if axis.low is not None else low
        room = max(high / low, 1.2) ** air
        return low / (room if axis.low is None else 1.0), max(high * room, low * 1.2)
    low = 0.0 if axis.low is None else axis.low
    high = max(values, default=1.0)
    return low, high + air * (high - low) if high > low else low + 1.0
