"""What a worker has leased and not yet handed to its pool: in the order of the leases, or of the clock.

A lane's items are done one after the other; where a step has no keys, a lease is one lane that may be cut
anywhere.  Items that are meant to start at a time of their own come when it is near.  Steps that are mixed
have their turns.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

import msgspec

from loadgen.columns import unpack
from loadgen.execution.pipe import Task
from loadgen.pace.mixing import Turns
from loadgen.queues.messages import Lease, Mark

PIECE_S = 0.1
"""How much of a key's lane is started at once, in seconds of work: the next piece has a long way to come."""
SLICE_S = 0.02
"""The same where there are no keys: small beside what is armed ahead, so that no slot has to wait."""
SOON_S = 0.25
"""So long before its time an item is handed to the pool: it has to be armed, and to go all the way."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Items of a lease: of one key, to be done one after the other, or without keys."""

    task: Task
    """All that is left of it."""
    keyed: bool

    def cut(self, count: int) -> tuple[Task, Lane | None]:
        """The next `count` items, and what is left after them."""
        task = self.task
        if count >= len(task.items):
            return task, None
        return part(task, 0, count), Lane(part(task, count, len(task.items)), self.keyed)


class Backlog:
    """Not for several threads at a time."""

    def __init__(self, mix: Mapping[int, float]) -> None:
        """`mix`: weights of the steps that run at the same time; empty: each runs by itself."""
        self.items = 0
        """How many could be started, now or when their time has come."""
        self._mix = mix
        self._turns = Turns(mix)
        self._lanes: dict[int, deque[Lane]] = {}  # by step
        self._timed: list[tuple[int, int, Lane]] = []  # by the time of the first item
        self._numbers = count()
        self._early: list[int] = []  # when what was taken before its time is due
        self._following: dict[tuple[int, int], Lane] = {}  # (lease, item): what comes after that item

    def accept(self, lease: Lease, clock_us: int) -> None:
        """A lease was granted; `clock_us`: how far the master's clock is ahead of ours."""
        for lane in _lanes(lease, clock_us):
            self._add(lane)

    def take(self, room: int, pace: float, now_us: int) -> list[Task]:
        """Tasks to start, of about `room` items, and all whose time is near.

        `pace`: items a second that a slot gets through.
        """
        tasks = []
        while room > 0 and (lane := self._next()) is not None:
            piece = round(pace * (PIECE_S if lane.keyed else SLICE_S))
            task, rest = lane.cut(max(1, min(piece, room)))
            self._leave(task, rest, lane)
            tasks.append(task)
            room -= len(task.items)
            if task.step in self._mix:
                self._turns.took(task.step, len(task.items))
        while self._timed and self._timed[0][0] <= now_us + SOON_S * 1_000_000:
            _, _, lane = heapq.heappop(self._timed)
            near = 1 if lane.keyed else bisect_right(lane.task.due_us, now_us + SOON_S * 1_000_000)
            task, rest = lane.cut(near)
            self._leave(task, rest, lane)
            tasks += [part(task, n, n + 1) for n in range(len(task.items))]
            for due_us in task.due_us:
                heapq.heappush(self._early, due_us)
        return tasks

    def early(self, now_us: int) -> int:
        """How many items were taken whose time has not come yet."""
        while self._early and self._early[0] <= now_us:
            heapq.heappop(self._early)
        return len(self._early)

    def put_back(self, tasks: Iterable[Task], keyed: Collection[int]) -> None:
        """These tasks could not be started after all: they come next again; `keyed`: leases."""
        for task in reversed(list(tasks)):
            rest = self._following.pop((task.lease, task.items[-1]), None)
            whole = task if rest is None else _joined(task, rest.task)
            self._put_first(Lane(whole, task.lease in keyed))

    def follow(self, lease: int, items: Iterable[int]) -> None:
        """Items ended: what comes after them in their lanes may be started."""
        if not self._following:
            return
        for item in items:
            rest = self._following.pop((lease, item), None)
            if rest is not None:
                self._put_first(rest)

    def follow_after(self, lease: int, last: int, kept: int) -> None:
        """The last item of a key's piece is not to be done: what follows it waits for another one."""
        rest = self._following.pop((lease, last), None)
        if rest is not None:
            self._following[lease, kept] = rest

    def give_up(self, lease: int, items: Iterable[int]) -> list[int]:
        """Items were lost: what came after them in their lanes must not run; returns that."""
        found = [self._following.pop((lease, item), None) for item in items]
        return [item for lane in found if lane is not None for item in lane.task.items]

    def tasks(self) -> Iterator[Task]:
        """All that there is."""
        for lane in (*self._untimed(), *(lane for _, _, lane in self._timed), *self._following.values()):
            yield lane.task

    def clear(self, leases: Collection[int]) -> None:
        """Forget all of these leases."""
        for step, lanes in self._lanes.items():
            self._lanes[step] = deque(lane for lane in lanes if lane.task.lease not in leases)
        self._timed = [entry for entry in self._timed if entry[2].task.lease not in leases]
        heapq.heapify(self._timed)
        self._following = {
            place: lane for place, lane in self._following.items() if lane.task.lease not in leases
        }
        left = (*self._untimed(), *(lane for _, _, lane in self._timed))
        self.items = sum(len(lane.task.items) for lane in left)

    def _add(self, lane: Lane) -> None:
        self.items += len(lane.task.items)
        if lane.task.due_us:
            heapq.heappush(self._timed, (lane.task.due_us[0], next(self._numbers), lane))
        else:
            self._lanes.setdefault(lane.task.step, deque()).append(lane)

    def _put_first(self, lane: Lane) -> None:
        self._add(lane)
        if not lane.task.due_us:
            self._lanes[lane.task.step].rotate(1)

    def _untimed(self) -> Iterator[Lane]:
        return chain.from_iterable(self._lanes.values())

    def _next(self) -> Lane | None:
        """The first lane of the step whose turn it is, or of the next that has one."""
        for step in self._turns.order() if len(self._lanes) > 1 and self._mix else ():
            if self._lanes.get(step):
                return self._lanes[step].popleft()
        return next((lanes.popleft() for lanes in self._lanes.values() if lanes), None)

    def _leave(self, task: Task, rest: Lane | None, lane: Lane) -> None:
        """A task leaves its lane."""
        self.items -= len(task.items)
        if rest is None:
            return
        self.items -= len(rest.task.items)
        if lane.keyed:
            self._following[task.lease, task.items[-1]] = rest
        else:
            self._put_first(rest)


