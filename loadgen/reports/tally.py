"""Durations by when they ended: what thresholds are judged by, over a whole run and over windows of it.

Percentiles are those of `metrics.Timings`, to the microsecond; but counted sparsely, since each tenth of a
window has a count of its own, and what is old is packed: a day in windows of half a minute takes some 20 MB.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence

from loadgen.columns import pack, unpack
from loadgen.reports.metrics import HIGHEST_US, rank, rounded
from loadgen.reports.sessions import Stretches

SLICES = 10
"""A window slides by a tenth of its width."""
_AWAKE = 3 * SLICES
"""Slices that are not packed yet: reports come a little out of order."""


class Tally:
    """Durations of what ended together, and how much of that failed."""

    __slots__ = ("_packed", "_times", "count", "failed", "max_us", "min_us", "sum_us")

    def __init__(self) -> None:
        self.count = 0
        self.failed = 0
        self.sum_us = 0
        self.min_us = 0
        self.max_us = 0
        self._times: Counter[int] | None = Counter()
        self._packed = (b"", b"")

    def add(self, durations_us: Sequence[int], failed: int) -> None:
        """Count durations, in microseconds."""
        self._extend(len(durations_us), failed, sum(durations_us), min(durations_us), max(durations_us))
        self._times = self.times
        self._times.update(map(rounded, durations_us))

    def merge(self, other: Tally) -> None:
        """Count all that the other counted."""
        if other.count:
            self._extend(other.count, other.failed, other.sum_us, other.min_us, other.max_us)
            self._times = self.times
            self._times.update(other.times)

    def percentile_us(self, percentile: float) -> int:
        """Of nearest rank, of at least one duration; above an hour it is an hour, as in `Timings`."""
        left = rank(self.count, percentile)
        times = self.times
        for low in sorted(times):
            left -= times[low]
            if left <= 0:
                high = low + (1 << max(low.bit_length() - 11, 0)) - 1
                return min(max(high, self.min_us), self.max_us, max(HIGHEST_US, self.min_us))
        raise AssertionError("a rank is never above the count")

    @property
    def times(self) -> Counter[int]:
        """How many durations, by their lowest value that the histogram does not tell apart."""
        if self._times is not None:
            return self._times
        return Counter(dict(zip(*map(unpack, self._packed), strict=True)))

    def rest(self) -> None:
        """Take less room from now on."""
        times = self.times
        self._packed, self._times = (pack([*times]), pack([*times.values()])), None

    def _extend(self, count: int, failed: int, sum_us: int, min_us: int, max_us: int) -> None:
        self.min_us = min(self.min_us, min_us) if self.count else min_us
        self.max_us = max(self.max_us, max_us) if self.count else max_us
        self.count += count
        self.failed += failed
        self.sum_us += sum_us


class Series:
    """Tallies by time, and the stretches of time that they cover."""

    def __init__(self, window_us: int | None, sessions_us: Sequence[int] = ()) -> None:
        """`window_us`: None for one tally of all; `sessions_us`: see `sessions.begins`."""
        self.slice_us = window_us // SLICES if window_us else None
        self.stretches = Stretches(sessions_us)
        self._tallies: dict[int, Tally] = {}
        self._awake: deque[int] = deque()
        self.ended = 0
        """How much was counted, forgotten or not."""

    def add(self, ends_us: Sequence[int], durations_us: Sequence[int], failed: Sequence[bool]) -> None:
        """Count what ended: wall clock, microseconds since 1970."""
        if not ends_us:
            return
        self.ended += len(ends_us)
        places = [self._place(end_us) for end_us in (min(ends_us), max(ends_us))]
        if places[0] == places[1]:
            self._add(places[0], ends_us, durations_us, sum(failed))
            return
        parts: dict[tuple[int, int], tuple[list[int], list[int], list[bool]]] = {}
        for row in zip(ends_us, durations_us, failed, strict=True):
            part = parts.setdefault(self._place(row[0]), ([], [], []))
            part[0].append(row[0])
            part[1].append(row[1])
            part[2].append(row[2])
        for place, (ends, durations, failures) in parts.items():
            self._add(place, ends, durations, sum(failures))

    def forget(self, before: int) -> None:
        """Drop the slices before this one."""
        for index in [index for index in self._tallies if index < before]:
            del self._tallies[index]

    def total(self) -> Tally:
        """All of it, or all that was not forgotten."""
        return merged(list(self._tallies.values()))

    def window(self, start: int) -> Tally:
        """The window that begins with this slice."""
        return merged([self._tallies[k] for k in range(start, start + SLICES) if k in self._tallies])

    def windows(self) -> Iterator[tuple[int, Tally]]:
        """When each full window ended, and what ended in it."""
        for first_us, last_us in self.stretches.all:
            width_us = self.slice_us or 1
            first, last = -(-first_us // width_us), last_us // width_us
            for index in self._telling(first, last):
                if index - SLICES + 1 >= first:
                    yield (index + 1) * width_us, self.window(index - SLICES + 1)

    def _telling(self, first: int, last: int) -> Iterator[int]:
        """The last slices of windows in which there is something, and of one beyond each where nothing is.

        Not all of them: of a worker whose clock was wrong for a moment there may be years between two.
        """
        done = first
        for index in sorted(index for index in self._tallies if first <= index < last):
            yield from range(max(index, done), min(index + SLICES + 1, last))
            done = max(done, min(index + SLICES + 1, last))

    def _place(self, end_us: int) -> tuple[int, int]:
        """Slice and session."""
        return end_us // self.slice_us if self.slice_us else 0, self.stretches.session(end_us)

    def _add(
        self, place: tuple[int, int], ends_us: Sequence[int], durations_us: Sequence[int], failed: int
    ) -> None:
        index, session = place
        self._at(index).add(durations_us, failed)
        first_us = min(end - us for end, us in zip(ends_us, durations_us, strict=True))
        self.stretches.extend(session, first_us, max(ends_us))

    def _at(self, index: int) -> Tally:
        if index not in self._awake:
            self._awake.append(index)
            if len(self._awake) > _AWAKE and (oldest := self._tallies.get(self._awake.popleft())):
                oldest.rest()
        return self._tallies.setdefault(index, Tally())


def merged(tallies: Sequence[Tally] | deque[Tally]) -> Tally:
    """All of them in a new one."""
    whole = Tally()
    for tally in tallies:
        whole.merge(tally)
    return whole
