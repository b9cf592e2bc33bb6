"""A run in equal slices of time: what its calls and items did in each, to see how much that varies by itself.

Each label of calls and each step of items is sliced from its own first start to its own last end, without
the time in which the run stood still and without its warm-up; in an open model by its service times and,
under a key of their own, by its response times.  Two passes over the rows: one for the ends, one to count;
memory does not grow with the run.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from loadgen.columns import Samples
from loadgen.record import AttemptRow
from loadgen.reports.collect import MAX_CALLS
from loadgen.reports.measured import Measured
from loadgen.reports.metrics import OTHER, rank, rounded
from loadgen.reports.sessions import Stretches, begins
from loadgen.reports.summary import Record
from loadgen.sample import Outcome

SLICES = 24
"""Enough to see the noise, few enough that each holds something."""

Key: TypeAlias = "tuple[str, str]"
"""`items` or `calls`, and the name of the step or the label; see `response`."""
Weights: TypeAlias = "Sequence[tuple[int, int]]"
"""Slices, and how often each counts."""


@dataclass(frozen=True, slots=True)
class Slices:
    """What ended in each slice."""

    width_us: float
    counts: tuple[int, ...]
    failed: tuple[int, ...]
    sums_us: tuple[int, ...]
    values: tuple[int, ...]
    """Durations that occur, in order, to the histogram's 0.1 %."""
    below: tuple[tuple[int, ...], ...]
    """For each slice: how many took at most as long as each of the values."""

    @classmethod
    def of(cls, width_us: float, durations_us: Sequence[Sequence[int]], failed: Sequence[int]) -> Slices:
        """From the durations themselves."""
        counters = [Counter(map(rounded, part)) for part in durations_us]
        return cls.counted(width_us, counters, [sum(part) for part in durations_us], failed)

    @classmethod
    def counted(
        cls, width_us: float, counters: Sequence[Counter[int]], sums_us: Sequence[int], failed: Sequence[int]
    ) -> Slices:
        """From counts by duration."""
        values = sorted({value for counter in counters for value in counter})
        below = (tuple(accumulate(counter[value] for value in values)) for counter in counters)
        counts = tuple(counter.total() for counter in counters)
        return cls(width_us, counts, tuple(failed), tuple(sums_us), tuple(values), tuple(below))

    @property
    def total(self) -> int:
        """How much there is in all."""
        return sum(self.counts)

    @property
    def filled(self) -> int:
        """How many slices hold anything."""
        return sum(map(bool, self.counts))

    def count(self, weights: Weights) -> int:
        """How much there is in slices."""
        return sum(self.counts[slice_] * times for slice_, times in weights)

    def mean(self, weights: Weights) -> float:
        """Mean duration, in microseconds; of at least one."""
        return sum(self.sums_us[slice_] * times for slice_, times in weights) / self.count(weights)

    def percentile(self, percentile: float, weights: Weights) -> float:
        """The percentile of nearest rank, in microseconds; of at least one."""
        wanted = rank(self.count(weights), percentile)
        drawn = [(self.below[slice_], times) for slice_, times in weights]

        def within(place: int) -> int:
            return sum([below[place] * times for below, times in drawn])

        return self.values[bisect_left(range(len(self.values)), wanted, key=within)]

    def rate(self, weights: Weights) -> float:
        """How much ended a second."""
        return self.count(weights) * 1_000_000 / (self.width_us * sum(times for _, times in weights))

    def errors(self, weights: Weights) -> float:
        """The share that failed, in percent; of at least one."""
        return 100 * sum(self.failed[slice_] * times for slice_, times in weights) / self.count(weights)


_Rows: TypeAlias = "tuple[Key, Sequence[int], Sequence[int], Sequence[bool], Sequence[int]]"
"""Of one key: starts, durations, whether each failed, lags; no lags in a closed model."""


def response(key: Key) -> Key:
    """Where the slices of the same rows' response times are."""
    return f"{key[0]} response", key[1]


def sliced(record: Record, slices: int = SLICES) -> dict[Key, Slices]:
    """All steps and labels of a run."""
    begins_us = begins(record.events())
    spans: dict[Key, Stretches] = {}
    for key, starts_us, durations_us, _, lags_us in _rows(record):
        span = spans.setdefault(key, Stretches(begins_us))
        span.add(starts_us, durations_us)
        if lags_us:
            spans[response(key)] = span
    parts = {key: _Parts(span, slices) for key, span in spans.items()}
    for key, starts_us, durations_us, failed, lags_us in _rows(record):
        ends_us = list(map(operator.add, starts_us, durations_us))
        parts[key].add(ends_us, durations_us, failed)
        if lags_us:
            parts[response(key)].add(ends_us, list(map(operator.add, durations_us, lags_us)), failed)
    return {key: part.build() for key, part in parts.items()}


class _Parts:
    """Slices that are being filled."""

    def __init__(self, span: Stretches, slices: int) -> None:
        self._span = span
        self._width_us = max(span.covered_us, 1) / slices
        self._counters: list[Counter[int]] = [Counter() for _ in range(slices)]
        self._sums_us = [0] * slices
        self._failed = [0] * slices

    def add(self, ends_us: Sequence[int], times_us: Sequence[int], failed: Sequence[bool]) -> None:
        last = len(self._sums_us) - 1
        for end_us, us, bad in zip(ends_us, times_us, failed, strict=True):
            place = min(int(self._span.passed_us(end_us) / self._width_us), last)
            self._counters[place][rounded(us)] += 1
            self._sums_us[place] += us
            self._failed[place] += bad

    def build(self) -> Slices:
        return Slices.counted(self._width_us, self._counters, self._sums_us, self._failed)


def _rows(record: Record) -> Iterator[_Rows]:
    """As the summary counts them."""
    started_us, facts = record.phases().started_us, record.facts()
    steps = {step.index: step.name for step in record.steps()}
    measured = Measured.of(facts.settings.get("warm_up"), record.steps(), record.events())
    paced = bool(facts.settings.get("pace"))
    for table in map(measured.tries, record.try_tables()):
        if not len(table.plain):
            continue
        starts_us, durations_us = table.plain.times()
        lags_us = table.plain.lags() if paced else ()
        yield ("items", steps[table.step]), starts_us, durations_us, [False] * len(starts_us), lags_us
    for row in record.other_attempts():
        if _settles(row) and measured.has(row.step, row.item, started_us + row.start_us):
            failed, lag_us = [row.outcome is Outcome.FAILED], [row.lag_us] if paced else ()
            yield ("items", steps[row.step]), [started_us + row.start_us], [row.duration_us], failed, lag_us
    known: set[str] = set()
    for calls in map(measured.calls_of, record.call_tables()):
        late = paced and calls.step >= 0  # setup and verify have no times of their own
        yield from _calls(calls.samples, lambda label: _name(label, known), late=late)


def _settles(row: AttemptRow) -> bool:
    return row.counted and not row.found and row.outcome in (Outcome.DONE, Outcome.FAILED)


def _name(label: str, known: set[str]) -> str:
    if label not in known and len(known) >= MAX_CALLS:
        return OTHER
    known.add(label)
    return label


def _calls(samples: Samples, name: Callable[[str], str], *, late: bool) -> Iterator[_Rows]:
    labels = samples.texts("label")
    for label in dict.fromkeys(labels):
        mine = samples.chosen([each == label for each in labels])
        failed = [bool(error) for error in mine.texts("error")]
        lags_us = mine.numbers("lag_us") if late else ()
        yield ("calls", name(label)), mine.numbers("start_us"), mine.numbers("total_us"), failed, lags_us
