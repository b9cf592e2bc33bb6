"""Keeps an eye on a run's thresholds while it goes on, by when results arrive.  Time is handed in.

The end of a run judges by when things happened, from the ledger; here a second is as good, and a worker
whose clock is wrong does no harm.  Those over the whole run that may not abort it are only shown.
A resumed run is watched anew: what an earlier session did must not end this one at once.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass

from loadgen.columns import Harvest
from loadgen.record import CallTable, ItemCounts
from loadgen.reports.gates import Gate, counted, measured, said
from loadgen.reports.tally import SLICES, Series
from loadgen.sample import Outcome, Result
from loadgen.thresholds import Threshold

EVERY_US = 250_000
"""How often it is looked: results come as often."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold is on the wrong side."""

    threshold: Threshold
    text: str
    """For people."""
    acts: bool
    """It has been so for as long as it may, and its action is due."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a threshold stands just now."""

    text: str
    value: float | None
    """What is measured; None: nothing, or not yet."""
    unit: str
    holds: bool | None
    """None: nobody knows yet."""


@dataclass(slots=True)
class _Watched:
    gate: Gate
    step: int = -1
    """Where it was fed last: what belongs to a step that is over is not judged any more."""
    since_us: int | None = None
    """Since when it is crossed."""
    told: bool = False

    @property
    def is_shown_only(self) -> bool:
        """It is judged in the end, over the whole run."""
        return not self.gate.threshold.action and self.gate.threshold.window_us is None


class Watch:
    """The thresholds of one session of a run.  Thread-safe."""

    def __init__(
        self, thresholds: Sequence[Threshold], steps: Mapping[int, str], before: Mapping[str, ItemCounts]
    ) -> None:
        """`steps`: names by index; `before`: how items of each step had ended before this session."""
        self._watched = [_Watched(Gate(each, Series(each.window_us))) for each in thresholds]
        self._steps = steps
        self._before = before
        self._counts: dict[str, ItemCounts] = {}
        self._looked_us = 0
        self._held_us: int | None = None
        self._lock = threading.Lock()

    def hold(self, now_us: int) -> None:
        """The run is paused: no time passes for what is measured, until it begins anew."""
        with self._lock:
            self._held_us = now_us

    def begin_anew(self, step: int, counts: ItemCounts, now_us: int) -> None:
        """The run was paused: what was before must not be held against what comes."""
        with self._lock:
            self._held_us = None
            self._counts[self._steps[step]] = counts
            for watched in self._watched:
                if watched.is_shown_only:
                    watched.gate.series.stretches.part(now_us)
                    continue
                threshold = watched.gate.threshold
                watched.gate = Gate(threshold, Series(threshold.window_us))
                watched.since_us, watched.told = None, False
            self._before = {**self._before, **self._counts}

    def record(self, step: int, harvest: Harvest, now_us: int) -> None:
        """A worker's report came."""
        if not self._watched:
            return
        ended = [result for result in harvest.results if _is_measured(result)]
        durations_us = [result.duration_us + result.lag_us for result in ended]
        failed = [result.outcome is Outcome.FAILED for result in ended]
        if len(harvest.plain):
            plain_us = harvest.plain.responses()
            durations_us, failed = durations_us + plain_us, failed + [False] * len(plain_us)
        calls = CallTable(step, 0, harvest.samples)
        with self._lock:
            for watched in self._watched:
                gate, before = watched.gate, watched.gate.series.ended
                if gate.concerns(self._steps[step]):
                    gate.series.add([now_us] * len(durations_us), durations_us, failed)
                if harvest.samples:
                    gate.take(calls, now_us)
                if gate.series.ended > before:
                    watched.step = step

    def look(
        self, step: int, counts: ItemCounts, now_us: int, mixed: Mapping[int, ItemCounts] | None = None
    ) -> list[Crossing]:
        """What is crossed now and was not told yet; `counts`: how the items of the open step ended so far.

        `mixed`: those of all steps that are open at the same time, where there are several.
        """
        open_ = {**(mixed or {}), step: counts}
        with self._lock:
            self._counts |= {self._steps[index]: each for index, each in open_.items()}
            if now_us - self._looked_us < EVERY_US:
                return []
            self._looked_us = now_us
            found = [self._crossing(watched, open_, now_us) for watched in self._watched]
        return [crossing for crossing in found if crossing is not None]

    def standings(self, open_: Collection[int], now_us: int) -> list[Standing]:
        """How each stands, for those who watch; `open_`: the steps that are open."""
        with self._lock:
            now_us = now_us if self._held_us is None else min(now_us, self._held_us)
            return [self._standing(watched, open_, now_us) for watched in self._watched]

    def _standing(self, watched: _Watched, open_: Collection[int], now_us: int) -> Standing:
        threshold, value = watched.gate.threshold, self._value(watched, open_, now_us)
        holds = None if value is None else threshold.holds(value)
        return Standing(threshold.text, value, threshold.unit, holds)

    def _crossing(self, watched: _Watched, open_: Collection[int], now_us: int) -> Crossing | None:
        threshold = watched.gate.threshold
        if watched.is_shown_only:
            return None
        value = self._value(watched, open_, now_us)
        if value is None or threshold.holds(value):
            watched.since_us = None
            return None
        if watched.since_us is None:
            watched.since_us = now_us
        lasts_us = now_us - watched.since_us
        acts = bool(threshold.action) and lasts_us >= threshold.grace_us
        if watched.told and not acts:
            return None
        watched.told = True
        return Crossing(threshold, f"{threshold.text}: it is {said(threshold, value)}", acts)

    def _value(self, watched: _Watched, open_: Collection[int], now_us: int) -> float | None:
        """What is measured now, over the session or over the last window; None: nothing, or not yet."""
        threshold, series = watched.gate.threshold, watched.gate.series
        if threshold.of == "items" and threshold.kind == "number" and threshold.window_us is None:
            return counted(threshold, self._counts if watched.is_shown_only else self._fresh())
        first_us = series.stretches.first_us
        if first_us is None or (threshold.name and watched.step not in open_):
            return None
        if threshold.window_us is None:
            return measured(threshold, series.total(), series.stretches.until_us(now_us))
        slice_us = series.slice_us or 1
        start = now_us // slice_us - SLICES
        series.forget(start)
        if start * slice_us < first_us:
            return None
        return measured(threshold, series.window(start), threshold.window_us)

    def _fresh(self) -> dict[str, ItemCounts]:
        """How items ended in this session."""
        return {
            step: ItemCounts(*map(_more, astuple(counts), astuple(self._before[step])))
            for step, counts in self._counts.items()
        }


def _is_measured(result: Result) -> bool:
    """Whether it is the time of an item."""
    return result.retry_ms is None and not result.found and result.outcome is not Outcome.DROPPED


def _more(now: int, before: int) -> int:
    """How many more there are; there are fewer unknown ones when a doubt is resolved."""
    return max(now - before, 0)
