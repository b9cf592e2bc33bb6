"""What every queue does, in memory and over the manager: the same suite on both."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import pytest

from loadgen import __version__
from loadgen.clock import SteppedClock
from loadgen.columns import Harvest, unpack
from loadgen.errors import Refused, TokenError
from loadgen.lag import Lag
from loadgen.loader import Bundle
from loadgen.pace.pacing import Even, parse_rate
from loadgen.plan import StepPlan
from loadgen.queues.client import QueueClient
from loadgen.queues.identity import new_identity
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Armed,
    Batch,
    Beat,
    Bye,
    Drained,
    Hello,
    Lease,
    LeaseRequest,
    Mark,
    Queue,
    Receipt,
    Release,
    Report,
    Wait,
    Welcome,
)
from loadgen.queues.server import QueueManager
from loadgen.record import Acknowledged, Decided, Entry, Event, Past, Reported, Settled, WorkerLoad
from loadgen.record import Armed as ArmedMark
from loadgen.sample import Outcome, Presence, Result, Sample
from loadgen.steering import BY_HAND, Orders

TTL_S = 15.0
QUARANTINE_S = 60.0


class Notebook:
    """A recorder that keeps everything in a list."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def submit(self, entries: Sequence[Entry]) -> Notebook:
        self.entries += entries
        return self

    def wait(self) -> None: ...

    def of(self, kind: type) -> list:
        return [entry for entry in self.entries if isinstance(entry, kind)]


