"""From a run's record to what there is to say about it, and into `summary.json`.

One pass over the rows, in memory that does not grow with them.
"""

from __future__ import annotations

import datetime
import operator
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from loadgen.columns import Samples
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
from loadgen.reports.gates import RESUMED, Gates
from loadgen.reports.metrics import OTHER, Distributions, ErrorKind, ErrorKinds, Timings
from loadgen.reports.schema import (
    CallSummary,
    ErrorSummary,
    Items,
    Run,
    StepSummary,
    Summary,
    Tries,
    Verdict,
    VerificationSummary,
    WorkerSummary,
)
from loadgen.reports.truth import Finding, hold, judge_generator, judge_worker
from loadgen.reports.verdict import cross
from loadgen.reports.watching import CallWatch, Watch
from loadgen.sample import NO_ITEM, Outcome
from loadgen.thresholds import parse

MAX_CALLS = 200
"""Labels that are told apart; a scenario that puts ids into its labels must not fill the memory."""


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

    def events(self) -> list[Event]:
        """What happened, in order."""
        ...


def total(record: Record) -> ItemCounts:
    """How the items of all steps ended so far."""
    return _sum([record.counts(step) for step in record.steps()])


def summarize(record: Record, verdict: Verdict, watch: Callable[[CallTable], None] | None = None) -> Summary:
    """What there is to say: one pass over the attempts and one over the calls.

    `watch` sees the calls too, so that a timeline needs no second pass.
    """
    return tell(record, verdict, [] if watch is None else [CallWatch(watch)])[0]


def tell(record: Record, verdict: Verdict, watches: Sequence[Watch] = ()) -> tuple[Summary, Distributions]:
    """The same, and the histograms that its times were read from; `watches` see all rows."""
    facts, phases = record.facts(), record.phases()
    steps = record.steps()
    counts = [record.counts(step) for step in steps]
    tried, called, gates = _Tried(phases.started_us), _Called(), _gates(record)
    all_watches: list[Watch] = [gates, *watches]
    for tries in record.try_tables():
        tried.add_table(tries)
        for watch in all_watches:
            watch.add_tries(tries)
    for attempt in record.other_attempts():
        tried.add(attempt)
        for watch in all_watches:
            watch.add_try(attempt, phases.started_us + attempt.start_us)
    for calls in record.call_tables():
        called.add(calls)
        for watch in all_watches:
            watch.add_calls(calls)
    tried.errors.merge(called.errors)
    for reason, items in record.fates():
        tried.errors.add(reason, phases.settled_us or phases.started_us, items)
    labels, workers = called.summaries(), record.workers()
    findings = [judge_worker(worker, labels) for worker in workers]
    generator = judge_generator(findings)
    thresholds = gates.judge({step.name: count for step, count in zip(steps, counts, strict=True)})
    held = hold(verdict, generator) if facts.settings.get("strict") else verdict
    summary = Summary(
        run=_run(facts, phases),
        verdict=cross(held, thresholds),
        items=Items.of(_sum(counts)),
        attempts=_tries(record.attempts()),
        steps=tuple(tried.step(step, count) for step, count in zip(steps, counts, strict=True)),
        calls=labels,
        verification=_verification(record.verified()),
        workers=tuple(map(_worker, workers, findings)),
        errors=tuple(map(_error, tried.errors.ranked())),
        generator=generator,
        thresholds=thresholds,
    )
    return summary, Distributions(tried.distributions(steps), called.distributions())


def _gates(record: Record) -> Gates:
    """The run's thresholds, nothing measured yet."""
    sessions_us = [event.at_us for event in record.events() if event.kind == RESUMED]
    texts = record.facts().settings.get("thresholds", ())
    return Gates([parse(text) for text in texts], record.steps(), sessions_us)


