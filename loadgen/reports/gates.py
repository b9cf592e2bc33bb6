"""Whether a run's thresholds held, from its record.  Pure.

Items are those whose attempts settled them, calls are all of the steps' calls, as in the rest of the
report; of a warm-up, only numbers over the whole run know.  In an open model times are response times, from
when an item was meant to start.  What was never seen holds nothing: a threshold on it is crossed, with no
value.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadgen.pace.rates import plain
from loadgen.record import AttemptRow, CallTable, ItemCounts, StepFacts, TryTable
from loadgen.reports.schema import ThresholdSummary
from loadgen.reports.tally import Series, Tally
from loadgen.reports.words import clock, iso
from loadgen.sample import Outcome
from loadgen.thresholds import Threshold, parse

_US = {"us": 1, "ms": 1_000, "s": 1_000_000}


@dataclass(frozen=True, slots=True)
class Gate:
    """A threshold, and what is measured for it."""

    threshold: Threshold
    series: Series

    @property
    def numbers(self) -> bool:
        """It is about a number over the whole run, which counts the warm-up, too."""
        return self.threshold.kind == "number" and self.threshold.window_us is None

    def concerns(self, step: str) -> bool:
        """Whether it is about items of this step."""
        return self.threshold.of == "items" and self.threshold.name in ("", step)

    def take(self, table: CallTable, at_us: int | None = None) -> None:
        """Count the calls that it is about, where they ended, or all at one moment."""
        samples, label = table.samples, self.threshold.name
        if self.threshold.of != "calls" or (label not in samples.words if label else table.step < 0):
            return
        if label:
            samples = samples.chosen([text == label for text in samples.texts("label")])
        totals_us, failed = samples.numbers("total_us"), list(map(bool, samples.texts("error")))
        ends_us = _ends(samples.numbers("start_us"), totals_us, at_us)
        self.series.add(ends_us, list(map(operator.add, totals_us, samples.numbers("lag_us"))), failed)


class Gates:
    """Takes the rows of a run's record in, one after the other, and judges."""

    def __init__(
        self, thresholds: Sequence[Threshold], steps: Sequence[StepFacts], sessions_us: Sequence[int] = ()
    ) -> None:
        """`sessions_us`: see `sessions.begins`; windows do not reach over what was between."""
        self._gates = [Gate(each, Series(each.window_us, sessions_us)) for each in thresholds]
        self._steps = {step.index: step.name for step in steps}

    def add_tries(self, table: TryTable) -> None:
        """Count items that were done at the first attempt."""
        gates = [gate for gate in self._gates if gate.concerns(self._steps[table.step])]
        if gates:
            ends_us, times_us = _ends(*table.plain.times(), None), table.plain.responses()
            for gate in gates:
                gate.series.add(ends_us, times_us, [False] * len(ends_us))

    def add_try(self, row: AttemptRow, start_us: int) -> None:
        """Count an item, when the attempt that began at `start_us` settled it."""
        if row.counted and not row.found and row.outcome in (Outcome.DONE, Outcome.FAILED):
            for gate in self._gates:
                if gate.concerns(self._steps[row.step]):
                    failed = row.outcome is Outcome.FAILED
                    gate.series.add([start_us + row.duration_us], [row.duration_us + row.lag_us], [failed])

    def add_calls(self, table: CallTable, measured: CallTable) -> None:
        """Count calls: all, and those of them that are measured."""
        for gate in self._gates:
            gate.take(table if gate.numbers else measured)

    def judge(self, counts: Mapping[str, ItemCounts]) -> tuple[ThresholdSummary, ...]:
        """The verdict on each; `counts`: how the items of each step ended."""
        return tuple(_judge(gate, counts) for gate in self._gates)


