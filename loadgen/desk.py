"""What a worker has on its hands: leases, tasks not yet started, results not yet reported."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TypeVar

from loadgen.clock import Clock
from loadgen.execution.child import Returned, Task
from loadgen.queues.messages import Batch, Lease
from loadgen.sample import Result, Sample

LARGEST_REPORT = 1024 * 1024
"""Bytes in one report, about: keeps the frame well below its limit."""
PART = 32 * 1024
"""Bytes in one batch of a report, about."""
RATE_S = 0.25
"""Over how long the rate is taken, at least."""

T = TypeVar("T", Result, Sample)


class Desk:
    """Used by the worker's main thread, its beat and the pool's readers: every method takes the lock."""

    def __init__(self, clock: Clock) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._clock = clock
        self._backlog: deque[Task] = deque()
        self._open: dict[int, int] = {}  # by lease: items that have not ended yet
        self._unstarted: set[int] = set()  # leases of which items were skipped
        self._batches: deque[Batch] = deque()
        self._results = 0
        self._ended = 0
        self._since_us = clock.monotonic_us()
        self._rate = 0.0

    def accept(self, lease: Lease) -> None:
        """A lease was granted."""
        with self.changed:
            self._open[lease.id] = len(lease.chunk)
            self._backlog.extend(_tasks(lease))

    def next_tasks(self, room: int) -> list[Task]:
        """Tasks to start, for `room` items (or one task more than fits)."""
        with self.changed:
            tasks = []
            while self._backlog and room > 0:
                tasks.append(self._backlog.popleft())
                room -= len(tasks[-1].items)
            return tasks

    def put(self, returned: Returned) -> None:
        """The pool returned something."""
        with self.changed:
            for lease, step, results, samples in returned.batches:
                self._batches.extend(Batch(lease, step, part, ()) for part in _parts(results))
                self._batches.extend(Batch(lease, step, (), part) for part in _parts(samples))
                self._results += len(results)
                ended = sum(result.final for result in results)
                self._ended += ended
                self._close(lease, ended)
            for lease, items in returned.skipped:
                self._unstarted.add(lease)
                self._close(lease, items)
            self.changed.notify_all()

    def take(self) -> tuple[Batch, ...]:
        """Batches for the next report."""
        with self.changed:
            taken: list[Batch] = []
            while self._batches and len(taken) * PART < LARGEST_REPORT:
                taken.append(self._batches.popleft())
                self._results -= len(taken[-1].results)
            return tuple(taken)

    def drop(self, leases: set[int]) -> None:
        """These leases are not ours any more: start nothing of them, name them in no beat."""
        with self.changed:
            self._backlog = deque(task for task in self._backlog if task.lease not in leases)
            for lease in leases:
                self._open.pop(lease, None)
            self.changed.notify_all()

    def clear_backlog(self) -> None:
        """Skip all that was not handed to the pool."""
        with self.changed:
            for task in self._backlog:
                self._unstarted.add(task.lease)
                self._close(task.lease, len(task.items))
            self._backlog.clear()

    @property
    def leases(self) -> tuple[int, ...]:
        """Those that are held."""
        with self.changed:
            return tuple(self._open)

    @property
    def unstarted(self) -> set[int]:
        """Leases that are to be given back: not all of their items were started."""
        return self._unstarted

    @property
    def backlog(self) -> int:
        """Items that were leased and not handed to the pool yet."""
        with self.changed:
            return sum(len(task.items) for task in self._backlog)

    @property
    def waiting(self) -> int:
        """Results that wait to be reported; 1 when only samples do."""
        return self._results or bool(self._batches)

    @property
    def clear(self) -> bool:
        """Nothing is left to be done or to be reported."""
        with self.changed:
            return not (self._open or self._batches)

    def rate(self) -> float:
        """Items a second, lately."""
        with self.changed:
            now_us = self._clock.monotonic_us()
            passed_s = (now_us - self._since_us) / 1_000_000
            if passed_s >= RATE_S:
                rate = self._ended / passed_s
                self._rate = (self._rate + rate) / 2 if self._rate else rate
                self._ended, self._since_us = 0, now_us
            return self._rate

    def _close(self, lease: int, items: int) -> None:
        if lease in self._open:
            self._open[lease] -= items
            if self._open[lease] <= 0:
                del self._open[lease]


def _parts(travellers: Sequence[T]) -> Iterator[tuple[T, ...]]:
    """Results or samples in runs of about PART bytes as they travel."""
    part: list[T] = []
    size = 0
    for traveller in travellers:
        part.append(traveller)
        size += 96 + len(traveller.error) + len(getattr(traveller, "value", b""))
        if size >= PART:
            yield tuple(part)
            part, size = [], 0
    if part:
        yield tuple(part)


def _tasks(lease: Lease) -> list[Task]:
    """What may run at the same time becomes a task each."""
    tasks, position = [], 0
    for items in lease.chunk.runs():
        rows = lease.rows[position : position + len(items)]
        attempts = tuple(lease.attempts.get(item, 1) for item in items)
        tasks.append(Task(lease.id, lease.chunk.step, items, attempts, rows))
        position += len(items)
    return tasks