class Bench:
    """A queue, what is behind it, and a way to it."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self.notebook = Notebook()
        self.memory = MemoryQueue(a_welcome(), self.notebook, self.clock, quarantine_s=QUARANTINE_S)
        self.queue: Queue = self.memory


def a_welcome() -> Welcome:
    return Welcome(
        run="r1",
        scenario="s",
        steps=("step",),
        target="http://127.0.0.1:1",
        options=b"\x80",
        digest="d",
        bundle=Bundle("s.py", {"s.py": b"pass"}),
        ttl_s=TTL_S,
        concurrency=4,
        most=4,
        connections="keep",
        correlate=True,
    )


def a_hello(session: str = "w1") -> Hello:
    return Hello(session, f"host-{session}", "host", 4, PROTOCOL, __version__)


def a_result(
    item: int, attempt: int = 1, outcome: Outcome = Outcome.DONE, *, retry_ms: int | None = None
) -> Result:
    error = "" if outcome is Outcome.DONE else "no"
    return Result(item, attempt, outcome, 1_000_000, 2_000, error, retry_ms=retry_ms)


def a_sample(item: int) -> Sample:
    return Sample(item, 1, "GET /", 1_000_000, 1_500, status=200)


def a_report(lease: Lease, items: Sequence[int], *, seq: int, session: str = "w1") -> Report:
    results = tuple(a_result(item, lease.attempts.get(item, 1)) for item in items)
    harvest = Harvest.of(results, tuple(map(a_sample, items)))
    return Report(session, (Batch(seq, lease.id, lease.chunk.step, harvest),))


def arm(bench: Bench, lease: Lease, start: int = 0, stop: int | None = None, session: str = "w1") -> Armed:
    """Mark items of a lease, all of them unless said otherwise."""
    return bench.queue.arm(
        Arm(session, (Mark(lease.id, start, stop if stop is not None else len(lease.chunk)),))
    )


@pytest.fixture(params=["memory", "manager"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    bench = Bench()
    if request.param == "memory":
        yield bench
        return
    manager = QueueManager(("127.0.0.1", 0), new_identity())
    token = manager.bind()
    manager.serve(bench.memory)
    host, _, port = token.address.rpartition(":")
    client = QueueClient(token, host, int(port))
    bench.queue = client
    yield bench
    client.close()
    manager.close()


def lease(bench: Bench, want: int = 100, lanes: int = 4, session: str = "w1") -> Lease:
    granted = bench.queue.lease(LeaseRequest(session, want, lanes))
    assert isinstance(granted, Lease), granted
    return granted


def test_a_worker_takes_all_items_once_and_they_are_counted_once(bench: Bench) -> None:
    """Lease until nothing is left, report everything: every item has one counted result."""
    bench.memory.open(StepPlan(0, "step", 10, chunk=3))
    welcome = bench.queue.hello(a_hello())
    assert welcome.bundle.files == {"s.py": b"pass"}
    seen: list[int] = []
    for seq in range(1, 5):
        got = lease(bench)
        seen += got.chunk
        assert bench.queue.report(a_report(got, list(got.chunk), seq=seq)) == Receipt()
    assert sorted(seen) == list(range(10))
    assert bench.memory.view().settled
    assert bench.memory.view().counts.done == 10
    counted = [pair for entry in bench.notebook.of(Reported) for pair in entry.counted]
    assert sorted(counted) == [(item, 1) for item in range(10)]


def test_what_a_worker_was_told_is_received_was_recorded(bench: Bench) -> None:
    """The receipt comes after the commit: results, samples and the acknowledged number are there."""
    bench.memory.open(StepPlan(0, "step", 2))
    bench.queue.hello(a_hello())
    got = lease(bench)
    bench.queue.report(a_report(got, list(got.chunk), seq=1))
    reported = bench.notebook.of(Reported)
    assert [r.item for entry in reported for r in (*entry.plain.results(), *entry.results)] == list(got.chunk)
    assert [s.item for entry in reported for s in entry.samples.rows()] == list(got.chunk)
    assert bench.notebook.of(Acknowledged)[-1].seq == 1


def test_a_report_delivered_twice_changes_nothing_more(bench: Bench) -> None:
    """The second copy is acknowledged and leaves no trace."""
    bench.memory.open(StepPlan(0, "step", 5))
    bench.queue.hello(a_hello())
    got = lease(bench)
    report = a_report(got, list(got.chunk), seq=1)
    bench.queue.report(report)
    before = len(bench.notebook.of(Reported)), bench.memory.view().counts
    assert bench.queue.report(report) == Receipt()
    assert (len(bench.notebook.of(Reported)), bench.memory.view().counts) == before


def test_an_expired_lease_goes_back_and_the_beat_tells_its_worker(bench: Bench) -> None:
    """What was not armed was never sent: it is handed out again as the same attempt; the event is noted."""
    bench.memory.open(StepPlan(0, "step", 4, chunk=4))
    bench.queue.hello(a_hello("w1"))
    bench.queue.hello(a_hello("w2"))
    lost = lease(bench, session="w1")
    bench.clock.step(TTL_S + 1)
    bench.memory.expire()
    again = lease(bench, session="w2")
    assert list(again.chunk) == list(lost.chunk)
    assert again.attempts == {}
    assert bench.queue.beat(Beat("w1", (lost.id,), 0.0, 0)).dropped == (lost.id,)
    assert any("4 items back in the queue" in event.text for event in bench.notebook.of(Event))


def test_an_armed_item_of_a_lost_worker_is_unknown(bench: Bench) -> None:
    """at_most_once: it may have been sent, so it is never sent again; the rest goes back."""
    bench.memory.open(StepPlan(0, "step", 4, chunk=4))
    bench.queue.hello(a_hello())
    lost = lease(bench)
    assert arm(bench, lost, 0, 2) == Armed()
    bench.clock.step(TTL_S + 1)
    bench.memory.expire()
    assert list(lease(bench).chunk) == [2, 3]
    counts = bench.memory.view().counts
    assert (counts.unknown, counts.done, counts.pending) == (2, 0, 2)
    fates = [fate.item for entry in bench.notebook.of(Decided) for fate in entry.fates]
    assert fates == [0, 1]


def test_an_armed_item_of_a_lost_worker_is_done_again(bench: Bench) -> None:
    """at_least_once: as the next attempt."""
    bench.memory.open(StepPlan(0, "step", 2, delivery="at_least_once", chunk=2))
    bench.queue.hello(a_hello())
    lost = lease(bench)
    arm(bench, lost, 0, 1)
    bench.clock.step(TTL_S + 1)
    bench.memory.expire()
    attempts: dict[int, int] = {}
    for _ in range(2):
        again = lease(bench)
        attempts |= {item: again.attempts.get(item, 1) for item in again.chunk}
    assert attempts == {0: 2, 1: 1}


@pytest.mark.parametrize(
    ("presence", "done", "unknown", "again"),
    [(Presence.EXISTS, 1, 0, False), (Presence.ABSENT, 0, 0, True), (Presence.UNSURE, 0, 1, False)],
)
def test_an_item_in_doubt_is_looked_for(
    bench: Bench, presence: Presence, done: int, unknown: int, again: bool
) -> None:
    """verify: after the quarantine it is leased to be verified; what is found decides."""
    bench.memory.open(StepPlan(0, "step", 1, delivery="verify"))
    bench.queue.hello(a_hello())
    lost = lease(bench)
    arm(bench, lost)
    bench.clock.step(TTL_S + 1)
    bench.memory.expire()
    assert isinstance(bench.queue.lease(LeaseRequest("w1", 5, 5)), Wait)
    bench.clock.step(QUARANTINE_S)
    looking = lease(bench)
    assert looking.verifying
    assert list(looking.chunk) == [0]
    bench.queue.report(Report("w1", (Batch(1, looking.id, 0, Harvest(verdicts=((0, presence),))),)))
    counts = bench.memory.view().counts
    assert (counts.done, counts.unknown) == (done, unknown)
    if again:
        following = lease(bench)
        assert (following.verifying, following.attempts) == (False, {0: 2})


def test_a_stale_lease_cannot_be_armed(bench: Bench) -> None:
    """Its worker is told to drop it, and nothing is marked."""
    bench.memory.open(StepPlan(0, "step", 2, chunk=2))
    bench.queue.hello(a_hello())
    stale = lease(bench)
    bench.clock.step(TTL_S + 1)
    assert arm(bench, stale) == Armed(dropped=(stale.id,))
    assert bench.notebook.of(ArmedMark) == []


def test_arming_tells_what_a_late_result_has_settled(bench: Bench) -> None:
    """The item is named, so that its worker skips it."""
    bench.memory.open(StepPlan(0, "step", 2, delivery="at_least_once", chunk=2))
    bench.queue.hello(a_hello("w1"))
    bench.queue.hello(a_hello("w2"))
    lost = lease(bench, session="w1")
    arm(bench, lost, session="w1")
    bench.clock.step(TTL_S + 1)
    bench.memory.expire()
    again = lease(bench, session="w2")
    bench.queue.report(a_report(lost, [again.chunk.start], seq=1, session="w1"))
    answer = bench.queue.arm(Arm("w2", (Mark(again.id, 0, len(again.chunk)),)))
    assert (again.id, again.chunk.start) in answer.skip or again.id in answer.dropped


def test_beats_keep_a_lease_alive_only_when_they_name_it(bench: Bench) -> None:
    """Of two leases the one that is not named expires."""
    bench.memory.open(StepPlan(0, "step", 4, chunk=2))
    bench.queue.hello(a_hello())
    kept, forgotten = lease(bench), lease(bench)
    for _ in range(3):
        bench.clock.step(TTL_S / 2)
        assert bench.queue.beat(Beat("w1", (kept.id,), 0.1, 1)).dropped == ()
        bench.memory.expire()
    assert bench.memory.view().leased == 2
    again = lease(bench)
    assert list(again.chunk) == list(forgotten.chunk)


def test_a_late_result_counts_and_the_second_execution_does_not(bench: Bench) -> None:
    """The result of an expired lease settles its item; what the next holder reports is a duplicate."""
    bench.memory.open(StepPlan(0, "step", 1, delivery="at_least_once"))
    bench.queue.hello(a_hello("w1"))
    bench.queue.hello(a_hello("w2"))
    lost = lease(bench, session="w1")
    arm(bench, lost, session="w1")
    bench.clock.step(TTL_S + 1)
    bench.memory.expire()
    again = lease(bench, session="w2")
    arm(bench, again, session="w2")
    bench.queue.report(a_report(lost, [0], seq=1, session="w1"))
    assert bench.memory.view().counts.done == 1
    bench.queue.report(a_report(again, [0], seq=1, session="w2"))
    assert bench.memory.view().counts.done == 1
    assert [len(entry.counted) for entry in bench.notebook.of(Reported)] == [1, 0]


def test_released_items_come_back_as_the_same_attempt(bench: Bench) -> None:
    """What was not armed, and what was armed and not started, comes back; the rest of it is in doubt."""
    bench.memory.open(StepPlan(0, "step", 6, chunk=6))
    bench.queue.hello(a_hello())
    got = lease(bench)
    arm(bench, got, 0, 4)
    bench.queue.report(a_report(got, [0], seq=1))
    bench.queue.release(Release("w1", got.id, unstarted=(2, 3)))
    again = lease(bench)
    assert list(again.chunk) == [2, 3, 4, 5]
    assert again.attempts == {}
    assert bench.memory.view().counts.unknown == 1


def test_items_of_one_key_are_never_out_twice(bench: Bench) -> None:
    """While a key's items are out, no other lease holds items of that key; then they go on in order."""
    bench.memory.open(StepPlan(0, "step", 12, chunk=2), keys=[item % 3 for item in range(12)])
    bench.queue.hello(a_hello())
    leases = [lease(bench, lanes=1) for _ in range(3)]
    assert sorted(list(got.chunk) for got in leases) == [[0, 3], [1, 4], [2, 5]]
    assert isinstance(bench.queue.lease(LeaseRequest("w1", 10, 1)), Wait)
    bench.queue.report(a_report(leases[1], list(leases[1].chunk)[:1], seq=1))
    assert isinstance(bench.queue.lease(LeaseRequest("w1", 10, 1)), Wait)
    bench.queue.report(a_report(leases[1], list(leases[1].chunk)[1:], seq=2))
    following = lease(bench, lanes=1)
    assert list(following.chunk) == [item + 6 for item in leases[1].chunk]


