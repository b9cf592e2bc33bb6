"""Keeps a block of lines at the bottom of a terminal, without flicker: only lines that changed are written.

A line is written over the one that was there, and what is left of that is erased behind it; nothing is
erased first, so there is no moment in which it is gone.  What else is printed meanwhile, by whomever,
comes above the block.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.control import Control
from rich.file_proxy import FileProxy
from rich.segment import ControlType, Segment
from rich.text import Text

_ERASE_REST, _ERASE_BELOW = "\x1b[K", "\x1b[J"


class Painter(RenderHook):
    """Paints on one console, from `start` to `stop`.  Thread-safe."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.RLock()
        self._lines: Sequence[Text] = ()
        """Those that are to be seen."""
        self._painted: Sequence[Text] = ()
        """Those that are."""
        self._size = console.size
        self._files: tuple[TextIO, TextIO] | None = None

    def start(self) -> None:
        """From now on it has the bottom of the terminal, and all that is printed goes through it."""
        if self._files is not None:
            return
        self._files = sys.stdout, sys.stderr
        for name, file in zip(("stdout", "stderr"), self._files, strict=True):
            if file.isatty():  # what goes elsewhere is not ours
                setattr(sys, name, cast("TextIO", FileProxy(self._console, file)))
        self._size = self._console.size
        self._console.show_cursor(False)
        self._console.push_render_hook(self)

    def stop(self) -> None:
        """The lines go; the terminal is as before."""
        if self._files is None:
            return
        self.paint(())
        sys.stdout, sys.stderr = self._files
        self._files = None
        self._console.pop_render_hook()
        self._console.show_cursor(True)

    def paint(self, lines: Sequence[Text]) -> None:
        """From now on these lines."""
        with self._lock:
            self._lines, before = tuple(lines), self._painted
            same = len(lines) == len(before) and all(map(_same, lines, before))
            if not same or self._size != self._console.size:
                self._console.print(Control())

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Put what is printed above the lines."""
        with self._lock:
            news = [each for each in renderables if not isinstance(each, Control)]
            size, before, after = self._console.size, self._painted, self._lines
            resized, self._size, self._painted = size != self._size, size, after
            if news or resized:
                return [_Codes(_to_top(before, size.width, size.height) + _ERASE_BELOW), *news, _Block(after)]
            return [_Codes(_to_top(before, size.width, size.height)), _Block(after, before)]


class _Codes:
    """Codes that move the cursor, and nothing to be seen."""

    def __init__(self, codes: str) -> None:
        self._codes = codes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield _code(self._codes)


class _Block:
    """Lines, over those that are there already."""

    def __init__(self, lines: Sequence[Text], before: Sequence[Text] = ()) -> None:
        self._lines, self._before = lines, before

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            if number >= len(self._before) or not _same(line, self._before[number]):
                yield from Text().append_text(line).render(console)  # else its own style would be left out
                yield _code(_ERASE_REST)
        if len(self._before) > len(self._lines):
            yield _code(f"\n{_ERASE_BELOW}\x1b[A" if self._lines else f"\r{_ERASE_BELOW}")


def _same(one: Text, other: Text) -> bool:
    """Texts are equal for rich whatever their own style is."""
    return one == other and one.style == other.style


def _code(codes: str) -> Segment:
    return Segment(codes, None, [(ControlType.CARRIAGE_RETURN,)])


def _to_top(lines: Sequence[Text], width: int, height: int) -> str:
    """To the first of these lines, from the last; where the terminal was made narrower they are folded."""
    rows = sum(max(-(-cell_len(line.plain) // max(width, 1)), 1) for line in lines)
    up = min(rows - 1, height - 1)
    return f"\x1b[{up}A\r" if up > 0 else "\r"
