"""The lease machine under kills, losses, repeats, delays and restarts at any point: the invariants hold."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from lease_model import CUTS, QUARANTINE_S, TTL_S, Cut, End, Fault, Setup, SimWorker, World

from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.record import Entry, RunFacts, StepFacts

FAULTS: tuple[Fault, ...] = (
    "",
    "",
    "",
    "request lost",
    "reply lost",
    "twice",
    "delayed",
    "killed before commit",
    "killed after",
)
STEPS = ("lease", "arm", "send", "answer", "report", "beat", "release", "leave")
setups = st.builds(
    Setup,
    delivery=st.sampled_from(["at_most_once", "at_least_once", "verify"]),
    keyed=st.booleans(),
    chunk=st.integers(1, 4),
    lanes=st.integers(1, 3),
)
cuts = st.builds(
    Cut,
    st.sampled_from([0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 5, 6, 7, 9, 11]),
    st.sampled_from(CUTS),
    st.sampled_from(FAULTS),
)
faults = st.sampled_from(FAULTS)
index = st.integers(0, 5)
ends = st.sampled_from(["done", "done", "failed", "retry"])
pauses = st.sampled_from([[], [TTL_S + 1], [TTL_S + 1, QUARANTINE_S]])


@dataclass(frozen=True)
class Burst:
    """A cooperative episode, and where it is cut."""

    number: int
    ends: list[End]
    cut: Cut


bursts = st.builds(Burst, index, st.lists(ends, min_size=2, max_size=4), cuts)


FACTS = RunFacts(
    id="r1",
    scenario="s",
    title="",
    path="s.py",
    digest="d",
    target="http://127.0.0.1:1",
    options={},
    settings={},
    versions={},
)


class LeaseRuns(RuleBasedStateMachine):
    """Any of these, in any order; at the end one good worker finishes the run."""

    SETUPS: ClassVar = setups

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.world = World(data.draw(self.SETUPS))
        self.world.join()

    def worker(self, number: int) -> SimWorker:
        alive = [worker for worker in self.world.workers if worker.alive]
        return alive[number % len(alive)] if alive else self.world.join()

    @rule(one=bursts)
    def burst(self, one: Burst) -> None:
        self.world.burst(self.worker(one.number), one.ends, one.cut)

    @rule(first=bursts, second=bursts, pause_s=pauses, restart=st.booleans(), late=st.booleans())
    def two_bursts(
        self, first: Burst, second: Burst, pause_s: list[float], restart: bool, late: bool
    ) -> None:
        """An episode is cut; another's begins, perhaps under a new master; then the first goes on."""
        world = self.world
        worker = self.worker(first.number)
        world.burst(worker, first.ends, first.cut)
        for seconds in pause_s:
            world.pass_time(seconds, late_effects=late)
            world.expire()
        if restart:
            world.kill_master()
        others = [other for other in world.workers if other.alive and other is not worker]
        other = others[second.number % len(others)] if others else world.join()
        world.burst(other, second.ends, second.cut)
        if worker.alive:
            world.burst(worker, first.ends, Cut())

    @rule(sent=st.booleans(), second=bursts, effect=st.booleans())
    def doubt(self, sent: bool, second: Burst, effect: bool) -> None:
        """A worker dies with what it has armed; what follows begins when the quarantine is over."""
        world = self.world
        worker = self.worker(second.number)
        held = next(iter(worker.held.values()), None) or world.lease(worker)
        if held is not None:
            world.arm(worker, held, 2)
            if sent:
                world.send(worker, held, 3)
        world.kill(worker, spool=True)
        world.pass_time(TTL_S + 1, late_effects=effect)
        world.expire()
        world.pass_time(QUARANTINE_S, late_effects=effect)
        world.expire()
        world.burst(self.worker(second.number), second.ends, second.cut)

    @rule(what=st.sampled_from(STEPS), number=index, count=st.integers(1, 3), end=ends, fault=faults)
    def single_step(self, what: str, number: int, count: int, end: End, fault: Fault) -> None:
        world, worker = self.world, self.worker(number)
        held = list(worker.held.values())
        one = held[number % len(held)] if held else None
        match what:
            case "lease" | "report" | "beat" | "leave":
                getattr(world, what)(worker, fault)
            case "arm" if one:
                world.arm(worker, one, count, fault)
            case "send" if one:
                world.send(worker, one, count)
            case "answer" if one:
                world.look(worker, one, sure=end != "failed")
                world.answer(worker, one, end)
            case "release" if one:
                world.release(worker, one, fault)

    @rule(seconds=st.sampled_from([0.5, 5.0, TTL_S + 1, QUARANTINE_S]), late=st.booleans(), fault=faults)
    def pass_time(self, seconds: float, late: bool, fault: Fault) -> None:
        self.world.pass_time(seconds, late_effects=late)
        self.world.expire(fault)

    @rule(
        who=st.sampled_from(["worker", "worker and disk", "master", "master, away", "nobody"]), number=index
    )
    def kill(self, who: str, number: int) -> None:
        if who.startswith("worker"):
            self.world.kill(self.worker(number), spool=who == "worker")
        elif who != "nobody":
            self.world.kill_master(opened=who == "master")
        else:
            self.world.open()

    @rule(
        what=st.sampled_from(["message", "spool", "effect"]), number=index, once=st.booleans(), fault=faults
    )
    def arrive(self, what: str, number: int, once: bool, fault: Fault) -> None:
        if what == "message":
            self.world.deliver(number, again=not once)
        elif what == "spool":
            self.world.hand_over(number, fault)
        else:
            self.world.late_effect(number, effect=once)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.heal()


class TestLeaseRuns(LeaseRuns.TestCase):
    """All deliveries, with keys and without."""

    settings = settings(max_examples=200, stateful_step_count=25, deadline=None)


@pytest.mark.parametrize("seed", range(12))
def test_the_replica_keeps_what_the_ledger_keeps(seed: int, tmp_path: Path) -> None:
    """What the runs above restart from is what Ledger and Reader would give them."""
    dice = random.Random(seed)
    delivery = dice.choice(["at_most_once", "at_least_once", "verify"])
    world = World(Setup(delivery, keyed=dice.random() < 0.5, chunk=3))
    ledger = Ledger(tmp_path, started_us=0)
    ledger.begin(FACTS, [StepFacts(0, "step", world.setup.items, delivery)])
    keep = world.store.keep

    def keep_both(entry: Entry) -> None:
        keep(entry)
        ledger.submit([entry]).wait()

    world.store.keep = keep_both  # type: ignore[method-assign]
    for _ in range(6):
        alive = [worker for worker in world.workers if worker.alive]
        worker = dice.choice(alive) if alive else world.join()
        ends = dice.choices(["done", "failed", "retry"], k=4)
        world.burst(worker, ends, Cut(dice.randrange(9), dice.choice(CUTS), dice.choice(FAULTS)))
        world.open()
        world.pass_time(dice.choice([0.0, TTL_S + 1, QUARANTINE_S]), late_effects=dice.random() < 0.5)
        world.expire()
        with Reader(tmp_path) as reader:
            assert reader.past(0) == world.store.past()
            assert reader.sessions() == world.store.workers
            assert reader.last_lease() == world.store.restored().leases
    ledger.close()