def test_rows_travel_with_their_chunk(bench: Bench) -> None:
    """Each item gets its own row, in the chunk's order."""
    rows = [{"name": f"user{n}", "tags": [n]} for n in range(5)]
    bench.memory.open(StepPlan(0, "step", 5, chunk=3), rows=rows)
    bench.queue.hello(a_hello())
    first, second = lease(bench), lease(bench)
    for got in (first, second):
        assert [msgspec.msgpack.decode(row) for row in got.rows] == [rows[item] for item in got.chunk]


def test_a_retry_is_an_attempt_of_its_own_at_its_time(bench: Bench) -> None:
    """A result that asks for a retry settles nothing; the item is handed out again when it is time."""
    bench.memory.open(StepPlan(0, "step", 1))
    bench.queue.hello(a_hello())
    got = lease(bench)
    arm(bench, got)
    first = a_result(0, 1, Outcome.FAILED, retry_ms=500)
    bench.queue.report(Report("w1", (Batch(1, got.id, 0, Harvest.of([first])),)))
    assert bench.memory.view().counts.settled == 0
    assert isinstance(bench.queue.lease(LeaseRequest("w1", 1, 1)), Wait)
    bench.clock.step(0.5)
    second = lease(bench)
    assert second.attempts == {0: 2}
    bench.queue.report(Report("w1", (Batch(2, second.id, 0, Harvest.of([a_result(0, 2)])),)))
    assert bench.memory.view().counts.done == 1


