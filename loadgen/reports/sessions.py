"""A run's sessions: the stretches of time in which it went on.  Pure.

A resume begins one, and so does the end of a pause, whoever paused it: what is between two is no time of
the run, and in no rate.
"""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from loadgen.record import Event
from loadgen.steering import CONTINUED, PAUSED

RESUMED = "resumed"
"""The kind of event that begins each session of a run but the first."""


def begins(events: Iterable[Event]) -> list[int]:
    """Where the sessions but the first begin: at a resume, or in the middle of a pause.

    The middle, since items that were in flight end after it has begun, and the first ones after it are told
    by their workers' clocks: half a pause may be between those and the master's.
    """
    found: list[int] = []
    paused_us: int | None = None
    for event in events:
        if event.kind == PAUSED and paused_us is None:
            paused_us = event.at_us
        elif event.kind in (CONTINUED, RESUMED):
            found.append((event.at_us + (event.at_us if paused_us is None else paused_us)) // 2)
            paused_us = None
    return found


class Stretches:
    """What ended in each session, from the first start to the last end."""

    def __init__(self, begins_us: Sequence[int] = ()) -> None:
        """`begins_us`: of the sessions but the first, in order."""
        self._begins_us = list(begins_us)
        self._known: dict[int, tuple[int, int]] = {}

    def session(self, end_us: int) -> int:
        """In which one something ended; the first is 0."""
        return bisect_right(self._begins_us, end_us)

    def add(self, starts_us: Sequence[int], durations_us: Sequence[int]) -> None:
        """Take in what was done."""
        if not starts_us:
            return
        ends_us = list(map(operator.add, starts_us, durations_us))
        first, last = self.session(min(ends_us)), self.session(max(ends_us))
        if first == last:
            self.extend(first, min(starts_us), max(ends_us))
            return
        for start_us, end_us in zip(starts_us, ends_us, strict=True):
            self.extend(self.session(end_us), start_us, end_us)

    def extend(self, session: int, first_us: int, last_us: int) -> None:
        """From one moment to another something of this session was done; it began in none before."""
        if session:
            first_us = max(first_us, self._begins_us[session - 1])
        first, last = self._known.get(session, (first_us, last_us))
        self._known[session] = min(first, first_us), max(last, last_us)

    def part(self, at_us: int) -> None:
        """A session begins; none begins later."""
        self._begins_us.append(at_us)

    @property
    def all(self) -> list[tuple[int, int]]:
        """From when to when, in order."""
        return [self._known[session] for session in sorted(self._known)]

    @property
    def first_us(self) -> int | None:
        """When the first of it began; None: there is nothing."""
        return min((first for first, _ in self._known.values()), default=None)

    @property
    def covered_us(self) -> int:
        """How long all of them took."""
        return sum(last - first for first, last in self._known.values())

    def until_us(self, now_us: int) -> int:
        """The same, with what has passed since the last end in the session that goes on."""
        since_us = max([now_us if not self._known else self.all[-1][1], *self._begins_us[-1:]])
        return self.covered_us + max(now_us - since_us, 0)

    def passed_us(self, at_us: int) -> int:
        """How much of the covered time was over then."""
        return sum(min(max(at_us - first, 0), last - first) for first, last in self._known.values())
