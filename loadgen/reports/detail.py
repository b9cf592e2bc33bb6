"""What pictures of a run need beyond its summary: times over time, over the items and within the keys.

Collected while the summary is made, in memory that does not grow with the rows; but for a step with
keys, of which each item's place within its key is known.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add

from loadgen.columns import Samples
from loadgen.record import AttemptRow, CallTable, StepFacts, TryTable
from loadgen.reports.bands import Bands, BandsBuilder
from loadgen.reports.timeline import FINEST_US
from loadgen.sample import Outcome

LIMIT = 120
"""Bands in a picture: more than these a page cannot show."""
ENOUGH = 20
"""Rows that a band should hold: of fewer, percentiles say little."""
LABELS = 8
"""Labels that have a line over time: the first that were seen."""


@dataclass(frozen=True, slots=True)
class StepDetail:
    """Item times of one step, from the attempts that settled the items; in an open model response times."""

    name: str
    over_time: Bands
    """By when they ended: microseconds since the run's start."""
    ended: Bands
    """The same, in bands as wide as those of all calls: for rates that are shown beside theirs."""
    over_items: Bands
    """By the item's index."""
    within_key: Bands
    """By how many items of the same key came before; empty where no key has several."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the answered calls of one label spent their time on: sums, in microseconds."""

    calls: int = 0
    dns_us: int = 0
    connect_us: int = 0
    tls_us: int = 0
    first_byte_us: int = 0
    """From then until the first byte of the answer: the target's own time, and the way."""
    transfer_us: int = 0
    """From then until the last."""

    @property
    def total_us(self) -> int:
        """All of it."""
        return self.dns_us + self.connect_us + self.tls_us + self.first_byte_us + self.transfer_us


@dataclass(frozen=True, slots=True)
class Detail:
    """All that pictures need."""

    steps: tuple[StepDetail, ...]
    calls: Bands
    """Service times of all calls by when they ended: microseconds since the run's start; in an open model
    response times."""
    labels: Mapping[str, Bands]
    """The same for each of a few labels."""
    retries: Bands
    """Attempts after the first, by when they began."""
    parts: Mapping[str, Parts]
    """By label."""


