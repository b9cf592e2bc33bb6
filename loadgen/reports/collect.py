"""What the rows of a run's record tell: attempts by step, calls by label.

Memory does not grow with the rows.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence

from loadgen.columns import Samples
from loadgen.record import AttemptRow, CallTable, ItemCounts, StepFacts, TryTable
from loadgen.reports.metrics import OTHER, ErrorKinds, Timings
from loadgen.reports.schema import CallSummary, Items, StepSummary
from loadgen.reports.sessions import Stretches
from loadgen.sample import NO_ITEM, Outcome

MAX_CALLS = 200
"""Labels that are told apart; a scenario that puts ids into its labels must not fill the memory."""


class _Span:
    """From the first start to the last end, in each session of the run."""

    def __init__(self, begins_us: Sequence[int]) -> None:
        self._count = 0
        self._stretches = Stretches(begins_us)

    def add(self, starts_us: Sequence[int], durations_us: Sequence[int]) -> None:
        self._stretches.add(starts_us, durations_us)
        self._count += len(starts_us)

    def rate_per_s(self) -> float | None:
        """None when nothing took any time."""
        span_us = self._stretches.covered_us
        return round(self._count * 1_000_000 / span_us, 3) if span_us > 0 else None


class Tried:
    """What the attempts tell."""

    def __init__(self, started_us: int, begins_us: Sequence[int] = (), *, paced: bool) -> None:
        """`begins_us`: see `sessions.begins`; `paced`: items were meant to start at times of their own."""
        self.errors = ErrorKinds()
        self._started_us = started_us
        self._begins_us = begins_us
        self._paced = paced
        self._steps: dict[int, _StepTimes] = {}

    def add_table(self, table: TryTable) -> None:
        """Take in attempts that were alike."""
        starts_us, durations_us = table.plain.times()
        self._step(table.step).add(starts_us, durations_us, table.plain.lags() if self._paced else ())

    def add_error(self, row: AttemptRow) -> None:
        """Take in why an attempt failed, measured or not."""
        if row.error and row.outcome is not Outcome.DROPPED:
            self.errors.add(row.error, self._started_us + row.start_us + row.duration_us)

    def add(self, row: AttemptRow) -> None:
        """Take in an attempt."""
        start_us = self._started_us + row.start_us
        if row.outcome is Outcome.DROPPED:
            self._step(row.step).meant.add([start_us], [0])
        if row.counted and not row.found and row.outcome in (Outcome.DONE, Outcome.FAILED):
            self._step(row.step).add([start_us], [row.duration_us], [row.lag_us] if self._paced else ())

    def _step(self, index: int) -> _StepTimes:
        return self._steps.setdefault(index, _StepTimes(self._begins_us))

    def distributions(self, steps: Sequence[StepFacts]) -> dict[str, Timings]:
        """The item times of each step: from when they were meant to start, where that was said."""
        times = {step.name: self._step(step.index) for step in steps}
        chosen = {name: each.response if self._paced else each.service for name, each in times.items()}
        return {name: timings for name, timings in chosen.items() if timings.count}

    def step(self, step: StepFacts, counts: ItemCounts) -> StepSummary:
        """What there is to say of a step."""
        times = self._step(step.index)
        rate_per_s, item_time = times.span.rate_per_s(), times.service.stats()
        if not self._paced:
            return StepSummary(step.name, Items.of(counts), rate_per_s, item_time)
        return StepSummary(
            step.name,
            Items.of(counts),
            rate_per_s,
            item_time,
            times.response.stats(),
            times.lag.stats(),
            times.meant.rate_per_s(),
        )


class _StepTimes:
    """The times of a step's items."""

    def __init__(self, begins_us: Sequence[int]) -> None:
        self.service, self.response, self.lag = Timings(), Timings(), Timings()
        self.span, self.meant = _Span(begins_us), _Span(begins_us)
        """When they were done, and when they were meant to start."""

    def add(self, starts_us: Sequence[int], durations_us: Sequence[int], lags_us: Sequence[int]) -> None:
        """`lags_us`: empty in a closed model."""
        self.service.add(durations_us)
        self.span.add(starts_us, durations_us)
        if lags_us:
            self.lag.add(lags_us)
            self.response.add(list(map(operator.add, durations_us, lags_us)))
            self.meant.add(list(map(operator.sub, starts_us, lags_us)), [0] * len(lags_us))


