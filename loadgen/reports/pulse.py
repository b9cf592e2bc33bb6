"""How a run is going just now: what `progress` shows.  Pure: time is handed in.

The master's threads tell the pulse of every report; whoever shows it asks a few times a second.  Both
are cheap: durations are kept for the last seconds only, and never more than a bounded number of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import add

from loadgen.columns import Harvest
from loadgen.record import (
    ItemCounts,
    StepFacts,
)
from loadgen.reports.metrics import rank
from loadgen.sample import Outcome
from loadgen.view import QueueView

NOW_S = 5
"""What "now" means for rates and percentiles."""
_MEMORY_S = 30
"""What the estimate of the end rests on: longer, so that it does not jump."""
_ENOUGH = 2_000
"""Durations kept of one second: percentiles for the eye need no more."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at one moment."""

    elapsed_s: float
    """Since the run's start."""
    step: str
    """Name of the open step; empty before the first."""
    number: int
    """Its place among the steps, from 1."""
    steps: int
    """How many there are."""
    step_counts: ItemCounts
    """How the items of the open step ended so far."""
    run_counts: ItemCounts
    """The same for all steps."""
    rate_now: float
    """Items a second, in the last seconds."""
    rate_mean: float
    """Items a second, since the first report, without the time in which the run was paused."""
    p50_ms: float | None
    """Service time of the calls in the last seconds, in an open model response time; None: no calls."""
    p95_ms: float | None
    in_flight: int
    """Items that are running on workers."""
    workers: int
    """Workers that are here."""
    eta_s: float | None
    """Until all items are settled, at the rate of the last half minute; None: nobody knows."""
    event: str = ""
    """What happened last."""
    timed: float | None = None
    """How much of its time is over, where it has no fixed number of items; else None."""


@dataclass(frozen=True, slots=True)
class Second:
    """What was reported within one second."""

    at: int
    """Seconds since 1970."""
    items: int
    """Items that ended."""
    failed: int
    """Those of them that failed."""
    calls: int
    errors: int
    """Calls that failed."""
    p50_ms: float | None
    """Service time of the calls; None when there were none."""
    p95_ms: float | None
    p99_ms: float | None


@dataclass(slots=True)
class _Second:
    at: int
    items: int = 0
    failed: int = 0
    calls: int = 0
    errors: int = 0
    durations_us: list[int] = field(default_factory=list)

    def told(self) -> Second:
        """For people."""
        ordered_us = sorted(self.durations_us)
        p50, p95, p99 = (_percentile_ms(ordered_us, percentile) for percentile in (50, 95, 99))
        return Second(self.at, self.items, self.failed, self.calls, self.errors, p50, p95, p99)