def test_retries_end_with_their_budget(bench: Bench) -> None:
    """Ten are always allowed; then the share of the step's budget decides, and the failure stands."""
    bench.memory.open(StepPlan(0, "step", 30, retry_budget=0.0, chunk=30))
    bench.queue.hello(a_hello())
    got = lease(bench)
    arm(bench, got)
    failures = tuple(a_result(item, 1, Outcome.FAILED, retry_ms=0) for item in got.chunk)
    bench.queue.report(Report("w1", (Batch(1, got.id, 0, Harvest.of(failures)),)))
    counts = bench.memory.view().counts
    assert (counts.failed, counts.pending) == (20, 10)


def test_a_drained_queue_hands_out_nothing(bench: Bench) -> None:
    """Drained is said with a reason, also while items are pending."""
    bench.memory.open(StepPlan(0, "step", 5))
    bench.queue.hello(a_hello())
    bench.memory.drain("stopping")
    assert bench.queue.lease(LeaseRequest("w1", 5, 5)) == Drained("stopping")


def test_nothing_to_hand_out_is_wait_not_silence(bench: Bench) -> None:
    """Before a step is open, and while others hold what is left."""
    bench.queue.hello(a_hello())
    assert isinstance(bench.queue.lease(LeaseRequest("w1", 5, 5)), Wait)


