"""A page of terminal lines: each is clean, fits the width, and says what it says without colour."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from loadgen.reports.grid import Column, cut, grid
from loadgen.reports.words import clean, glyphs

LABEL = 11
"""Width of the words before the facts."""
_NARROWEST, _WIDEST = 40, 180


class Page:
    """Lines to be printed on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._encoding = console.encoding
        self._lines: list[Text] = []
        self.glyphs = glyphs(console.encoding)
        self.width = min(max(console.width, _NARROWEST), _WIDEST)

    def headline(self, word: str, text: str, style: str) -> None:
        """The verdict: one word in style, and what it means."""
        lines = self._wrap(f"{word}  {self._clean(text)}", self.width, len(word) + 2)
        lines[0].stylize(style, 0, len(word))
        self._lines += lines

    def fact(self, label: str, value: str) -> None:
        """A word and a value, which may go on below itself."""
        line = f"{label:<{LABEL}}{self._clean(value)}"
        lines = self._wrap(line, self.width, LABEL)
        lines[0].stylize("bold", 0, len(label))
        self._lines += lines

    def table(self, columns: list[Column], style: str = "bold") -> None:
        """A header and rows."""
        tidy = [
            Column(
                column.header, tuple(self._clean(cell) for cell in column.cells), column.spare, column.left
            )
            for column in columns
        ]
        header, *rows = grid(tidy, self.width, self.glyphs.ellipsis)
        self._lines += [Text(header, style), *map(Text, rows)]

    def title(self, text: str) -> None:
        """The head of a part that is no table."""
        self._lines.append(Text(cut(self._clean(text), self.width, self.glyphs.ellipsis), "bold"))

    def note(self, text: str, indent: int, lines: int = 2) -> None:
        """Words of any length, in at most so many lines."""
        room = (self.width - indent) * lines - 2 * lines
        self._lines += self._wrap(
            " " * indent + cut(self._clean(text), room, self.glyphs.ellipsis), self.width, indent
        )

    def drawing(self, lines: list[str]) -> None:
        """Lines that are as they should be."""
        self._lines += map(Text, lines)

    def blank(self) -> None:
        """Some air."""
        self._lines.append(Text())

    def print(self) -> None:
        """Out with it."""
        for line in self._lines:
            self._console.print(line, no_wrap=True, overflow="ignore", crop=False, soft_wrap=True)

    def _clean(self, text: str) -> str:
        return clean(text, self._encoding)

    def _wrap(self, line: str, width: int, indent: int) -> list[Text]:
        """The line, and what does not fit below it, indented."""
        head, rest = line[:indent], line[indent:]
        lines = list(Text(rest).wrap(self._console, width - cell_len(head))) or [Text()]
        for part in lines:
            part.rstrip()
        return [
            Text(head if number == 0 else " " * indent).append_text(part) for number, part in enumerate(lines)
        ]
