"""What of a step is still to be handed out.  Pure: no clock, no lock, no I/O.

Without keys that is a cursor and the ranges that came back: memory does not grow with the items.
With keys it is a lane of items per key; a lane is held while any of its items is out, so items of one
key never run at the same time and always in order.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import groupby
from typing import Protocol

from loadgen.plan import Chunk, StepPlan
from loadgen.queues.decisions import Wanted


class Supply(Protocol):
    """What the lease machine asks of it."""

    def take(self, wanted: Wanted) -> Chunk | None:
        """The next chunk.  None: nothing is free now."""
        ...

    def settled(self, item: int) -> None:
        """An item that was handed out has its outcome."""
        ...

    def give_back(self, items: Iterable[int]) -> None:
        """Items that were handed out are to be handed out again."""
        ...

    def hold(self, item: int) -> None:
        """This item, not pending, was handed out by an earlier session and is still out."""
        ...


def supply(
    step: StepPlan,
    keys: Sequence[Hashable] | None,
    is_pending: Callable[[int], bool],
    *,
    resumed: bool = False,
) -> Supply:
    """The supply of a step; `resumed`: some items are settled already, as `is_pending` tells."""
    if keys is None:
        return PlainSupply(step, is_pending, resumed=resumed)
    return KeyedSupply(step, keys, is_pending)


def ranges(items: Iterable[int]) -> list[tuple[int, int]]:
    """Sorted, disjoint (start, stop) ranges that hold exactly these items.

    >>> ranges([5, 1, 2, 3])
    [(1, 4), (5, 6)]
    """
    runs = groupby(enumerate(sorted(items)), key=lambda pair: pair[1] - pair[0])
    found = []
    for _, run in runs:
        members = [item for _, item in run]
        found.append((members[0], members[-1] + 1))
    return found


class PlainSupply:
    """Items without keys."""

    def __init__(self, step: StepPlan, is_pending: Callable[[int], bool], *, resumed: bool = False) -> None:
        self._step = step
        self._is_pending = is_pending
        self._cursor = step.items if resumed else 0
        self._returned: deque[tuple[int, int]] = deque([(0, step.items)] if resumed else ())

    def take(self, wanted: Wanted) -> Chunk | None:
        """Ranges that came back go first; they may have holes where late results settled an item."""
        returned = self._take_returned(wanted.size)
        if returned is not None:
            return returned
        start, self._cursor = self._cursor, min(self._cursor + wanted.size, self._step.items)
        return Chunk(self._step.index, start, self._cursor) if start < self._cursor else None

    def _take_returned(self, size: int) -> Chunk | None:
        while self._returned:
            start, stop = self._returned.popleft()
            while start < stop and not self._is_pending(start):
                start += 1
            end = start
            while end < stop and end - start < size and self._is_pending(end):
                end += 1
            if end < stop:
                self._returned.appendleft((end, stop))
            if start < end:
                return Chunk(self._step.index, start, end)
        return None

    def settled(self, item: int) -> None:
        """Nothing is held per item."""

    def give_back(self, items: Iterable[int]) -> None:
        """Keep them as ranges, in front of what was never handed out."""
        self._returned.extend(ranges(items))

    def hold(self, item: int) -> None:
        """Nothing is held per item."""


class KeyedSupply:
    """Items with keys: a lane each, those with the most left to do first."""

    def __init__(self, step: StepPlan, keys: Sequence[Hashable], is_pending: Callable[[int], bool]) -> None:
        self._step = step
        self._is_pending = is_pending
        numbers: dict[Hashable, int] = {}
        self._lane_of = [numbers.setdefault(key, len(numbers)) for key in keys]
        self._lanes: list[deque[int]] = [deque() for _ in numbers]
        for item, lane in enumerate(self._lane_of):
            if is_pending(item):
                self._lanes[lane].append(item)
        self._out = [0] * len(numbers)
        self._free: list[tuple[int, int]] = []  # (-items left, lane); an entry is stale when the lane changed
        for lane in range(len(numbers)):
            self._offer(lane)

    def take(self, wanted: Wanted) -> Chunk | None:
        """Take evenly from the free lanes, so that all of them come to their end together."""
        picked = self._pick(max(1, min(wanted.size, wanted.lanes)))
        if not picked:
            return None
        share = max(1, wanted.size // len(picked))
        taken = []
        for lane in picked:
            run = self._next(lane, share)
            self._out[lane] += len(run)
            taken.append(run)
        return Chunk(self._step.index, lanes=tuple(taken))

    def settled(self, item: int) -> None:
        """The last item that is out frees its lane."""
        lane = self._lane_of[item]
        self._out[lane] -= 1
        self._offer(lane)

    def give_back(self, items: Iterable[int]) -> None:
        """Put them back in front, in order: nothing of the key may overtake them."""
        lanes, mixed = set(), set()
        for item in sorted(items, reverse=True):
            lane = self._lane_of[item]
            queue = self._lanes[lane]
            if queue and queue[0] < item:
                mixed.add(lane)  # the lane comes back in parts, earlier items first
            queue.appendleft(item)
            self._out[lane] -= 1
            lanes.add(lane)
        for lane in mixed:
            self._lanes[lane] = deque(sorted(self._lanes[lane]))
        for lane in lanes:
            self._offer(lane)

    def hold(self, item: int) -> None:
        """Its lane is not free."""
        self._out[self._lane_of[item]] += 1

    def _pick(self, wanted: int) -> list[int]:
        picked: list[int] = []
        while self._free and len(picked) < wanted:
            left, lane = heapq.heappop(self._free)
            queue = self._lanes[lane]
            if self._out[lane] or -left != len(queue) or lane in picked:
                continue  # held, or an older entry of the same lane
            while queue and not self._is_pending(queue[0]):
                queue.popleft()
            if queue:
                picked.append(lane)
        return picked

    def _next(self, lane: int, count: int) -> tuple[int, ...]:
        """The next items of a lane, without those that a late result settled meanwhile."""
        queue = self._lanes[lane]
        run: list[int] = []
        while queue and len(run) < count:
            item = queue.popleft()
            if self._is_pending(item):
                run.append(item)
        return tuple(run)

    def _offer(self, lane: int) -> None:
        if not self._out[lane] and self._lanes[lane]:
            heapq.heappush(self._free, (-len(self._lanes[lane]), lane))
