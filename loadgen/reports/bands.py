"""Durations along an axis (time, item, place in a key): how many there were where, and how long they took.

One pass over the rows, in any order, in memory that does not grow with them: they are counted in
slices of a power of ten, coarser ones when there are too many, and at the end as many slices as make a
round width are put together.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Self

from loadgen.reports.metrics import rank

_NOTHING: tuple[array[int], array[int]] = (array("H"), array("Q"))
_AWAKE = 30
"""Slices that are not packed: rows come a little out of order."""
_FACTORS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Band:
    """What lies within one width of the axis.  Times in milliseconds; None where nothing is."""

    at: int
    """Where it begins."""
    count: int
    failed: int
    p50: float | None
    """Within 0.5 %, as all percentiles here: enough to draw."""
    p95: float | None
    p99: float | None
    min: float | None
    """Exact, as is the highest: what is put together hides no extremes."""
    max: float | None


@dataclass(frozen=True, slots=True)
class Bands:
    """From the first row to the last, empty ones included."""

    width: int = 1
    """Of a band: 1, 2 or 5 times a power of ten."""
    bands: tuple[Band, ...] = ()

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(band.count for band in self.bands)

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(band.failed for band in self.bands)


@dataclass(slots=True)
class _Slice:
    """Rows in one unit of the axis, counted by cell (see `_cell`); a fifteenth of the size while at rest."""

    failed: int = 0
    min_us: int | None = None
    max_us: int = 0
    awake: Counter[int] | None = None
    packed: tuple[array[int], array[int]] = _NOTHING

    @property
    def cells(self) -> Counter[int]:
        """How many rows by cell, to be added to."""
        if self.awake is None:
            self.awake = Counter(dict(zip(*self.packed, strict=True)))
        return self.awake

    def rest(self) -> None:
        """Take less room until it is asked for again."""
        if self.awake is not None:
            self.packed, self.awake = (array("H", self.awake), array("Q", self.awake.values())), None

    def add(self, durations_us: Sequence[int]) -> None:
        low, high = min(durations_us), max(durations_us)
        self.min_us = low if self.min_us is None else min(self.min_us, low)
        self.max_us = max(self.max_us, high)
        self.cells.update(map(_cell, durations_us))

    def merge(self, other: Self) -> None:
        self.failed += other.failed
        if other.min_us is not None:
            self.min_us = other.min_us if self.min_us is None else min(self.min_us, other.min_us)
        self.max_us = max(self.max_us, other.max_us)
        self.cells.update(other.cells)

    def band(self, at: int) -> Band:
        count = self.cells.total()
        p50, p95, p99 = self._percentiles(50, 95, 99)
        low, high = (None, None) if self.min_us is None else (self.min_us / 1000, self.max_us / 1000)
        return Band(at, count, self.failed, p50, p95, p99, low, high)

    def _percentiles(self, *percentiles: float) -> list[float | None]:
        """Of nearest rank, in rising order."""
        if self.min_us is None:
            return [None] * len(percentiles)
        found: list[float | None] = []
        cells, passed = iter(sorted(self.cells)), 0
        cell = 0
        for percentile in percentiles:
            wanted = rank(self.cells.total(), percentile)
            while passed < wanted:
                cell = next(cells)
                passed += self.cells[cell]
            found.append(min(max(_middle_us(cell), self.min_us), self.max_us) / 1000)
        return found


class BandsBuilder:
    """Accumulates rows into Bands of at most `limit`, which are two or more."""

    def __init__(self, limit: int, finest: int = 1) -> None:
        """`finest`: the least width of a band, a power of ten."""
        self._limit = max(limit, 2)  # however wide: rows on both sides of a boundary need two
        self._unit = finest
        self._slices: dict[int, _Slice] = {}
        self._awake: deque[_Slice] = deque()
        self._first = self._last = 0

    def add(self, places: Sequence[int], durations_us: Sequence[int], failed: Sequence[bool] = ()) -> None:
        """Count rows; `failed`: which of them, empty when none did."""
        if not places:
            return
        self._reach(min(places), max(places))
        unit = self._unit
        indexes = [place // unit for place in places]
        if min(indexes) == max(indexes):
            self._at(indexes[0]).add(durations_us)
        else:
            parts: dict[int, list[int]] = {}
            for index, us in zip(indexes, durations_us, strict=True):
                parts.setdefault(index, []).append(us)
            for index, part in parts.items():
                self._at(index).add(part)
        for index in compress(indexes, failed):
            self._at(index).failed += 1

    def build(self, limit: int | None = None, least: int = 1) -> Bands:
        """What was counted so far, in at most `limit` bands, by default as many as it was made for.

        `least`: none shall be narrower than this.
        """
        if not self._slices:
            return Bands()
        limit = self._limit if limit is None else max(limit, 2)
        factor = 1
        for factor in _FACTORS:
            few = self._last // factor - self._first // factor < limit
            if few and factor * self._unit >= least:
                break
        joined: dict[int, _Slice] = {}
        for index, part in sorted(self._slices.items()):
            whole = joined.setdefault(index // factor, _Slice())
            whole.merge(part)
            part.rest()
        width = factor * self._unit
        bands = (
            joined.get(index, _Slice()).band(index * width) for index in range(min(joined), max(joined) + 1)
        )
        return Bands(width, tuple(bands))

    def _reach(self, lowest: int, highest: int) -> None:
        """Make the slices so coarse that these places are not too many away."""
        first, last = lowest // self._unit, highest // self._unit
        if self._slices:
            first, last = min(first, self._first), max(last, self._last)
        while last - first >= 10 * self._limit:
            self._coarsen()
            first, last = first // 10, last // 10
        self._first, self._last = first, last

    def _at(self, index: int) -> _Slice:
        found = self._slices.get(index)
        if found is None:
            found = self._slices[index] = _Slice()
        if found.awake is None:
            self._awake.append(found)
            if len(self._awake) > _AWAKE:
                self._awake.popleft().rest()
        return found

    def _coarsen(self) -> None:
        self._unit *= 10
        fine, self._slices = self._slices, {}
        for index, part in sorted(fine.items()):  # so that each is woken once
            self._at(index // 10).merge(part)
            part.rest()


def _cell(us: int) -> int:
    """The cell of a duration: HDR's layout with 128 cells an octave, kept sparsely."""
    shift = us.bit_length() - 8
    return (shift << 7) + (us >> shift) if shift > 0 else us


def _middle_us(cell: int) -> float:
    """The middle of a cell's durations."""
    shift = max(0, (cell >> 7) - 1)
    return ((cell - (shift << 7)) << shift) + ((1 << shift) - 1) / 2
