"""What is still to be handed out: chunks tile the items exactly, and a key is never out twice."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.plan import Chunk, StepPlan
from loadgen.queues.decisions import Wanted
from loadgen.queues.supply import Supply, ranges, supply


class Bench:
    """A supply, and the states of its items as the lease machine would keep them."""

    def __init__(
        self,
        items: int,
        keys: Sequence[Hashable] | None = None,
        settled: Iterable[int] = (),
        *,
        resumed: bool = False,
    ) -> None:
        self.keys = keys
        self.pending = set(range(items)) - set(settled)
        self.out: dict[int, list[int]] = {}
        self.taken: list[int] = []
        self.done: Counter[int] = Counter()
        self.seen = set(range(items)) if resumed else set()
        self.supply: Supply = supply(
            StepPlan(0, "s", items), keys, self.pending.__contains__, resumed=resumed
        )
        self._next = 0

    def take(self, size: int, lanes: int = 4) -> Chunk | None:
        chunk = self.supply.take(Wanted("w", size, lanes))
        if chunk is not None:
            items = list(chunk)
            assert 0 < len(items) <= size, "neither empty nor larger than asked for"
            assert len(set(items)) == len(items), "an item twice in a chunk"
            assert set(items) <= self.pending, "handed out what is out or settled"
            self._check_keys(chunk)
            self.pending -= set(items)
            self.seen |= set(items)
            self.out[self._next] = items
            self.taken += items
            self._next += 1
        return chunk

    def _check_keys(self, chunk: Chunk) -> None:
        if self.keys is None:
            return
        held = {self.keys[item] for items in self.out.values() for item in items}
        mine = [{self.keys[item] for item in lane} for lane in chunk.lanes]
        assert all(len(lane) == 1 for lane in mine), "a lane has one key"
        names = [name for lane in mine for name in lane]
        assert len(set(names)) == len(names), "a key in two lanes"
        assert not held & set(names), "a key that is out already"
        for lane in chunk.lanes:
            first = min(item for item in self.pending if self.keys[item] == self.keys[lane[0]])
            assert lane[0] == first, "an item of the key was overtaken"
            assert list(lane) == sorted(lane)

    def settle(self, chunk: int, item: int) -> None:
        self._leave(chunk, [item])
        self.done[item] += 1
        self.supply.settled(item)

    def settle_late(self, item: int) -> None:
        """The result of a lease that had expired: the item is pending, and nobody's."""
        self.pending.discard(item)
        self.done[item] += 1

    def give_back(self, chunk: int, items: Sequence[int]) -> None:
        self._leave(chunk, items)
        self.pending |= set(items)
        self.supply.give_back(items)

    def _leave(self, chunk: int, items: Iterable[int]) -> None:
        for item in items:
            self.out[chunk].remove(item)
        if not self.out[chunk]:
            del self.out[chunk]

    def finish(self, size: int, lanes: int) -> None:
        """Settle what is out, take and settle the rest."""
        while True:
            for chunk, items in list(self.out.items()):
                for item in list(items):
                    self.settle(chunk, item)
            if self.take(size, lanes) is None:
                break


def work(bench: Bench, data: st.DataObject) -> None:
    """Any interleaving of all that can happen, then to the end."""
    for _ in range(data.draw(st.integers(0, 40), label="moves")):
        move = data.draw(st.sampled_from(["take", "take", "settle", "give back", "late"]))
        if move == "take":
            bench.take(data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5)))
        elif move == "late" and bench.pending & bench.seen:
            bench.settle_late(data.draw(st.sampled_from(sorted(bench.pending & bench.seen))))
        elif bench.out:
            chunk = data.draw(st.sampled_from(sorted(bench.out)))
            items = bench.out[chunk]
            if move == "settle":
                bench.settle(chunk, data.draw(st.sampled_from(items)))
            elif move == "give back":
                some = data.draw(st.lists(st.sampled_from(items), unique=True, min_size=1))
                bench.give_back(chunk, some)
    bench.finish(data.draw(st.integers(1, 12)), data.draw(st.integers(1, 5)))


@settings(max_examples=150, deadline=None)
@given(items=st.integers(0, 60), settled=st.none() | st.sets(st.integers(0, 59)), data=st.data())
def test_without_keys_every_item_is_settled_exactly_once(
    items: int, settled: set[int] | None, data: st.DataObject
) -> None:
    """For any count and any interleaving, also of a resumed step of which some items are settled."""
    before = {item for item in settled or () if item < items}
    bench = Bench(items, settled=before, resumed=settled is not None)
    work(bench, data)
    assert bench.done == Counter(set(range(items)) - before)


