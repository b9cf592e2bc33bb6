"""Builders of runs' records: what the ledger's reader would tell, without a ledger."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadgen.columns import Samples
from loadgen.lag import Lag
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
from loadgen.sample import NO_ITEM, Outcome, Sample

STARTED_US = 1_700_000_000_123_456
"""2023-11-14 22:13:20.123 UTC."""
EVIL = "<script>alert(1)</script>"
WORSE = (
    '</script><script>alert(2)</script><img src=x onerror="alert(3)"> \x1b[2J \u202e " onfocus="alert(4)" x="'
    + "long" * 40
)


@dataclass
class FakeRecord:
    """A record out of lists."""

    run: RunFacts
    marks: Phases
    plan: list[StepFacts]
    outcomes: dict[int, ItemCounts]
    tries: list[AttemptRow] = field(default_factory=list)
    calls: list[Sample] = field(default_factory=list)
    callers: dict[int, int] = field(default_factory=dict)
    """By item: the worker that made its calls, where it is not the first."""
    crew: list[WorkerFacts] = field(default_factory=list)
    log: list[Event] = field(default_factory=list)
    reasons: list[tuple[str, int]] = field(default_factory=list)
    check: Verified | None = None
    warm_lags: dict[int, Lag] = field(default_factory=dict)
    keys: dict[int, Sequence[int]] = field(default_factory=dict)
    directory: Path = Path("runs/20231114-221320-azkaban")
    passes: int = 0

    def facts(self) -> RunFacts:
        return self.run

    def phases(self) -> Phases:
        return self.marks

    def verified(self) -> Verified | None:
        return self.check

    def steps(self) -> list[StepFacts]:
        return self.plan

    def counts(self, step: StepFacts) -> ItemCounts:
        return self.outcomes[step.index]

    def lanes(self, step: StepFacts) -> Sequence[int]:
        return self.keys.get(step.index, ())

    def attempts(self) -> Attempts:
        return Attempts(len(self.tries), sum(row.attempt > 1 for row in self.tries), 0, 0)

    def try_tables(self) -> Iterator[TryTable]:
        return iter(())

    def other_attempts(self) -> Iterator[AttemptRow]:
        return iter(self.tries)

    def call_tables(self) -> Iterator[CallTable]:
        """In parts of odd sizes."""
        self.passes += 1
        return (CallTable(0, 1, Samples.of(self.calls[at : at + 37])) for at in range(0, len(self.calls), 37))

    def fates(self) -> list[tuple[str, int]]:
        return self.reasons

    def workers(self) -> list[WorkerFacts]:
        return self.crew

    def warmed_up(self) -> Mapping[int, Lag]:
        return self.warm_lags

    def events(self) -> list[Event]:
        return self.log


def some_facts(**changes: Any) -> RunFacts:
    facts: dict[str, Any] = {
        "id": "20231114-221320-azkaban",
        "scenario": "azkaban_flows",
        "title": "Create flows in Azkaban, schedule them, run them.",
        "path": "scenarios/azkaban_flows.py",
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "target": "http://127.0.0.1:8081",
        "options": {"flows": 10_000, "projects": 100, "password": "***"},
        "seed": 4711,
        "undoable": True,
        "settings": {"processes": 2, "concurrency": 32},
        "versions": {"loadgen": "0.1.0", "python": "3.11.9", "libcurl": "8.14.1", "platform": "Linux x86_64"},
    }
    return RunFacts(**{**facts, **changes})


def a_run(
    steps: Mapping[str, int], *, outcomes: Mapping[str, ItemCounts] | None = None, workers: int = 2
) -> FakeRecord:
    """A run of these steps and item counts, 300 items a second, all done unless `outcomes` says otherwise."""
    dice = random.Random(1)
    plan = [StepFacts(index, name, items, "verify") for index, (name, items) in enumerate(steps.items())]
    counts = {
        step.index: (outcomes or {}).get(step.name, ItemCounts(planned=step.items, done=step.items))
        for step in plan
    }
    record = FakeRecord(some_facts(), Phases(started_us=STARTED_US), plan, counts)
    at_us = 200_000
    for step in plan:
        kinds = _endings(counts[step.index])
        for item, outcome in enumerate(kinds):
            at_us += round(dice.expovariate(300) * 1_000_000)
            _one_item(record, step, item, outcome, at_us, dice, workers)
    record.crew = [_worker(record, number) for number in range(1, workers + 1)]
    record.marks = Phases(
        started_us=STARTED_US,
        first_lease_us=STARTED_US + 200_000,
        draining_us=STARTED_US + at_us,
        settled_us=STARTED_US + at_us + 150_000,
        verified_us=STARTED_US + at_us + 900_000,
        ended_us=STARTED_US + at_us + 950_000,
    )
    return record


def _endings(counts: ItemCounts) -> list[Outcome]:
    """The outcomes that attempts had, spread over the run."""
    endings = [Outcome.FAILED] * counts.failed + [Outcome.DONE] * counts.done
    random.Random(2).shuffle(endings)
    return endings


def _one_item(
    record: FakeRecord,
    step: StepFacts,
    item: int,
    outcome: Outcome,
    at_us: int,
    dice: random.Random,
    workers: int,
) -> None:
    worker = 1 + dice.randrange(workers)
    slow = 1 + item / max(step.items, 1)
    total_us = round(dice.lognormvariate(9.5, 0.5) * slow)
    failed = outcome is Outcome.FAILED
    error = f"POST /manager answered 500: project 'p{item}' is locked by {item}" if failed else ""
    record.callers[item] = worker
    record.calls.append(
        Sample(
            item=item,
            attempt=1,
            label=f"{step.name} POST /manager",
            start_us=STARTED_US + at_us,
            total_us=total_us,
            connect_us=400 if item < 64 else 0,
            tls_us=0,
            first_byte_us=round(total_us * 0.9),
            bytes_out=400,
            bytes_in=800,
            status=500 if failed else 200,
            error="HTTP 500" if failed else "",
        )
    )
    record.tries.append(
        AttemptRow(step.index, item, 1, worker, outcome, at_us, total_us + 300, error, counted=True)
    )


def _worker(record: FakeRecord, number: int) -> WorkerFacts:
    return WorkerFacts(
        worker=number,
        name=f"loader-{number}:{4000 + number}",
        host=f"loader-{number}",
        slots=32,
        items=sum(row.worker == number for row in record.tries),
        calls=sum(record.callers.get(sample.item, 1) == number for sample in record.calls),
        cpu_s=12.0,
        alive_s=30.0,
        lost=False,
    )


def good() -> FakeRecord:
    """A run that went well."""
    record = a_run({"create_project": 100, "create_flow": 10_000, "schedule_flow": 1_000})
    record.calls += [a_call(label=label, item=NO_ITEM) for label in ("login POST /", "setup GET /index")]
    record.check = Verified(10_000, 10_000, 0, 0)
    record.log = [Event(STARTED_US + 100_000, "worker joined", "loader-1:4001")]
    return record


def bad() -> FakeRecord:
    """A run in which much went wrong."""
    record = a_run(
        {"create_project": 100, "create_flow": 3_000},
        outcomes={"create_flow": ItemCounts(planned=3_000, done=2_900, failed=60, unknown=40)},
    )
    record.calls += [
        a_call(label="login POST /", item=NO_ITEM, status=0, error="connection refused by 127.0.0.1:8081")
        for _ in range(3)
    ]
    record.check = Verified(3_000, 2_950, 50, 2, {"missing": ["f17", "f18"], "unexpected": ["x1", "x2"]})
    record.log = [
        Event(STARTED_US + 4_000_000, "lease expired", "loader-2:4002 was not heard of for 15 s: " * 3)
    ]
    record.crew[1] = WorkerFacts(2, "loader-2:4002", "loader-2", 32, 1_400, 1_400, 3.0, 9.0, lost=True)
    return record


def interrupted() -> FakeRecord:
    """A run that was stopped in the middle."""
    record = a_run(
        {"create_project": 100, "create_flow": 10_000, "schedule_flow": 1_000},
        outcomes={
            "create_flow": ItemCounts(planned=10_000, done=3_000),
            "schedule_flow": ItemCounts(planned=1_000),
        },
    )
    record.marks = Phases(started_us=STARTED_US, first_lease_us=STARTED_US + 200_000)
    record.log = [Event(STARTED_US + 9_000_000, "stopping", "Ctrl-C: what is in flight may settle")]
    return record


def empty() -> FakeRecord:
    """A run of no items."""
    return FakeRecord(some_facts(options={}, seed=None), Phases(started_us=STARTED_US), [], {})


def single() -> FakeRecord:
    """A run of one call."""
    return a_run({"ping": 1}, workers=1)


def evil() -> FakeRecord:
    """A run in which whoever could name anything named it badly."""
    record = a_run({f"step {EVIL}": 300}, workers=1)
    record.run = some_facts(id=f"run{WORSE}", title=EVIL, target=f"http://{WORSE}", options={EVIL: WORSE})
    record.calls += [
        a_call(label=f"GET {WORSE}", status=500, error=WORSE, start_us=number * 20_000)
        for number in range(300)
    ]
    record.tries.append(an_attempt(item=299, attempt=2, outcome=Outcome.FAILED, error=f"{EVIL} {WORSE}"))
    record.crew = [WorkerFacts(1, EVIL, WORSE, 1, 300, 600, 1.0, 2.0, lost=True)]
    record.log = [Event(STARTED_US + 500_000, WORSE, EVIL)]
    record.check = Verified(2, 1, 1, 0, {"missing": [WORSE]})
    return record


def a_call(*, start_us: int = 1_000, **changes: Any) -> Sample:
    """`start_us`: since the run's start."""
    fields: dict[str, Any] = {
        "item": 0,
        "attempt": 1,
        "label": "step GET /",
        "start_us": STARTED_US + start_us,
        "total_us": 2_000,
        "connect_us": 0,
        "tls_us": 0,
        "first_byte_us": 1_900,
        "bytes_out": 100,
        "bytes_in": 200,
        "status": 200,
        "error": "",
    }
    return Sample(**{**fields, **changes})


def an_attempt(**changes: Any) -> AttemptRow:
    fields: dict[str, Any] = {
        "step": 0,
        "item": 0,
        "attempt": 1,
        "worker": 1,
        "outcome": Outcome.DONE,
        "start_us": 1_000,
        "duration_us": 2_000,
        "error": "",
        "counted": True,
    }
    return AttemptRow(**{**fields, **changes})
