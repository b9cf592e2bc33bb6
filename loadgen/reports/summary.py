"""From a run's record to what there is to say about it, and into `summary.json`.

One pass over the rows, in memory that does not grow with them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from loadgen.files import whole
from loadgen.lag import Lag
from loadgen.pace.pacing import parse_duration
from loadgen.record import (
    AttemptRow,
    Attempts,
    CallTable,
    Event,
    ItemCounts,
    Phases,
    RunFacts,
    StepFacts,
    TryTable,
    Verified,
    WorkerFacts,
)
from loadgen.reports.collect import Called, Tried
from loadgen.reports.gates import Gates
from loadgen.reports.load import load
from loadgen.reports.measured import Measured
from loadgen.reports.metrics import Distributions, ErrorKind
from loadgen.reports.schema import (
    ErrorSummary,
    Items,
    Run,
    Summary,
    Tries,
    Verdict,
    VerificationSummary,
    WorkerSummary,
)
from loadgen.reports.sessions import begins
from loadgen.reports.truth import Finding, hold, judge_generator, judge_starts, judge_worker
from loadgen.reports.verdict import cross
from loadgen.reports.watching import CallWatch, Watch
from loadgen.reports.words import iso
from loadgen.thresholds import parse


class Record(Protocol):
    """A run, as its ledger tells it."""

    @property
    def directory(self) -> Path:
        """Where the run's files lie."""
        ...

    def facts(self) -> RunFacts:
        """What was known before the first item."""
        ...

    def phases(self) -> Phases:
        """When its parts began and ended."""
        ...

    def verified(self) -> Verified | None:
        """The verdict of the scenario's verify; None when it was not reached."""
        ...

    def steps(self) -> list[StepFacts]:
        """In the order in which they run."""
        ...

    def counts(self, step: StepFacts, /) -> ItemCounts:
        """How the step's items ended so far."""
        ...

    def lanes(self, step: StepFacts, /) -> Sequence[int]:
        """By item: the number of its key; empty where nobody knows."""
        ...

    def attempts(self) -> Attempts:
        """How often items were tried."""
        ...

    def fates(self) -> list[tuple[str, int]]:
        """Why items failed or are unknown of which no result came, and how many for that reason."""
        ...

    def try_tables(self) -> Iterator[TryTable]:
        """Tries that were alike: those of items that were done at the first attempt and returned nothing."""
        ...

    def other_attempts(self) -> Iterator[AttemptRow]:
        """The tries that are in no table."""
        ...

    def call_tables(self) -> Iterator[CallTable]:
        """Every call."""
        ...

    def workers(self) -> list[WorkerFacts]:
        """Who took part."""
        ...

    def warmed_up(self) -> Mapping[int, Lag]:
        """What the probe of each worker had read when the warm-up was over; empty when it was not."""
        ...

    def events(self) -> list[Event]:
        """What happened, in order."""
        ...


def total(record: Record) -> ItemCounts:
    """How the items of all steps ended so far."""
    return _sum([record.counts(step) for step in record.steps()])


def summarize(record: Record, verdict: Verdict, watch: Callable[[CallTable], None] | None = None) -> Summary:
    """What there is to say: one pass over the attempts and one over the calls.

    `watch` sees the calls that are measured, so that a timeline needs no second pass.
    """
    return tell(record, verdict, [] if watch is None else [CallWatch(watch)])[0]


def tell(record: Record, verdict: Verdict, watches: Sequence[Watch] = ()) -> tuple[Summary, Distributions]:
    """The same, and the histograms that its times were read from; `watches` see all rows."""
    facts, phases = record.facts(), record.phases()
    steps = record.steps()
    counts = [record.counts(step) for step in steps]
    measured = Measured.of(facts.settings.get("warm_up"), steps, record.events())
    paced = bool(facts.settings.get("pace"))
    begins_us = begins(record.events())
    tried, called = Tried(phases.started_us, begins_us, paced=paced), Called(begins_us, paced=paced)
    gates = _gates(record, begins_us)
    for tries in map(measured.tries, record.try_tables()):
        tried.add_table(tries)
        gates.add_tries(tries)
        for watch in watches:
            watch.add_tries(tries)
    for attempt in record.other_attempts():
        start_us = phases.started_us + attempt.start_us
        tried.add_error(attempt)
        if not measured.has(attempt.step, attempt.item, start_us):
            measured.items += attempt.counted
            continue
        tried.add(attempt)
        gates.add_try(attempt, start_us)
        for watch in watches:
            watch.add_try(attempt, start_us)
    for calls in record.call_tables():
        kept = measured.calls_of(calls)
        called.add(calls, kept)
        gates.add_calls(calls, kept)
        for watch in watches:
            watch.add_calls(kept)
    tried.errors.merge(called.errors)
    for reason, items in record.fates():
        tried.errors.add(reason, phases.settled_us or phases.started_us, items)
    labels, workers = called.summaries(), record.workers()
    warmed_up = record.warmed_up()
    findings = [judge_worker(measured.load(worker, warmed_up), labels) for worker in workers]
    told = tuple(tried.step(step, count) for step, count in zip(steps, counts, strict=True))
    generator = judge_starts(judge_generator(findings), told, workers)
    thresholds = gates.judge({step.name: count for step, count in zip(steps, counts, strict=True)})
    held = hold(verdict, generator) if facts.settings.get("strict") else verdict
    summary = Summary(
        run=_run(facts, phases, steps, measured),
        verdict=cross(held, thresholds),
        items=Items.of(_sum(counts)),
        attempts=_tries(record.attempts()),
        steps=told,
        calls=labels,
        verification=_verification(record.verified()),
        workers=tuple(map(_worker, workers, findings)),
        errors=tuple(map(_error, tried.errors.ranked())),
        generator=generator,
        thresholds=thresholds,
    )
    return summary, Distributions(tried.distributions(steps), called.distributions())


