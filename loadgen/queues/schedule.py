"""When the items of a paced step are meant to start, on the master's clock, and how far they may be leased.

Time is cut into slices of half a second.  A slice is opened, so that its items may be handed out, `LEAD_S`
before it begins: early enough for an idle worker to ask, arm and wait, and late enough that a change of
the rate is felt soon.  Pure: the time is an argument, wall clock of the master, which never jumps.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadgen.pace.pacing import Pace

ANNOUNCED_S = 3.0
"""So long before its first item a step is announced: all workers are ready for it then."""
LEAD_S = 1.0
"""So long before it begins, a slice is opened: two beats."""
SLICE_S = 0.5
"""How long a slice is."""

_SLICE_US = round(SLICE_S * 1_000_000)
_LEAD_US = round(LEAD_S * 1_000_000)


class Schedule:
    """A step's pace, laid on the clock."""

    def __init__(self, pace: Pace, items: int, now_us: int, *, first: int = 0) -> None:
        """`first`: the first item that is not settled yet: a resumed run goes on from there."""
        self._own = self._pace = pace
        self._items = items
        self._cursor = first
        offset_us = self._offset_us(first) if first < items else 0
        self.begins_us = now_us + round(ANNOUNCED_S * 1_000_000)
        """When the first item is meant to start."""
        self._t0_us = self.begins_us - offset_us
        self._opened = (offset_us - 2 * _LEAD_US) // _SLICE_US

    def open(self, now_us: int) -> range | None:
        """The items of the slices that were opened since the last call; None: no slice was.

        An empty range says that a slice was opened in which nothing is to be started.
        """
        number = (now_us + _LEAD_US - self._t0_us) // _SLICE_US
        if number < self._opened:
            return None
        self._opened = number + 1
        stop = min(max(self._pace.due(self._opened * _SLICE_US - 1), self._cursor), self._items)
        start, self._cursor = self._cursor, stop
        return range(start, stop)

    def wait_s(self, now_us: int) -> float | None:
        """How long it is until the next slice is opened, in seconds; None: all items were in one."""
        if self._cursor >= self._items:
            return None
        return max(self._opened * _SLICE_US + self._t0_us - _LEAD_US - now_us, 0) / 1_000_000

    def due_us(self, items: Sequence[int]) -> list[int]:
        """When each of these items is meant to start."""
        if isinstance(items, range):
            offsets = self._pace.offsets_us(items.start, items.stop)[:: items.step]
            return [self._t0_us + offset for offset in offsets]
        return [self._t0_us + self._offset_us(item) for item in items]

    def shift(self, us: int) -> None:
        """All that was not handed out yet, or is handed out again, is meant to start so much later."""
        self._t0_us += us

    def change(self, now_us: int, rate: float | None) -> None:
        """Let the items that are in no slice yet come at another rate, in items a second.

        None: by their own pace again, from where it would have the next of them.
        """
        opened_us = max(self._opened * _SLICE_US, now_us - self._t0_us)
        if rate is not None:
            self._pace = self._pace.changed(opened_us, rate)
        elif self._cursor < self._items:
            self._pace = self._own
            offset_us = self._offset_us(self._cursor)
            self._t0_us += opened_us - offset_us
            self._opened = -(-offset_us // _SLICE_US)

    def _offset_us(self, item: int) -> int:
        return self._pace.offsets_us(item, item + 1)[0]