def test_another_version_is_refused_with_words(bench: Bench) -> None:
    """Both versions are named."""
    with pytest.raises(Refused, match=rf"0\.0\.0.*{__version__}"):
        bench.queue.hello(msgspec.structs.replace(a_hello(), version="0.0.0"))


def test_a_stranger_to_the_run_must_say_hello(bench: Bench) -> None:
    """An unknown session gets words, and the connection goes on."""
    with pytest.raises(Refused, match="hello"):
        bench.queue.lease(LeaseRequest("nobody", 1, 1))
    bench.queue.hello(a_hello())
    assert bench.queue.bye(Bye("w1", "done")) == Receipt()


def test_what_a_workers_probe_read_is_kept(bench: Bench) -> None:
    """The latest reading, whichever of beat and report comes last, goes into the ledger when it leaves."""
    bench.queue.hello(a_hello())
    early, late = Lag((9,), (1,), 1, 2, 3), Lag((50, 4), (0, 2), 4, 5, 6)
    bench.queue.report(Report("w1", (), 1.5, 2, late))
    bench.queue.beat(Beat("w1", (), 1.0, 3, early))
    bench.queue.bye(Bye("w1", "done"))
    (load,) = bench.notebook.of(WorkerLoad)
    assert (load.lag, load.cpu_s) == (late, 1.5)


def test_many_workers_at_once_share_the_items_exactly(bench: Bench) -> None:
    """Threads lease and report at the same time: nothing is lost, nothing handed out twice."""
    bench.memory.open(StepPlan(0, "step", 500, chunk=7))
    taken: list[int] = []

    def work(session: str) -> None:
        bench.queue.hello(a_hello(session))
        seq = 0
        while isinstance(got := bench.queue.lease(LeaseRequest(session, 50, 4)), Lease):
            seq += 1
            taken.extend(got.chunk)
            bench.queue.report(a_report(got, list(got.chunk), seq=seq, session=session))

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sorted(taken) == list(range(500))
    assert bench.memory.view().counts.done == 500


def test_a_wrong_secret_is_a_token_error() -> None:
    """The right certificate, the wrong secret: one clear error, and the master serves on."""
    bench = Bench()
    manager = QueueManager(("127.0.0.1", 0), new_identity())
    token = manager.bind()
    manager.serve(bench.memory)
    host, _, port = token.address.rpartition(":")
    stranger = QueueClient(replace(token, secret=b"x" * 32), host, int(port))
    with pytest.raises(TokenError, match="does not accept this token"):
        stranger.hello(a_hello())
    other_run = QueueClient(replace(token, fingerprint=b"y" * 32), host, int(port))
    with pytest.raises(TokenError, match="another certificate"):
        other_run.hello(a_hello())
    friend = QueueClient(token, host, int(port))
    friend.hello(a_hello())
    friend.close()
    manager.close()


def begin(bench: Bench) -> None:
    """A step of ten items, and a worker."""
    bench.memory.open(StepPlan(0, "step", 10))
    bench.queue.hello(a_hello())


