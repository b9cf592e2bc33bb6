"""How long things took and what went wrong, in memory that does not grow with the run.

Times go into HDR histograms: percentiles are then within 0.1 % of those of the sorted raw values, and
histograms of several workers or runs can be added up, which percentiles cannot.  Count, extremes, mean
and deviation are exact.  Errors are counted by fingerprint: the message without what differs each time.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from hdrh.histogram import HdrHistogram

from loadgen.kinds import fingerprint

HIGHEST_US = 3_600_000_000
"""An hour: longer times are counted as this in the percentiles, and as they are in everything else."""
DIGITS = 3
"""Significant digits of a percentile."""
PERCENTILES = {"p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9}
"""The percentiles of `Stats`, by field."""
OTHER = "other"
"""Where the kinds beyond the limit are counted."""


class Stats(msgspec.Struct, frozen=True):
    """Times in milliseconds; all but the count are None when nothing was measured."""

    count: int = 0
    min: float | None = None
    mean: float | None = None
    stdev: float | None = None
    """Of the population."""
    p50: float | None = None
    p75: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


class Timings:
    """Accumulates durations."""

    def __init__(self) -> None:
        self.count = 0
        self.min_us = 0
        self.max_us = 0
        self._sum = 0
        self._squares = 0
        # made with the first value: most calls never open a connection, and a histogram takes 190 kB
        self._histogram: HdrHistogram | None = None

    def add(self, durations_us: Sequence[int]) -> None:
        """Count durations, in microseconds."""
        if not durations_us:
            return
        if min(durations_us) < 0:
            durations_us = [max(us, 0) for us in durations_us]
        low, high = min(durations_us), max(durations_us)
        if self._histogram is None:
            self._histogram = _histogram()
            self.min_us = low
        self.count += len(durations_us)
        self.min_us = min(self.min_us, low)
        self.max_us = max(self.max_us, high)
        # Python's integers do not overflow: these sums are exact where Welford's method is only stable
        self._sum += sum(durations_us)
        self._squares += sum(map(operator.mul, durations_us, durations_us))
        # Those together that the histogram cannot tell apart: recording costs ten times as much as counting.
        for us, times in Counter(map(rounded, durations_us)).items():
            self._histogram.record_value(min(us, HIGHEST_US), times)

    def stats(self) -> Stats:
        """What was counted so far."""
        if self._histogram is None:
            return Stats()
        deviation = math.sqrt(self.count * self._squares - self._sum * self._sum) / self.count
        return Stats(
            count=self.count,
            min=_ms(self.min_us),
            mean=_ms(self._sum / self.count),
            stdev=_ms(deviation),
            max=_ms(self.max_us),
            **dict(zip(PERCENTILES, self.percentiles(list(PERCENTILES.values())), strict=True)),
        )

    def percentiles(self, wanted: Sequence[float]) -> list[float]:
        """Any of them, in milliseconds; none when nothing was counted."""
        if self._histogram is None:
            return []
        # The library rounds the rank to the nearest, so that p99 of 60 values would be the 59th.  The
        # percentile of nearest *rank* is the smallest value that 99 % are at or below: the 60th.
        exact = [100 * rank(self.count, percentile) / self.count for percentile in wanted]
        values = self._histogram.get_percentile_to_value_dict(exact)
        return [_ms(min(max(values[share], self.min_us), self.max_us)) for share in exact]

    def bins(self, most: int) -> list[tuple[float, float, int]]:
        """From shortest to longest in at most so many bins of one ratio: (from, to, count), milliseconds."""
        if self._histogram is None:
            return []
        low, high = max(self.min_us, 1), min(max(self.max_us, 1), HIGHEST_US)
        # no narrower than the histogram's own places, and whole microseconds: else bins alternate
        ratio = max((high / low) ** (1 / most), 1 + 2 / low, 1.002) * (1 + 1e-12)
        counts: Counter[int] = Counter()
        for place in self._histogram.get_recorded_iterator():
            us = min(max(place.value_iterated_to, low), high)
            counts[min(int(math.log(us / low) / math.log(ratio)), most - 1)] += (
                place.count_at_value_iterated_to
            )
        return [
            (_ms(low * ratio**place), _ms(low * ratio ** (place + 1)), counts[place])
            for place in range(max(counts) + 1)
        ]


@dataclass(frozen=True, slots=True)
class Distributions:
    """What the times of a summary were read from."""

    steps: Mapping[str, Timings]
    """Item times by step; no entry for a step of which nothing was measured."""
    calls: Mapping[str, Timings]
    """Service times by label; in an open model response times."""


def rank(count: int, percentile: float) -> int:
    """Which of `count` sorted values the percentile is, from 1: the first that so many are at or below.

    >>> rank(60, 99), rank(1, 50), rank(1000, 99.9), rank(100_000, 99.999)
    (60, 1, 999, 99999)
    """
    return max(1, -(-count * round(percentile * 1000) // 100_000))


def rounded(us: int) -> int:
    """The lowest value of its place in the histogram: with three digits, eleven bits are kept."""
    spare = us.bit_length() - 11
    return us if spare <= 0 else us >> spare << spare


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_US, DIGITS)


def _ms(us: float) -> float:
    return round(us / 1000, 3)


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Errors that differ in nothing but numbers and names."""

    fingerprint: str
    count: int
    first_us: int
    """When the first was seen, on the clock of whoever counted."""
    last_us: int
    sample: str
    """The first of them, as it was."""


class ErrorKinds:
    """Counts errors by kind; beyond `limit` kinds the new ones are counted together as "other"."""

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._kinds: dict[str, ErrorKind] = {}
        self._known: dict[str, str] = {}

    def add(self, message: str, at_us: int, times: int = 1) -> None:
        """Count an error."""
        self._count(ErrorKind(self._fingerprint(message), times, at_us, at_us, message))

    def merge(self, other: ErrorKinds) -> None:
        """Count all that the other counted."""
        for kind in other._kinds.values():
            self._count(kind)

    def ranked(self) -> list[ErrorKind]:
        """The most frequent first."""
        return sorted(self._kinds.values(), key=lambda kind: (-kind.count, kind.first_us))

    def _count(self, new: ErrorKind) -> None:
        name = new.fingerprint
        if name not in self._kinds and len(self._kinds) >= self._limit:
            name = OTHER
        old = self._kinds.get(name)
        if old is None:
            self._kinds[name] = ErrorKind(name, new.count, new.first_us, new.last_us, new.sample)
            return
        earliest = min(old, new, key=lambda kind: kind.first_us)
        self._kinds[name] = ErrorKind(
            name,
            old.count + new.count,
            earliest.first_us,
            max(old.last_us, new.last_us),
            earliest.sample,
        )

    def _fingerprint(self, message: str) -> str:
        """`fingerprint`, remembered: a broken target says the same thousands of times."""
        name = self._known.get(message)
        if name is None:
            if len(self._known) >= 10 * self._limit:
                self._known.clear()
            name = self._known[message] = fingerprint(message)
        return name
