"""What of a paced step may be handed out by now.  Pure, as all supplies are.

Each slice of time is shared: its items are dealt out one by one, like cards, to as many stripes as there
are workers, so that all of them are busy all the time.  A worker takes its own stripes; what is left when
the next slice is opened is for whoever asks first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadgen.columns import pack
from loadgen.pace.pacing import Pace
from loadgen.plan import LARGEST_CHUNK, Chunk, StepPlan
from loadgen.queues.decisions import Wanted
from loadgen.queues.schedule import Schedule
from loadgen.queues.supply import KeyedSupply, Supply, ranges
from loadgen.steering import Steering

MOST_STRIPES = 64
LEAST_WAIT_S = 0.01


class Paced(Supply, Protocol):
    """A supply that is filled as time goes on."""

    def offer(self, items: range, slots: Mapping[str, int]) -> None:
        """A slice is open; `slots`: of the workers that are here, by session."""
        ...


class Pacer:
    """A paced step's schedule and supply."""

    def __init__(self, step: StepPlan, pace: Pace, keys: Sequence[Hashable] | None, most: int) -> None:
        """`most`: items in a chunk."""
        self._step, self._pace, self._keys = step, pace, keys
        self._most = min(most, LARGEST_CHUNK)
        self._first = 0
        self._schedule: Schedule | None = None
        self._supply: Paced
        self._paused_us: int | None = None
        self._rate: float | None = None

    def start(self, is_pending: Callable[[int], bool]) -> Supply:
        """Returns the supply, empty still; the first item that is pending now will be the first to come."""
        items = self._step.items
        self._first = next(filter(is_pending, range(items)), items)
        self._supply = (
            PacedPlain(self._step, is_pending, self._most)
            if self._keys is None
            else PacedKeyed(self._step, self._keys, is_pending, self._most)
        )
        return self._supply

    def fill(self, now_us: int, slots: Mapping[str, int]) -> None:
        """Have handed out what may be by now; `slots`: of the workers that are here, by session.

        The pace is laid on the clock when somebody asks for the first time: what would be due before
        there is a worker would all come at once when there is one.
        """
        if self._schedule is None:
            self._schedule = Schedule(self._pace, self._step.items, now_us, first=self._first)
            if self._rate is not None:
                self._schedule.change(now_us, self._rate)
        opened = self._schedule.open(now_us)
        if opened is not None:
            self._supply.offer(opened, slots)

    def obey(self, steering: Steering, now_us: int, share: float = 1.0) -> None:
        """Keep to what the run was told: what was not started before a pause is meant to start later.

        `share`: the step's part of the run's rate.
        """
        rate = steering.limits.rate
        before, self._rate = self._rate, None if rate is None else rate * share
        if self._schedule is None:  # it is laid when the run goes on
            return
        if steering.paused and self._paused_us is None:
            self._paused_us = now_us
        elif not steering.paused and self._paused_us is not None:
            self._schedule.shift(now_us - self._paused_us)
            self._paused_us = None
        if self._rate != before:  # in a pause the schedule's time stands still
            self._schedule.change(now_us if self._paused_us is None else self._paused_us, self._rate)

    @property
    def begins_us(self) -> int | None:
        """When the first item is meant to start; None: nobody has asked for it yet."""
        return None if self._schedule is None else self._schedule.begins_us

    def due_us(self, chunk: Chunk) -> bytes:
        """When the chunk's items are meant to start: a column, in the chunk's order."""
        assert self._schedule is not None  # somebody asked for it
        return pack(self._schedule.due_us(chunk.items))

    def wait_s(self, now_us: int, idle_s: float) -> float:
        """How long a worker that got nothing waits; `idle_s`: where a key may become free any time."""
        next_s = None if self._schedule is None else self._schedule.wait_s(now_us)
        if next_s is None or self._keys is not None:
            return idle_s
        return max(next_s, LEAST_WAIT_S)


