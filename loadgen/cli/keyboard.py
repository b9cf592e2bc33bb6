"""The keyboard of the terminal that a command was started on, key by key.  POSIX only.

Keys come at once and are not shown (cbreak); Ctrl-C and Ctrl-Z stay signals.  The terminal's own settings
are put back whenever it is somebody else's turn: at the end, on Ctrl-Z, and by `release`, which may be
called at any moment.  In the background nothing is read and nothing is set: a process that tried would be
stopped by the kernel, and it is the shell that has the keyboard then.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

LOOK_S = 0.5
"""How often it is looked whether the terminal is ours again."""
_MOST = 256
"""Bytes that are read at once."""


def is_there() -> bool:
    """Whether somebody could type something."""
    try:
        import termios  # noqa: F401 - does the platform have it
    except ImportError:
        return False
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def in_foreground(descriptor: int) -> bool:
    """Whether the terminal there is ours now; also where it is nobody's."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except (OSError, AttributeError):
        return True


class Keyboard:
    """Reads in a thread of its own, between enter and exit."""

    def __init__(self, on_keys: Callable[[str], None]) -> None:
        """`on_keys` gets what was typed at once, in that thread."""
        self._on_keys = on_keys
        self._descriptor = sys.stdin.fileno()
        self._lock = threading.RLock()
        self._saved: list[Any] | None = None
        """The terminal's own settings, while ours hold."""
        self._released = False
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._listen, name="keyboard", daemon=True)

    def __enter__(self) -> Self:
        self._take()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        os.close(self._woken)  # wakes the thread
        self._thread.join()
        os.close(self._wake)

    def release(self) -> None:
        """Put the terminal's own settings back, and leave them."""
        import termios

        with self._lock, _undisturbed():
            self._released = True
            saved, self._saved = self._saved, None
            if saved is not None and in_foreground(self._descriptor):
                with contextlib.suppress(OSError, termios.error):  # it is gone
                    termios.tcsetattr(self._descriptor, termios.TCSANOW, saved)

    def take_again(self) -> None:
        """Go on after a `release`."""
        with self._lock:
            self._released = False
        self._take()

    def _take(self) -> bool:
        """Have the terminal give us keys, where it is ours; False: it is not."""
        import termios

        with self._lock, _undisturbed():
            if self._released:
                return False
            if not in_foreground(self._descriptor):
                self._saved = None  # whoever has it now knows how it should be
                return False
            if self._saved is None:
                try:
                    settings = termios.tcgetattr(self._descriptor)
                    self._saved = termios.tcgetattr(self._descriptor)
                    settings[3] &= ~(termios.ICANON | termios.ECHO)
                    settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
                    termios.tcsetattr(self._descriptor, termios.TCSANOW, settings)
                except (OSError, termios.error):
                    return False
            return True

    def _listen(self) -> None:
        with _undisturbed():
            while True:
                watched = [self._wake, *([self._descriptor] if self._take() else [])]
                ready, _, _ = select.select(watched, [], [], LOOK_S)
                if self._wake in ready:
                    return
                if not ready or not self._take():
                    continue
                try:
                    data = os.read(self._descriptor, _MOST)
                except OSError:  # it became somebody else's in between
                    continue
                if not data:  # closed
                    return
                self._on_keys(data.decode(errors="replace"))


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A terminal that is not ours any more must refuse us, not stop us.  For this thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTIN, signal.SIGTTOU})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
