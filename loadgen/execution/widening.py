"""How many items a pool keeps in flight when nobody said: found by trying, in a run's first seconds.  Pure.

Cores say how many processes; they do not say how many slots, for that is a matter of how long the target
takes.  So a pool begins with few slots a process and doubles them while it pays: while that brings at least
`GAIN` times the items a second, makes no more of them fail, and leaves the processes more waiting than
computing to do.  A doubling that brought less, or made the times untrue, is taken back, and the number stays
for the rest of the run.  What was done meanwhile counts like all else.
"""

from __future__ import annotations

from dataclasses import dataclass

GAIN = 1.3
"""What doubling the slots must bring: a target that serves all at once brings 2, one that is full 1."""
BUSY = 0.5
"""CPU time of a pool process, of its core: from here on more slots would wait for each other."""
LATE_US = 2_000
"""A probe that wakes so late once in ten times: the slots wait for each other already."""
WINDOW_US = 400_000
"""A rate is taken over at least so long,"""
ROUNDS = 2
"""and over so many items a slot."""
WORSE = 0.01
"""So much more of the items may fail: chance, on a target that fails now and then."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the pool has come."""

    at_us: int
    """When; monotonic clock."""
    ended: int
    """Attempts that have ended so far."""
    failed: int
    """Those of them that failed."""
    cpu_s: float
    """CPU time of its processes so far."""
    step: int
    """Whose items it does: another one has other times."""
    late_us: int
    """By how much the probe woke late, at p90, in the slowest process so far."""


@dataclass(frozen=True, slots=True)
class _Pace:
    """What a width has brought."""

    rate: float
    failed: float

    def pays(self, before: _Pace) -> bool:
        """Whether it was worth widening for."""
        return self.rate >= GAIN * before.rate and self.failed <= before.failed + WORSE


class Widening:
    """Watches a pool and says how many slots each of its processes should have."""

    def __init__(self, processes: int, width: int, most: int) -> None:
        """`width`: slots a process to begin with; `most`: never more than these."""
        self.width = width
        self._processes = processes
        self._most = most
        self._changed_at = 0
        """How many attempts had ended when the width was last changed."""
        self._step: int | None = None
        self._since: Reading | None = None
        """When all of those that were under way then had ended."""
        self._before: _Pace | None = None
        """What half the width had brought."""
        self.settled = 2 * width > most
        """The width stays."""

    def interrupt(self) -> None:
        """The pool was kept to something else: what it has brought since the last change says nothing."""
        self._step = None

    def observe(self, now: Reading) -> bool:
        """Look at the pool; True: the width is another one now."""
        if self.settled or not self._is_telling(now):
            return False
        pace, busy = self._measured(now)
        late = now.late_us > LATE_US
        if self._before is not None and (late or not pace.pays(self._before)):
            self.width //= 2
            self.settled = True
            return True
        if late or busy > BUSY or 2 * self.width > self._most:
            self.settled = True
            return False
        self._before, self._since, self._changed_at = pace, None, now.ended
        self.width *= 2
        return True

    def _is_telling(self, now: Reading) -> bool:
        """Whether the width has had the time to show what it brings."""
        slots = self._processes * self.width
        if now.step != self._step:
            self._step, self._changed_at, self._since, self._before = now.step, now.ended, None, None
        if self._since is None:
            if now.ended - self._changed_at >= slots:
                self._since = now
            return False
        return now.at_us - self._since.at_us >= WINDOW_US and now.ended - self._since.ended >= ROUNDS * slots

    def _measured(self, now: Reading) -> tuple[_Pace, float]:
        assert self._since is not None
        since, passed_s = self._since, (now.at_us - self._since.at_us) / 1_000_000
        ended = now.ended - since.ended
        pace = _Pace(ended / passed_s, (now.failed - since.failed) / ended)
        return pace, (now.cpu_s - since.cpu_s) / passed_s / self._processes
