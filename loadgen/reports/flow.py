"""The calls of a run while it goes on: of the last moment for people, and of all so far for Prometheus.

The master's threads tell it of every report; whoever shows it asks once a second or when scraped.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import dataclass
from operator import add

from loadgen.columns import Samples
from loadgen.reports.metrics import OTHER
from loadgen.reports.tally import Tally

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends of Prometheus' buckets; above the last there is +Inf."""
_MOST = 200
"""Labels that are told apart, as in the summary."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Calls that were reported since the moment before; times in milliseconds, None when there were none."""

    calls: int = 0
    errors: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    response_p50_ms: float | None = None
    """From when they were meant to start; None in a closed model, too."""
    response_p95_ms: float | None = None
    response_p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class LabelSoFar:
    """All calls of one label so far."""

    name: str
    count: int
    errors: int
    sum_s: float
    buckets: tuple[int, ...]
    """How many took at most as long as each of BOUNDS_S, to the histogram's 0.1 %."""
    response: LabelSoFar | None = None
    """The same of their response times; None in a closed model."""


class Flow:
    """Accumulates what workers report of calls.  Thread-safe."""

    def __init__(self, *, paced: bool = False) -> None:
        """`paced`: items are meant to start at times of their own."""
        self.paced = paced
        self._labels: dict[str, Tally] = {}
        self._responses: dict[str, Tally] = {}
        self._moment, self._response = Tally(), Tally()
        self._lock = threading.Lock()

    def record(self, samples: Samples) -> None:
        """A worker's report came."""
        if not samples:
            return
        labels = samples.texts("label")
        names = list(dict.fromkeys(labels))
        with self._lock:
            for name in names:
                mine = samples if len(names) == 1 else samples.chosen([label == name for label in labels])
                failed = sum(map(bool, mine.texts("error")))
                totals_us = mine.numbers("total_us")
                self._moment.add(totals_us, failed)
                known = name if name in self._labels or len(self._labels) < _MOST else OTHER
                self._labels.setdefault(known, Tally()).add(totals_us, failed)
                if self.paced:
                    took_us = list(map(add, totals_us, mine.numbers("lag_us")))
                    self._response.add(took_us, failed)
                    self._responses.setdefault(known, Tally()).add(took_us, failed)

    def moment(self) -> Moment:
        """What came since this was asked last."""
        with self._lock:
            tally, self._moment = self._moment, Tally()
            response, self._response = self._response, Tally()
        return Moment(tally.count, tally.failed, *_percentiles_ms(tally), *_percentiles_ms(response))

    def so_far(self) -> tuple[LabelSoFar, ...]:
        """All of it, by label."""
        with self._lock:
            return tuple(
                _so_far(name, tally, self._responses.get(name)) for name, tally in self._labels.items()
            )


def _percentiles_ms(tally: Tally) -> tuple[float | None, ...]:
    """p50, p95 and p99; None when there is nothing."""
    if not tally.count:
        return (None, None, None)
    return tuple(tally.percentile_us(percentile) / 1000 for percentile in (50, 95, 99))


def _so_far(name: str, tally: Tally, response: Tally | None = None) -> LabelSoFar:
    ends = [0] * (len(BOUNDS_S) + 1)
    for us, times in tally.times.items():
        ends[bisect_left(BOUNDS_S, us / 1_000_000)] += times
    within, buckets = 0, []
    for count in ends[:-1]:
        within += count
        buckets.append(within)
    return LabelSoFar(
        name,
        tally.count,
        tally.failed,
        tally.sum_us / 1_000_000,
        tuple(buckets),
        None if response is None else _so_far(name, response),
    )
