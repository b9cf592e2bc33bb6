"""Which of a run's events a report shows, when there are many.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

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


def weighty(events: Sequence[Event], most: int) -> list[Event]:
    """At most so many, in order: of more, workers that came and went give way, then what is later."""
    routine = [n for n, event in enumerate(events) if event.kind in _ROUTINE]
    others = [n for n, event in enumerate(events) if event.kind not in _ROUTINE][:most]
    return [events[n] for n in sorted([*others, *routine[: most - len(others)]])]


def summed_up(events: Sequence[Event]) -> list[Event]:
    """All, for less room: of each kind that did not steer the run only the last, and how many there were."""
    told = [event for event in events if event.kind not in _ROUTINE]
    last = {event.kind: n for n, event in enumerate(told)}
    numbers = Counter(event.kind for event in told)

    def one(event: Event) -> Event:
        times = numbers[event.kind]
        if event.kind in _STEERED or times == 1:
            return event
        return replace(event, text=f"{times} times, the last: {event.text}")

    return [one(event) for n, event in enumerate(told) if event.kind in _STEERED or last[event.kind] == n]
