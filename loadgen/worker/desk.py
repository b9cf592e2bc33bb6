"""What a worker has on its hands: leases, tasks not yet started, results not yet acknowledged."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from loadgen.clock import Clock
from loadgen.columns import Harvest
from loadgen.execution.pipe import Returned, Task
from loadgen.queues.messages import Batch, Lease
from loadgen.sample import NO_ITEM, Result
from loadgen.worker.backlog import Backlog
from loadgen.worker.resting import Rests
from loadgen.worker.spool import Spool

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


class Desk:
    """Used by the worker's main thread, its beat and the pool's readers: every method takes the lock."""

    def __init__(
        self,
        clock: Clock,
        spool: Spool,
        slots: int,
        rests: Rests | None = None,
        mix: Mapping[int, float] | None = None,
    ) -> None:
        """`rests`: slots that think; `mix`: weights of the steps that run at the same time."""
        self.changed = threading.Condition(threading.RLock())
        self._clock = clock
        self._spool = spool
        self.slots = slots
        self._rests = rests or Rests({}, 0)
        self._mix = mix or {}
        self._backlog = Backlog(self._mix)
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
        """Of the last lease; NO_ITEM: of those that are mixed."""
        self._since_us = clock.monotonic_us()
        self._rate = 0.0
        self._climbing = True

    # Work

    def accept(self, lease: Lease, clock_us: int = 0) -> None:
        """A lease was granted; `clock_us`: how far the master's clock is ahead of ours."""
        with self.changed:
            self._open[lease.id] = len(lease.chunk)
            self.step = NO_ITEM if lease.chunk.step in self._mix else lease.chunk.step
            if lease.verifying:
                self._verifying.add(lease.id)
            if lease.chunk.lanes:
                self._keyed.add(lease.id)
            self._backlog.accept(lease, clock_us)

    def decline(self, lease: Lease) -> None:
        """A lease was granted, and is not wanted: it goes back."""
        with self.changed:
            self._unstarted[lease.id] = []

    def next_tasks(self, room: int) -> list[Task]:
        """Tasks to start, of about `room` items, and all whose time is near."""
        with self.changed:
            pace = 0.0 if self._rests.any else self._rate / self.slots  # who thinks does one at a time
            return self._backlog.take(room, pace, self._clock.monotonic_us())

    def put_back(self, tasks: Iterable[Task]) -> None:
        """These tasks could not be started after all: they come next again."""
        with self.changed:
            self._backlog.put_back(tasks, self._keyed)

    def drop(self, leases: Iterable[int]) -> None:
        """These leases are not ours any more: start nothing of them, name them in no beat."""
        gone = set(leases)
        with self.changed:
            self._backlog.clear(gone)
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
                after = self._backlog.give_up(lease, items)
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
            self._backlog.follow_after(lease, last, kept)

    def skip(self, lease: int, items: Sequence[int]) -> None:
        """Items are not to be done by us after all; their lanes go on."""
        with self.changed:
            self._backlog.follow(lease, items)
            self._close(lease, len(items))

    def clear_backlog(self) -> None:
        """Start nothing more: what was not handed to the pool goes back to the master.

        Item by item: those that were put back may be armed, if it was the master's answer that got lost.
        """
        with self.changed:
            for task in self._backlog.tasks():
                self._unstarted.setdefault(task.lease, []).extend(task.items)
                self._close(task.lease, len(task.items))
            self._backlog = Backlog(self._mix)

    # Results

    def put(self, returned: Returned) -> None:
        """The pool returned something."""
        with self.changed:
            fresh: list[Batch] = []
            ahead_us = self._clock.now_us() - self._clock.monotonic_us()
            for lease, step, harvest in returned.harvests:
                self._rests.begin(step, harvest, ahead_us)
                self._backlog.follow(lease, harvest.items())
                fresh += [Batch(self._seq(), lease, step, part) for part in _parts(harvest)]
                self._results += harvest.ended
                self._ended += harvest.ended
                ended, failed = self._totals
                self._totals = (ended + harvest.ended, failed + harvest.failed)
                self._close(lease, harvest.ended)
            for lease, items in returned.skipped:
                back = (*items, *self._backlog.give_up(lease, items[-1:]))
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
        return self._backlog.items

    @property
    def resting(self) -> int:
        """Slots that think."""
        with self.changed:
            return self._rests.count(self._clock.monotonic_us())

    def nap_s(self, longest_s: float) -> float:
        """How long it is until the next of them has thought enough, at most."""
        with self.changed:
            rest_s = self._rests.wait_s(self._clock.monotonic_us())
            return longest_s if rest_s is None else min(rest_s, longest_s)

    @property
    def early(self) -> int:
        """Items that were handed to the pool and are not to be started yet."""
        with self.changed:
            return self._backlog.early(self._clock.monotonic_us())

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
        if self._backlog.items:
            self.clear_backlog()
        with self.changed:
            self._rate, self._climbing = 0.0, True
            self._ended, self._since_us = 0, self._clock.monotonic_us()

    # How it is done

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
