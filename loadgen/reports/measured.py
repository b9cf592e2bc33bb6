"""What of a run is measured: all but its warm-up.  The one place that parts them.  Pure.

Times, rates and windows are those of what is measured; numbers (how many items failed, how many calls
there were) count everything.  What belongs to the warm-up is told by when it began, on the clock of its
worker, or by the index of its item; the run's own calls (setup, verify) never belong to it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from loadgen.columns import Harvest
from loadgen.lag import NO_LAG, Lag
from loadgen.record import CallTable, Event, StepFacts, TryTable, WorkerFacts
from loadgen.reports.schema import WarmUpSummary
from loadgen.reports.words import count, iso
from loadgen.sample import NO_ITEM
from loadgen.warmup import NO_WARM_UP, WarmUp, parse

WARM_UP = "warm-up"
"""The kind of the event that stands where a warm-up by time is over; noted as soon as that is known."""


class Measured:
    """Takes what was recorded in, gives back what is measured of it, and counts the rest."""

    def __init__(self, warm_up: WarmUp = NO_WARM_UP, first: int = 0, until_us: int | None = None) -> None:
        """`first`: the run's first step; `until_us`: when a warm-up by time is over; None: not known yet."""
        self.warm_up = warm_up
        self.until_us = until_us
        self.items = 0
        """That are left out so far,"""
        self.calls: Counter[int] = Counter()
        """and calls, by worker."""
        self._first = first

    @classmethod
    def of(cls, text: str | None, steps: Sequence[StepFacts], events: Iterable[Event]) -> Measured:
        """Of a run with this warm-up in its settings, and these events so far."""
        ends_us = [event.at_us for event in events if event.kind == WARM_UP]
        until_us = ends_us[-1] if ends_us else None  # each pause within it has moved it
        if not text or not steps:
            return cls()
        warm_up, first = parse(text), steps[0]
        if first.items >= 0:  # of a step without a number of items, so many will come
            warm_up = dataclasses.replace(warm_up, items=min(warm_up.items, first.items))
        return cls(warm_up, first.index, until_us)

    def is_over(self, now_us: int) -> bool:
        """Whether all that was taken in from here on is measured."""
        if self.warm_up.items:
            return self.items >= self.warm_up.items
        return self.until_us is not None and now_us >= self.until_us

    def has(self, step: int, item: int, start_us: int) -> bool:
        """Whether this is measured: what began then, for an item of a step."""
        if step < 0 or not self.warm_up:
            return True
        if self.warm_up.items:
            return step != self._first or item == NO_ITEM or item >= self.warm_up.items
        return self.until_us is not None and start_us >= self.until_us

    def tries(self, table: TryTable) -> TryTable:
        """Of items that were done at the first attempt."""
        plain = table.plain
        if not self._touches(table.step):
            return table
        which = self._which(table.step, plain.items(), plain.times()[0])
        self.items += which.count(False)
        return table if all(which) else TryTable(table.step, table.worker, plain.chosen(which))

    def calls_of(self, table: CallTable) -> CallTable:
        """Of calls."""
        samples = table.samples
        if not self._touches(table.step):
            return table
        which = self._which(table.step, samples.numbers("item"), samples.numbers("start_us"))
        self.calls[table.worker] += which.count(False)
        return table if all(which) else CallTable(table.step, table.worker, samples.chosen(which))

    def load(self, worker: WorkerFacts, warmed_up: Mapping[int, Lag]) -> WorkerFacts:
        """Of a worker's load; `warmed_up`: what the probes had read when the warm-up was over."""
        lag = worker.lag.since(warmed_up.get(worker.worker, NO_LAG))
        return dataclasses.replace(worker, lag=lag, calls=worker.calls - self.calls[worker.worker])

    def harvest(self, step: int, harvest: Harvest) -> Harvest:
        """Of what a worker has just reported."""
        if not self._touches(step):
            return harvest
        results = tuple(each for each in harvest.results if self.has(step, each.item, each.start_us))
        self.items += len(harvest.results) - len(results)
        plain = self.tries(TryTable(step, 0, harvest.plain)).plain
        samples = self.calls_of(CallTable(step, 0, harvest.samples)).samples
        return replace(harvest, plain=plain, results=results, samples=samples)

    def summary(self) -> WarmUpSummary | None:
        """What was left out, so that no report keeps quiet about it."""
        if not self.warm_up:
            return None
        calls = self.calls.total()
        text = (
            f"warm-up: {count(self.items, 'item')} and {count(calls, 'call')} of the first {self.warm_up}"
            f"{' of the first step' if self.warm_up.items else ''} are not in these times"
        )
        until = None if self.until_us is None else iso(self.until_us)
        return WarmUpSummary(self.warm_up.text, self.items, calls, until, text)

    def _touches(self, step: int) -> bool:
        """Whether there can be something of the warm-up in this step."""
        return bool(self.warm_up) and step >= 0 and (not self.warm_up.items or step == self._first)

    def _which(self, step: int, items: Iterable[int], starts_us: Sequence[int]) -> list[bool]:
        return [self.has(step, item, start_us) for item, start_us in zip(items, starts_us, strict=True)]
