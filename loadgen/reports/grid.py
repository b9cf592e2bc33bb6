"""A table that knows what it can do without.

Where the width ends whole columns go, the least important first; numbers are never cut.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

GAP = "  "
NARROWEST = 22
"""The first column may be cut to this before a column is dropped, but its heading is not cut."""


@dataclass(frozen=True, slots=True)
class Column:
    """A header and what stands below it."""

    header: str
    cells: tuple[str, ...]
    spare: int = 0
    """The highest goes first when it gets tight; 0 only where a name would have no room at all."""
    left: bool = False
    """Aligned left, for words."""

    @property
    def width(self) -> int:
        """In terminal cells."""
        return max(map(cell_len, (self.header, *self.cells)))

    def line(self, index: int, width: int, ellipsis: str) -> str:
        """One cell, padded or cut to the width; -1 is the header."""
        text = cut(self.header if index < 0 else self.cells[index], width, ellipsis)
        padding = " " * (width - cell_len(text))
        return text + padding if self.left else padding + text


def grid(columns: list[Column], width: int, ellipsis: str) -> list[str]:
    """The header and one line for each row, none wider than `width`."""
    first, *rest = columns
    while rest and _needed(first, rest) > width:
        spare = max(column.spare for column in rest)
        if not spare:
            break
        rest.remove([column for column in rest if column.spare == spare][-1])
    least = len(ellipsis) + 2
    while rest and least + _width(rest) > width:
        rest.pop()
    widths = [min(first.width, max(width - _width(rest), least)), *(column.width for column in rest)]
    return [
        GAP.join(
            column.line(row, wide, ellipsis) for column, wide in zip((first, *rest), widths, strict=True)
        ).rstrip()
        for row in range(-1, len(first.cells))
    ]


def cut(text: str, width: int, ellipsis: str) -> str:
    """The text in at most `width` cells; what is cut is in the middle, since both ends tell labels apart."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    tail = room // 3
    end = ""
    for char in reversed(text):
        if cell_len(end) + cell_len(char) > tail:
            break
        end = char + end
    return set_cell_size(text, room - cell_len(end)) + ellipsis + end


def _needed(first: Column, rest: list[Column]) -> int:
    return min(first.width, max(NARROWEST, cell_len(first.header))) + _width(rest)


def _width(columns: list[Column]) -> int:
    return sum(len(GAP) + column.width for column in columns)
