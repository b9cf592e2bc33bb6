"""What the dashboard's charts show: one point a second at first, fewer as time goes on.  Pure.

There are never more than so many points.  When there would be, neighbours are put together: each series
keeps the lowest, the mean and the highest of its seconds, so that no peak is ever lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from loadgen.reports.pulse import Second

MOST = 480
"""Points: as many as a chart has room for."""
SERIES = ("items", "failed", "calls", "errors", "p50_ms", "p95_ms", "p99_ms")
"""Fields of `Second`, in the order of a point's values."""

Value: TypeAlias = float | tuple[float, float, float] | None
"""Of one series: a number; lowest, mean and highest where they differ; None where there is nothing."""
Point: TypeAlias = tuple[int, tuple[Value, ...]]
"""Where it begins, in seconds since the chart's start; a value for each series."""


@dataclass(frozen=True, slots=True)
class _Range:
    low: float
    total: float
    high: float
    number: int

    def plus(self, other: _Range | None) -> _Range:
        if other is None:
            return self
        low, high = min(self.low, other.low), max(self.high, other.high)
        return _Range(low, self.total + other.total, high, self.number + other.number)

    @property
    def value(self) -> Value:
        if self.low == self.high:
            return self.low
        return self.low, round(self.total / self.number, 3), self.high


class History:
    """The seconds of a run, in a bounded number of points."""

    def __init__(self, begin: int, most: int = MOST) -> None:
        """`begin`: the first second, since 1970."""
        self.width = 1
        """Seconds in a point."""
        self._begin = begin
        self._most = most
        self._points: list[list[_Range | None]] = []

    def add(self, second: Second) -> None:
        """Take in a second; they come in order, and those in which nothing was reported come as well."""
        place = (second.at - self._begin) // self.width
        if place >= self._most:
            self._thin()
            self.add(second)
            return
        values = [getattr(second, name) for name in SERIES]
        fresh = [None if value is None else _Range(value, value, value, 1) for value in values]
        while len(self._points) <= place:
            self._points.append([None] * len(SERIES))
        self._points[place] = list(map(_plus, self._points[place], fresh))

    def points(self, since: int = 0) -> list[Point]:
        """From the point on in which the second `since` lies, counted from the chart's start."""
        first = since // self.width
        return [
            (place * self.width, tuple(None if each is None else each.value for each in self._points[place]))
            for place in range(first, len(self._points))
        ]

    def _thin(self) -> None:
        """Half as many, twice as wide."""
        self.width *= 2
        empty: list[_Range | None] = [None] * len(SERIES)
        pairs = zip(self._points[::2], [*self._points[1::2], empty], strict=False)
        self._points = [list(map(_plus, first, second)) for first, second in pairs]


def nothing(at: int) -> Second:
    """A second in which nothing was reported."""
    return Second(at, 0, 0, 0, 0, None, None, None)


def _plus(one: _Range | None, other: _Range | None) -> _Range | None:
    return other if one is None else one.plus(other)
