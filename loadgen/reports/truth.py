"""Whether the generator's own slowness shows in the times it reports.  Pure.

A call's time is the target's plus what the generator needs to notice: its threads wait for a core and
for the interpreter's lock, before they send and when the answer is there.  The probe of each process
counts both (`execution.probe`); here that is held against how long the calls took.  The estimates and the
limits come from cases with a known truth: `docs/truth.md`, made by `python -m benchmarks.verdict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from loadgen.errors import ExitCode
from loadgen.lag import Lag
from loadgen.record import WorkerFacts
from loadgen.reports.schema import CallSummary, Generator, Judgement, StepSummary, Verdict
from loadgen.reports.words import three

LEAST_TICKS = 50
"""Wakings of the probe, one second of them: nothing is claimed on fewer."""
IDLE_MS = 0.1
"""By how much a thread of an idle machine wakes late (the kernel's timer slack, and the way up): no wait."""
TAIL = 0.8
"""How much the p99 of calls grows by a p99 of the probe: not each call that is late meets such a wait."""
SUSPECT = 0.09
"""Share of a call's time, at p50 or at p99, that may be our own: true times would be a tenth less."""
INVALID_P50, INVALID_P99 = 0.17, 0.33
"""Beyond these it is no measurement: times are 20 % too long in the middle, or 50 % at p99."""
FULL = 0.95
"""Share of a core that a process uses; one that computes all the time lets answers wait, seen or unseen."""
BUSY = 0.8
"""From here on a process waits for itself rather than for others."""
LATE_MS = 10.0
"""One of a hundred items of an open model that started later than this: response times hold that."""
STRAINED = 0.7
"""From here on a process that lets items be dropped may itself be why."""
TYPICAL = 0.1
"""A label with a smaller share of the calls does not decide."""
FEW = 3
"""Workers whose reasons are told; the table of workers has the verdict of each."""
_ORDER: tuple[Judgement, ...] = ("ok", "suspect", "invalid")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is to be thought of one worker's times."""

    verdict: Judgement | None = None
    """None: too little was seen, nothing is claimed."""
    probe_ms: float | None = None
    """By how much its probe woke late, at p99."""
    reason: str = ""
    """What was wrong and what to do, for people; empty when ok."""


def judge_worker(worker: WorkerFacts, calls: Sequence[CallSummary]) -> Finding:
    """Hold a worker's probe against how long the calls of its run took."""
    lag, call = worker.lag, _most_sensitive(calls)
    if lag.ticks < LEAST_TICKS or call is None or not worker.calls:
        return Finding()
    own = _Own.of(worker, call)
    by_cpu: Judgement = "suspect" if lag.cpu > FULL else "ok"
    verdict = max(own.judgement, by_cpu, key=_ORDER.index)
    probe_ms = round(lag.p99_us / 1000, 3)
    if verdict == "ok":
        return Finding(verdict, probe_ms)
    return Finding(verdict, probe_ms, f"{worker.name}: {own.words(call)}{_when(own, lag)}. {_advice(lag)}")


def judge_generator(findings: Sequence[Finding]) -> Generator:
    """The verdict on a run: that of its worst worker, with the reasons of a few."""
    verdicts = [finding.verdict for finding in findings if finding.verdict is not None]
    verdict = max(verdicts, key=_ORDER.index, default=None)
    reasons = [finding.reason for finding in findings if finding.reason and finding.verdict == verdict]
    others = len([one for one in verdicts if one != "ok"]) - len(reasons[:FEW])
    more = [f"so it was, or less so, with {others} more"] if others else []
    return Generator(verdict, (*reasons[:FEW], *more))


def judge_starts(
    generator: Generator, steps: Sequence[StepSummary], workers: Sequence[WorkerFacts]
) -> Generator:
    """The verdict on a run whose items were meant to start at times of their own: whether they did."""
    paced = [step for step in steps if step.start_lag is not None]
    cpu = max((worker.lag.cpu for worker in workers), default=0.0)
    verdict: Judgement = "ok"
    reasons = []
    dropped = sum(step.items.dropped for step in paced)
    if dropped and cpu > STRAINED:
        verdict = "invalid"
        reasons.append(
            f"{dropped} items were dropped while a process was at {cpu:.0%} of a core: it was not the load"
            " that was ordered, perhaps by its own fault: add processes or machines"
        )
    lags = {step.name: step.start_lag.p99 or 0.0 for step in paced if step.start_lag is not None}
    latest = max(lags, key=lambda name: lags[name], default="")
    if latest and lags[latest] > LATE_MS:
        verdict = max(verdict, "suspect", key=_ORDER.index)
        reasons.append(
            f"{latest}: one of a hundred items started {three(lags[latest])} ms late (p99 of the lag):"
            " too few were allowed in flight (--concurrency), or the worker was late"
        )
    if not reasons:
        return generator
    return Generator(
        max(generator.verdict or "ok", verdict, key=_ORDER.index), (*generator.reasons, *reasons)
    )


def hold(verdict: Verdict, generator: Generator) -> Verdict:
    """A strict run's verdict: it is not well when its times are invalid.

    What is to be done about the items comes first: their exit code stays.
    """
    if generator.verdict != "invalid":
        return verdict
    code = int(ExitCode.INTERNAL) if verdict.ok else verdict.exit_code
    return replace(verdict, ok=False, exit_code=code, reasons=(*verdict.reasons, untrue(generator)))


def untrue(generator: Generator) -> str:
    """In one sentence, that times are not to be relied on, and why."""
    return f"the generator was too slow for its times to be true: {'; '.join(generator.reasons)}"


@dataclass(frozen=True, slots=True)
class _Own:
    """Our estimate of the generator's own part of a call, in milliseconds and as a share."""

    p50_ms: float
    p99_ms: float
    p50_share: float
    p99_share: float

    @classmethod
    def of(cls, worker: WorkerFacts, call: CallSummary) -> _Own:
        """In the middle: what a thread waits for the lock, and what a call's threads waited for a core."""
        lag, p50_ms, p99_ms = worker.lag, call.service_time.p50 or 0.0, call.service_time.p99 or 0.0
        own_ms = max(lag.mean_us / 1000 - IDLE_MS, 0.0) + lag.waited_us / 1000 / worker.calls
        tail_ms = TAIL * max(lag.p99_us / 1000 - IDLE_MS, 0.0)
        own_ms, tail_ms = min(own_ms, p50_ms), min(tail_ms, p99_ms)
        return cls(own_ms, tail_ms, own_ms / max(p50_ms, 0.001), tail_ms / max(p99_ms, 0.001))

    @property
    def judgement(self) -> Judgement:
        """By the limits."""
        if self.p50_share > INVALID_P50 or self.p99_share > INVALID_P99:
            return "invalid"
        return "suspect" if max(self.p50_share, self.p99_share) > SUSPECT else "ok"

    def words(self, call: CallSummary) -> str:
        """For people."""
        took = call.service_time
        return (
            f"about {three(self.p50_ms)} of {three(took.p50)} ms (p50) and {three(self.p99_ms)} of"
            f" {three(took.p99)} ms (p99) of {call.name} are the generator's own waiting"
        )


def _most_sensitive(calls: Sequence[CallSummary]) -> CallSummary | None:
    """The shortest of the usual calls: it suffers most from a wait."""
    total = sum(call.count for call in calls)
    usual = [call for call in calls if call.count >= TYPICAL * total and call.service_time.p50 is not None]
    return min(usual, key=lambda call: call.service_time.p50 or 0.0, default=None)


def _when(own: _Own, lag: Lag) -> str:
    """In how much of the run it was so, as far as the probe saw it."""
    limit_us = 1000 * SUSPECT * own.p99_ms / max(own.p99_share, SUSPECT) / TAIL
    over, seconds = lag.seconds_over(limit_us)
    return f", in {over} of {seconds} s" if seconds > 1 else ""


def _advice(lag: Lag) -> str:
    if lag.cpu > BUSY:
        return (
            f"A process was at {lag.cpu:.0%} of a core, so answers waited for it:"
            " add processes or machines, or lower --concurrency"
        )
    return (
        "Others held the cores, or too many threads took turns:"
        " lower --concurrency, or move what else runs here (the target?) to another machine"
    )