def _gates(record: Record, begins_us: Sequence[int]) -> Gates:
    """The run's thresholds, nothing measured yet."""
    texts = record.facts().settings.get("thresholds", ())
    return Gates([parse(text) for text in texts], record.steps(), begins_us)


def write(summary: Summary, path: Path) -> None:
    """Put the summary into the file at `path`, whole or not at all.  Raises OSError."""
    with whole(path) as draft, draft.open("wb") as file:
        file.write(encode(summary))
        file.flush()
        if draft != path:  # a pipe is on no disk
            os.fsync(file.fileno())


def encode(summary: Summary) -> bytes:
    """The summary as JSON for people and machines."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"


def _sum(counts: Sequence[ItemCounts]) -> ItemCounts:
    added = ItemCounts()
    for count in counts:
        added = added.plus(count)
    return added


def _run(facts: RunFacts, phases: Phases, steps: Sequence[StepFacts], measured: Measured) -> Run:
    course = facts.settings.get("course") or {}
    timed = any(step.items < 0 for step in steps)
    return Run(
        id=facts.id,
        scenario=facts.scenario,
        title=facts.title,
        digest=facts.digest,
        target=facts.target,
        options=facts.options,
        started_at=iso(phases.started_us),
        ended_at=None if phases.ended_us is None else iso(phases.ended_us),
        wait_s=_between(phases.started_us, phases.first_lease_us),
        active_s=_between(phases.first_lease_us, phases.draining_us),
        drain_s=_between(phases.draining_us, phases.settled_us),
        verify_s=_between(phases.settled_us, phases.verified_us),
        seed=facts.seed,
        undoable=facts.undoable,
        versions=facts.versions,
        duration_s=parse_duration(course["duration"]) if timed else None,
        ramp=course.get("ramp"),
        think_time=course.get("think_time"),
        mix=course.get("mix"),
        warm_up=measured.summary(),
        load=load(facts.settings),
    )


def _between(start_us: int | None, end_us: int | None) -> float | None:
    """Seconds; None when one was not reached, or is a mark of an earlier session of a resumed run."""
    if start_us is None or end_us is None or end_us < start_us:
        return None
    return round((end_us - start_us) / 1_000_000, 3)


def _tries(attempts: Attempts) -> Tries:
    return Tries(
        attempts.total,
        attempts.retries,
        attempts.duplicate_executions,
        attempts.in_doubt_resolved,
        attempts.found,
    )


def _verification(verified: Verified | None) -> VerificationSummary | None:
    if verified is None:
        return None
    examples = {what: list(names) for what, names in verified.examples.items()}
    return VerificationSummary(
        verified.expected, verified.found, verified.missing, verified.unexpected, examples
    )


def _worker(facts: WorkerFacts, finding: Finding) -> WorkerSummary:
    return WorkerSummary(
        name=facts.name,
        host=facts.host,
        items=facts.items,
        calls=facts.calls,
        cpu=round(facts.cpu_s / facts.alive_s, 3) if facts.alive_s > 0 else 0.0,
        probe_ms=finding.probe_ms,
        lost=facts.lost,
        verdict=finding.verdict,
        slots=facts.slots,
        clock_error_ms=None if facts.clock_error_us is None else facts.clock_error_us / 1000,
    )


def _error(kind: ErrorKind) -> ErrorSummary:
    return ErrorSummary(kind.fingerprint, kind.count, iso(kind.first_us), iso(kind.last_us), kind.sample)
