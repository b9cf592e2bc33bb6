"""The end report as Markdown, as GitHub renders it.

The same page as the terminal's, with no column left out for want of width.
"""

from __future__ import annotations

import io
import re

from rich.console import Console

from loadgen.reports.grid import Column
from loadgen.reports.page import Page
from loadgen.reports.words import clean

_WIDTH = 100
"""Of a drawing."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")
"""What would be markup; names of flows and answers of servers are full of it."""


class MarkdownPage(Page):
    """Takes what a page of the terminal takes."""

    def __init__(self) -> None:
        self.console = Console(file=io.StringIO(), width=_WIDTH, color_system=None)
        super().__init__(self.console)
        self._parts: list[str] = []

    def headline(self, word: str, text: str, style: str) -> None:  # noqa: ARG002 - it has no colours
        """The verdict: a heading."""
        self._parts += [f"## {escaped(word)}", "", escaped(text), ""]

    def fact(self, label: str, value: str) -> None:
        """A line of a list."""
        self._parts.append(f"- **{escaped(label)}**: {escaped(value)}")

    def table(self, columns: list[Column], style: str = "bold") -> None:  # noqa: ARG002 - the same
        """A table, all of its columns."""
        rows = zip(*(column.cells for column in columns), strict=True)
        self._parts += ["", _row([column.header for column in columns])]
        self._parts.append(_row([":--" if column.left else "--:" for column in columns], plain=True))
        self._parts += [_row(list(row)) for row in rows]
        self._parts.append("")

    def title(self, text: str) -> None:
        """A heading."""
        self._parts += ["", f"### {escaped(text)}", ""]

    def note(self, text: str, indent: int, lines: int = 2) -> None:  # noqa: ARG002 - there is room
        """A line of a list, below the one before where it is indented further."""
        self._parts.append(f"{'  ' * (indent > _DEEP)}- {escaped(text)}")

    def drawing(self, lines: list[str]) -> None:
        """As they are."""
        self._parts += ["```text", *lines, "```", ""]

    def blank(self) -> None:
        """Some air."""
        self._parts.append("")

    def text(self) -> str:
        """All of it; no two empty lines in a row."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._parts).strip()) + "\n"


_DEEP = 2
"""Notes that are indented further belong to the note before."""


def escaped(text: str) -> str:
    """The text on one line, with nothing in it that Markdown or HTML would take for markup."""
    plain = clean(text, "utf-8").replace("&", "&amp;")
    # GitHub makes mentions and references of these: nobody is to be called because a server said so
    return re.sub(r"(?<!\w)([@#])(?=\w)", "\\1\u200b", _SPECIAL.sub(r"\\\1", plain))


def _row(cells: list[str], *, plain: bool = False) -> str:
    return f"| {' | '.join(cells if plain else map(escaped, cells))} |"
