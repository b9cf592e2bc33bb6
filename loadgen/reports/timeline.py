"""The run over time: how many calls ended when, and how long they took.

One pass over the calls, in any order, in memory that does not grow with them: they are counted in
slices of a power of ten, coarser ones when there are too many, and at the end as many slices as make a
round width are put together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from loadgen.record import CallTable
from loadgen.reports.metrics import rank


@dataclass(frozen=True, slots=True)
class Bucket:
    """What ended within one width of time.  Times in milliseconds; None when nothing ended."""

    at_s: float
    """Where it begins, in seconds since the run's start."""
    calls: int
    errors: int
    rate_per_s: float
    p50: float | None
    """Within 0.5 %: enough to draw."""
    p95: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The buckets from the first call that ended to the last, empty ones included."""

    width_s: float = 1.0
    """Of a bucket: 1, 2 or 5 times a power of ten."""
    buckets: tuple[Bucket, ...] = ()

    @property
    def end_s(self) -> float:
        """Where the last bucket ends."""
        return self.buckets[-1].at_s + self.width_s if self.buckets else 0.0


@dataclass(slots=True)
class _Slice:
    """Calls that ended in one unit of time, counted by cell (see `_cell`)."""

    errors: int = 0
    min_us: int | None = None
    max_us: int = 0
    cells: Counter[int] = field(default_factory=Counter)

    def add(self, us: int, *, failed: bool) -> None:
        self.errors += failed
        self.min_us = us if self.min_us is None else min(self.min_us, us)
        self.max_us = max(self.max_us, us)
        self.cells[_cell(us)] += 1

    def merge(self, other: Self) -> None:
        self.errors += other.errors
        if other.min_us is not None:
            self.min_us = other.min_us if self.min_us is None else min(self.min_us, other.min_us)
        self.max_us = max(self.max_us, other.max_us)
        self.cells.update(other.cells)

    def bucket(self, at_us: int, width_us: int) -> Bucket:
        count = self.cells.total()
        return Bucket(
            at_s=at_us / 1_000_000,
            calls=count,
            errors=self.errors,
            rate_per_s=round(count * 1_000_000 / width_us, 3),
            p50=self._percentile(50),
            p95=self._percentile(95),
            min=None if self.min_us is None else self.min_us / 1000,
            max=self.max_us / 1000 if count else None,
        )

    def _percentile(self, percentile: float) -> float | None:
        if self.min_us is None:
            return None
        left = rank(self.cells.total(), percentile)
        for cell in sorted(self.cells):
            left -= self.cells[cell]
            if left <= 0:
                return min(max(_middle_us(cell), self.min_us), self.max_us) / 1000
        raise AssertionError("a rank is never above the count")


class TimelineBuilder:
    """Accumulates calls into a Timeline of at most `limit` buckets, which are two or more."""

    _FINEST_US = 10_000

    def __init__(self, started_us: int, limit: int = 60) -> None:
        """`started_us`: what the time line begins with, on the clock of the calls."""
        self._started_us = started_us
        self._limit = max(limit, 2)  # however wide: times on both sides of a boundary need two
        self._unit_us = self._FINEST_US
        self._slices: dict[int, _Slice] = {}
        self._first = self._last = 0

    def add(self, table: CallTable) -> None:
        """Count calls, each where it ended; in an open model with their response times."""
        samples = table.samples
        starts_us, totals_us = samples.numbers("start_us"), samples.numbers("total_us")
        columns = starts_us, totals_us, samples.numbers("lag_us"), samples.texts("error")
        for start_us, total_us, lag_us, error in zip(*columns, strict=True):
            self._add(start_us - self._started_us + total_us, total_us + lag_us, failed=bool(error))

    def _add(self, end_us: int, took_us: int, *, failed: bool) -> None:
        index = end_us // self._unit_us
        if not self._slices:
            self._first = self._last = index
        elif not self._first <= index <= self._last:
            self._first, self._last = min(self._first, index), max(self._last, index)
            while self._last - self._first >= 10 * self._limit:
                self._coarsen()
            index = end_us // self._unit_us
        self._at(index).add(took_us, failed=failed)

    def build(self) -> Timeline:
        """What was counted so far."""
        if not self._slices:
            return Timeline()
        factor, unit_us = 1, self._unit_us
        for factor in (1, 2, 5, 10, 20):  # 20: an unlucky start can straddle one bucket more
            if self._last // factor - self._first // factor < self._limit:
                break
        joined: dict[int, _Slice] = {}
        for index, part in self._slices.items():
            joined.setdefault(index // factor, _Slice()).merge(part)
        width_us = factor * unit_us
        first, last = min(joined), max(joined)
        buckets = (
            joined.get(index, _Slice()).bucket(index * width_us, width_us) for index in range(first, last + 1)
        )
        return Timeline(width_us / 1_000_000, tuple(buckets))

    def _at(self, index: int) -> _Slice:
        found = self._slices.get(index)
        if found is None:
            found = self._slices[index] = _Slice()
        return found

    def _coarsen(self) -> None:
        self._unit_us *= 10
        self._first, self._last = self._first // 10, self._last // 10
        fine, self._slices = self._slices, {}
        for index, part in fine.items():
            self._at(index // 10).merge(part)


def _cell(us: int) -> int:
    """The cell of a duration: HDR's layout with 128 cells an octave, kept sparsely."""
    shift = max(0, us.bit_length() - 8)
    return (shift << 7) + (us >> shift)


def _middle_us(cell: int) -> float:
    """The middle of a cell's durations."""
    shift = max(0, (cell >> 7) - 1)
    return ((cell - (shift << 7)) << shift) + ((1 << shift) - 1) / 2