def parts(slots: Mapping[str, int]) -> dict[str, int]:
    """How many stripes each worker has of a slice: as many times more as it has slots.

    >>> parts({"small": 16, "large": 50})
    {'small': 1, 'large': 3}
    """
    least = max(min(slots.values(), default=1), sum(slots.values()) // MOST_STRIPES, 1)
    return {session: max(round(own / least), 1) for session, own in slots.items()}


def progressions(items: Iterable[int]) -> list[range]:
    """Ranges with strides that hold exactly these items.

    >>> progressions([9, 1, 3, 5, 10, 11])
    [range(1, 7, 2), range(9, 12)]
    """
    found, left = [], sorted(items)
    start = 0
    while start < len(left):
        stop = start + 1
        stride = left[stop] - left[start] if stop < len(left) else 1
        while stop < len(left) and left[stop] - left[stop - 1] == stride:
            stop += 1
        found.append(range(left[start], left[stop - 1] + stride, stride))
        start = stop
    return found


@dataclass(frozen=True, slots=True)
class _Stripe:
    slice: int
    """Counted from 1; 0 for what came back."""
    items: range


class PacedPlain:
    """Items without keys."""

    def __init__(self, step: StepPlan, is_pending: Callable[[int], bool], most: int) -> None:
        self._step = step
        self._is_pending = is_pending
        self._most = most
        self._slice = 0
        self._stripes: deque[_Stripe] = deque()  # oldest first
        self._parts: dict[str, int] = {}
        self._had: dict[str, int] = {}

    def offer(self, items: range, slots: Mapping[str, int]) -> None:
        """Deal the items out."""
        self._slice += 1
        self._parts, self._had = parts(slots), {}
        count = max(sum(self._parts.values()), -(-len(items) // self._most), 1)
        for start, stop in ranges(item for item in items if self._is_pending(item)):
            for first in range(start, min(start + count, stop)):
                self._stripes.append(_Stripe(self._slice, range(first, stop, count)))

    def take(self, wanted: Wanted) -> Chunk | None:
        """What came back goes first, then what is left of older slices, then what is the worker's own."""
        while self._stripes:
            stripe = self._stripes[0]
            if stripe.slice == self._slice and not self._may_have(wanted.session):
                return None
            self._stripes.popleft()
            items = self._still_pending(stripe, wanted.size)
            if items:
                if stripe.slice == self._slice:
                    self._had[wanted.session] = self._had.get(wanted.session, 0) + 1
                return Chunk(self._step.index, items.start, items.stop, stride=items.step)
        return None

    def _may_have(self, session: str) -> bool:
        """Whether there is more of the newest slice for a worker, before the next one is opened."""
        return self._had.get(session, 0) < self._parts.get(session, 1)

    def _still_pending(self, stripe: _Stripe, size: int) -> range:
        """The first of it that no late result has settled meanwhile; the rest is for whoever asks next."""
        items = stripe.items if stripe.slice else stripe.items[:size]
        rest = [stripe.items[len(items) :]]
        if not all(map(self._is_pending, items)):
            items, *others = progressions(filter(self._is_pending, items)) or [range(0)]
            rest = [*others, *rest]
        self._stripes.extendleft(_Stripe(0, left) for left in reversed(rest) if left)
        return items

    def settled(self, item: int) -> None:
        """Nothing is held per item."""

    def give_back(self, items: Iterable[int]) -> None:
        """For whoever asks first, after what came back before."""
        older = next((at for at, stripe in enumerate(self._stripes) if stripe.slice), len(self._stripes))
        for at, left in enumerate(progressions(items)):
            self._stripes.insert(older + at, _Stripe(0, left))

    def hold(self, item: int) -> None:
        """Nothing is held per item."""


class PacedKeyed(KeyedSupply):
    """Items with keys: a lane grows as its items' time comes."""

    def __init__(
        self, step: StepPlan, keys: Sequence[Hashable], is_pending: Callable[[int], bool], most: int
    ) -> None:
        super().__init__(step, keys, lambda _: False)
        self._is_pending = is_pending
        self._most = most
        self._workers = 1

    def offer(self, items: range, slots: Mapping[str, int]) -> None:
        """Put the items at the end of their lanes."""
        self._workers = max(len(slots), 1)
        for item in items:
            if self._is_pending(item):
                self._lanes[self._lane_of[item]].append(item)
        for lane in {self._lane_of[item] for item in items}:
            self._offer(lane)

    def take(self, wanted: Wanted) -> Chunk | None:
        """A share of the lanes that are free, whole: all of it may be started by now, or soon."""
        count = -(-len(self._free) // self._workers)
        picked = self._pick(max(1, min(count, wanted.lanes, self._most)))
        share = self._most // max(len(picked), 1)
        taken = [self._next(lane, share) for lane in picked]
        for lane, run in zip(picked, taken, strict=True):
            self._out[lane] += len(run)
        return Chunk(self._step.index, lanes=tuple(taken)) if taken else None