def marks(tasks: Iterable[Task]) -> tuple[Mark, ...]:
    """What must be armed before these tasks are started, neighbours in one mark."""
    found: list[Mark] = []
    lease = start = stop = -1
    for task in tasks:
        if task.verifying:
            continue
        if task.lease != lease or task.start != stop:
            if stop > start:
                found.append(Mark(lease, start, stop))
            lease, start = task.lease, task.start
        stop = task.start + len(task.items)
    if stop > start:
        found.append(Mark(lease, start, stop))
    return tuple(found)


def without(task: Task, skipped: set[int]) -> Task | None:
    """The task without some of its items; None: nothing is left."""
    kept = [position for position, item in enumerate(task.items) if item not in skipped]
    if len(kept) == len(task.items):
        return task
    if not kept:
        return None
    return msgspec.structs.replace(
        task,
        items=tuple(task.items[position] for position in kept),
        **{name: tuple(values[p] for p in kept) for name, values in _each(task).items() if values},
    )


def part(task: Task, start: int, stop: int) -> Task:
    """Some items of it, in a row."""
    if start == 0 and stop == len(task.items):
        return task
    return msgspec.structs.replace(
        task,
        start=task.start + start,
        items=task.items[start:stop],
        **{name: values[start:stop] for name, values in _each(task).items()},
    )


def _each(task: Task) -> dict[str, Sequence[object]]:
    """What it says of each item; what it says of none is empty."""
    return {"attempts": task.attempts, "rows": task.rows, "due_us": task.due_us}


def _joined(first: Task, second: Task) -> Task:
    return msgspec.structs.replace(
        first,
        items=(*first.items, *second.items),
        **{name: (*values, *_each(second)[name]) for name, values in _each(first).items()},
    )


def _lanes(lease: Lease, clock_us: int) -> Iterator[Lane]:
    """What may run at the same time, as lanes; what has no keys is one, to be cut anywhere."""
    chunk, position, keyed = lease.chunk, 0, bool(lease.chunk.lanes)
    due_us = tuple(at - clock_us for at in unpack(lease.due_us))
    for items in chunk.lanes or (chunk.plain,):
        place = slice(position, position + len(items))
        attempts = tuple(lease.attempts.get(item, 1) for item in items) if lease.attempts else ()
        task = Task(
            lease.id,
            chunk.step,
            position,
            items,
            attempts,
            lease.rows[place],
            lease.verifying,
            due_us[place],
        )
        yield Lane(task, keyed)
        position += len(items)