class DetailBuilder:
    """A Watch that collects it."""

    def __init__(
        self, steps: Sequence[StepFacts], lanes: Mapping[int, Sequence[int]], started_us: int
    ) -> None:
        """`lanes`: by step that has keys: the number of each item's key."""
        self._steps = {step.index: _Step(step, lanes.get(step.index, ())) for step in steps}
        self._started_us = started_us
        self._calls = BandsBuilder(LIMIT, FINEST_US)
        self._labels: dict[str, BandsBuilder] = {}
        self._retries = BandsBuilder(LIMIT, FINEST_US)
        self._parts: dict[str, Parts] = {}

    def add_tries(self, table: TryTable) -> None:
        """Count items that were done at the first attempt."""
        ends_us = [end - self._started_us for end in map(add, *table.plain.times())]
        self._steps[table.step].add(list(table.plain.items()), ends_us, table.plain.responses(), ())

    def add_try(self, row: AttemptRow, start_us: int) -> None:
        """Count an item, when this attempt settled it; and a retry, whatever came of it."""
        if row.attempt > 1 and not row.found:
            self._retries.add([start_us - self._started_us], [row.duration_us])
        if row.counted and not row.found and row.outcome in (Outcome.DONE, Outcome.FAILED):
            self._steps[row.step].add_one(row, start_us - self._started_us + row.duration_us)

    def add_calls(self, table: CallTable) -> None:
        """Count calls."""
        samples = table.samples
        places = samples.numbers("label")
        for place in dict.fromkeys(places):
            label = samples.words[place]
            mine = samples if len(set(places)) == 1 else samples.chosen([each == place for each in places])
            self._add_label(label, mine)

    def calls(self, limit: int) -> Bands:
        """All calls over time, in at most so many bands."""
        return self._calls.build(limit)

    def build(self) -> Detail:
        """What was counted so far."""
        for step in self._steps.values():
            step.flush()
        calls = self._calls.build()
        return Detail(
            steps=tuple(step.build(calls.width) for step in self._steps.values()),
            calls=calls,
            labels={label: made.build(LIMIT // 2) for label, made in self._labels.items()},
            retries=self._retries.build(),
            parts=self._parts,
        )

    def _add_label(self, label: str, samples: Samples) -> None:
        totals_us = samples.numbers("total_us")
        ends_us = [end - self._started_us for end in map(add, samples.numbers("start_us"), totals_us)]
        failed = [bool(samples.words[place]) for place in samples.numbers("error")]
        took_us = list(map(add, totals_us, samples.numbers("lag_us")))
        self._calls.add(ends_us, took_us, failed)
        known = label in self._labels or len(self._labels) < LABELS
        if known:
            self._labels.setdefault(label, BandsBuilder(LIMIT // 2, FINEST_US)).add(ends_us, took_us, failed)
            self._parts[label] = _parted(self._parts.get(label, Parts()), samples, totals_us)


class _Step:
    """One step's items."""

    def __init__(self, step: StepFacts, lanes: Sequence[int]) -> None:
        self._name = step.name
        limit = min(max(step.items // ENOUGH, ENOUGH), LIMIT)
        self._time, self._items = BandsBuilder(limit, FINEST_US), BandsBuilder(limit)
        self._places = _places(lanes)
        self._key = BandsBuilder(min(limit, max(self._places, default=0) + 1))
        self._rows: list[tuple[int, int, int, bool]] = []

    def add(
        self,
        items: Sequence[int],
        ends_us: Sequence[int],
        durations_us: Sequence[int],
        failed: Sequence[bool],
    ) -> None:
        self._time.add(ends_us, durations_us, failed)
        self._items.add(items, durations_us, failed)
        if self._places:
            self._key.add([self._places[item] for item in items], durations_us, failed)

    def add_one(self, row: AttemptRow, end_us: int) -> None:
        """A row by itself; many of them are counted together, which is much cheaper."""
        took_us = row.duration_us + row.lag_us
        self._rows.append((row.item, end_us, took_us, row.outcome is Outcome.FAILED))
        if len(self._rows) >= LIMIT * ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Count the rows that wait."""
        if self._rows:
            items, ends_us, durations_us, failed = zip(*self._rows, strict=True)
            self._rows = []
            self.add(items, ends_us, durations_us, failed)

    def build(self, width_us: int) -> StepDetail:
        ended = self._time.build(least=width_us)
        return StepDetail(self._name, self._time.build(), ended, self._items.build(), self._key.build())


def _places(lanes: Sequence[int]) -> Sequence[int]:
    """By item: how many of its key came before; empty when no key has several items."""
    seen = array("I", [0]) * (max(lanes, default=-1) + 1)
    places = array("I")
    for lane in lanes:
        places.append(seen[lane])
        seen[lane] += 1
    return places if max(seen, default=0) > 1 else ()


def _parted(before: Parts, samples: Samples, totals_us: Sequence[int]) -> Parts:
    """With those of these calls that got an answer: of the others nobody knows what they waited for."""
    first_bytes_us = samples.numbers("first_byte_us")
    if not all(first_bytes_us):
        samples = samples.chosen([bool(us) for us in first_bytes_us])
        first_bytes_us, totals_us = samples.numbers("first_byte_us"), samples.numbers("total_us")
    if not first_bytes_us:
        return before
    connects_us, tls_us = samples.numbers("connect_us"), samples.numbers("tls_us")
    dns = sum(samples.numbers("dns_us"))
    connected, first = sum(connects_us), sum(first_bytes_us)
    secured = (
        sum(tls - tcp for tls, tcp in zip(tls_us, connects_us, strict=True) if tls) if any(tls_us) else 0
    )
    return Parts(
        before.calls + len(first_bytes_us),
        before.dns_us + dns,
        before.connect_us + connected - dns,
        before.tls_us + secured,
        before.first_byte_us + first - connected - secured,
        before.transfer_us + sum(totals_us) - first,
    )
