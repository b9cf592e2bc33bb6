"""The run over time: how many calls ended when, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass
from operator import add

from loadgen.record import CallTable
from loadgen.reports.bands import Band, Bands, BandsBuilder

FINEST_US = 10_000
"""The least width of a bucket."""


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


class TimelineBuilder:
    """Accumulates calls into a Timeline of at most `limit` buckets, which are two or more."""

    def __init__(self, started_us: int, limit: int = 60) -> None:
        """`started_us`: what the time line begins with, on the clock of the calls."""
        self._started_us = started_us
        self._bands = BandsBuilder(limit, FINEST_US)

    def add(self, table: CallTable) -> None:
        """Count calls, each where it ended; in an open model with their response times."""
        samples = table.samples
        totals_us = samples.numbers("total_us")
        ends_us = [end - self._started_us for end in map(add, samples.numbers("start_us"), totals_us)]
        took_us = list(map(add, totals_us, samples.numbers("lag_us")))
        self._bands.add(ends_us, took_us, list(map(bool, samples.texts("error"))))

    def build(self) -> Timeline:
        """What was counted so far."""
        return timeline(self._bands.build())


def timeline(made: Bands) -> Timeline:
    """Bands of calls, by microseconds since the run's start, as one."""
    return Timeline(
        made.width / 1_000_000 if made.bands else 1.0,
        tuple(_bucket(band, made.width) for band in made.bands),
    )


def _bucket(band: Band, width_us: int) -> Bucket:
    rate_per_s = round(band.count * 1_000_000 / width_us, 3)
    at_s = band.at / 1_000_000
    return Bucket(at_s, band.count, band.failed, rate_per_s, band.p50, band.p95, band.min, band.max)