def test_a_pause_holds_who_arms_and_sends_away_who_leases(bench: Bench) -> None:
    """Nothing is marked before the worker keeps to it, and events tell of it."""
    begin(bench)
    granted = lease(bench, want=2)
    bench.memory.steer(lambda steering: steering.pause(BY_HAND))
    held = arm(bench, granted)
    assert (held.orders, held.dropped, held.skip) == (Orders(1, slots=0), (), ())
    assert bench.notebook.of(ArmedMark) == []
    assert bench.queue.lease(LeaseRequest("w1", 5, 4)) == Wait(0.25, Orders(1, slots=0))
    assert (bench.memory.view().paused, bench.memory.view().late) == ("by hand", 1)
    assert bench.queue.report(Report("w1", (), obeys=1)).orders == Orders(1, slots=0)
    assert bench.memory.view().late == 0
    bench.queue.release(Release("w1", granted.id))
    assert bench.memory.view().leased == 0

    bench.memory.steer(lambda steering: steering.go_on(BY_HAND))
    assert bench.queue.beat(Beat("w1", (), 0.0, 0, obeys=1)).orders == Orders(2)
    again = bench.queue.lease(LeaseRequest("w1", 2, 4, 2))
    assert isinstance(again, Lease)
    marked = bench.queue.arm(Arm("w1", (Mark(again.id, 0, 2),), 2))
    assert marked.orders is None
    assert len(bench.notebook.of(ArmedMark)) == 1
    said = [(event.kind, event.text) for event in bench.notebook.of(Event) if "worker" not in event.kind]
    assert said == [("paused", "by hand"), ("continued", "by hand")]


def test_a_drained_queue_says_so_in_a_pause_too(bench: Bench) -> None:
    begin(bench)
    bench.memory.steer(lambda steering: steering.pause(BY_HAND))
    bench.memory.drain("stopped")
    assert bench.queue.lease(LeaseRequest("w1", 5, 4)) == Drained("stopped")


def test_who_has_enough_leased_hears_in_a_beat_that_the_run_is_stopped(bench: Bench) -> None:
    """At a low rate it would ask for more only after minutes."""
    begin(bench)
    granted = lease(bench, want=10)
    bench.memory.drain("stopped")
    assert bench.queue.beat(Beat("w1", (granted.id,), 0.0, 0)).orders == Orders(1, slots=0)
    assert bench.memory.view().paused == ""


def test_a_newcomer_does_nothing_before_the_others_have_made_room(bench: Bench) -> None:
    begin(bench)
    bench.memory.steer(lambda steering: steering.cap(4, BY_HAND))
    first = bench.queue.beat(Beat("w1", (), 0.0, 0)).orders
    assert first.slots == 4
    bench.queue.beat(Beat("w1", (), 0.0, 0, obeys=first.serial))
    bench.queue.hello(a_hello("w2"))
    assert bench.queue.lease(LeaseRequest("w2", 5, 4)) == Wait(0.25, Orders(1, slots=0))
    less = bench.queue.beat(Beat("w1", (), 0.0, 0, obeys=first.serial)).orders
    assert less.slots == 2
    assert bench.queue.beat(Beat("w2", (), 0.0, 0, obeys=1)).orders.slots == 0, "it was told, that is all"
    bench.queue.beat(Beat("w1", (), 0.0, 0, obeys=less.serial))
    assert bench.queue.beat(Beat("w2", (), 0.0, 0, obeys=1)).orders.slots == 2


# Items that are meant to start at times of their own


def paced(items: int, rate: str = "80/s", **how: object) -> StepPlan:
    return StepPlan(0, "step", items, pace=Even(parse_rate(rate)), **how)