def measured(threshold: Threshold, tally: Tally, span_us: int) -> float | None:
    """What a threshold is about, in its unit, of what ended within a span; None: there is nothing."""
    if threshold.kind == "rate":
        return tally.count * 1_000_000 / span_us if span_us > 0 else None
    if threshold.kind == "number":
        number = tally.count - tally.failed if threshold.measure == "done" else tally.failed
        return _share(threshold, number, tally.count)
    if not tally.count:
        return None
    if threshold.percentile is not None:
        us: float = tally.percentile_us(threshold.percentile)
    else:
        us = {"min": tally.min_us, "max": tally.max_us}.get(threshold.measure, tally.sum_us / tally.count)
    return us / _US[threshold.unit]


def counted(threshold: Threshold, counts: Mapping[str, ItemCounts]) -> float | None:
    """The same for how items ended: also those that no attempt settled."""
    chosen = [count for step, count in counts.items() if threshold.name in ("", step)]
    number = sum(getattr(count, threshold.measure) for count in chosen)
    return _share(threshold, number, sum(count.settled for count in chosen))


def said(threshold: Threshold, value: float) -> str:
    """A value, for people: three digits that matter, or as many as it takes to see whether it holds.

    >>> said(parse("p95<800ms"), 301.951), said(parse("p95<800ms"), 799.96), said(parse("failed<5"), 1234.0)
    ('302ms', '799.96ms', '1234')
    """
    if not threshold.unit:
        return f"{value:.0f}"
    least = max(len(f"{value:.0f}"), 3)
    texts = (plain(float(f"{value:.{digits}g}")) for digits in range(least, 16))
    seen = (text for text in texts if threshold.holds(float(text)) == threshold.holds(value))
    return f"{next(seen, plain(value))}{threshold.unit}"


def shown(gate: ThresholdSummary) -> str:
    """The value of one that was judged."""
    return "-" if gate.value is None else said(parse(gate.expr), gate.value)


def _judge(gate: Gate, counts: Mapping[str, ItemCounts]) -> ThresholdSummary:
    threshold, series = gate.threshold, gate.series
    if threshold.of == "items" and threshold.kind == "number" and threshold.window_us is None:
        return _told(threshold, counted(threshold, counts))
    if series.stretches.first_us is None:
        return _told(threshold, None)
    if threshold.window_us is None:
        return _told(threshold, measured(threshold, series.total(), series.stretches.covered_us))
    return _over_windows(threshold, series, threshold.window_us)


def _over_windows(threshold: Threshold, series: Series, window_us: int) -> ThresholdSummary:
    """By the worst window."""
    worst: float | None = None
    worst_us = windows = crossed = 0
    for end_us, tally in series.windows():
        value = measured(threshold, tally, window_us)
        if value is None:
            continue
        windows += 1
        crossed += not threshold.holds(value)
        if worst is None or threshold.worse(value, worst):
            worst, worst_us = value, end_us
    if worst is None:
        return ThresholdSummary(
            threshold.text, None, ok=True, unit=threshold.unit, reason="there was no full window"
        )
    more = (
        f", in {crossed} of {windows} windows; worst in the one until {clock(iso(worst_us))} UTC"
        if crossed
        else ""
    )
    return _told(threshold, worst, more)


def _told(threshold: Threshold, value: float | None, more: str = "") -> ThresholdSummary:
    if value is None:
        what = "no such call was made" if threshold.of == "calls" else "no item of it was measured"
        return ThresholdSummary(threshold.text, None, ok=False, unit=threshold.unit, reason=what)
    ok = threshold.holds(value)
    reason = "" if ok else f"it was {said(threshold, value)}{more}"
    return ThresholdSummary(threshold.text, round(value, 6), ok=ok, unit=threshold.unit, reason=reason)


def _share(threshold: Threshold, number: int, of: int) -> float | None:
    if threshold.unit != "%":
        return number
    return 100 * number / of if of else None


def _ends(starts_us: Sequence[int], durations_us: Sequence[int], at_us: int | None) -> Sequence[int]:
    if at_us is not None:
        return [at_us] * len(starts_us)
    return [start + us for start, us in zip(starts_us, durations_us, strict=True)]
