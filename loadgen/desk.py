"""What a worker has on its hands: leases, tasks not yet started, results not yet acknowledged."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from loadgen.clock import Clock
from loadgen.columns import Harvest
from loadgen.execution.pipe import Returned, Task
from loadgen.queues.messages import Batch, Lease, Mark
from loadgen.sample import Result
from loadgen.spool import Spool

LARGEST_REPORT = 1024 * 1024
"""Bytes in one report, and at most one batch more: keeps the frame well below its limit."""
PART = 32 * 1024
"""Bytes in one batch of a report, about."""
RATE_S = 0.25
"""Over how long the rate is taken, at least."""
FIRST_RATE_S = 0.02
"""The same as long as it climbs, after the start: with a rate of nothing, hardly anything is asked for."""
CLIMB = 1.5
"""What a rate is at least of the one before, as long as it climbs."""
PIECE_S = 0.1
"""How much of a key's lane is started at once, in seconds of work: the next piece has a long way to come."""
SLICE_S = 0.02
"""The same where there are no keys: small beside what is armed ahead, so that no slot has to wait."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Items of a lease: of one key, to be done one after the other, or without keys."""

    task: Task
    """All that is left of it."""

    def cut(self, count: int) -> tuple[Task, Lane | None]:
        """The next `count` items, and what is left after them."""
        task = self.task
        if count >= len(task.items):
            return task, None
        return _part(task, 0, count), Lane(_part(task, count, len(task.items)))


