"""The probe: a thread that wants to be woken every 20 ms, and counts by how much it was late.

That is what any Python thread of the process waits for a core and for the interpreter's lock.  libcurl
takes its times in C, but it calls back into Python before it sends and for what it receives, and answers
wait in the socket for a thread that has to run: so what the probe waits, calls wait as well.

It sleeps to absolute times: after a long wait the wakings that were missed are each counted as late as
they are, so that one stall of a second weighs as much as it lasted.  It counts second by second, and
seconds in which nobody read it are left out: nothing ended in them that could have been timed wrongly.
"""

from __future__ import annotations

import threading
import time

from loadgen.clock import Clock
from loadgen.lag import BUCKETS, Lag, bucket, trimmed

TICK_US = 20_000
"""How often it wakes: costs less than a thousandth of a core."""
WINDOW_TICKS = 50
"""Wakings in one second."""
LONGEST_US = 60_000_000
"""A machine that slept longer than this was not slow, it was off."""


class Probe:
    """One a process.  Read by one thread, which is not its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._late, self._worst = [0] * BUCKETS, [0] * BUCKETS
        self._cpu_us = self._wall_us = 0
        self._now = [0] * BUCKETS
        """Of the second under way."""
        self._ticks = 0
        self._read = False
        """Somebody asked in the second under way."""
        self._since_us, self._since_cpu_us = clock.monotonic_us(), _cpu_us()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, at its next tick."""
        self._stopped = True
        self._thread.join()

    def reading(self) -> Lag:
        """All that was counted so far; and the second under way counts, because something ended in it."""
        with self._lock:
            self._read = True
            late = [past + now for past, now in zip(self._late, self._now, strict=True)]
            wall_us = self._wall_us + self._clock.monotonic_us() - self._since_us
            cpu_us = self._cpu_us + _cpu_us() - self._since_cpu_us
            return Lag(trimmed(late), trimmed(self._worst), cpu_us, max(wall_us, 0))

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
        now_us, cpu_us = self._clock.monotonic_us(), _cpu_us()
        if self._read:
            self._worst[max(index for index, count in enumerate(self._now) if count)] += 1
            for index, count in enumerate(self._now):
                self._late[index] += count
            self._wall_us += now_us - self._since_us
            self._cpu_us += cpu_us - self._since_cpu_us
        self._now = [0] * BUCKETS
        self._ticks, self._read = 0, False
        self._since_us, self._since_cpu_us = now_us, cpu_us


def _cpu_us() -> int:
    return time.process_time_ns() // 1000
