"""What of a paced step may be handed out by now.  Pure, as all supplies are.

Each slice of time is shared: its items are dealt out one by one, like cards, to as many stripes as there
are workers, so that all of them are busy all the time.  A worker takes its own stripes; what is left when
the next slice is opened is for whoever asks first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadgen.columns import pack
from loadgen.pacing import Pace
from loadgen.plan import Chunk, StepPlan
from loadgen.queues.decisions import Wanted
from loadgen.queues.schedule import Schedule
from loadgen.queues.supply import KeyedSupply, PlainSupply, Supply, ranges
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
        self._step, self._pace, self._keys, self._most = step, pace, keys, most
        self._schedule: Schedule
        self._supply: Paced
        self._paused_us: int | None = None
        self._rate: float | None = None

    def start(self, now_us: int, is_pending: Callable[[int], bool]) -> Supply:
        """Lay the pace on the clock, from the first item that is pending; returns the supply, empty still."""
        items = self._step.items
        first = next(filter(is_pending, range(items)), items)
        self._schedule = Schedule(self._pace, items, now_us, first=first)
        self._supply = (
            PacedPlain(self._step, is_pending, self._most)
            if self._keys is None
            else PacedKeyed(self._step, self._keys, is_pending)
        )
        return self._supply

    def fill(self, now_us: int, slots: Mapping[str, int]) -> None:
        """Have handed out what may be by now; `slots`: of the workers that are here, by session."""
        opened = self._schedule.open(now_us)
        if opened is not None:
            self._supply.offer(opened, slots)

    def obey(self, steering: Steering, now_us: int) -> None:
        """Keep to what the run was told: what was not started before a pause is meant to start later."""
        if steering.paused and self._paused_us is None:
            self._paused_us = now_us
        elif not steering.paused and self._paused_us is not None:
            self._schedule.shift(now_us - self._paused_us)
            self._paused_us = None
        if steering.limits.rate != self._rate:
            self._rate = steering.limits.rate
            self._schedule.change(now_us, self._rate)

    @property
    def begins_us(self) -> int:
        """When the first item is meant to start."""
        return self._schedule.begins_us

    def due_us(self, chunk: Chunk) -> bytes:
        """When the chunk's items are meant to start: a column, in the chunk's order."""
        return pack(self._schedule.due_us(chunk.items))

    def wait_s(self, now_us: int, idle_s: float) -> float:
        """How long a worker that got nothing waits; `idle_s`: where a key may become free any time."""
        next_s = self._schedule.wait_s(now_us)
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


@dataclass(frozen=True, slots=True)
class _Stripe:
    slice: int
    chunk: Chunk


class PacedPlain(PlainSupply):
    """Items without keys."""

    def __init__(self, step: StepPlan, is_pending: Callable[[int], bool], most: int) -> None:
        super().__init__(step, is_pending)
        self._cursor = step.items  # nothing is handed out from there
        self._most = most
        self._slice = 0
        self._stripes: deque[_Stripe] = deque()
        self._parts: dict[str, int] = {}
        self._had: dict[str, int] = {}

    def offer(self, items: range, slots: Mapping[str, int]) -> None:
        """Deal the items out."""
        self._slice += 1
        self._parts, self._had = parts(slots), {}
        count = max(sum(self._parts.values()), -(-len(items) // self._most), 1)
        for start, stop in ranges(item for item in items if self._is_pending(item)):
            for first in range(start, min(start + count, stop)):
                self._stripes.append(_Stripe(self._slice, Chunk(self._step.index, first, stop, stride=count)))

    def take(self, wanted: Wanted) -> Chunk | None:
        """What came back goes first, then what is left of older slices, then what is the worker's own."""
        returned = self._take_returned(wanted.size)
        if returned is not None:
            return returned
        if not self._stripes:
            return None
        if self._stripes[0].slice == self._slice:
            had = self._had.get(wanted.session, 0)
            if had >= self._parts.get(wanted.session, 1):
                return None
            self._had[wanted.session] = had + 1
        return self._stripes.popleft().chunk

    def clear(self) -> None:
        """Forget the rest."""
        super().clear()
        self._stripes.clear()


class PacedKeyed(KeyedSupply):
    """Items with keys: a lane grows as its items' time comes."""

    def __init__(self, step: StepPlan, keys: Sequence[Hashable], is_pending: Callable[[int], bool]) -> None:
        super().__init__(step, keys, lambda _: False)
        self._is_pending = is_pending
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
        picked = self._pick(max(1, min(count, wanted.lanes)))
        taken = [self._next(lane, wanted.size) for lane in picked]
        for lane, run in zip(picked, taken, strict=True):
            self._out[lane] += len(run)
        return Chunk(self._step.index, lanes=tuple(taken)) if taken else None