def test_two_workers_share_each_slice_and_are_told_when(bench: Bench) -> None:
    """Nothing before its slice is open; times of the master's clock; nothing twice."""
    bench.memory.open(paced(80))
    begin_us = bench.clock.now_us() + 3_000_000
    for session in ("w1", "w2"):
        bench.queue.hello(a_hello(session))
        answer = bench.queue.lease(LeaseRequest(session, 100, 4))
        assert isinstance(answer, Wait)
        assert 0 < answer.seconds <= 0.5
    due: dict[int, int] = {}
    had: dict[str, int] = {"w1": 0, "w2": 0}
    for _ in range(20):
        for session in ("w1", "w2"):
            while isinstance(got := bench.queue.lease(LeaseRequest(session, 100, 4)), Lease):
                assert not due.keys() & set(got.chunk)
                due |= dict(zip(got.chunk, unpack(got.due_us), strict=True))
                had[session] += len(got.chunk)
                assert max(unpack(got.due_us)) - bench.clock.now_us() <= 2_000_000
        bench.clock.step(0.25)
    assert due == {item: begin_us + item * 12_500 for item in range(80)}
    assert had == {"w1": 40, "w2": 40}


def test_what_a_dead_worker_had_is_leased_again_with_its_times(bench: Bench) -> None:
    """And people are told that it starts late."""
    bench.memory.open(paced(20))
    for session in ("w1", "w2"):
        bench.queue.hello(a_hello(session))
    bench.queue.lease(LeaseRequest("w1", 100, 4))
    bench.clock.step(2)
    lost = lease(bench, session="w1")
    others = lease(bench, session="w2")
    arm(bench, lost, 0, 2)
    bench.clock.step(TTL_S - 1)
    bench.queue.beat(Beat("w2", (others.id,), 0.0, 0))
    bench.clock.step(2)
    bench.memory.expire()
    due = dict(zip(lost.chunk, unpack(lost.due_us), strict=True))
    again = lease(bench, session="w2")
    assert 1 < len(again.chunk) < 8, "a share: others help"
    assert list(again.chunk) == list(lost.chunk)[2 : 2 + len(again.chunk)]
    assert unpack(again.due_us) == [due[item] for item in again.chunk]
    (event,) = [event for event in bench.notebook.of(Event) if event.kind == "lease expired"]
    assert "2 may have been sent" in event.text
    assert event.text.endswith("; they start late")


def test_an_item_that_was_dropped_is_settled(bench: Bench) -> None:
    bench.memory.open(paced(4))
    bench.queue.hello(a_hello())
    bench.queue.lease(LeaseRequest("w1", 100, 4))
    bench.clock.step(3)
    got = lease(bench)
    arm(bench, got)
    dropped = [a_result(item, outcome=Outcome.DROPPED) for item in got.chunk]
    bench.queue.report(Report("w1", (Batch(1, got.id, 0, Harvest.of(dropped)),)))
    view = bench.memory.view()
    assert (view.counts.dropped, view.counts.done, view.settled) == (4, 0, True)


def test_keys_of_a_paced_step_are_out_with_one_worker_at_a_time(bench: Bench) -> None:
    bench.memory.open(paced(8), keys=[0, 1, 0, 1, 0, 1, 0, 1])
    for session in ("w1", "w2"):
        bench.queue.hello(a_hello(session))
    bench.queue.lease(LeaseRequest("w1", 100, 4))
    bench.clock.step(3)
    first, second = lease(bench, session="w1"), lease(bench, session="w2")
    assert {first.chunk.lanes, second.chunk.lanes} == {((0, 2, 4, 6),), ((1, 3, 5, 7),)}
    assert len(unpack(first.due_us)) == 4


def test_a_resumed_paced_step_leaves_out_what_is_done_and_goes_on_from_there(bench: Bench) -> None:
    done = Settled(item=12, outcome=Outcome.FAILED, attempt=1, has_result=True)
    bench.memory.open(paced(20), past=Past(done=((0, 10),), settled=[done]))
    begin_us = bench.clock.now_us() + 3_000_000
    bench.queue.hello(a_hello())
    bench.queue.lease(LeaseRequest("w1", 100, 4))
    due: dict[int, int] = {}
    for _ in range(2):  # what is behind the hole was for another worker, until the next slice is open
        bench.clock.step(2)
        while isinstance(got := bench.queue.lease(LeaseRequest("w1", 100, 4)), Lease):
            due |= dict(zip(got.chunk, unpack(got.due_us), strict=True))
    wanted = {item: begin_us + (item - 10) * 12_500 for item in range(10, 20) if item != 12}
    assert due == wanted
