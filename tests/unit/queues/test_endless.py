"""Steps that go on for a time: whatever happens, what was sent is settled, and nothing else counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.plan import ENDLESS, StepPlan
from loadgen.queues.decisions import Grant, Rules, Wanted
from loadgen.queues.endless import LOOK_AHEAD, EndlessMachine
from loadgen.queues.states import BLOCK, State
from loadgen.record import LeaseRecord, OpenItem, Past, Settled
from loadgen.sample import Outcome, Result

STEP = StepPlan(0, "step", ENDLESS)
TTL_US = 15_000_000
KEYS: dict[str, Callable[[int], Hashable] | None] = {
    "none": None,
    "few": lambda item: item % 3,
    "one": lambda _: "x",
    "many": lambda item: item,
}


def a_machine(
    keys: str = "none", delivery: str = "at_least_once", past: Past | None = None
) -> EndlessMachine:
    rules = Rules(0, delivery, TTL_US, 0, keyed=KEYS[keys] is not None, retry_budget=1.0)
    machine = EndlessMachine(rules)
    if past is not None:
        machine.restore(past, 0)
    machine.stock_endless(STEP, KEYS[keys], resumed=past is not None)
    return machine


def take(machine: EndlessMachine, size: int = 10, lanes: int = 4, now: int = 0) -> Grant | None:
    return machine.grant(Wanted("w", size, lanes), now)


def done(item: int, attempt: int = 1, retry_ms: int | None = None) -> Result:
    outcome = Outcome.DONE if retry_ms is None else Outcome.FAILED
    return Result(item, attempt, outcome, 1, 1, "" if retry_ms is None else "no", retry_ms=retry_ms)


def test_items_come_one_after_the_other_for_ever() -> None:
    machine = a_machine()
    grants = [take(machine, BLOCK) for _ in range(3)]
    assert [grant.chunk.plain for grant in grants if grant] == [
        range(n * BLOCK, (n + 1) * BLOCK) for n in range(3)
    ]
    assert machine.counts.planned == 3 * BLOCK, "what is leased may be sent"
    assert not machine.settled


def test_what_was_not_armed_goes_back_and_does_not_count() -> None:
    machine = a_machine()
    first, second = take(machine), take(machine)
    assert first
    assert second
    machine.arm("w", first.lease, (0, 4), 0)
    made = machine.end()
    assert made.ended == [second.lease]
    assert machine.arm("w", second.lease, (0, 10), 0) is None
    assert machine.arm("w", first.lease, (4, 6), 0) == (4, 5), "the worker is told to skip them"
    assert (machine.counts.planned, machine.counts.pending) == (4, 4)
    assert take(machine) is None
    made = machine.settle(first.lease, [done(item) for item in range(4)], 0)
    assert made.ended == [first.lease]
    assert machine.settled
    assert (machine.counts.planned, machine.counts.done) == (4, 4)


def test_what_waits_for_another_try_gets_it_after_the_time() -> None:
    machine = a_machine()
    grant = take(machine, 1)
    assert grant
    machine.arm("w", grant.lease, (0, 1), 0)
    machine.settle(grant.lease, [done(0, retry_ms=500)], 0)
    machine.end()
    assert not machine.settled
    assert machine.counts.planned == 1
    assert take(machine, now=400_000) is None
    again = take(machine, now=500_000)
    assert again
    assert (again.chunk.items, again.attempts) == (range(1), {0: 2})
    machine.arm("w", again.lease, (0, 1), 500_000)
    machine.settle(again.lease, [done(0, 2)], 500_000)
    assert machine.settled
    assert machine.counts.done == machine.counts.planned == 1


def test_a_hot_key_lets_only_so_much_wait() -> None:
    """Memory is flat, and what has no place waits for it."""
    machine = a_machine("one")
    grant = take(machine, 5)
    assert grant
    assert grant.chunk.lanes == ((0, 1, 2, 3, 4),)
    assert take(machine) is None
    assert machine.known <= LOOK_AHEAD + BLOCK
    machine.arm("w", grant.lease, (0, 5), 0)
    machine.settle(grant.lease, [done(item) for item in range(5)], 0)
    following = take(machine, 2)
    assert following
    assert following.chunk.lanes == ((5, 6),)


@pytest.mark.parametrize("keys", ["none", "few"])
def test_a_new_master_goes_on_behind_what_is_known_and_fills_the_holes(keys: str) -> None:
    past = Past(
        settled=[Settled(7, Outcome.FAILED, 1, has_result=True)],
        opened=[OpenItem(5, 2, 1, in_doubt=False)],
        done=[(0, 3)],
        leases=[LeaseRecord(9, "w", a_machine().grant(Wanted("w", 4, 1), 0).chunk, False, ((0, 4),))],
    )
    machine = a_machine(keys, past=past)
    assert machine.state(3) == State.ARMED
    assert machine.counts.planned == 6, "0, 1, 2, 7 are settled, 3 is out, 5 is to be tried again"
    seen = []
    machine.settle(9, [done(3)], 0)
    for _ in range(6):
        grant = take(machine, 2, 2, now=1)
        if grant:
            seen += grant.chunk.items
            machine.arm("w", grant.lease, (0, len(grant.chunk)), 0)
            machine.settle(grant.lease, [done(i, grant.attempts.get(i, 1)) for i in grant.chunk], 0)
    assert set(seen[:3]) <= {4, 5, 6, 8, 9, 10}
    assert set(seen) >= {4, 5, 6, 8, 9}
    machine.end()
    assert machine.settled
    assert machine.counts.planned == machine.counts.settled == 4 + 1 + len(seen)


class World:
    """A machine, a worker, and what was sent."""

    def __init__(self, keys: str, data: st.DataObject) -> None:
        self.machine, self.key_of, self.data = a_machine(keys), KEYS[keys], data
        self.now = 0
        self.sent: set[int] = set()
        self.live: dict[int, tuple[Grant, int]] = {}

    def move(self, what: str) -> None:
        """Something happens."""
        if what == "take":
            size, lanes = self.data.draw(st.integers(1, 9)), self.data.draw(st.integers(1, 4))
            grant = take(self.machine, size, lanes, self.now)
            if grant:
                self.live[grant.lease] = (grant, 0)
        elif what == "lose":
            self.now += TTL_US + 1
            self.machine.expire(self.now)
            self.live.clear()
        elif self.live:
            number = self.data.draw(st.sampled_from(sorted(self.live)))
            grant, armed = self.live.pop(number)
            if what == "release":
                self.machine.release("w", number, grant.chunk.items[:armed], self.now)
            else:
                self.go_on(grant, armed, what)

    def go_on(self, grant: Grant, armed: int, what: str) -> None:
        """Some more of a lease is sent, and maybe answered."""
        upto = self.data.draw(st.integers(armed, len(grant.chunk)))
        skip = self.machine.arm("w", grant.lease, (armed, upto), self.now)
        if skip is None:
            return
        ready = [item for item in grant.chunk.items[armed:upto] if item not in skip]
        self.sent.update(ready)
        if what == "settle":
            retry = self.data.draw(st.sampled_from([None, None, 0, 10]))
            self.answer(grant, ready, retry)
        self.live[grant.lease] = (grant, upto)

    def answer(self, grant: Grant, items: Sequence[int], retry_ms: int | None = None) -> None:
        """The results of some items."""
        results = [done(item, grant.attempts.get(item, 1), retry_ms) for item in items]
        self.machine.settle(grant.lease, results, self.now)

    def no_key_is_out_twice(self) -> None:
        """Of no two leases at the same time."""
        if self.key_of is not None:
            leases = self.machine._leases.values()
            out = Counter(key for lease in leases for key in set(map(self.key_of, lease.outstanding)))
            assert all(count == 1 for count in out.values())

    def finish(self) -> None:
        """The time is over, and whoever is left does what is to be done."""
        self.machine.end()
        while not self.machine.settled:
            self.now += TTL_US + 1
            self.machine.expire(self.now)
            grant = take(self.machine, 5, 3, self.now)
            assert self.now < 1000 * TTL_US, "it comes to an end"
            if grant:
                assert set(grant.chunk.items) <= self.sent, "nothing new"
                self.machine.arm("w", grant.lease, (0, len(grant.chunk)), self.now)
                self.answer(grant, grant.chunk.items)


@settings(max_examples=120, deadline=None)
@given(keys=st.sampled_from(sorted(KEYS)), data=st.data())
def test_whatever_happens_what_was_sent_is_settled_and_nothing_else_counts(
    keys: str, data: st.DataObject
) -> None:
    """Any interleaving of leases, marks, results, retries and losses; then the time is over."""
    world = World(keys, data)
    moves = ["take", "take", "settle", "settle", "arm", "lose", "release"]
    for _ in range(data.draw(st.integers(0, 25))):
        world.move(data.draw(st.sampled_from(moves)))
        world.no_key_is_out_twice()
    world.finish()
    counts = world.machine.counts
    final = (State.DONE, State.FAILED)
    assert counts.planned == counts.settled
    assert counts.planned == sum(world.machine.state(item) in final for item in world.sent)