@settings(max_examples=150, deadline=None)
@given(
    keys=st.lists(st.sampled_from("abcdef"), max_size=60),
    settled=st.none() | st.sets(st.integers(0, 59)),
    data=st.data(),
)
def test_with_keys_every_item_is_settled_exactly_once_and_in_order(
    keys: list[str], settled: set[int] | None, data: st.DataObject
) -> None:
    """No key is out twice, and no item of a key overtakes another, whatever is given back when."""
    before = {item for item in settled or () if item < len(keys)}
    bench = Bench(len(keys), keys, settled=before, resumed=settled is not None)
    work(bench, data)
    assert bench.done == Counter(set(range(len(keys))) - before)


@settings(max_examples=100, deadline=None)
@given(items=st.integers(0, 300), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_chunks_tile_the_items(items: int, sizes: list[int]) -> None:
    """Whoever takes how much: consecutive ranges without gap or overlap."""
    bench, turn, end = Bench(items), 0, 0
    while (chunk := bench.take(sizes[turn % len(sizes)])) is not None:
        assert (chunk.start, chunk.stop) == (end, min(end + sizes[turn % len(sizes)], items))
        end, turn = chunk.stop, turn + 1
    assert end == items
    assert bench.taken == list(range(items))


@settings(max_examples=100, deadline=None)
@given(keys=st.lists(st.integers(0, 9), max_size=120), size=st.integers(1, 20), lanes=st.integers(1, 6))
def test_undisturbed_lanes_run_in_index_order(keys: list[int], size: int, lanes: int) -> None:
    """Each key's items come out once, in order; a chunk has no more lanes than slots."""
    bench = Bench(len(keys), keys)
    while (chunk := bench.take(size, lanes)) is not None:
        assert len(chunk.lanes) <= lanes
        ((number, items),) = bench.out.items()
        for item in list(items):
            bench.settle(number, item)
    by_key = defaultdict(list)
    for item in bench.taken:
        by_key[keys[item]].append(item)
    assert sorted(bench.taken) == list(range(len(keys)))
    assert all(run == sorted(run) for run in by_key.values())


def test_what_came_back_goes_out_first() -> None:
    """A dead worker's items are not left for the end of the run."""
    bench = Bench(10)
    bench.take(4)
    bench.give_back(0, [1, 3])
    bench.take(4)
    bench.take(4)
    bench.take(4)
    assert [bench.out[number] for number in (1, 2, 3)] == [[1], [3], [4, 5, 6, 7]]


def test_holes_of_late_results_are_not_handed_out_again() -> None:
    """A range that came back is handed out around the item that was settled meanwhile."""
    bench = Bench(6)
    bench.take(6)
    bench.give_back(0, [0, 1, 2, 3, 4, 5])
    bench.settle_late(0)
    bench.settle_late(3)
    chunks = [list(chunk) for chunk in (bench.take(6), bench.take(6)) if chunk]
    assert chunks == [[1, 2], [4, 5]]
    assert bench.take(6) is None


def test_a_key_is_held_until_its_last_item_is_settled() -> None:
    """Giving some items back does not free the key while others of it are out."""
    bench = Bench(4, ["a"] * 4)
    bench.take(3, 1)
    bench.give_back(0, [1, 2])
    assert bench.take(3, 1) is None
    bench.settle(0, 0)
    assert list(bench.take(9, 1) or ()) == [1, 2, 3]


def test_items_that_come_back_in_parts_are_handed_out_in_order() -> None:
    """What comes back last does not overtake what came back first."""
    bench = Bench(4, ["a"] * 4)
    bench.take(3, 1)
    bench.give_back(0, [0])
    bench.give_back(0, [2, 1])
    assert list(bench.take(9, 1) or ()) == [0, 1, 2, 3]


def test_the_longest_lanes_go_first() -> None:
    """All keys come to their end together."""
    bench = Bench(6, ["short", "long", "long", "long", "mid", "mid"])
    first = bench.take(2, 2)
    assert first is not None
    assert first.lanes == ((1,), (4,))


def test_one_hot_key_does_not_hold_up_the_others() -> None:
    """While it is out, the other keys are handed out; then nothing is free, without an error."""
    bench = Bench(5, ["hot", "hot", "hot", "b", "c"])
    assert list(bench.take(1, 1) or ()) == [0]
    assert sorted(bench.take(9, 4) or ()) == [3, 4]
    assert bench.take(9, 4) is None


@pytest.mark.parametrize("keys", [None, []])
def test_a_step_without_items_has_nothing(keys: list[str] | None) -> None:
    """With keys or without."""
    assert Bench(0, keys).take(5) is None


@given(st.sets(st.integers(0, 200)))
def test_ranges_hold_exactly_their_items(items: set[int]) -> None:
    """Sorted, disjoint, not touching."""
    found = ranges(items)
    assert [item for start, stop in found for item in range(start, stop)] == sorted(items)
    assert all(stop < start for (_, stop), (start, _) in pairwise(found))