class Desk:
    """Used by the worker's main thread, its beat and the pool's readers: every method takes the lock."""

    def __init__(self, clock: Clock, spool: Spool, slots: int) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._clock = clock
        self._spool = spool
        self.slots = slots
        self._backlog: deque[Lane] = deque()
        self._backlog_items = 0
        self._following: dict[tuple[int, int], Lane] = {}  # (lease, item): what comes after that item
        self._open: dict[int, int] = {}  # by lease: items that have not ended yet
        self._unstarted: dict[int, list[int]] = {}  # by lease to be given back: items that were skipped
        self._verifying: set[int] = set()  # of the open leases
        self._keyed: set[int] = set()  # the same: items in lanes, to be done one after the other
        self._batches: deque[tuple[Batch, int]] = deque()  # with their size on the way
        self._unconfirmed: list[Batch] = []
        self._unconfirmed_bytes = 0
        self._next_seq = 1
        self._results = 0
        self._ended = 0
        self._totals = (0, 0)
        self.step = 0
        """Of the last lease."""
        self._since_us = clock.monotonic_us()
        self._rate = 0.0
        self._climbing = True

    # Work

    def accept(self, lease: Lease) -> None:
        """A lease was granted."""
        with self.changed:
            self._open[lease.id] = len(lease.chunk)
            self.step = lease.chunk.step
            if lease.verifying:
                self._verifying.add(lease.id)
            if lease.chunk.lanes:
                self._keyed.add(lease.id)
            self._backlog.extend(_lanes(lease))
            self._backlog_items += len(lease.chunk)

    def decline(self, lease: Lease) -> None:
        """A lease was granted, and is not wanted: it goes back."""
        with self.changed:
            self._unstarted[lease.id] = []

    def next_tasks(self, room: int) -> list[Task]:
        """Tasks to start, of about `room` items."""
        with self.changed:
            pace = self._rate / self.slots
            tasks = []
            while self._backlog and room > 0:
                lane = self._backlog.popleft()
                keyed = lane.task.lease in self._keyed
                piece = round(pace * (PIECE_S if keyed else SLICE_S))
                task, rest = lane.cut(max(1, min(piece, room)))
                self._backlog_items -= len(task.items)
                if rest is not None and keyed:
                    self._following[task.lease, task.items[-1]] = rest
                    self._backlog_items -= len(rest.task.items)
                elif rest is not None:
                    self._backlog.appendleft(rest)
                tasks.append(task)
                room -= len(task.items)
            return tasks

    def put_back(self, tasks: Iterable[Task]) -> None:
        """These tasks could not be started after all: they come next again."""
        with self.changed:
            for task in reversed(list(tasks)):
                rest = self._following.pop((task.lease, task.items[-1]), None)
                whole = task if rest is None else _joined(task, rest.task)
                self._backlog.appendleft(Lane(whole))
                self._backlog_items += len(whole.items)

    def drop(self, leases: Iterable[int]) -> None:
        """These leases are not ours any more: start nothing of them, name them in no beat."""
        gone = set(leases)
        with self.changed:
            self._clear(gone)
            for lease in gone:
                self._open.pop(lease, None)
                self._unstarted.pop(lease, None)
                self._verifying.discard(lease)
                self._keyed.discard(lease)
            self.changed.notify_all()

    def lose(self, lost: Mapping[int, Collection[int]]) -> None:
        """These items (by lease) died with the child that had them; what comes after them must not run.

        The rest of their leases goes on; then the leases are given back, so that the master learns of the
        loss at once.  Not so when they are for verification: those must run out, to be counted as lost.
        """
        with self.changed:
            self.drop(set(lost) & self._verifying)
            for lease, items in lost.items():
                if lease not in self._open:
                    continue
                found = [self._following.pop((lease, item), None) for item in items]
                after = [item for lane in found if lane is not None for item in lane.task.items]
                self._unstarted.setdefault(lease, []).extend(after)
                self._close(lease, len(items) + len(after))
            self.changed.notify_all()

    def given_back(self, lease: int) -> None:
        """The master has this lease again."""
        with self.changed:
            self._unstarted.pop(lease, None)

    def follow_after(self, lease: int, last: int, kept: int) -> None:
        """The last item of a key's piece is not to be done: what follows it waits for another one."""
        with self.changed:
            rest = self._following.pop((lease, last), None)
            if rest is not None:
                self._following[lease, kept] = rest

    def skip(self, lease: int, items: Sequence[int]) -> None:
        """Items are not to be done by us after all; their lanes go on."""
        with self.changed:
            for item in items:
                self._follow(lease, item)
            self._close(lease, len(items))

    def clear_backlog(self) -> None:
        """Start nothing more: what was not handed to the pool goes back to the master.

        Item by item: those that were put back may be armed, if it was the master's answer that got lost.
        """
        with self.changed:
            for lane in [*self._backlog, *self._following.values()]:
                self._unstarted.setdefault(lane.task.lease, []).extend(lane.task.items)
                self._close(lane.task.lease, len(lane.task.items))
            self._clear(set(self._open) | set(self._unstarted))

    # Results

    def put(self, returned: Returned) -> None:
        """The pool returned something."""
        with self.changed:
            fresh: list[Batch] = []
            for lease, step, harvest in returned.harvests:
                if self._following:
                    for item in harvest.items():
                        self._follow(lease, item)
                fresh += [Batch(self._seq(), lease, step, part) for part in _parts(harvest)]
                self._results += harvest.ended
                self._ended += harvest.ended
                ended, failed = self._totals
                self._totals = (ended + harvest.ended, failed + harvest.failed)
                self._close(lease, harvest.ended)
            for lease, items in returned.skipped:
                rest = self._following.pop((lease, items[-1]), None) if items else None
                back = (*items, *(rest.task.items if rest is not None else ()))
                if lease in self._open:  # of a lost one, some were started: they are not for us to give back
                    self._unstarted.setdefault(lease, []).extend(back)
                self._close(lease, len(back))
            if fresh:
                self._batches.extend(zip(fresh, self._spool.add(fresh), strict=True))
            self.changed.notify_all()

    def take(self) -> tuple[Batch, ...]:
        """Batches for the next report; the same again until they are confirmed."""
        with self.changed:
            while self._batches and self._unconfirmed_bytes < LARGEST_REPORT:
                batch, size = self._batches.popleft()
                self._results -= batch.harvest.ended
                self._unconfirmed.append(batch)
                self._unconfirmed_bytes += size
            return tuple(self._unconfirmed)

    def confirm(self) -> int:
        """What was taken is in the ledger; returns how many results that were."""
        with self.changed:
            results = sum(batch.harvest.ended for batch in self._unconfirmed)
            self._spool.forget(len(self._unconfirmed))
            self._unconfirmed.clear()
            self._unconfirmed_bytes = 0
            return results

    # How it stands

    @property
    def leases(self) -> tuple[int, ...]:
        """Those that are held."""
        with self.changed:
            return tuple(self._open)

    @property
    def unstarted(self) -> dict[int, tuple[int, ...]]:
        """Leases that can be given back now, and of each the items that were armed but not started.

        A lease must not be given back before its results are reported: the items would count as lost.
        """
        with self.changed:
            if self._batches or self._unconfirmed:
                return {}
            ended = self._unstarted.keys() - self._open.keys()
            return {lease: tuple(self._unstarted[lease]) for lease in sorted(ended)}

    @property
    def backlog(self) -> int:
        """Items that were leased, could be started, and were not yet handed to the pool."""
        return self._backlog_items

    @property
    def waiting(self) -> int:
        """Results that wait to be reported; 1 when only samples do."""
        return self._results or bool(self._batches) or bool(self._unconfirmed)

    @property
    def clear(self) -> bool:
        """Nothing is left to be done or to be reported."""
        with self.changed:
            return not (self._open or self._batches or self._unconfirmed)

    @property
    def totals(self) -> tuple[int, int]:
        """Attempts that have ended, and those of them that failed."""
        return self._totals

    def rate(self) -> float:
        """Items a second, lately."""
        with self.changed:
            now_us = self._clock.monotonic_us()
            passed_s = (now_us - self._since_us) / 1_000_000
            soon = self._climbing and passed_s >= FIRST_RATE_S and self._ended >= 2 * self.slots
            if soon or passed_s >= RATE_S:
                rate = self._ended / passed_s
                self._climbing = self._climbing and rate >= CLIMB * self._rate
                self._rate = rate if self._climbing else (self._rate + rate) / 2
                self._ended, self._since_us = 0, now_us
            return self._rate

    def rest(self) -> None:
        """Hold nothing that could be started; and forget the rate, for while one rests there is none."""
        if self._backlog:
            self.clear_backlog()
        with self.changed:
            self._rate, self._climbing = 0.0, True
            self._ended, self._since_us = 0, self._clock.monotonic_us()

    # How it is done

    def _follow(self, lease: int, item: int) -> None:
        """An item ended: what comes after it in its lane may be started."""
        rest = self._following.pop((lease, item), None)
        if rest is not None:
            self._backlog.appendleft(rest)
            self._backlog_items += len(rest.task.items)

    def _clear(self, leases: set[int]) -> None:
        """Forget what was not handed to the pool of these leases."""
        self._backlog = deque(lane for lane in self._backlog if lane.task.lease not in leases)
        self._following = {
            place: lane for place, lane in self._following.items() if lane.task.lease not in leases
        }
        self._backlog_items = sum(len(lane.task.items) for lane in self._backlog)

    def _close(self, lease: int, items: int) -> None:
        if lease in self._open:
            self._open[lease] -= items
            if self._open[lease] <= 0:
                del self._open[lease]
                self._verifying.discard(lease)
                self._keyed.discard(lease)

    def _seq(self) -> int:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        return seq


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
    rows = tuple(task.rows[position] for position in kept) if task.rows else ()
    return msgspec.structs.replace(
        task,
        items=tuple(task.items[position] for position in kept),
        attempts=tuple(task.attempts[position] for position in kept) if task.attempts else (),
        rows=rows,
    )


