"""How long a phase has gone on, in active time, and how many items may be in flight by now.  Pure.

Active time counts from the first lease; not while no master is there, nor while the run is held.
"""

from __future__ import annotations

from collections.abc import Collection

from loadgen.pace.levels import Levels


class Term:
    """The time of one phase."""

    def __init__(
        self, length_us: int | None = None, levels: Levels | None = None, *, passed_us: int = 0
    ) -> None:
        """`length_us`: None for a phase that ends with its items; `passed_us`: in earlier sessions."""
        self.length_us = length_us
        self._levels = levels
        self._passed_us = passed_us
        self._since_us: int | None = None

    def begin(self, now_us: int) -> None:
        """It goes on from now."""
        if self._since_us is None:
            self._since_us = now_us

    def hold(self, now_us: int) -> None:
        """It stands still from now, until it begins again."""
        self._passed_us, self._since_us = self.passed_us(now_us), None

    def passed_us(self, now_us: int) -> int:
        """Active time so far."""
        return self._passed_us + (0 if self._since_us is None else now_us - self._since_us)

    def over(self, now_us: int) -> bool:
        """Whether nothing new is to be handed out any more."""
        return self.length_us is not None and self.passed_us(now_us) >= self.length_us

    def left_us(self, now_us: int) -> int | None:
        """How long it still is; None: nobody knows."""
        return None if self.length_us is None else max(self.length_us - self.passed_us(now_us), 0)

    def level(self, slots: Collection[int], now_us: int) -> int | None:
        """How many items may be in flight now, on all workers together; None: as many as there are slots.

        `slots`: of each worker.  What is left when a ramp has come to nothing has to end all the same, one by
        one on each: retries and doubts after the time, and the items of a phase that has none.
        """
        if self._levels is None:
            return None
        passed_s = self.passed_us(now_us) / 1_000_000
        level = self._levels.in_flight_at(passed_s, sum(slots))
        last = self.over(now_us) or (self.length_us is None and passed_s >= self._levels.ends_s)
        return level or max(len(slots), 1) if last else level