class Pulse:
    """Accumulates what workers report.  Thread-safe."""

    def __init__(self, steps: Sequence[StepFacts], started_us: int) -> None:
        """`started_us` and every `now_us` are of one clock."""
        self._steps = {step.index: step for step in steps}
        self._started_us = started_us
        self._counts = {step.index: ItemCounts(planned=max(step.items, 0)) for step in steps}
        self._seconds: deque[_Second] = deque(maxlen=_MEMORY_S + 1)
        self._items = 0
        self._first_us: int | None = None
        self._held_us: int | None = None
        """Since when the run is paused,"""
        self._rested_us = 0
        """and for how long it was before."""
        self._event = ""
        self._lock = threading.Lock()

    def take(self, harvest: Harvest, now_us: int) -> None:
        """A worker's report came."""
        ended = [result.outcome for result in harvest.results if result.retry_ms is None]
        errors = sum(map(bool, harvest.samples.texts("error")))
        samples = harvest.samples
        took_us = list(map(add, samples.numbers("total_us"), samples.numbers("lag_us")))
        self.record(len(harvest.plain) + len(ended), took_us, now_us)
        with self._lock:
            self._seconds[-1].failed += ended.count(Outcome.FAILED)
            self._seconds[-1].errors += errors

    def record(self, items: int, durations_us: Sequence[int], now_us: int) -> None:
        """A worker's report came: items that ended, and how long calls took."""
        with self._lock:
            if self._first_us is None:
                self._first_us = now_us
            self._items += items
            at = now_us // 1_000_000
            if not self._seconds or self._seconds[-1].at < at:
                self._seconds.append(_Second(at))
            second = self._seconds[-1]
            second.items += items
            second.calls += len(durations_us)
            room = _ENOUGH - len(second.durations_us)
            if room > 0:
                second.durations_us += durations_us[:room]

    def seconds(self, since: int, until: int) -> list[Second]:
        """What was reported from one second to before another; nothing older than half a minute is kept."""
        with self._lock:
            chosen = [replace(second) for second in self._seconds if since <= second.at < until]
        return [second.told() for second in chosen]

    def happened(self, text: str) -> None:
        """Something that people want to see."""
        with self._lock:
            self._event = text

    def progress(self, step: int | None, view: QueueView, now_us: int) -> Progress:
        """The run now; `step` is the index of the one that `view` shows, None before the first."""
        with self._lock:
            self._hold(view, now_us)
            if step is not None:
                self._counts |= view.by_step or {step: view.counts}
            counts = ItemCounts()
            for count in self._counts.values():
                counts = counts.plus(count)
            recent = self._recent(now_us, NOW_S)
            durations = sorted(us for second in recent for us in second.durations_us)
            lately = self._rate(now_us, _MEMORY_S)
            here = [worker for worker in view.workers if worker.here]
            facts = None if step is None else self._steps[step]
            return Progress(
                elapsed_s=(now_us - self._started_us) / 1_000_000,
                step="" if facts is None else self._open(facts, view),
                number=0 if facts is None else list(self._steps).index(facts.index) + 1,
                steps=len(self._steps),
                step_counts=ItemCounts() if facts is None else view.counts,
                run_counts=counts,
                rate_now=self._rate(now_us, NOW_S),
                rate_mean=self._mean(now_us),
                p50_ms=_percentile_ms(durations, 50),
                p95_ms=_percentile_ms(durations, 95),
                in_flight=sum(worker.in_flight for worker in here),
                workers=len(here),
                eta_s=_left_s(view, counts.pending, lately),
                event=self._event,
                timed=None if view.left_s is None else view.passed_s / (view.passed_s + view.left_s),
            )

    def _open(self, facts: StepFacts, view: QueueView) -> str:
        """The name of the open step, or the names of those that are mixed."""
        if facts.index not in view.by_step:
            return facts.name
        return " + ".join(self._steps[index].name for index in view.by_step)

    def _recent(self, now_us: int, seconds: int) -> list[_Second]:
        """The last whole seconds and the one that runs."""
        since = now_us // 1_000_000 - seconds
        return [second for second in self._seconds if second.at >= since]

    def _rate(self, now_us: int, seconds: int) -> float:
        """Items a second over the last `seconds`, or since the first report where that is less."""
        if self._first_us is None:
            return 0.0
        begin_us = max((now_us // 1_000_000 - seconds) * 1_000_000, self._first_us)
        items = sum(second.items for second in self._recent(now_us, seconds))
        return _per_second(items, now_us - begin_us)

    def _mean(self, now_us: int) -> float:
        if self._first_us is None:
            return 0.0
        until_us = now_us if self._held_us is None else self._held_us
        return _per_second(self._items, until_us - self._first_us - self._rested_us)

    def _hold(self, view: QueueView, now_us: int) -> None:
        if self._first_us is None:
            return
        if view.paused and self._held_us is None:
            self._held_us = now_us
        elif not view.paused and self._held_us is not None:
            self._rested_us += now_us - self._held_us
            self._held_us = None


def _left_s(view: QueueView, pending: int, rate: float) -> float | None:
    if view.left_s is not None:
        return view.left_s
    return pending / rate if rate and not view.paused else None


def _per_second(items: int, us: int) -> float:
    # the first report sets the clock off and already brings items: within its second no rate is known
    return items * 1_000_000 / max(us, 1_000_000)


def _percentile_ms(ordered_us: Sequence[int], percentile: float) -> float | None:
    return ordered_us[rank(len(ordered_us), percentile) - 1] / 1000 if ordered_us else None
