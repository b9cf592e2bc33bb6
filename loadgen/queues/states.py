"""Where each item of a step stands: a byte an item where they differ, nothing where all are the same.

Items come and go in order, more or less: at any time most blocks are all PENDING or all DONE, and such a
block is kept as that one number.  So a run of ten million items takes no more room than one of a
hundred thousand.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

BLOCK = 1 << 16
"""Items in a block."""


class State(IntEnum):
    """Where an item stands.  Kept in one byte an item."""

    PENDING = 0
    LEASED = 1
    ARMED = 2
    IN_DOUBT = 3
    VERIFYING = 4
    DONE = 5
    FAILED = 6
    UNKNOWN = 7
    CANCELLED = 8
    DROPPED = 9


class States:
    """The states of so many items, all PENDING at first."""

    def __init__(self, items: int) -> None:
        self._items = items
        self._blocks: list[bytearray | int] = [int(State.PENDING)] * -(-items // BLOCK)
        self._done = [0] * len(self._blocks)  # by block
        self.counts = [0] * len(State)
        """How many items are in each state."""
        self.counts[State.PENDING] = items

    def __len__(self) -> int:
        """How many items there are."""
        return self._items

    def reach(self, items: int) -> None:
        """Have at least so many, those that are new PENDING; only for what began with none."""
        while self._items < items:
            self._blocks.append(int(State.PENDING))
            self._done.append(0)
            self._items += BLOCK
            self.counts[State.PENDING] += BLOCK

    def __iter__(self) -> Iterator[int]:
        """The state of each, in order."""
        for number, block in enumerate(self._blocks):
            yield from [block] * self._size(number) if isinstance(block, int) else block

    def __getitem__(self, item: int) -> int:
        """Where an item stands."""
        block = self._blocks[item // BLOCK]
        return block if isinstance(block, int) else block[item % BLOCK]

    def __setitem__(self, item: int, state: State) -> None:
        """It stands there now."""
        number = item // BLOCK
        block = self._mixed(number)
        before = block[item % BLOCK]
        block[item % BLOCK] = state
        self._count(number, before, state, 1)

    def move(self, items: range, before: State, after: State) -> bool:
        """Have neighbours go from one state to another, if all of them are in the first."""
        if not self.are(items, before):
            return False
        for number, part in _parts(items):
            self._mixed(number)[part] = bytes([after]) * (part.stop - part.start)
            self._count(number, before, after, part.stop - part.start)
        return True

    def are(self, items: range, state: State) -> bool:
        """Whether all of these neighbours are in this state."""
        return all(self._are(number, part, state) for number, part in _parts(items))

    def _are(self, number: int, part: slice, state: State) -> bool:
        block = self._blocks[number]
        if isinstance(block, int):
            return block == state
        same: bool = block[part] == bytes([state]) * (part.stop - part.start)
        return same

    def _mixed(self, number: int) -> bytearray:
        """A block, with a byte for each item."""
        block = self._blocks[number]
        if isinstance(block, int):
            block = self._blocks[number] = bytearray([block]) * self._size(number)
        return block

    def _size(self, number: int) -> int:
        return min(BLOCK, self._items - number * BLOCK)

    def _count(self, number: int, before: int, after: int, items: int) -> None:
        self.counts[before] -= items
        self.counts[after] += items
        if before == State.DONE:
            self._done[number] -= items
        if after == State.DONE:
            self._done[number] += items
            if self._done[number] == self._size(number):
                self._blocks[number] = int(State.DONE)


def _parts(items: range) -> Iterator[tuple[int, slice]]:
    """A range of items by block: its number, and where in it."""
    for number in range(items.start // BLOCK, -(-items.stop // BLOCK)) if items else ():
        first = number * BLOCK
        yield number, slice(max(items.start - first, 0), min(items.stop - first, BLOCK))
