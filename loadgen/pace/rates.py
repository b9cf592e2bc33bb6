"""How many arrivals a second, over time: `50/s`, or `0:50/s,2m:200/s` with straight lines between.

A stage at the same time as the one before is a jump; after the last one its rate stays.

    stages   = stage ("," stage)*
    stage    = time ":" rate
    time     = "0" | duration
    rate     = number "/" ("s" | "m" | "h")
    duration = [number "h"] [number "m"] [number "s"] [number "ms"]
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import NoReturn, TypeAlias

from loadgen.errors import UsageError, pointed

Fail: TypeAlias = Callable[[int, str], NoReturn]
"""Raises, for what is wrong at a place of a line."""

SPANS_US: Mapping[str, int] = MappingProxyType(
    {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000}
)
_PER_S: Mapping[str, int] = MappingProxyType({"s": 1, "m": 60, "h": 3600})
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6})?(?![\d.])", re.ASCII)
_ZERO = re.compile(r"0+(?=\s*:)")
_SPAN_UNIT = re.compile(r"(?:ms|s|m|h)(?![^\W\d])")
_PER = re.compile(r"\s*/\s*(s|m|h)(?!\w)")


@dataclass(frozen=True, slots=True)
class Rates:
    """Arrivals a second over time: straight lines between the points, and constant after the last."""

    points: tuple[tuple[float, float], ...]
    """(seconds, arrivals a second); the first at 0, no time goes back; two at one time are a jump."""
    written: str = field(default="", compare=False)
    """As the user wrote it; empty: nobody did."""
    _times: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _sums: tuple[float, ...] = field(init=False, repr=False, compare=False)
    """Arrivals until each point."""

    def __post_init__(self) -> None:
        """Raise ValueError for points that are none."""
        times = tuple(at for at, _ in self.points)
        if not times or times[0] != 0:
            raise ValueError("the first point is at 0")
        if any(later < earlier for earlier, later in pairwise(times)):
            raise ValueError("times do not go back")
        if any(first == third for first, third in zip(times, times[2:], strict=False)):
            raise ValueError("at most two points at one time")
        if not all(math.isfinite(at) and math.isfinite(rate) and rate >= 0 for at, rate in self.points):
            raise ValueError("times and rates are finite, and not negative")
        sums = [0.0]
        for (start, first), (stop, last) in pairwise(self.points):
            sums.append(_snapped(sums[-1] + (first + last) / 2 * (stop - start)))
        object.__setattr__(self, "_times", times)
        object.__setattr__(self, "_sums", tuple(sums))

    @property
    def text(self) -> str:
        """As it was written, or as it could have been."""
        if self.written or len(self.points) > 1:
            return self.written or ",".join(f"{plain(at)}s:{plain(rate)}/s" for at, rate in self.points)
        return f"{plain(self.points[0][1])}/s"

    @property
    def total(self) -> float:
        """Arrivals there will ever be: infinite, unless the last rate is 0."""
        return math.inf if self.points[-1][1] else self._sums[-1]

    def arrivals(self, seconds: float) -> float:
        """The rate's integral from 0."""
        if seconds <= 0:
            return 0.0
        at = bisect_right(self._times, seconds) - 1
        start, first = self.points[at]
        passed = seconds - start
        if at + 1 == len(self.points):
            return self._sums[at] + (first * passed if first else 0.0)
        stop, last = self.points[at + 1]
        slope = (last - first) / (stop - start)
        return min(self._sums[at] + passed * (first + slope * passed / 2), self._sums[at + 1])

    def seconds(self, arrivals: float) -> float:
        """The earliest time by which there are so many; infinite when there never are."""
        at = bisect_left(self._sums, arrivals)
        if at < len(self._sums) and (at == 0 or self._sums[at] == arrivals):
            return self._times[at]
        return self.onward(arrivals)

    def onward(self, arrivals: float) -> float:
        """The latest time until which there are no more than so many; infinite when there never are.

        Other than `seconds` only where the rate is 0 for a while: an arrival that falls on such a pause
        waits for its end.
        """
        at = max(bisect_right(self._sums, arrivals) - 1, 0)
        start, first = self.points[at]
        rest = arrivals - self._sums[at]
        if at + 1 == len(self.points):
            return start + rest / first if first else math.inf
        if rest <= 0:
            return start
        stop, last = self.points[at + 1]
        if last >= first:
            return min(start + _climb(rest, first, (last - first) / (stop - start)), stop)
        # Backwards from its end a fall is a climb, too; its own area, since the sum there was snapped.
        missing = max((first + last) / 2 * (stop - start) - rest, 0.0)
        if not missing:
            return stop
        return max(stop - _climb(missing, last, (first - last) / (stop - start)), start)

    def changed(self, at_s: float, rate: float) -> Rates:
        """The same until then, and from then on constantly `rate`."""
        if at_s <= 0:
            return Rates(((0.0, rate),))
        kept = tuple(point for point in self.points if point[0] < at_s)
        return Rates((*kept, (at_s, self._before(at_s, len(kept))), (at_s, rate)))

    def shared(self, parts: Sequence[tuple[float, float]]) -> Rates:
        """A part of all arrivals, as `mixing.parts` has it: (arrivals, share), the first from 0."""
        begins_s = [self.seconds(arrivals) for arrivals, _ in parts]
        points: list[tuple[float, float]] = []
        for begin_s, end_s, (_, share) in zip(begins_s, [*begins_s[1:], math.inf], parts, strict=True):
            if begin_s < end_s:
                points += [(at, rate * share) for at, rate in self._cut(begin_s, end_s)]
        return Rates(tuple(points))

    def _cut(self, begin_s: float, end_s: float) -> list[tuple[float, float]]:
        """Points of the same line between two times."""
        first, last = bisect_right(self._times, begin_s), bisect_left(self._times, end_s)
        cut = [(begin_s, self._after(begin_s, first)), *self.points[first:last]]
        return cut if math.isinf(end_s) else [*cut, (end_s, self._before(end_s, last))]

    def _after(self, at_s: float, following: int) -> float:
        """The rate just after a time, of which the `following` point is the first after it."""
        start, rate = self.points[following - 1]
        return rate if start == at_s else self._before(at_s, following)

    def _before(self, at_s: float, following: int) -> float:
        """The rate just before a time, of which the `following` point is the first at or after it."""
        start, first = self.points[following - 1]
        if following == len(self.points):
            return first
        stop, last = self.points[following]
        part = (at_s - start) / (stop - start)
        return first * (1 - part) + last * part


