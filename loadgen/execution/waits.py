"""How long the threads of this process stood ready to run and had no core: Linux counts that for each.

`/proc/self/task/TID/schedstat` holds the nanoseconds on a core, those of waiting for one, and the number
of turns (Linux, Documentation/scheduler/sched-stats.rst).  Elsewhere nothing is known, and nothing is
claimed.
"""

from __future__ import annotations

import contextlib
import os

MOST = 16
"""Threads that are looked at; the pool's are all alike, so the rest is taken to wait as they do."""
_TASKS = "/proc/self/task"


class Waits:
    """Adds up, from one look to the next."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._sum_ns = 0.0

    def us(self) -> int:
        """Microseconds, of all threads together, since the first look; 0 where the system does not tell."""
        try:
            threads = sorted(os.listdir(_TASKS))  # noqa: PTH208 - a Path a thread costs more than the file
        except OSError:
            return 0
        step = -(-len(threads) // MOST)
        seen, now_ns = self._seen, {}
        for thread in threads[::step]:
            with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
                now_ns[thread] = _waited_ns(thread)
        added = sum(value - seen.get(thread, value) for thread, value in now_ns.items())
        self._sum_ns += added * len(threads) / max(len(now_ns), 1)
        self._seen = now_ns
        return round(self._sum_ns / 1000)


def _waited_ns(thread: str) -> int:
    file = os.open(f"{_TASKS}/{thread}/schedstat", os.O_RDONLY)
    try:
        return int(os.read(file, 100).split()[1])
    finally:
        os.close(file)
