"""Runs side by side: each read from its record, and compared with the first one.

What forms of a comparison are made of: numbers with their noise, and times over time and over the items,
which they draw on the same axes.  A run with a rate beside one without is told by what both have, service
times.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from loadgen.record import RunFacts
from loadgen.reports.bands import Bands
from loadgen.reports.compare import Comparison, Line, Side, compare
from loadgen.reports.compare_verdict import verdicts
from loadgen.reports.detail import Detail, DetailBuilder
from loadgen.reports.likeness import cautions, differences
from loadgen.reports.schema import Verdict
from loadgen.reports.slices import Key, Slices, response, sliced
from loadgen.reports.summary import Record, tell
from loadgen.reports.watching import Punctual

LETTERS = string.ascii_uppercase
"""What runs are called beside each other: as many can be compared."""


@dataclass(frozen=True, slots=True)
class Told:
    """One of the runs."""

    letter: str
    side: Side
    detail: Detail
    calls: Callable[[int], Bands]
    """All calls over time, in at most so many bands."""
    facts: RunFacts

    @property
    def name(self) -> str:
        """For legends."""
        return f"{self.letter} {self.side.summary.run.id}"


@dataclass(frozen=True, slots=True)
class SideBySide:
    """All of them."""

    runs: tuple[Told, ...]
    """The base first."""
    comparisons: tuple[Comparison, ...]
    """Of each other one with it."""
    lost: tuple[tuple[Line, ...], ...]
    """For each of these: what has got worse by more than was allowed."""

    @property
    def paced(self) -> bool:
        """Whether all have response times, by which they are then told."""
        return all(told.side.summary.paced for told in self.runs)

    @property
    def item_time(self) -> str:
        """The name of the times of their items."""
        return "response time" if self.paced else "item time"

    @property
    def call_time(self) -> str:
        """The name of the times of their calls."""
        return "response time" if self.paced else "service time"

    def slices(self, told: Told, key: Key) -> Slices | None:
        """Of one run: by those times."""
        return told.side.slices.get(response(key) if self.paced else key)

    def builtins(self) -> dict[str, Any]:
        """For machines: what `--format json` is."""
        pairs = zip(self.comparisons, self.lost, strict=True)
        return {
            "schema": 1,
            "comparisons": [
                {
                    **msgspec.to_builtins(comparison),
                    "verdicts": msgspec.to_builtins(verdicts(comparison)),
                    "regressions": msgspec.to_builtins(lost),
                }
                for comparison, lost in pairs
            ],
        }


def lay(records: Sequence[tuple[Record, Verdict]], limit: float | None = None) -> SideBySide:
    """Runs, the base first, at most as many as there are letters.

    `limit`: by how many percent a time or a rate may be worse; None: by any.
    """
    # a service time beside a response time would tell of the models, not of the runs
    punctual = len({bool(record.facts().settings.get("pace")) for record, _ in records}) > 1
    runs = [_read(letter, *each, punctual=punctual) for letter, each in zip(LETTERS, records, strict=False)]
    comparisons = [
        compare(
            runs[0].side,
            told.side,
            unlike(records[0][0], record),
            [*cautions(runs[0].side.summary), *cautions(told.side.summary)],
        )
        for told, (record, _) in zip(runs[1:], records[1:], strict=True)
    ]
    lost = [() if limit is None else tuple(each.regressions(limit)) for each in comparisons]
    return SideBySide(tuple(runs), tuple(comparisons), tuple(lost))


def unlike(base: Record, other: Record) -> tuple[str, ...]:
    """In what they differ besides their times; none: they can be compared."""
    return differences(base.facts(), other.facts(), base.steps(), other.steps())


def _read(letter: str, record: Record, verdict: Verdict, *, punctual: bool) -> Told:
    details = DetailBuilder(record.steps(), {}, record.phases().started_us)
    summary, _ = tell(record, verdict, [Punctual(details) if punctual else details])
    side = Side(summary, sliced(record))
    return Told(letter, side, details.build(), details.calls, record.facts())