def _lanes(lease: Lease) -> Iterator[Lane]:
    """What may run at the same time, as lanes; what has no keys is one, to be cut anywhere."""
    chunk, position = lease.chunk, 0
    for items in chunk.lanes or (range(chunk.start, chunk.stop),):
        attempts = tuple(lease.attempts.get(item, 1) for item in items) if lease.attempts else ()
        rows = lease.rows[position : position + len(items)]
        yield Lane(Task(lease.id, chunk.step, position, items, attempts, rows, lease.verifying))
        position += len(items)


def _part(task: Task, start: int, stop: int) -> Task:
    return msgspec.structs.replace(
        task,
        start=task.start + start,
        items=task.items[start:stop],
        attempts=task.attempts[start:stop],
        rows=task.rows[start:stop],
    )


def _joined(first: Task, second: Task) -> Task:
    return msgspec.structs.replace(
        first,
        items=(*first.items, *second.items),
        attempts=first.attempts + second.attempts,
        rows=first.rows + second.rows,
    )


def _parts(harvest: Harvest) -> Iterator[Harvest]:
    """The harvest in parts of about PART bytes as they travel: what steps returned may be large."""
    part: list[Result] = []
    size = 0
    for result in harvest.results:
        part.append(result)
        size += 96 + len(result.error) + len(bytes(result.value))
        if size >= PART:
            yield Harvest(results=tuple(part))
            part, size = [], 0
    yield msgspec.structs.replace(harvest, results=tuple(part))
