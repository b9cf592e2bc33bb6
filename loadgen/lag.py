"""How late a process woke: a small histogram that travels from a pool child to the report.

A thread that asks to be woken at a moment is woken later by what it had to wait for a core and for the
interpreter's lock.  Buckets are fixed, so that counting allocates nothing and two histograms can be
compared: four to a doubling, from 16 us to a minute, so a value that is read back is at most an eighth
off.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated, TypeAlias

import msgspec
from msgspec.structs import replace

from loadgen.sample import Count

UNIT_US = 16
"""Width of the first buckets: finer than any timer."""
_OCTAVE = 4
"""Buckets to a doubling."""
_HIGHEST = 2**22 - 1
"""In units: a bit more than a minute; what is longer is counted as this."""
BUCKETS = 84

Counts: TypeAlias = Annotated[tuple[Count, ...], msgspec.Meta(max_length=BUCKETS)]
"""By bucket; the empty ones at the end are left out."""


class Lag(msgspec.Struct, frozen=True, array_like=True):
    """What a probe has read, in the seconds in which its process had calls that ended."""

    late: Counts = ()
    """Wakings, by how late they were."""
    worst: Counts = ()
    """Seconds, by the latest waking in each."""
    cpu_us: Count = 0
    """CPU time of the process in these seconds."""
    wall_us: Count = 0
    """How long these seconds were."""
    waited_us: Count = 0
    """How long its threads, added up, were ready to run in these seconds and had no core; 0 where the
    system does not tell."""

    @property
    def ticks(self) -> int:
        """How often it was woken."""
        return sum(self.late)

    @property
    def cpu(self) -> float:
        """Share of one core that the process used; 0 when nothing is known."""
        return self.cpu_us / self.wall_us if self.wall_us else 0.0

    @property
    def p90_us(self) -> int:
        """Of ten wakings, nine were at most so late."""
        return percentile(self.late, 90)

    @property
    def p99_us(self) -> int:
        """Of a hundred wakings, 99 were at most so late."""
        return percentile(self.late, 99)

    @property
    def mean_us(self) -> float:
        """The mean of the wakings."""
        return sum(middle_us(index) * count for index, count in enumerate(self.late)) / max(self.ticks, 1)

    def seconds_over(self, limit_us: float) -> tuple[int, int]:
        """In how many seconds it was later than the limit at least once, and of how many."""
        over = sum(count for index, count in enumerate(self.worst) if middle_us(index) > limit_us)
        return over, sum(self.worst)

    def since(self, before: Lag) -> Lag:
        """What was read after an earlier reading.

        Of several processes the slowest is told: where that is another one by now, it is told without what
        the earlier one had read, which is about what it had read itself.
        """
        return Lag(
            _less(self.late, before.late),
            _less(self.worst, before.worst),
            max(self.cpu_us - before.cpu_us, 0),
            max(self.wall_us - before.wall_us, 0),
            max(self.waited_us - before.waited_us, 0),
        )


NO_LAG = Lag()
"""Nothing was read."""


def worst(lags: Sequence[Lag]) -> Lag:
    """The one to judge several processes by, as a sum would hide it; but with what all of them waited.

    Whoever asks how long a call waited divides that by the calls of all processes.
    """
    slowest = max(lags, key=lambda lag: (lag.p99_us, lag.ticks), default=NO_LAG)
    return replace(slowest, waited_us=sum(lag.waited_us for lag in lags))


def bucket(us: int) -> int:
    """Which bucket so many microseconds fall into.

    >>> bucket(0), bucket(16), bucket(100), bucket(1_000), bucket(10**9)
    (0, 1, 6, 19, 83)
    """
    units = min(max(us, 0) // UNIT_US, _HIGHEST)
    octave = max(units.bit_length() - 3, 0)
    return _OCTAVE * octave + (units >> octave)


def middle_us(index: int) -> int:
    """The middle of a bucket, in microseconds.

    >>> middle_us(6), middle_us(19)
    (104, 960)
    """
    return (_start_us(index) + _start_us(index + 1)) // 2


def percentile(counts: Sequence[int], percent: float) -> int:
    """The value, in microseconds, that `percent` of what was counted are at or below; 0 for nothing."""
    left = sum(counts) * percent / 100
    for index, count in enumerate(counts):
        left -= count
        if count and left <= 0:
            return middle_us(index)
    return 0


def trimmed(counts: Sequence[int]) -> tuple[int, ...]:
    """Without the empty buckets at the end."""
    length = next((length for length in range(len(counts), 0, -1) if counts[length - 1]), 0)
    return tuple(counts[:length])


def _less(counts: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    return trimmed([max(now - then, 0) for now, then in zip_longest(counts, before, fillvalue=0)])


def _start_us(index: int) -> int:
    octave = max(index // _OCTAVE - 1, 0)
    return ((index - _OCTAVE * octave) << octave) * UNIT_US
