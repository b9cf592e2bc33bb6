"""Says what takes so long, where nothing else is on the screen: reports, verification by hand, cleaning.

On a terminal a line counts the seconds, and is gone afterwards.  Without one, what is quick leaves no
trace; what is slow gets a line when that shows, and one when it is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, Self, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadgen.clock import Clock
from loadgen.reports.grid import cut
from loadgen.reports.palette import FAINT, GOOD
from loadgen.reports.words import clean, duration, glyphs

SLOW_S = 3.0
"""From here on a log hears of it."""
REFRESHES_PER_S = 4
_TURN_S = 2.0
"""How long the mark takes once round."""


class Waiting:
    """A context manager around what may take long; `tell` says how far it is."""

    def __init__(self, console: Console, clock: Clock, text: str, *, quiet: bool = False) -> None:
        self._console, self._clock = console, clock
        self._whole = self._text = text
        self._quiet = quiet
        self._since_us = 0
        self._live: Live | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._since_us = self._clock.monotonic_us()
        if self._quiet:
            return self
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=True,
                get_renderable=self._line,
                redirect_stdout=not self._console.stderr,  # what goes elsewhere is not ours
                redirect_stderr=self._console.stderr,
            )
            self._live.start()
            self._console.show_cursor(True)  # whoever interrupts finds it there
        else:
            self._thread = threading.Thread(target=self._log, name="waiting", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """It is over: the line goes."""
        self._over.set()
        if self._live is not None:
            self._live.stop()
        if self._thread is not None:
            self._thread.join()

    def before(self, file: IO[str]) -> IO[str]:
        """The same file; what is written to it ends the wait first."""
        return cast("IO[str]", _Curtain(file, self.end))

    def tell(self, text: str) -> None:
        """What is being done now."""
        self._text = text

    def _line(self) -> Text:
        passed_s = self._passed_s
        marks = glyphs(self._console.encoding)
        mark = marks.turning[int(passed_s / _TURN_S * len(marks.turning)) % len(marks.turning)]
        text = cut(
            clean(self._text, self._console.encoding), max(self._console.width - 20, 10), marks.ellipsis
        )
        return Text.assemble((mark, GOOD), " ", text, (f"  {duration(int(passed_s))}", FAINT))

    def _log(self) -> None:
        """A line when it is slow, and another when it is over."""
        if self._over.wait(SLOW_S):
            return
        self._say(f"{self._text} ...")
        self._over.wait()
        self._say(f"{self._whole}: took {duration(self._passed_s)}")

    def _say(self, text: str) -> None:
        self._console.out(clean(text, self._console.encoding), highlight=False)

    @property
    def _passed_s(self) -> float:
        return (self._clock.monotonic_us() - self._since_us) / 1_000_000


class _Curtain:
    """A file before which something is done, whenever it is written to."""

    def __init__(self, file: IO[str], lift: Callable[[], None]) -> None:
        self._file, self._lift = file, lift

    def write(self, text: str) -> int:
        """Lift it, and write."""
        self._lift()
        return self._file.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
