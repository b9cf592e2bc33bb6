"""Several steps open at the same time, and runs for a time: what workers see of the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from loadgen import __version__
from loadgen.clock import SteppedClock
from loadgen.columns import Harvest
from loadgen.errors import Refused
from loadgen.loader import Bundle
from loadgen.pace.levels import parse_ramp
from loadgen.pace.pacing import Even, parse_rate
from loadgen.pace.thinking import Think
from loadgen.plan import ENDLESS, StepPlan
from loadgen.queues.members import Restored
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Batch,
    Beat,
    Hello,
    Lease,
    LeaseRequest,
    Mark,
    Report,
    Wait,
    Welcome,
)
from loadgen.queues.phase import Part
from loadgen.queues.term import Term
from loadgen.record import Entry, LeaseRecord, Past, Reported
from loadgen.record import Mark as PhaseMark
from loadgen.sample import Outcome, Result
from loadgen.steering import BY_HAND
from loadgen.worker.desk import Desk
from loadgen.worker.resting import Rests
from loadgen.worker.spool import Spool

SECOND = 1_000_000


class Notebook:
    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def submit(self, entries: Sequence[Entry]) -> Notebook:
        self.entries += entries
        return self

    def wait(self) -> None: ...


class Bench:
    def __init__(self, *, restored: Restored | None = None) -> None:
        self.clock = SteppedClock()
        self.notebook = Notebook()
        welcome = Welcome(
            run="r1",
            scenario="s",
            steps=("browse", "order", "rest"),
            target="http://127.0.0.1:1",
            options=b"\x80",
            digest="d",
            bundle=Bundle("s.py", {"s.py": b"pass"}),
            ttl_s=15.0,
            concurrency=4,
            most=4,
            connections="keep",
            correlate=True,
        )
        self.queue = MemoryQueue(welcome, self.notebook, self.clock, restored=restored)
        self.seq = 0
        self.had = Counter[int]()

    def join(self, session: str = "w1", slots: int = 4) -> None:
        self.queue.hello(Hello(session, session, "host", slots, PROTOCOL, __version__))

    def lease(self, want: int = 16, session: str = "w1") -> Lease | None:
        answer = self.queue.lease(LeaseRequest(session, want, 4))
        assert isinstance(answer, Lease | Wait)
        if isinstance(answer, Wait):
            return None
        self.had[answer.chunk.step] += len(answer.chunk)
        return answer

    def do(self, lease: Lease, count: int | None = None) -> None:
        """Arm and report the first `count` items, or all."""
        items = list(lease.chunk.items)[:count]
        self.queue.arm(Arm("w1", (Mark(lease.id, 0, len(items)),)))
        self.seq += 1
        results = tuple(Result(item, lease.attempts.get(item, 1), Outcome.DONE, 1, 1) for item in items)
        harvest = Harvest.of(results)
        self.queue.report(Report("w1", (Batch(self.seq, lease.id, lease.chunk.step, harvest),)))


def mixed(browse: int = ENDLESS, order: int = ENDLESS, **order_more: object) -> list[Part]:
    return [
        Part(StepPlan(0, "browse", browse, weight=3.0)),
        Part(StepPlan(1, "order", order, weight=1.0), **order_more),
    ]


def test_leases_follow_the_weights_and_no_two_have_one_number() -> None:
    bench = Bench()
    bench.join()
    bench.queue.open_all(mixed(), Term(60 * SECOND))
    leases = [bench.lease() for _ in range(40)]
    assert len({lease.id for lease in leases if lease}) == 40
    assert bench.had[0] == pytest.approx(3 * bench.had[1], abs=4)
    assert max(len(lease.chunk) for lease in leases if lease) <= 4, "so that each worker has some of both"
    view = bench.queue.view()
    assert {step: counts.planned for step, counts in view.by_step.items()} == bench.had
    assert view.counts.planned == bench.had.total()


def test_a_batch_is_a_batch_and_when_one_is_exhausted_the_rest_goes_on() -> None:
    bench = Bench()
    bench.join()
    bench.queue.open_all(mixed(20, 40))
    while lease := bench.lease():
        bench.do(lease)
        if bench.had[0] == 20 and bench.had[1] < 40:
            assert bench.had[1] >= 5
    assert bench.had == {0: 20, 1: 40}
    view = bench.queue.view()
    assert view.settled
    assert [counts.done for counts in view.by_step.values()] == [20, 40]
    reported = [entry for entry in bench.notebook.entries if isinstance(entry, Reported)]
    assert {entry.step for entry in reported} == {0, 1}


def test_when_the_keys_of_a_step_are_busy_the_others_go_on() -> None:
    bench = Bench()
    bench.join()
    bench.queue.open_all(mixed(keys=lambda item: "x"), Term(60 * SECOND))
    leases = [bench.lease() for _ in range(12)]
    (order,) = [lease for lease in leases if lease and lease.chunk.step == 1]
    assert sum(lease is not None for lease in leases) == 12
    bench.do(order)
    following = bench.lease()
    assert following
    assert following.chunk.step == 1, "it catches up"


def test_rows_come_again_and_again() -> None:
    bench = Bench()
    bench.join()
    bench.queue.open_all([Part(StepPlan(0, "browse", ENDLESS), rows=["a", "b", "c"])], Term(60 * SECOND))
    lease = bench.lease(4)
    assert lease
    assert [bytes(row)[-1:] for row in lease.rows] == [b"a", b"b", b"c", b"a"]


def test_when_the_time_is_over_nothing_more_is_leased_and_what_was_armed_settles() -> None:
    """Time counts from the first lease, and is noted for a new master."""
    bench = Bench()
    bench.join()
    bench.queue.open_all([Part(StepPlan(0, "browse", ENDLESS))], Term(2 * SECOND))
    bench.clock.step(10)
    bench.queue.expire()
    first = bench.lease(8)
    assert first
    for _ in range(2):
        bench.clock.step(1)
        bench.queue.expire()
    assert [entry.at_us for entry in bench.notebook.entries if isinstance(entry, PhaseMark)] == [
        SECOND,
        2 * SECOND,
    ]
    assert bench.lease() is None
    view = bench.queue.view()
    assert (view.counts.planned, view.settled, view.left_s) == (0, True, 0)


def test_what_is_armed_at_the_end_counts() -> None:
    bench = Bench()
    bench.join()
    bench.queue.open_all([Part(StepPlan(0, "browse", ENDLESS))], Term(2 * SECOND))
    lease = bench.lease(8)
    assert lease
    bench.queue.arm(Arm("w1", (Mark(lease.id, 0, 3),)))
    bench.clock.step(2)
    bench.queue.expire()
    assert bench.queue.arm(Arm("w1", (Mark(lease.id, 3, 5),))).skip == ((lease.id, 3), (lease.id, 4))
    assert not bench.queue.view().settled
    bench.do(lease, 3)
    view = bench.queue.view()
    assert (view.counts.planned, view.counts.done, view.settled) == (3, 3, True)


def test_a_new_master_knows_no_lease_before_all_steps_of_a_mix_are_open() -> None:
    """And then what is said of a lease is said to the step that has it."""
    before = Bench()
    before.join()
    before.queue.open_all(mixed(), Term(60 * SECOND))
    first, second = before.lease(), before.lease()
    assert first
    assert second
    assert {first.chunk.step, second.chunk.step} == {0, 1}
    bench = Bench(restored=Restored({"w1": (1, 0)}, 1, 2, 0))
    bench.queue._patience_s = 0.0
    bench.join()
    pasts = {
        lease.chunk.step: Past(leases=[LeaseRecord(lease.id, "w1", lease.chunk, False, ((0, 1),))])
        for lease in (first, second)
    }
    parts = [Part(part.step, past=pasts[part.step.index]) for part in mixed()]
    bench.queue.open_all(parts, Term(60 * SECOND, passed_us=59 * SECOND))
    assert bench.queue.beat(Beat("w1", (first.id, second.id, 99), 0.0, 0)).dropped == (99,)
    bench.do(first, 1)
    bench.do(second, 1)
    third = bench.lease()
    assert third
    assert third.id == 3
    bench.clock.step(1)
    bench.queue.expire()
    view = bench.queue.view()
    assert [counts.done for counts in view.by_step.values()] == [1, 1]
    assert view.settled, "the second that was left is over"


def test_a_new_master_waits_for_the_phase_in_which_its_leases_are() -> None:
    """A step before it, which is all settled, says nothing about them."""
    bench = Bench(restored=Restored({"w1": (1, 0)}, 1, 2, step=1))
    bench.queue._patience_s = 0.0
    bench.join()
    bench.queue.open(StepPlan(2, "rest", 0), past=Past())
    with pytest.raises(Refused):
        bench.queue.beat(Beat("w1", (1,), 0.0, 0))
    bench.queue.open_all(mixed(), Term(60 * SECOND))
    assert bench.queue.beat(Beat("w1", (1,), 0.0, 0)).dropped == (1,)


def test_workers_are_told_their_share_of_a_ramp() -> None:
    bench = Bench()
    bench.join("w1", slots=4)
    bench.join("w2", slots=8)
    bench.queue.open(StepPlan(0, "browse", 1000), term=Term(None, parse_ramp("0:1,10s:6,20s:100")))

    obeyed = {"w1": 0, "w2": 0}

    def shares() -> list[int | None]:
        """Once what the others have given up has come round."""
        bench.queue.expire()
        for _ in range(3):
            orders = {
                session: bench.queue.beat(Beat(session, (), 0.0, 0, obeys=serial)).orders
                for session, serial in obeyed.items()
            }
            obeyed.update({session: each.serial for session, each in orders.items()})
        return [each.slots for each in orders.values()]

    assert shares() == [0, 1]
    assert isinstance(bench.queue.lease(LeaseRequest("w1", 10, 4, obeyed["w1"])), Wait), "it has no part yet"
    bench.clock.step(10)
    assert shares() == [2, 4]
    bench.clock.step(10)
    assert shares() == [4, 8], "nobody has more than its slots"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    it = Spool(tmp_path, "r1", "s1")
    yield it
    it.close()


def test_a_worker_has_its_mixed_steps_in_turn(spool: Spool) -> None:
    desk = Desk(SteppedClock(), spool, 4, mix={0: 3.0, 1: 1.0})
    bench = Bench()
    bench.join()
    bench.queue.open_all(mixed(), Term(60 * SECOND))
    for _ in range(8):
        lease = bench.lease(64)
        assert lease
        desk.accept(lease)
    tasks = [task for _ in range(12) for task in desk.next_tasks(4)]
    steps = [task.step for task in tasks for _ in task.items]
    assert len(steps) == 48
    for start in range(0, 48, 4):
        assert sorted(steps[start : start + 4]) == [0, 0, 0, 1]
    assert desk.step == -1, "a warm-up must not take each lease for another step"


def test_a_thinking_worker_is_given_one_item_at_a_time(spool: Spool) -> None:
    desk = Desk(SteppedClock(), spool, 4, Rests({0: Think(SECOND, SECOND)}, 0))
    desk._rate = 1e6
    bench = Bench()
    bench.join()
    bench.queue.open(StepPlan(0, "browse", 100, chunk=100))
    lease = bench.lease()
    assert lease
    desk.accept(lease)
    assert [len(task.items) for task in desk.next_tasks(3)] == [1, 1, 1]


@pytest.mark.parametrize("timed", [True, False])
def test_what_is_left_when_a_ramp_has_come_to_nothing_is_done_one_by_one(timed: bool) -> None:
    """A retry that waits when the time is over; the items of a step that has no time."""
    bench = Bench()
    bench.join()
    length_us = 8 * SECOND if timed else None
    items = ENDLESS if timed else 1000
    term = Term(length_us, parse_ramp("0:4,4s:4,6s:0"), passed_us=7 * SECOND if timed else 0)
    bench.queue.open(StepPlan(0, "browse", items), term=term)

    def level() -> int | None:
        bench.queue.expire()
        return bench.queue.beat(Beat("w1", (), 0.0, 0)).orders.slots

    bench.queue.lease(LeaseRequest("w1", 1, 4))
    assert level() == (0 if timed else 4)
    bench.clock.step(5)
    assert level() == (1 if timed else 2)
    bench.clock.step(5)
    assert level() == 1


def test_each_paced_step_of_a_mix_has_its_share_of_a_rate_by_hand() -> None:
    bench = Bench()
    bench.join()
    paced = [
        Part(StepPlan(0, "browse", 1000, weight=3.0, pace=Even(parse_rate("30/s")))),
        Part(StepPlan(1, "order", 1000, weight=1.0, pace=Even(parse_rate("10/s")))),
    ]
    bench.queue.open_all(paced)
    assert bench.lease() is None, "now it is announced"
    bench.queue.steer(lambda steering: steering.rate(100.0, BY_HAND))
    orders = bench.queue.beat(Beat("w1", (), 0.0, 0)).orders
    for _ in range(60):
        bench.clock.step(0.1)
        answer = bench.queue.lease(LeaseRequest("w1", 1000, 4, orders.serial))
        if isinstance(answer, Lease):
            bench.had[answer.chunk.step] += len(answer.chunk)
    assert bench.had[0] == pytest.approx(75 * 4.5, rel=0.2)
    assert bench.had[1] == pytest.approx(25 * 4.5, rel=0.2)


def test_of_a_rate_by_hand_a_step_without_items_has_no_share() -> None:
    bench = Bench()
    bench.join()
    paced = [
        Part(StepPlan(0, "browse", 0, weight=3.0, pace=Even(parse_rate("30/s")))),
        Part(StepPlan(1, "order", 1000, weight=1.0, pace=Even(parse_rate("10/s")))),
    ]
    bench.queue.open_all(paced)
    assert bench.lease() is None, "now it is announced"
    bench.queue.steer(lambda steering: steering.rate(40.0, BY_HAND))
    orders = bench.queue.beat(Beat("w1", (), 0.0, 0)).orders
    for _ in range(60):
        bench.clock.step(0.1)
        answer = bench.queue.lease(LeaseRequest("w1", 1000, 4, orders.serial))
        if isinstance(answer, Lease):
            bench.had[answer.chunk.step] += len(answer.chunk)
    assert bench.had[1] == pytest.approx(40 * 4.5, rel=0.2)


def test_cpu_time_that_a_worker_spent_for_another_master_is_not_held_against_the_time_with_this_one() -> None:
    """It was 833 % of two cores, where a run was resumed."""
    bench = Bench(restored=Restored({"w1": (1, 0)}, 1, 2, 0))
    bench.queue.open_all(mixed(), Term(60 * SECOND))
    for session in ("w1", "w2"):
        bench.join(session)
        for cpu_s in (5.0, 5.5):
            bench.clock.step(1)
            bench.queue.beat(Beat(session, (), cpu_s, 0))
    assert [round(worker.cpu * worker.number, 2) for worker in bench.queue.view().workers] == [0.25, 5.5]
