"""How many items are in flight, over time: `30s`, or `0:1,30s:64,5m:64` with straight lines between.

The numbers are of all workers together; after the last point its number stays.

    ramp   = duration | point ("," point)*
    point  = time ":" number
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NoReturn

from loadgen.pace.rates import Fail, failing, read_points, read_span

_COUNT = re.compile(r"\d{1,9}(?![\d.])", re.ASCII)
_POINTS = re.compile(r"[:,]")


@dataclass(frozen=True, slots=True)
class Levels:
    """Items in flight over time: straight lines between the points, and constant after the last."""

    points: tuple[tuple[float, float | None], ...]
    """(seconds, items); None: as many as there are slots.  The first at 0, no time goes back."""
    written: str = field(default="", compare=False)
    """As the user wrote it."""

    @property
    def most(self) -> int | None:
        """The highest number; None: as many as there are slots."""
        numbers = [number for _, number in self.points if number is not None]
        return int(max(numbers)) if len(numbers) == len(self.points) else None

    @property
    def ends_s(self) -> float:
        """When the last point is."""
        return self.points[-1][0]

    @property
    def all_at_once(self) -> bool:
        """Whether there is nothing to ramp up: all slots from the beginning."""
        return self.points == ((0.0, None),)

    @property
    def ends_at_none(self) -> bool:
        """Whether nothing is in flight any more in the end."""
        return self.points[-1][1] == 0

    def in_flight_at(self, seconds: float, slots: int) -> int:
        """How many items may be in flight then, of so many slots there are.

        >>> Levels(((0.0, 1.0), (30.0, None))).in_flight_at(15, slots=61)
        31
        """
        after = bisect_right(self.points, max(seconds, 0.0), key=lambda point: point[0])
        start, first = self._point(after - 1, slots)
        if after == len(self.points):
            return min(int(first), slots)
        stop, last = self._point(after, slots)
        level = first + (last - first) * (seconds - start) / (stop - start)
        return min(int(level + 1e-9), slots)  # 1e-9: what a float is short of a whole number

    def _point(self, at: int, slots: int) -> tuple[float, float]:
        seconds, number = self.points[at]
        return seconds, float(slots if number is None else number)


def parse_ramp(text: str, where: str = "ramp") -> Levels:
    """A ramp, like 30s (from 1 to all slots) or 0:1,30s:64,5m:64; `where` it stands, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    if not _POINTS.search(text):
        seconds = _duration(text, fail)
        return Levels(((0.0, 1.0), (seconds, None)) if seconds else ((0.0, None),), text.strip())
    points = read_points(text, ("point", "a number of items in flight: 0:1,30s:64"), _number, fail)
    if not any(number for _, number in points):
        fail(0, "nothing would ever be in flight: all numbers are 0")
    return Levels(tuple(points), text.strip())


def _duration(text: str, fail: Fail) -> float:
    """Seconds until all slots are open."""

    def no_time(at: int, message: str) -> NoReturn:
        fail(at, f"{message}, or points like 0:1,30s:64")

    at = len(text) - len(text.lstrip())
    us, end = read_span(text, at, no_time)
    if end < len(text.rstrip()):
        fail(end, "expected the end, as in 1m30s, or points like 0:1,30s:64")
    return us / 1_000_000


def _number(text: str, at: int, fail: Fail) -> tuple[float, int]:
    """Items in flight, and where that ends."""
    found = _COUNT.match(text, at)
    if not found:
        fail(at, "expected a whole number of items in flight, like 64")
    return float(found.group()), found.end()
