"""Time is handed in, so that tests can step it.

Durations come from `monotonic_us`, points in time from `now_us`; the two are never mixed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """What the rest of the house knows of time."""

    def now_us(self) -> int:
        """Wall clock, microseconds since 1970-01-01 UTC."""
        ...

    def monotonic_us(self) -> int:
        """A clock that never jumps, microseconds since some moment."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


monotonic_ns: Final[Callable[[], int]] = (
    partial(time.clock_gettime_ns, _BOOTTIME) if _BOOTTIME is not None else time.monotonic_ns
)
"""A clock that never jumps, and goes on while the machine sleeps, where there is one.

Linux's CLOCK_MONOTONIC stands still then: a lease would seem to live for as long as the machine slept.
"""


class SystemClock:
    """The machine's own time.

    `now_us` is the wall clock read once and carried on by the monotonic clock: two readings of one
    process differ by the time that really passed, even when the machine's clock is set meanwhile.
    """

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - monotonic_ns()

    def now_us(self) -> int:
        """Wall clock, microseconds since 1970-01-01 UTC."""
        return (monotonic_ns() + self._offset_ns) // 1000

    def monotonic_us(self) -> int:
        """`monotonic_ns`, in microseconds."""
        return monotonic_ns() // 1000

    def sleep(self, seconds: float) -> None:
        """Wait for real."""
        time.sleep(seconds)


class AwakeClock:
    """Another clock, less the time in which nobody read it: what this process slept through.

    A master that was stopped or starved could hear nobody; on its waking, nothing has run out meanwhile.
    It has to be read more often than every `longest_s` seconds, under one lock.
    """

    def __init__(self, clock: Clock, longest_s: float) -> None:
        self._clock = clock
        self._longest_us = round(longest_s * 1_000_000)
        self._last_us = clock.monotonic_us()
        self._slept_us = 0

    def now_us(self) -> int:
        """The other clock's."""
        return self._clock.now_us()

    def monotonic_us(self) -> int:
        """The other clock's, without the gaps between two readings that are too long."""
        now_us = self._clock.monotonic_us()
        gap_us = now_us - self._last_us
        if gap_us > self._longest_us:
            self._slept_us += gap_us
        self._last_us = now_us
        return now_us - self._slept_us

    def sleep(self, seconds: float) -> None:
        """The other clock's."""
        self._clock.sleep(seconds)


class Skew:
    """By how much another machine's clock is ahead of ours: Cristian's algorithm (1989).

    Who asks for the time and hears it after a round trip knows it to half of that, whatever the way there
    and the way back took; so the shortest of the last round trips tells best.
    """

    LAST = 20
    """Round trips that are remembered."""

    def __init__(self) -> None:
        self._trips: deque[tuple[int, int]] = deque(maxlen=self.LAST)  # how long, and what it told

    def observe(self, asked_us: int, heard_us: int, theirs_us: int) -> None:
        """Asked and heard by our clock; in between it was `theirs_us` by theirs."""
        self._trips.append((heard_us - asked_us, theirs_us - (asked_us + heard_us) // 2))

    @property
    def ahead_us(self) -> int:
        """Their clock less ours.  Raises ValueError before the first observation."""
        return min(self._trips)[1]

    @property
    def error_us(self) -> int:
        """By how much that may be wrong, at most.  Raises ValueError before the first observation."""
        return -(-min(self._trips)[0] // 2)


class SteppedClock:
    """A clock that stands still until it is told to move: for tests.  Thread-safe."""

    def __init__(self, start_us: int = 1_700_000_000_000_000) -> None:
        self._start_us = start_us
        self._passed_us = 0
        self._lock = threading.Lock()

    def now_us(self) -> int:
        """The start plus all that was stepped."""
        return self._start_us + self._passed_us

    def monotonic_us(self) -> int:
        """All that was stepped."""
        return self._passed_us

    def sleep(self, seconds: float) -> None:
        """Step instead of waiting."""
        self.step(seconds)

    def step(self, seconds: float) -> None:
        """Move time forward."""
        with self._lock:
            self._passed_us += round(seconds * 1_000_000)
