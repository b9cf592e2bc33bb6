"""A day of a run on a stepped clock: what master and reports hold then is what they held at two hours."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loadgen import __version__
from loadgen.cli.gates import Gatekeeper
from loadgen.clock import SteppedClock
from loadgen.columns import Harvest, Plain, Samples, pack
from loadgen.ledger import texts
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.loader import Bundle
from loadgen.plan import StepPlan
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.messages import PROTOCOL, Arm, Batch, Hello, Lease, LeaseRequest, Mark, Report, Welcome
from loadgen.record import Entry, RunFacts, StepFacts
from loadgen.reports.gates import Gates
from loadgen.reports.metrics import OTHER, ErrorKinds
from loadgen.reports.pulse import Pulse
from loadgen.reports.timeline import TimelineBuilder
from loadgen.sample import Outcome, Result
from loadgen.thresholds import parse
from loadgen.warmup import parse as parse_warm_up

DAY_S = 24 * 3600
EVERY_S = 120
BATCHES = DAY_S // EVERY_S
EARLY = BATCHES // 12
EACH = 1500
"""Items in a batch: a million in a day."""
FAILING, CALLS = 75, 150
"""Of them that fail, each with a text of its own; calls that are kept."""
ITEMS = BATCHES * EACH
SLOWEST_US = 5_000_000
"""One call in all that day."""
THRESHOLDS = (
    "p95<800ms over 5m abort after 1h",
    "rate>=1/s abort",
    "failed<50% abort after 1h",
    "nobody.p95<1s over 30s",
)
FLAT = 1.5
"""Flat: at most so many times what it was at two hours."""


class Unhurried:
    """Hands on to the ledger, and waits for the disk now and then only."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def submit(self, entries: Sequence[Entry]) -> Unhurried:
        self.last = self._ledger.submit(entries)
        return self

    def wait(self) -> None: ...


class Day:
    """A master's living parts, and the worker that feeds them."""

    def __init__(self, directory: Path) -> None:
        self.clock = SteppedClock()
        self.started_us = self.clock.now_us()
        steps = [StepFacts(0, "put", ITEMS, "at_most_once"), StepFacts(1, "nobody", 0, "at_most_once")]
        self.ledger = Ledger(directory, started_us=self.started_us)
        self.ledger.begin(facts(), steps)
        self.recorder = Unhurried(self.ledger)
        self.queue = MemoryQueue(welcome(), self.recorder, self.clock)
        self.pulse = Pulse(steps, self.started_us)
        order = SimpleNamespace(
            thresholds=tuple(map(parse, THRESHOLDS)),
            fail_fast=False,
            warm_up=parse_warm_up("10m"),
            dashboard=None,
        )
        self.stopped: list[object] = []
        self.gates = Gatekeeper(
            order,
            steps,
            directory,
            lambda event: self.ledger.submit([event]),
            self.stopped.append,
            lambda _by, _why: None,
        )
        self.queue.listen(self.heard)
        self.queue.open(StepPlan(0, "put", ITEMS, delivery="at_most_once", chunk=EACH, retry_budget=1.0))
        self.queue.hello(Hello("w1", "w", "w", 4, PROTOCOL, __version__))
        self.seq = 0

    def heard(self, batches: Sequence[Batch]) -> None:
        self.gates.record(batches, self.clock.now_us())
        for batch in batches:
            harvest = batch.harvest
            self.pulse.record(harvest.ended, harvest.samples.numbers("total_us"), self.clock.now_us())

    def batch(self) -> None:
        """Lease, arm, report, also what is to be tried again; then two minutes pass."""
        lease = self.queue.lease(LeaseRequest("w1", EACH, 4))
        assert isinstance(lease, Lease)
        self.queue.arm(Arm("w1", (Mark(lease.id, 0, len(lease.chunk)),)))
        self.seq += 1
        batch = Batch(self.seq, lease.id, 0, harvested(lease, self.clock.now_us()))
        self.queue.report(Report("w1", (batch,), 1.0, 4))
        self.queue.expire()
        view = self.queue.view()
        self.gates.look(0, view, self.clock.now_us())
        self.pulse.progress(0, view, self.clock.now_us())
        self.clock.step(EVERY_S if len(lease.chunk) > 1 else 0)

    @property
    def held(self) -> int:
        """Bytes that the master's parts hold on to."""
        return held(self.queue, self.pulse, self.gates, self.ledger)


def facts() -> RunFacts:
    return RunFacts(
        id="soak",
        scenario="s",
        title="",
        path="s.py",
        digest="d",
        target="http://127.0.0.1:1",
        options={},
        settings={"thresholds": list(THRESHOLDS), "warm_up": "10m"},
        versions={},
    )


def welcome() -> Welcome:
    return Welcome(
        run="soak",
        scenario="s",
        steps=("put", "nobody"),
        target="http://127.0.0.1:1",
        options=b"\x80",
        digest="d",
        bundle=Bundle("s.py", {"s.py": b""}),
        ttl_s=15.0,
        concurrency=4,
        most=4,
        connections="keep",
        correlate=True,
    )


