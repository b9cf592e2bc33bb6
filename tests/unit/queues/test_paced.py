"""A paced step's supply: whoever asks whenever, each item is handed out once, when its slice is open."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.columns import unpack
from loadgen.pace.pacing import Even, Pace, Poisson, Rates, Trace, parse_rate, parse_stages
from loadgen.plan import LARGEST_CHUNK, Chunk, StepPlan
from loadgen.queues.decisions import Wanted
from loadgen.queues.paced import MOST_STRIPES, Pacer, parts, progressions
from loadgen.queues.schedule import ANNOUNCED_S, LEAD_S, SLICE_S, Schedule
from loadgen.steering import BY_HAND, Limits, Steering

START_US = 1_700_000_000_000_000
AHEAD_US = round((LEAD_S + SLICE_S) * 1_000_000)


class World:
    """A pacer, what is pending and who has what."""

    def __init__(
        self,
        pace: Pace,
        items: int,
        *,
        keys: Sequence[int] | None = None,
        most: int = 10**6,
        settled: Sequence[int] = (),
        slots: dict[str, int] | None = None,
    ) -> None:
        self.step = StepPlan(0, "step", items, pace=pace)
        self.keys = keys
        self.most = most
        self.slots = slots or {"a": 1, "b": 1}
        self.pending = set(range(items)) - set(settled)
        self.handed: list[int] = []
        self.out: dict[str, list[Chunk]] = {session: [] for session in self.slots}
        self.now_us = START_US
        self.pacer = Pacer(self.step, pace, keys, most)
        self.supply = self.pacer.start(lambda item: item in self.pending)

    def ask(self, session: str, size: int = 10**6, lanes: int = 64) -> Chunk | None:
        self.pacer.fill(self.now_us, self.slots)
        chunk = self.supply.take(Wanted(session, size, lanes))
        if chunk is None:
            return None
        due_us = unpack(self.pacer.due_us(chunk))
        assert 0 < len(chunk) == len(due_us) <= self.most
        for item, due in zip(chunk.items, due_us, strict=True):
            assert item in self.pending, "settled, or out already"
            assert due - self.now_us <= AHEAD_US, "its slice is not open"
            self.pending.discard(item)
            self.handed.append(item)
        if self.keys is not None:
            for lane in chunk.lanes:
                (key,) = {self.keys[item] for item in lane}
                assert list(lane) == sorted(lane)
                assert key not in {self.keys[item] for each in self._held() for item in each.items}
        self.out[session].append(chunk)
        return chunk

    def _held(self) -> list[Chunk]:
        return [chunk for chunks in self.out.values() for chunk in chunks]

    def settle(self, session: str) -> None:
        for chunk in self.out[session]:
            for item in chunk.items:
                self.supply.settled(item)
        self.out[session].clear()

    def die(self, session: str) -> None:
        """All that it has was not sent, and comes back lease by lease."""
        for chunk in self.out[session]:
            self.pending.update(chunk.items)
            self.handed = [item for item in self.handed if item not in set(chunk.items)]
            self.supply.give_back(chunk.items)
        self.out[session].clear()

    def pass_s(self, seconds: float) -> None:
        self.now_us += round(seconds * 1_000_000)

    def finish(self) -> None:
        """Ask and settle until there is nothing more."""
        for _ in range(100_000):
            had = [session for session in self.slots if self.ask(session) is not None]
            for session in self.slots:
                self.settle(session)
            if not self.pending:
                return
            if not had:
                self.pass_s(max(self.pacer.wait_s(self.now_us, 0.25), 0.01))
        raise AssertionError(f"never handed out: {sorted(self.pending)[:5]}")


PACES: list[tuple[Pace, int]] = [
    (Even(parse_rate("100/s")), 300),
    (Even(parse_rate("1/m")), 3),
    (Even(parse_stages("0:10/s,1s:200/s,2s:200/s,2s:0/s,5s:0/s,5s:100/s")), 400),
    (Poisson(parse_rate("150/s"), 7), 300),
    (Trace((0, 0, 0, 40, *[1_000_000] * 90, 4_000_000)), 95),
]


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_each_item_is_handed_out_exactly_once_whatever_happens(data: st.DataObject) -> None:
    pace, items = data.draw(st.sampled_from(PACES), label="pace")
    keyed = data.draw(st.booleans(), label="keyed")
    settled = data.draw(st.sets(st.integers(0, items - 1), max_size=40), label="settled")
    world = World(
        pace,
        items,
        keys=[item % 7 for item in range(items)] if keyed else None,
        most=data.draw(st.sampled_from([1, 3, 20, 10**6]), label="most"),
        settled=sorted(settled),
        slots={"a": 1, "b": data.draw(st.sampled_from([1, 3, 200]), label="slots")},
    )
    for _ in range(data.draw(st.integers(0, 25), label="events")):
        session = data.draw(st.sampled_from(["a", "b", "c"]))
        what = data.draw(st.sampled_from(["ask", "ask", "pass", "settle", "die", "late"]))
        world.out.setdefault(session, [])
        if what == "ask":
            world.ask(session, data.draw(st.sampled_from([1, 5, 1000])), data.draw(st.integers(1, 9)))
        elif what == "pass":
            world.pass_s(data.draw(st.floats(0, 2)))
        elif what == "settle":
            world.settle(session)
        elif what == "die":
            world.die(session)
        elif world.pending and not keyed:  # a late result of an earlier session settles what is pending
            world.handed.append(late := data.draw(st.sampled_from(sorted(world.pending))))
            world.pending.discard(late)
    for session in list(world.out):
        world.slots.setdefault(session, 1)
        world.settle(session)
    world.finish()
    assert sorted(world.handed) == sorted(set(range(items)) - settled)


def test_a_slice_is_shared_by_slots_and_dealt_like_cards() -> None:
    world = World(Even(parse_rate("80/s")), 400, slots={"small": 2, "large": 6})
    world.ask("small")  # nothing yet, but now it is announced
    world.pass_s(ANNOUNCED_S - LEAD_S)
    first, second, third, fourth = (world.ask(who) for who in ("small", "large", "large", "large"))
    assert first is not None
    assert list(first.items) == list(range(0, 40, 4)), "half a second of 80/s, every fourth"
    assert [chunk and chunk.start for chunk in (second, third, fourth)] == [1, 2, 3]
    assert world.ask("large") is None
    assert world.ask("small") is None, "its share is gone"
    assert world.pacer.wait_s(world.now_us, 9.9) == pytest.approx(SLICE_S), "until the next is opened"


def test_what_a_worker_did_not_take_of_a_slice_is_for_others_when_the_next_is_open() -> None:
    world = World(Even(parse_rate("80/s")), 400)
    assert world.ask("a") is None
    world.pass_s(ANNOUNCED_S - LEAD_S)
    assert world.ask("a") is not None
    assert world.ask("a") is None, "the other half is b's"
    world.pass_s(SLICE_S)
    left = world.ask("a")
    assert left is not None
    assert left.items[0] == 1


def test_what_a_dead_worker_had_comes_back_in_few_leases_first_of_all() -> None:
    world = World(Even(parse_rate("2000/s")), 10_000)
    world.ask("a")
    world.pass_s(ANNOUNCED_S - LEAD_S)
    lost = world.ask("a")
    assert lost is not None
    world.die("a")
    again = world.ask("b", size=300)
    assert again is not None
    assert again.items == lost.items[:300], "as stripes, cut to what b asked for"
    world.pass_s(5)
    rest = world.ask("b")
    assert rest is not None
    assert rest.items == lost.items[300:]


def test_nothing_is_due_before_somebody_asks() -> None:
    """A worker that comes after a minute finds a schedule, no heap."""
    world = World(Even(parse_rate("100/s")), 300)
    world.pass_s(60)
    assert world.ask("a") is None
    world.pass_s(ANNOUNCED_S - LEAD_S)
    chunk = world.ask("a")
    assert chunk is not None
    assert unpack(world.pacer.due_us(chunk))[0] - world.now_us == round(LEAD_S * 1_000_000)


@pytest.mark.parametrize("keys", [None, [0] * 40], ids=["plain", "keyed"])
def test_a_chunk_is_no_larger_than_its_rows_allow(keys: list[int] | None) -> None:
    """World asserts it."""
    world = World(Trace((0,) * 40), 40, keys=keys, most=3)
    world.finish()
    assert sorted(world.handed) == list(range(40))


def test_a_burst_without_rows_is_cut_too() -> None:
    world = World(Trace((0,) * 3 * LARGEST_CHUNK), 3 * LARGEST_CHUNK, slots={"a": 1})
    world.ask("a")
    world.pass_s(ANNOUNCED_S)
    sizes = [len(world.ask("a") or ()) for _ in range(4)]
    assert max(sizes) <= LARGEST_CHUNK


def test_a_hundred_thousand_a_second() -> None:
    world = World(Even(parse_rate("100000/s")), 120_000)
    world.finish()
    assert len(world.handed) == 120_000


def test_parts_follow_slots() -> None:
    assert parts({}) == {}
    assert parts({"a": 0, "b": 4}) == {"a": 1, "b": 4}
    many = parts({str(number): number for number in range(1, 400)})
    assert sum(many.values()) <= MOST_STRIPES + 400, "at least one each, and few more"
    assert sum(parts({"a": 1, "b": 10_000}).values()) <= MOST_STRIPES + 2


@given(st.sets(st.integers(0, 60)))
def test_progressions_hold_exactly_the_items(items: set[int]) -> None:
    found = progressions(items)
    assert [item for each in found for item in each] == sorted(items)
    assert all(found)


# The schedule


def opened(schedule: Schedule, now_us: int) -> list[int]:
    return list(schedule.open(now_us) or ())


def test_a_schedule_opens_each_slice_once_so_long_before() -> None:
    schedule = Schedule(Even(parse_rate("10/s")), 12, START_US)
    at = START_US + round((ANNOUNCED_S - LEAD_S) * 1_000_000)
    assert opened(schedule, START_US) == []
    assert schedule.wait_s(START_US) == pytest.approx(SLICE_S), "slices before the first item are empty"
    assert opened(schedule, at - 1) == []
    assert opened(schedule, at) == [0, 1, 2, 3, 4]
    assert schedule.open(at) is None, "no slice was opened since"
    assert schedule.wait_s(at + 100_000) == pytest.approx(0.4)
    assert opened(schedule, at + 700_000) == [5, 6, 7, 8, 9]
    assert opened(schedule, at + 60_000_000) == [10, 11]
    assert schedule.wait_s(at) is None
    assert schedule.due_us(range(3)) == [START_US + 3_000_000 + item * 100_000 for item in range(3)]
    assert schedule.due_us((11, 0)) == [START_US + 4_100_000, START_US + 3_000_000]


def test_a_resumed_schedule_goes_on_from_the_first_that_is_left() -> None:
    pace = Even(parse_rate("1/m"))
    schedule = Schedule(pace, 100, START_US, first=40)
    assert schedule.due_us([40, 41]) == [START_US + 3_000_000, START_US + 63_000_000]
    assert opened(schedule, START_US + 2_000_000) == [40]
    assert opened(schedule, START_US + 62_000_000) == [41]
    over = Schedule(pace, 100, START_US, first=100)
    assert opened(over, START_US) == []
    assert over.wait_s(START_US) is None


def test_a_slice_in_which_nothing_comes_is_opened_all_the_same() -> None:
    """So that what is left of the ones before is for anybody."""
    schedule = Schedule(Trace((0, 3_000_000)), 2, START_US)
    assert opened(schedule, START_US + 2_000_000) == [0]
    assert schedule.open(START_US + 2_500_000) == range(1, 1)


def test_a_shift_moves_what_was_not_handed_out() -> None:
    schedule = Schedule(Even(parse_rate("10/s")), 100, START_US)
    assert opened(schedule, START_US + 2_000_000) == [0, 1, 2, 3, 4]
    schedule.shift(2_000_000)
    assert schedule.open(START_US + 2_500_000) is None
    assert opened(schedule, START_US + 4_500_000) == [5, 6, 7, 8, 9]
    assert schedule.due_us([5]) == [START_US + 5_500_000]


def test_a_new_rate_holds_from_the_first_slice_that_is_not_open() -> None:
    schedule = Schedule(Even(Rates(((0.0, 10.0),))), 1000, START_US)
    assert opened(schedule, START_US + 2_000_000) == [0, 1, 2, 3, 4]
    schedule.change(START_US + 2_100_000, 100.0)
    assert opened(schedule, START_US + 2_500_000) == list(range(5, 55))
    assert [later - earlier for earlier, later in pairwise(schedule.due_us(range(4, 9)))] == [
        100_000,
        10_000,
        10_000,
        10_000,
    ], "what was handed out keeps its time"
    assert schedule.due_us(range(5)) == [START_US + 3_000_000 + 100_000 * item for item in range(5)]
    schedule.change(START_US + 60_000_000, 1.0)
    assert len(opened(schedule, START_US + 60_000_000)) == 1000 - 55, "what was due by then is due"


def test_its_own_pace_comes_back_where_it_would_have_the_next() -> None:
    """No rush of what would have come meanwhile, and no gap."""
    schedule = Schedule(Even(parse_rate("10/s")), 1000, START_US)
    assert opened(schedule, START_US + 2_000_000) == [0, 1, 2, 3, 4]
    schedule.change(START_US + 2_100_000, 100.0)
    assert opened(schedule, START_US + 2_500_000) == list(range(5, 55))
    schedule.change(START_US + 2_600_000, None)
    assert opened(schedule, START_US + 3_100_000) == list(range(55, 60))
    assert schedule.due_us([55, 56]) == [START_US + 4_000_000, START_US + 4_100_000]


def test_a_pause_and_a_rate_by_hand_reach_the_schedule() -> None:
    steering = Steering()
    pacer = Pacer(StepPlan(0, "step", 100), Even(parse_rate("10/s")), None, 100)
    pacer.start(lambda _: True)
    pacer.obey(steering, START_US)
    assert pacer.begins_us is None
    pacer.fill(START_US, {"w1": 1})
    assert pacer.begins_us == START_US + 3_000_000
    steering.pause(BY_HAND)
    pacer.obey(steering, START_US + 1_000_000)
    steering.go_on(BY_HAND)
    steering.rate(20.0, BY_HAND)
    pacer.obey(steering, START_US + 8_000_000)
    due_us = [START_US + 10_000_000 + 50_000 * item for item in range(3)]
    assert unpack(pacer.due_us(Chunk(0, 0, 3))) == due_us


@pytest.mark.parametrize("rate", [20.0, None])
def test_a_rate_that_is_set_in_a_pause_holds_where_the_schedule_stood(rate: float | None) -> None:
    """And not as much later again as the pause was long."""
    steering = Steering(Limits(rate=None if rate else 5.0))
    pacer = Pacer(StepPlan(0, "step", 100), Even(parse_rate("10/s")), None, 100)
    pacer.start(lambda _: True)
    pacer.obey(steering, START_US)
    pacer.fill(START_US, {"w1": 1})
    pacer.fill(START_US + 2_000_000, {"w1": 1})  # half a second is open
    before = unpack(pacer.due_us(Chunk(0, 0, 100)))
    steering.pause(BY_HAND)
    pacer.obey(steering, START_US + 2_100_000)
    steering.rate(rate, BY_HAND)
    pacer.obey(steering, START_US + 32_000_000)
    steering.go_on(BY_HAND)
    pacer.obey(steering, START_US + 42_100_000)
    opened = 5 if rate else 3
    due_us = unpack(pacer.due_us(Chunk(0, opened, opened + 4)))
    assert due_us[0] - before[opened] - 40_000_000 <= 500_000
    gaps = {later - earlier for earlier, later in pairwise(due_us)}
    assert gaps == {50_000 if rate else 100_000}