def _climb(arrivals: float, first: float, slope: float) -> float:
    """Seconds until there are so many, on a line that starts at `first` and does not fall.

    The root of `first * t + slope * t**2 / 2 = arrivals` in the form that subtracts nothing, so that
    it is as good on a line from 0, on a level one and on all between.
    """
    return 2 * arrivals / (first + math.sqrt(first * first + 2 * slope * arrivals))


def _snapped(arrivals: float) -> float:
    """Thirteen digits of it: 50/m for 2 m are 100, not 100.00000000000001 and thus one item more."""
    return float(f"{arrivals:.13g}")


def parse_rate(text: str, where: str = "rate") -> Rates:
    """A constant rate, like 50/s, 30/m or 0.5/s; `where` it stands, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    at = _spaces(text, 0)
    rate, end = read_rate(text, at, fail)
    if _spaces(text, end) < len(text):
        fail(_spaces(text, end), "expected the end; rates over time are stages: 0:50/s,2m:200/s")
    if not rate:
        fail(at, "nothing would ever arrive at a rate of 0")
    return Rates(((0.0, rate),), text.strip())


def parse_stages(text: str, where: str = "stages") -> Rates:
    """Rates over time, like 0:50/s,2m:200/s,10m:200/s; `where` it stands, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    points = read_points(text, ("stage", "a rate: 0:50/s,2m:200/s"), read_rate, fail)
    rates = Rates(tuple(points), text.strip())
    if not rates.total:
        fail(0, "nothing would ever arrive: all rates are 0")
    return rates