def harvested(lease: Lease, now_us: int) -> Harvest:
    """The first of them fail, every text another one; one of these gets another try, and fails again."""
    start, stop = lease.chunk.start, lease.chunk.stop
    rest = range(min(start + FAILING, stop), stop)
    results = tuple(failure(item, lease.attempts.get(item, 1), now_us) for item in range(start, rest.start))
    if not rest:
        return Harvest(results=results)
    durations_us = [1000 + item * item % 9973 for item in rest]
    plain = Plain(((rest.start, rest.stop),), pack([now_us] * len(rest)), pack(durations_us))
    return Harvest(plain, results, called(range(stop - CALLS, stop), now_us))


def failure(item: int, attempt: int, now_us: int) -> Result:
    error = f"order {item:08x}-0000-4000-8000-{item:012x} of {item}: {word(item)} at {now_us}"
    retry_ms = 1 if attempt == 1 and item % EACH == 0 else None
    return Result(item, attempt, Outcome.FAILED, now_us, 1000 + item % 997, error, retry_ms=retry_ms)


def word(item: int) -> str:
    """One of many: more kinds than anybody wants to read."""
    return "".join(chr(ord("g") + int(digit)) for digit in str(item // EACH * 7 + item % FAILING))


def called(items: range, now_us: int) -> Samples:
    same = pack([now_us] * len(items))
    one, none = pack([1] * len(items)), pack([0] * len(items))
    total = pack([SLOWEST_US if item == ITEMS // 2 - 1 else 900 + item % 811 for item in items])
    status, first = pack([200] * len(items)), pack([800] * len(items))
    # label, error, item, attempt, start, total, connect, tls, first byte, out, in, status, dns, lag
    columns = (
        none,
        one,
        pack(list(items)),
        one,
        same,
        total,
        none,
        none,
        first,
        one,
        one,
        status,
        none,
        none,
    )
    return Samples(("put POST /", ""), columns)


def held(*roots: object) -> int:
    """Bytes of all that can be come to from here, but not by modules, classes and functions."""
    skipped = (type, types.ModuleType, types.FunctionType, types.FrameType)
    seen: set[int] = set()
    waiting: list[Any] = list(roots)
    total = 0
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, skipped):
            continue
        seen.add(id(thing))
        total += sys.getsizeof(thing)
        waiting += gc.get_referents(thing)
        if isinstance(thing, dict):  # of one whose keys are texts, they are not told
            waiting += thing
    return total


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """A day that went by: where its ledger is, and what was held at two hours and at the end."""
    directory = tmp_path_factory.mktemp("soak")
    lived = Day(directory)
    sizes = []
    try:
        for number in range(1, 2 * BATCHES + 1):  # the second one of each pair is the one more try
            lived.batch()
            if number % 60 == 0:
                lived.recorder.last.wait()
            if number in (2 * EARLY, 2 * BATCHES):
                sizes.append(lived.held)
        assert not lived.stopped
    finally:
        lived.ledger.close()
    return directory, sizes


def test_a_master_holds_no_more_after_a_day(day: tuple[Path, list[int]]) -> None:
    early, late = day[1]
    assert late < FLAT * early, f"{early} bytes at two hours, {late} at twenty-four"


def test_of_errors_that_are_all_different_some_are_kept_and_all_are_counted(
    day: tuple[Path, list[int]],
) -> None:
    kinds = ErrorKinds()
    with Reader(day[0]) as reader:
        for row in reader.other_attempts():
            kinds.add(row.error, row.start_us)
        (number,) = reader._connection.execute("SELECT count(*) FROM text").fetchone()
        assert reader.counts(reader.steps()[0]).failed == BATCHES * FAILING
    assert number == texts.MOST + 1
    ranked = kinds.ranked()
    assert sum(kind.count for kind in ranked) == BATCHES * (FAILING + 1)
    assert len(ranked) == 101
    assert (ranked[0].fingerprint, ranked[-1].sample[:9]) == (OTHER, "order 000")


def test_a_day_is_drawn_in_so_many_points_and_the_slowest_call_is_seen(day: tuple[Path, list[int]]) -> None:
    timeline, gates = TimelineBuilder(SteppedClock().now_us()), Gates([parse("calls.p99<1s")], [])
    with Reader(day[0]) as reader:
        for table in reader.call_tables():
            timeline.add(table)
            gates.add_calls(table, table)
    assert held(timeline, gates) < 2 * 1024 * 1024
    drawn = timeline.build()
    assert len(drawn.buckets) <= 60
    assert drawn.width_s == 2000
    assert sum(bucket.calls for bucket in drawn.buckets) == BATCHES * CALLS
    assert max(bucket.max or 0 for bucket in drawn.buckets) == SLOWEST_US / 1000
