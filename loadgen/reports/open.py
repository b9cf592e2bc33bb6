"""What the end report says of an open model beyond the rest: what response times are made of, and the pace.

Pure: columns and sentences; none of them when items had no times of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadgen.reports.grid import Column
from loadgen.reports.metrics import Stats
from loadgen.reports.schema import StepSummary, WorkerSummary
from loadgen.reports.words import count, three

PACED = (
    "Times count from when each was meant to start: response time = lag (until it started) + service time."
)


def parts(services: Sequence[Stats], lags: Sequence[Stats | None]) -> list[Column]:
    """Beside a percentile of the response time, those of what it is made of."""
    if not any(lags):
        return []
    known = [lag or Stats() for lag in lags]
    return [
        Column("service p50", tuple(three(one.p50) for one in services), spare=4),
        Column("lag p50", tuple(three(one.p50) for one in known), spare=6),
        Column("service p99", tuple(three(one.p99) for one in services), spare=5),
        Column("lag p99", tuple(three(one.p99) for one in known), spare=3),
    ]


def targets(steps: Sequence[StepSummary]) -> list[Column]:
    """The rate that was meant."""
    if all(step.response_time is None for step in steps):
        return []
    return [Column("target/s", tuple(three(step.target_rate_per_s) for step in steps), spare=5)]


def kept_pace(step: StepSummary) -> str:
    """Whether a step kept its pace, and what its percentiles leave out."""
    achieved = f"{step.name}: {three(step.rate_per_s)} of {three(step.target_rate_per_s)} items a second"
    dropped = step.items.dropped
    if not dropped:
        return f"{achieved}, none dropped"
    return f"{achieved}, {count(dropped, 'item')} DROPPED, which {_is(dropped)} in none of these times"


def clocks(workers: Sequence[WorkerSummary]) -> list[Column]:
    """How well workers on several machines knew the master's clock."""
    if len({worker.host for worker in workers}) < 2 or all(w.clock_error_ms is None for w in workers):  # noqa: PLR2004
        return []
    errors = (worker.clock_error_ms for worker in workers)
    cells = tuple("-" if error is None else f"{three(error)} ms" for error in errors)
    return [Column("clock +-", cells, spare=2)]


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
