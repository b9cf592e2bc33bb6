"""What a picture shows, in words: headings that say what was found.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from loadgen.reports.bands import Bands
from loadgen.reports.detail import StepDetail
from loadgen.reports.schema import ErrorSummary, StepSummary, Summary
from loadgen.reports.words import count, percent, three

LEAST_BANDS, LEAST_ROWS = 9, 200
"""Of less, nothing is said about a trend."""
STEADY = 1.25
"""A third that is slower or faster by less is called steady."""
FEW = 3
"""Steps that a heading names."""
_CLEAR = 0.1
"""Of its share of the slots: a worker that did so much more or less than that did."""


def trend(bands: Bands) -> float | None:
    """How the p95 of the last third is to that of the first: the medians of their bands'.

    None: there is too little of it, or the middle halves of both overlap, so that it may be chance.
    """
    told = [band.p95 for band in bands.bands if band.p95 is not None]
    if len(told) < LEAST_BANDS or bands.count < LEAST_ROWS:
        return None
    third = len(told) // 3
    before, after = (statistics.quantiles(part, n=4) for part in (told[:third], told[-third:]))
    ratio = after[1] / before[1] if before[1] > 0 else None
    if ratio is None or 1 / STEADY <= ratio <= STEADY:
        return ratio
    return ratio if (after[0] > before[2] if ratio > 1 else after[2] < before[0]) else None


def course(ratio: float | None) -> str:
    """A trend in words; empty for none.

    >>> course(1.1), course(2.04), course(0.5), course(None)
    ('steady', 'rising (last third 2.0 times the first)', 'falling (last third 0.5 times the first)', '')
    """
    if ratio is None:
        return ""
    if 1 / STEADY <= ratio <= STEADY:
        return "steady"
    return f"{'rising' if ratio > 1 else 'falling'} (last third {ratio:.1f} times the first)"


def latency(step: StepSummary, bands: Bands) -> str:
    """Of one step."""
    said = [f"{step.name}: {_named(step)}p95 {three(step.times.p95)} ms", course(trend(bands))]
    return ", ".join(filter(None, said))


def latencies(steps: Sequence[tuple[StepSummary, StepDetail]]) -> str:
    """Of all steps together."""
    if len(steps) == 1:
        return latency(steps[0][0], steps[0][1].over_time)
    trends = {step.name: trend(detail.over_time) for step, detail in steps}
    rising = [f"{name} ({ratio:.1f}x)" for name, ratio in trends.items() if ratio and ratio > STEADY]
    if rising:
        return f"Grew slower while the run went on: {several(rising, ', ')}"
    if trends and all(trends.values()):
        return f"None of {len(trends)} steps grew slower"
    what = "Response" if any(step.response_time for step, _ in steps) else "Item"
    return f"{what} times of {count(len(steps), 'step')}"


def throughput(summary: Summary) -> str:
    """Rates and errors."""
    calls = sum(call.count for call in summary.calls)
    errors = sum(call.errors for call in summary.calls)
    failed = f"{f'{errors:,}' if errors else 'none'} of {calls:,} calls failed"
    rated = [step for step in summary.steps if step.rate_per_s is not None]
    if not rated:
        return failed[0].upper() + failed[1:]
    most = max(rated, key=lambda step: step.items.planned)
    meant = f" of {three(most.target_rate_per_s)}" if most.response_time else ""
    dropped = f", {count(most.items.dropped, 'item')} dropped" if most.items.dropped else ""
    return f"{most.name}: {three(most.rate_per_s)}{meant} items/s{dropped}; {failed}"


def distribution(step: StepSummary) -> str:
    """Of one step."""
    took = step.times
    if took.p50 is None or took.p99 is None:
        return f"{step.name}: nothing was measured"
    half = "response time: half" if step.response_time else "half"
    tail = f", {took.p99 / took.p50:.1f} times as long" if took.p50 > 0 else ""
    return (
        f"{step.name}: {half} took up to {three(took.p50)} ms,"
        f" one in a hundred over {three(took.p99)} ms{tail}"
    )


def _named(step: StepSummary) -> str:
    """Of which times a finding tells, where that are others than item times."""
    return "" if step.response_time is None else "response time "


def growth(name: str, along: Sequence[tuple[str, Bands]]) -> str:
    """Whether items of a step got slower, by what; empty: they did not, or there is too little to tell."""
    grown = ((what, trend(bands)) for what, bands in along)
    told = [f"{ratio:.1f} times {what}" for what, ratio in grown if ratio is not None and ratio > STEADY]
    return f"{name} gets slower: {', '.join(told)} (p95, last third against first)" if told else ""


def several(told: Sequence[str], between: str = "; ") -> str:
    """The first few of them: a heading that nobody reads says nothing.

    >>> several(["a", "b"]), several(["a", "b", "c", "d", "e"], ", ")
    ('a; b', 'a, b, c, and 2 more')
    """
    more = len(told) - FEW
    return between.join([*told[:FEW], *([f"and {more} more"] if more > 0 else [])])


def grown(name: str, what: str, bands: Bands) -> str:
    """One step, one axis."""
    said = course(trend(bands))
    return f"{name} {what}: {f'p95 {said}' if said else 'no clear trend'}"


def errors(kinds: Sequence[ErrorSummary]) -> str:
    """How many, of how many kinds."""
    if not kinds:
        return "Nothing failed"
    total = sum(kind.count for kind in kinds)
    if len(kinds) == 1:
        return f"{count(total, 'error')}, all of one kind"
    most = percent(kinds[0].count, total)
    return f"{count(total, 'error')} of {len(kinds)} kinds, {most} of them of the first"


def skews(summary: Summary) -> list[float | None]:
    """For each worker: its share of the items against its share of the slots."""
    items, slots = (
        sum(worker.items for worker in summary.workers),
        sum(worker.slots for worker in summary.workers),
    )
    return [
        worker.items / items / (worker.slots / slots) if items and worker.slots else None
        for worker in summary.workers
    ]


def workers(summary: Summary) -> str:
    """How many, how even, how true."""
    lost = sum(worker.lost for worker in summary.workers)
    said = [count(len(summary.workers), "worker")]
    told = [skew for skew in skews(summary) if skew is not None]
    if len(told) > 1:
        furthest = max(told, key=lambda skew: abs(skew - 1))
        even = abs(furthest - 1) <= _CLEAR
        said.append("evenly used" if even else f"one did {furthest:.1f} times its share")
    said.append(f"{lost} lost" if lost else "none lost")
    verdict = summary.generator.verdict
    said.append(
        {"ok": "their times are true", None: "no verdict on their times"}.get(
            verdict, f"their times are {verdict}"
        )
    )
    return ", ".join(said)


def verification(summary: Summary) -> str:
    """What the target holds."""
    found = summary.verification
    if found is None:
        return "The target was not asked what it holds"
    if found.missing or found.unexpected or found.found != found.expected:
        wrong = f"{found.missing:,} missing, {found.unexpected:,} unexpected"
        return f"{found.found:,} of {found.expected:,} found: {wrong}"
    return f"The target holds all {found.expected:,}, and nothing else"


def thresholds(summary: Summary) -> str:
    """How many held."""
    gates = summary.thresholds
    held = sum(gate.ok for gate in gates)
    return f"All {len(gates)} held" if held == len(gates) else f"{len(gates) - held} of {len(gates)} crossed"
