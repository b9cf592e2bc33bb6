"""Tasks that are meant to start at a time of their own, in a pool process: who asks gets one when it is due.

An item that found no slot for too long is dropped: it was never sent.  One that came here too late, with
its worker's or its master's delay, is done all the same, and its lag tells.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

import msgspec

from loadgen.clock import Clock
from loadgen.execution.pipe import Task

_Entry: TypeAlias = tuple[int, int, Task]
"""By due time, then in the order in which they came."""


class Agenda:
    """For several threads, one of which waits for the next task's time, the others for their turn."""

    def __init__(self, clock: Clock, max_lag_us: int, drop: Callable[[Task], None]) -> None:
        """`drop` is called with tasks that found no slot for `max_lag_us`, in whichever thread sees it."""
        self._clock = clock
        self._max_lag_us = max_lag_us
        self._drop = drop
        self._tasks: list[_Entry] = []
        self._numbers = count()
        self._leavers = 0
        """How many of those who ask are to hear that nothing will come any more."""
        lock = threading.Lock()
        self._first = threading.Condition(lock)
        """Where the one waits who is to have the next task, until it is due."""
        self._others = threading.Condition(lock)
        self._waited_for = False

    def put(self, task: Task | None) -> None:
        """One more task; None: one of those who ask is to leave when there are no more."""
        with self._first:
            if task is None:
                self._leavers += 1
                self._others.notify_all()
                self._first.notify()
                return
            self._drop_overdue()
            due_us = task.due_us[0] if task.due_us else 0
            if due_us and not task.until_us:
                until_us = max(due_us, self._clock.monotonic_us()) + self._max_lag_us
                task = msgspec.structs.replace(task, until_us=until_us)
            entry = (due_us, next(self._numbers), task)
            heapq.heappush(self._tasks, entry)
            if self._tasks[0] is entry:
                (self._first if self._waited_for else self._others).notify()

    def get(self) -> Task | None:
        """The next task, when it is due; None: there will be none."""
        with self._first:
            while True:
                wait_us = self._wait_us()
                if wait_us is None:
                    if self._leavers:
                        self._leavers -= 1
                        return None
                    self._others.wait()
                elif wait_us <= 0:
                    task = self._pop()
                    if self._tasks and not self._waited_for:
                        self._others.notify()
                    elif not self._tasks and self._leavers:
                        self._others.notify_all()
                    if task is not None:
                        return task
                elif self._waited_for:
                    self._others.wait()
                else:
                    self._waited_for = True
                    self._first.wait(wait_us / 1_000_000)
                    self._waited_for = False

    def tidy(self) -> None:
        """Drop what has waited for too long: while all are busy, nobody asks."""
        with self._first:
            self._drop_overdue()

    def clear(self) -> list[Task]:
        """Take all of them out: nothing is to be started, so nothing is dropped for want of a slot."""
        with self._first:
            tasks = [task for _, _, task in sorted(self._tasks, key=lambda entry: entry[:2])]
            self._tasks.clear()
            self._first.notify()  # there is nothing to wait for any more
            if self._leavers:
                self._others.notify_all()
        return tasks

    def get_nowait(self) -> Task:
        """The next task, if it is due.  Raises queue.Empty."""
        with self._first:
            while (wait_us := self._wait_us()) is not None and wait_us <= 0:
                task = self._pop()
                if task is not None:
                    return task
        raise queue.Empty

    def wait_s(self) -> float | None:
        """How long until the next task is due, in seconds; None: there is none."""
        with self._first:
            wait_us = self._wait_us()
        return None if wait_us is None else max(wait_us, 0) / 1_000_000

    def _wait_us(self) -> int | None:
        return self._tasks[0][0] - self._clock.monotonic_us() if self._tasks else None

    def _pop(self) -> Task | None:
        """The first; None: it was dropped."""
        entry = heapq.heappop(self._tasks)
        if self._is_overdue(entry):
            self._drop(entry[2])
            return None
        return entry[2]

    def _drop_overdue(self) -> None:
        while self._tasks and self._is_overdue(self._tasks[0]):
            self._drop(heapq.heappop(self._tasks)[2])

    def _is_overdue(self, entry: _Entry) -> bool:
        until_us = entry[2].until_us
        return bool(until_us) and self._clock.monotonic_us() > until_us