def write(summary: Summary, path: Path) -> None:
    """Put the summary into the file at `path`, whole or not at all.  Raises OSError."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(encode(summary))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def encode(summary: Summary) -> bytes:
    """The summary as JSON for people and machines."""
    return msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n"


class _Span:
    """From the first start to the last end."""

    def __init__(self) -> None:
        self.count = 0
        self._first_us = 0
        self._last_us = 0

    def add(self, starts_us: Sequence[int], durations_us: Sequence[int]) -> None:
        first_us, last_us = min(starts_us), max(map(operator.add, starts_us, durations_us))
        self._first_us = min(self._first_us, first_us) if self.count else first_us
        self._last_us = max(self._last_us, last_us) if self.count else last_us
        self.count += len(starts_us)

    def rate_per_s(self) -> float | None:
        """None when nothing took any time."""
        span_us = self._last_us - self._first_us
        return round(self.count * 1_000_000 / span_us, 3) if span_us > 0 else None


class _Tried:
    """What the attempts tell."""

    def __init__(self, started_us: int) -> None:
        self.errors = ErrorKinds()
        self._started_us = started_us
        self._times: dict[int, Timings] = {}
        self._spans: dict[int, _Span] = {}

    def add_table(self, table: TryTable) -> None:
        starts_us, durations_us = table.plain.times()
        self._count(table.step, starts_us, durations_us)

    def add(self, row: AttemptRow) -> None:
        start_us = self._started_us + row.start_us
        if row.error:
            self.errors.add(row.error, start_us + row.duration_us)
        if row.counted and not row.found and row.outcome in (Outcome.DONE, Outcome.FAILED):
            self._count(row.step, [start_us], [row.duration_us])

    def _count(self, step: int, starts_us: Sequence[int], durations_us: Sequence[int]) -> None:
        self._times.setdefault(step, Timings()).add(durations_us)
        self._spans.setdefault(step, _Span()).add(starts_us, durations_us)

    def step(self, step: StepFacts, counts: ItemCounts) -> StepSummary:
        span = self._spans.get(step.index, _Span())
        times = self._times.get(step.index, Timings())
        return StepSummary(step.name, Items.of(counts), span.rate_per_s(), times.stats())

    def distributions(self, steps: Sequence[StepFacts]) -> dict[str, Timings]:
        return {step.name: self._times[step.index] for step in steps if step.index in self._times}


class _Label:
    """What the calls of one label tell."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._span = _Span()
        self.service, self._first_byte = Timings(), Timings()
        self._connect, self._dns, self._tls = Timings(), Timings(), Timings()
        self._bytes_in = self._bytes_out = 0
        self._statuses: Counter[int] = Counter()
        self.errors = 0

    def add(self, samples: Samples) -> None:
        numbers = samples.numbers
        totals_us = numbers("total_us")
        self._span.add(numbers("start_us"), totals_us)
        self.service.add(totals_us)
        self._first_byte.add([us for us in numbers("first_byte_us") if us])
        connects_us = numbers("connect_us")
        self._connect.add([us for us in connects_us if us])
        self._dns.add([us for us in numbers("dns_us") if us])
        tls_us = numbers("tls_us")
        self._tls.add([tls - tcp for tls, tcp in zip(tls_us, connects_us, strict=True) if tls])
        self._bytes_in += sum(numbers("bytes_in"))
        self._bytes_out += sum(numbers("bytes_out"))
        self._statuses.update(numbers("status"))

    def summary(self) -> CallSummary:
        return CallSummary(
            name=self._name,
            count=self._span.count,
            errors=self.errors,
            rate_per_s=self._span.rate_per_s(),
            service_time=self.service.stats(),
            time_to_first_byte=self._first_byte.stats(),
            connect_time=self._connect.stats(),
            dns_time=self._dns.stats(),
            tls_time=self._tls.stats(),
            bytes_in=self._bytes_in,
            bytes_out=self._bytes_out,
            statuses={str(status): count for status, count in sorted(self._statuses.items())},
        )


class _Called:
    """What the calls tell."""

    def __init__(self) -> None:
        self.errors = ErrorKinds()
        self._labels: dict[str, _Label] = {}

    def add(self, table: CallTable) -> None:
        samples = table.samples
        labels = samples.texts("label")
        if any(samples.words[place] for place in set(samples.numbers("error"))):
            self._add_errors(samples)
        names = list(dict.fromkeys(labels))
        for name in names:
            mine = samples if len(names) == 1 else samples.chosen([label == name for label in labels])
            self._label(name).add(mine)

    def _label(self, name: str) -> _Label:
        name = name if name in self._labels or len(self._labels) < MAX_CALLS else OTHER
        label = self._labels.get(name)
        if label is None:
            label = self._labels[name] = _Label(name)
        return label

    def _add_errors(self, samples: Samples) -> None:
        for sample in samples.rows():
            if not sample.error:
                continue
            self._label(sample.label).errors += 1
            # the error of a call within an item is told by the item's attempt, in more words
            if sample.item == NO_ITEM:
                self.errors.add(f"{sample.label}: {sample.error}", sample.start_us + sample.total_us)

    def summaries(self) -> tuple[CallSummary, ...]:
        return tuple(label.summary() for label in self._labels.values())

    def distributions(self) -> dict[str, Timings]:
        return {name: label.service for name, label in self._labels.items()}


def _sum(counts: Sequence[ItemCounts]) -> ItemCounts:
    added = ItemCounts()
    for count in counts:
        added = added.plus(count)
    return added


def _run(facts: RunFacts, phases: Phases) -> Run:
    return Run(
        id=facts.id,
        scenario=facts.scenario,
        title=facts.title,
        digest=facts.digest,
        target=facts.target,
        options=facts.options,
        started_at=_iso(phases.started_us),
        ended_at=None if phases.ended_us is None else _iso(phases.ended_us),
        wait_s=_between(phases.started_us, phases.first_lease_us),
        active_s=_between(phases.first_lease_us, phases.draining_us),
        drain_s=_between(phases.draining_us, phases.settled_us),
        verify_s=_between(phases.settled_us, phases.verified_us),
        seed=facts.seed,
        undoable=facts.undoable,
        versions=facts.versions,
    )


def _between(start_us: int | None, end_us: int | None) -> float | None:
    """Seconds; None when one was not reached, or is a mark of an earlier session of a resumed run."""
    if start_us is None or end_us is None or end_us < start_us:
        return None
    return round((end_us - start_us) / 1_000_000, 3)


def _iso(at_us: int) -> str:
    # whole milliseconds first: as a float, a time of today in seconds is good to a few microseconds only
    at = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=at_us // 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
    )


def _error(kind: ErrorKind) -> ErrorSummary:
    return ErrorSummary(kind.fingerprint, kind.count, _iso(kind.first_us), _iso(kind.last_us), kind.sample)
