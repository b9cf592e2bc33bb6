"""The probe: a thread that wants to be woken every 20 ms, and counts by how much it was late.

That is what any Python thread of the process waits for a core and for the interpreter's lock.  libcurl
takes its times in C, but it calls back into Python before it sends and for what it receives, and answers
wait in the socket for a thread that has to run: so what the probe waits, calls wait as well.

But the probe is not one of a crowd: when a hundred answers come at once, the thread that takes the last
waits for all before it, while the probe, which slept, is let through.  So it also asks the system how
long all threads stood ready and had no core (see `waits`).

It sleeps to absolute times: after a long wait the wakings that were missed are each counted as late as
they are, so that one stall of a second weighs as much as it lasted.  It counts second by second, and
seconds in which nobody read it are left out: nothing ended in them that could have been timed wrongly.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from loadgen.clock import Clock
from loadgen.execution.waits import Waits
from loadgen.lag import BUCKETS, NO_LAG, Lag, bucket, trimmed

TICK_US = 20_000
"""How often it wakes: costs one or two thousandths of a core."""
WINDOW_TICKS = 50
"""Wakings in one second."""
LOOK_US = 500_000
"""How often, at most, the threads' waits are added up."""
FRESH_US = 200_000
"""So long a reading is given out again: results leave a child a hundred times a second."""
LONGEST_US = 60_000_000
"""A machine that slept longer than this was not slow, it was off."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Time since some moment: of the process on a core, of the wall clock, of threads without a core."""

    cpu_us: int = 0
    wall_us: int = 0
    waited_us: int = 0

    def plus(self, other: Spent, since: Spent) -> Spent:
        """With what passed between the two others."""
        return Spent(
            self.cpu_us + other.cpu_us - since.cpu_us,
            self.wall_us + other.wall_us - since.wall_us,
            self.waited_us + other.waited_us - since.waited_us,
        )


class Probe:
    """One a process.  Read by one thread, which is not its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._late, self._worst = [0] * BUCKETS, [0] * BUCKETS
        self._spent = Spent()
        # of the second under way:
        self._now = [0] * BUCKETS
        self._ticks = 0
        self._read = False
        self._waits, self._waited_us, self._looked_us = Waits(), 0, clock.monotonic_us() - LOOK_US
        self._since = self._look()
        self._given, self._given_us = NO_LAG, clock.monotonic_us() - FRESH_US
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._since = self._look()
        self._thread.start()

    def stop(self) -> None:
        """End it, at its next tick."""
        self._stopped = True
        self._thread.join()

    def reading(self) -> Lag:
        """What was counted so far; and the second under way counts, because something ended in it."""
        now_us = self._clock.monotonic_us()
        with self._lock:
            self._read = True
            if now_us - self._given_us < FRESH_US:
                return self._given
            late = [past + now for past, now in zip(self._late, self._now, strict=True)]
            spent = self._spent.plus(self._look(), self._since)
            times = (spent.cpu_us, spent.wall_us, spent.waited_us)
            self._given, self._given_us = Lag(trimmed(late), trimmed(self._worst), *times), now_us
            return self._given

    def _look(self) -> Spent:
        now_us = self._clock.monotonic_us()
        if now_us - self._looked_us >= LOOK_US:
            self._waited_us, self._looked_us = self._waits.us(), now_us
        return Spent(time.process_time_ns() // 1000, now_us, self._waited_us)

    def _run(self) -> None:
        clock = self._clock
        due_us = clock.monotonic_us()
        while not self._stopped:
            due_us += TICK_US
            wait_us = due_us - clock.monotonic_us()
            if wait_us > 0:
                clock.sleep(wait_us / 1_000_000)
            late_us = clock.monotonic_us() - due_us
            self._count(late_us)
            if late_us > LONGEST_US:
                due_us = clock.monotonic_us()

    def _count(self, late_us: int) -> None:
        with self._lock:
            self._now[bucket(late_us)] += 1
            self._ticks += 1
            if self._ticks == WINDOW_TICKS:
                self._turn()

    def _turn(self) -> None:
        """A second is over."""
        spent = self._look()
        if self._read:
            self._worst[max(index for index, count in enumerate(self._now) if count)] += 1
            for index, count in enumerate(self._now):
                self._late[index] += count
            self._spent = self._spent.plus(spent, self._since)
        self._now = [0] * BUCKETS
        self._ticks, self._read, self._since = 0, False, spent
