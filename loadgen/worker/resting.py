"""Slots that wait after an item before they take their next one: as a person would think.

It is the worker who waits, not the slot: an item that nobody is to start yet is not armed, and nothing has
to be woken when the run ends.  Pure: the time is handed in.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Iterator, Mapping

from loadgen.columns import Harvest
from loadgen.pace.thinking import Think


class Rests:
    """When slots have thought enough."""

    def __init__(self, thinks: Mapping[int, Think], seed: int) -> None:
        """`thinks`: by step; those without have none."""
        self._thinks = thinks
        self._seed = seed
        self._until_us: list[int] = []

    @property
    def any(self) -> bool:
        """Whether slots ever rest."""
        return bool(self._thinks)

    def begin(self, step: int, harvest: Harvest, ahead_us: int) -> None:
        """These items have ended; `ahead_us`: how far their clock, the wall's, is ahead of `count`'s."""
        think = self._thinks.get(step)
        if think is None:
            return
        for item, end_us in _ends(harvest):
            heapq.heappush(self._until_us, end_us - ahead_us + think.after_us(self._seed, step, item))

    def count(self, now_us: int) -> int:
        """How many slots rest."""
        while self._until_us and self._until_us[0] <= now_us:
            heapq.heappop(self._until_us)
        return len(self._until_us)

    def wait_s(self, now_us: int) -> float | None:
        """How long until the next has rested; None: none rests."""
        return max(self._until_us[0] - now_us, 0) / 1_000_000 if self._until_us else None


def _ends(harvest: Harvest) -> Iterator[tuple[int, int]]:
    """Items and when they ended, microseconds since 1970."""
    if harvest.plain:
        yield from zip(harvest.plain.items(), map(operator.add, *harvest.plain.times()), strict=True)
    for result in harvest.results:
        yield result.item, result.start_us + result.duration_us