class _Label:
    """What the calls of one label tell."""

    def __init__(self, name: str, begins_us: Sequence[int], *, paced: bool) -> None:
        self._name = name
        self.paced = paced
        self._span = _Span(begins_us)
        self.service, self._first_byte = Timings(), Timings()
        self.response, self._lag = Timings(), Timings()
        self._connect, self._dns, self._tls = Timings(), Timings(), Timings()
        self._bytes_in = self._bytes_out = 0
        self._statuses: Counter[int] = Counter()
        self._count = self.errors = 0

    def count(self, samples: Samples) -> None:
        numbers = samples.numbers
        self._count += len(samples)
        self._bytes_in += sum(numbers("bytes_in"))
        self._bytes_out += sum(numbers("bytes_out"))
        self._statuses.update(numbers("status"))

    def add(self, samples: Samples) -> None:
        numbers = samples.numbers
        totals_us = numbers("total_us")
        self._span.add(numbers("start_us"), totals_us)
        self.service.add(totals_us)
        if self.paced:
            lags_us = numbers("lag_us")
            self._lag.add(lags_us)
            self.response.add(list(map(operator.add, totals_us, lags_us)))
        self._first_byte.add([us for us in numbers("first_byte_us") if us])
        connects_us = numbers("connect_us")
        self._connect.add([us for us in connects_us if us])
        self._dns.add([us for us in numbers("dns_us") if us])
        tls_us = numbers("tls_us")
        self._tls.add([tls - tcp for tls, tcp in zip(tls_us, connects_us, strict=True) if tls])

    def summary(self) -> CallSummary:
        return CallSummary(
            name=self._name,
            count=self._count,
            errors=self.errors,
            rate_per_s=self._span.rate_per_s(),
            service_time=self.service.stats(),
            response_time=self.response.stats() if self.paced else None,
            start_lag=self._lag.stats() if self.paced else None,
            time_to_first_byte=self._first_byte.stats(),
            connect_time=self._connect.stats(),
            dns_time=self._dns.stats(),
            tls_time=self._tls.stats(),
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            statuses={str(status): count for status, count in sorted(self._statuses.items())},
        )


class Called:
    """What the calls tell."""

    def __init__(self, begins_us: Sequence[int] = (), *, paced: bool) -> None:
        self.errors = ErrorKinds()
        self._begins_us = begins_us
        self._paced = paced
        self._labels: dict[str, _Label] = {}

    def add(self, table: CallTable, measured: CallTable) -> None:
        """Take in calls; `measured`: those of them that are, for their times."""
        samples = table.samples
        parts = samples.by_label()
        for name, mine in parts.items():
            self._label(name, paced=self._paced and table.step >= 0).count(mine)
        if any(samples.words[place] for place in set(samples.numbers("error"))):
            self._add_errors(samples)
        for name, mine in (parts if measured is table else measured.samples.by_label()).items():
            self._label(name).add(mine)

    def _label(self, name: str, *, paced: bool = False) -> _Label:
        name = name if name in self._labels or len(self._labels) < MAX_CALLS else OTHER
        label = self._labels.get(name)
        if label is None:
            label = self._labels[name] = _Label(name, self._begins_us, paced=paced)
        return label

    def _add_errors(self, samples: Samples) -> None:
        for sample in samples.rows():
            if not sample.error:
                continue
            self._label(sample.label).errors += 1
            # the error of a call within an item is told by the item's attempt, in more words
            if sample.item == NO_ITEM:
                self.errors.add(f"{sample.label}: {sample.error}", sample.start_us + sample.total_us)

    def distributions(self) -> dict[str, Timings]:
        """The times of each label: from when calls were meant to start, where that was said."""
        return {
            name: label.response if label.paced else label.service for name, label in self._labels.items()
        }

    def summaries(self) -> tuple[CallSummary, ...]:
        """What there is to say of each label."""
        return tuple(label.summary() for label in self._labels.values())
