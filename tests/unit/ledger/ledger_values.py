"""Values to put into a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from loadgen.columns import Samples
from loadgen.record import Entry, Joined, Reported, RunFacts, StepFacts
from loadgen.sample import NOTHING, Outcome, Result, Sample

START_US = 1_700_000_000_000_000


def a_run(**changes: Any) -> RunFacts:
    facts = RunFacts(
        id="r1",
        scenario="flows",
        title="Create flows.",
        path="flows.py",
        digest="d" * 64,
        target="http://127.0.0.1:1",
        options={"flows": 5, "password": "***"},
        settings={"chunk": "auto"},
        versions={"loadgen": "0"},
    )
    return msgspec.structs.replace(facts, **changes)


def a_step(index: int = 0, name: str = "create", items: int = 10) -> StepFacts:
    return StepFacts(index, name, items, "at_most_once")


def a_worker(number: int = 1, session: str = "s1") -> Joined:
    return Joined(number, session, f"host-{number}", "host", 4)


def a_result(item: int, attempt: int = 1, outcome: Outcome = Outcome.DONE, **more: Any) -> Result:
    value = more.pop("value", None)
    packed = NOTHING if value is None else msgspec.Raw(msgspec.msgpack.encode(value))
    error = "" if outcome is Outcome.DONE else "it failed"
    return Result(item, attempt, outcome, START_US + 1000 * item, 500, error, packed, **more)


def a_sample(item: int, attempt: int = 1, **more: Any) -> Sample:
    return Sample(item, attempt, "create POST /things", START_US + 1000 * item, 400, status=200, **more)


def a_report(
    results: Sequence[Result], samples: Sequence[Sample] = (), *, step: int = 0, counted: Any = None
) -> Entry:
    if counted is None:
        counted = {(result.item, result.attempt) for result in results if result.retry_ms is None}
    return Reported(step, 1, results, Samples.of(samples), counted=frozenset(counted))
