"""Which of a run's events a report of one screen shows, when there are many.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from loadgen.record import Event
from loadgen.reports.sessions import RESUMED
from loadgen.steering import CHANGED, CONTINUED, PAUSED

_ROUTINE = frozenset({"worker joined", "worker left"})
"""Told by the table of workers."""
_STEERED = frozenset({PAUSED, CONTINUED, CHANGED, RESUMED, "threshold"})
"""Without these the run's figures cannot be understood; the breaker's are among them."""
_MOST, _OTHERS = 30, 5
"""How many of those are shown, and of the others."""


def chosen(events: Sequence[Event]) -> tuple[list[Event], int]:
    """Those to show, in order, the last of each sort where there are too many; and how many are left out."""
    told = [event for event in events if event.kind not in _ROUTINE]
    steered = [n for n, event in enumerate(told) if event.kind in _STEERED][-_MOST:]
    others = [n for n, event in enumerate(told) if event.kind not in _STEERED][-_OTHERS:]
    return [told[n] for n in sorted([*steered, *others])], len(told) - len(steered) - len(others)