def read_points(
    text: str, called: tuple[str, str], read: Callable[[str, int, Fail], tuple[float, int]], fail: Fail
) -> list[tuple[float, float]]:
    """(seconds, value) of points like 0:50/s,2m:200/s; `read` gets the value that starts at a place.

    `called`: what a point is called, and its value, with an example: for messages.
    """
    noun, what = called
    points: list[tuple[float, float]] = []
    end = -1

    def no_time(at: int, message: str) -> NoReturn:
        fail(at, f"{message}, then a colon and {what}")

    while end < len(text):
        if end >= 0 and text[end] != ",":
            fail(end, "expected a comma or the end")
        at = _spaces(text, end + 1)
        seconds, end = _time(text, at, no_time)
        if problem := _misplaced([time for time, _ in points], seconds, noun):
            fail(at, problem)
        end = _spaces(text, end)
        if text[end : end + 1] != ":":
            fail(end, f"expected a colon and {what}")
        value, end = read(text, _spaces(text, end + 1), fail)
        points.append((seconds, value))
        end = _spaces(text, end)
    return points


def parse_duration(text: str, where: str = "duration") -> float:
    """Seconds of a duration like 500ms, 30s, 2m, 1h or 1m30s; `where` it stands, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    us, end = read_span(text, _spaces(text, 0), fail)
    if _spaces(text, end) < len(text):
        fail(_spaces(text, end), "expected the end, as in 1m30s")
    return us / 1_000_000


def read_span(text: str, at: int, fail: Fail) -> tuple[int, int]:
    """The microseconds of the duration that starts there, and where it ends."""
    total_us, units = 0.0, list(SPANS_US)
    while True:
        found = _NUMBER.match(text, at)
        unit = _SPAN_UNIT.match(text, found.end()) if found else None
        if not found or not unit:
            fail(found.end() if found else at, "expected a duration like 500ms, 30s, 2m, 1m30s or 1h")
        if unit.group() not in units:
            fail(found.end(), "a duration goes from large to small, like 1h2m3s")
        units = units[units.index(unit.group()) + 1 :]
        total_us += float(found.group()) * SPANS_US[unit.group()]
        at = unit.end()
        if not text[at : at + 1].isdecimal():
            return round(total_us), at


def span(us: int) -> str:
    """A duration, as it would be written: in the largest unit of which it is a whole number.

    >>> span(90_000_000), span(600_000_000)
    ('90s', '10m')
    """
    unit = next(unit for unit in SPANS_US if us % SPANS_US[unit] == 0 or unit == "ms")
    return f"{plain(us / SPANS_US[unit])}{unit}"


def plain(number: float) -> str:
    """Without exponent, and without zeros at the end."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def _time(text: str, at: int, fail: Fail) -> tuple[float, int]:
    """Seconds at which a stage is, and where that ends."""
    if found := _ZERO.match(text, at):
        return 0.0, found.end()
    us, end = read_span(text, at, fail)
    return us / 1_000_000, end


def _misplaced(before: list[float], seconds: float, noun: str) -> str:
    """What is wrong with a time after those; empty: nothing."""
    if not before and seconds:
        return f"the first {noun} is at 0: begin with 0:"
    if before and seconds < before[-1]:
        return f"a {noun} is not before the one on its left; times count from the start"
    if before[-2:] == [seconds, seconds]:
        return f"two {noun}s at one time are a jump; a third one says nothing"
    return ""


def read_rate(text: str, at: int, fail: Fail) -> tuple[float, int]:
    """Arrivals a second of the rate that starts there, and where it ends."""
    if text[at : at + 1] == "-":
        fail(at, "a rate is not negative")
    found = _NUMBER.match(text, at)
    if not found:
        fail(at, "expected a rate like 50/s: a number of at most nine digits and six decimals")
    unit = _PER.match(text, found.end())
    if not unit:
        fail(found.end(), f"a rate needs its time, /s, /m or /h: write {found.group()}/s")
    return float(found.group()) / _PER_S[unit[1]], unit.end()


def _spaces(text: str, at: int) -> int:
    """Where they end."""
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def failing(text: str, where: str) -> Fail:
    """For a line that stands there: raises UsageError, with the line and a caret."""

    def fail(at: int, message: str) -> NoReturn:
        raise UsageError(pointed(f"{where}: {message}", text, at))

    return fail
