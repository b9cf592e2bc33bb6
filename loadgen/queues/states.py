"""Where each item of a step stands, and at which attempt: a byte where items differ, else nothing.

Items come and go in order, more or less: at any time most blocks are all PENDING or all DONE, and such a
block is kept as that one number; one that is settled in several ways is kept packed.  So a run of ten
million items takes hardly more room than one of a hundred thousand.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from enum import IntEnum

BLOCK = 1 << 16
"""Items in a block."""
FEW = 256
"""Items in a block of attempts: most are at their first."""
_BYTE = 255


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
        self._blocks: list[bytearray | bytes | int] = [int(State.PENDING)] * -(
            -items // BLOCK
        )  # bytes: packed
        self._done = [0] * len(self._blocks)  # by block
        self._settled = [0] * len(self._blocks)
        self.counts = [0] * len(State)
        """How many items are in each state."""
        self.counts[State.PENDING] = items

    def __len__(self) -> int:
        """How many items there are."""
        return self._items

    def __iter__(self) -> Iterator[int]:
        """The state of each, in order."""
        for number, block in enumerate(self._blocks):
            yield from [block] * self._size(number) if isinstance(block, int) else _unpacked(block)

    def __getitem__(self, item: int) -> int:
        """Where an item stands."""
        block = self._blocks[item // BLOCK]
        return block if isinstance(block, int) else _unpacked(block)[item % BLOCK]

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
        for number, part in _parts(items, BLOCK):
            self._mixed(number)[part] = bytes([after]) * (part.stop - part.start)
            self._count(number, before, after, part.stop - part.start)
        return True

    def are(self, items: range, state: State) -> bool:
        """Whether all of these neighbours are in this state."""
        return all(self._are(number, part, state) for number, part in _parts(items, BLOCK))

    def _are(self, number: int, part: slice, state: State) -> bool:
        block = self._blocks[number]
        if isinstance(block, int):
            return block == state
        same: bool = _unpacked(block)[part] == bytes([state]) * (part.stop - part.start)
        return same

    def _mixed(self, number: int) -> bytearray:
        """A block, with a byte for each item."""
        block = self._blocks[number]
        if isinstance(block, int):
            block = self._blocks[number] = bytearray([block]) * self._size(number)
        elif isinstance(block, bytes):
            block = self._blocks[number] = _unpacked(block)
        return block

    def _size(self, number: int) -> int:
        return min(BLOCK, self._items - number * BLOCK)

    def _count(self, number: int, before: int, after: int, items: int) -> None:
        self.counts[before] -= items
        self.counts[after] += items
        self._done[number] += items * ((after == State.DONE) - (before == State.DONE))
        self._settled[number] += items * ((after >= State.DONE) - (before >= State.DONE))
        if self._settled[number] < self._size(number):
            return
        block = self._blocks[number]
        if self._done[number] == self._settled[number]:
            self._blocks[number] = int(State.DONE)
        elif isinstance(block, bytearray):
            self._blocks[number] = zlib.compress(block, 1)


class Attempts:
    """Which attempt each item is at: 1, until another one is set."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}  # attempts after the first
        self._many: dict[int, int] = {}  # where that is more than a byte holds

    def __getitem__(self, item: int) -> int:
        """The attempt of an item."""
        block = self._blocks.get(item // FEW)
        more = 0 if block is None else block[item % FEW]
        return 1 + more if more < _BYTE else self._many[item]

    def __setitem__(self, item: int, attempt: int) -> None:
        """It is at this attempt now."""
        block = self._blocks.get(item // FEW)
        if block is None and attempt > 1:
            block = self._blocks[item // FEW] = bytearray(FEW)
        if block is not None:
            block[item % FEW] = min(attempt - 1, _BYTE)
        self._many.pop(item, None)
        if attempt > _BYTE:
            self._many[item] = attempt

    def further(self, items: Iterable[int]) -> dict[int, int]:
        """Those of the items that are not at their first."""
        return {item: attempt for item in items if (attempt := self[item]) > 1} if self._blocks else {}

    def are_further(self, items: range) -> bool:
        """Whether there are such among these neighbours."""
        blocks = self._blocks
        return bool(blocks) and any(any(blocks[n][part]) for n, part in _parts(items, FEW) if n in blocks)


def _unpacked(block: bytearray | bytes) -> bytearray:
    return bytearray(zlib.decompress(block)) if isinstance(block, bytes) else block


def _parts(items: range, size: int) -> Iterator[tuple[int, slice]]:
    """A range of items by blocks of that size: their numbers, and where in them."""
    for number in range(items.start // size, -(-items.stop // size)) if items else ():
        first = number * size
        yield number, slice(max(items.start - first, 0), min(items.stop - first, size))
