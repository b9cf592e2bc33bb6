"""The valve in a pool process: so many items in flight, and not one more.

Threads come and go by themselves, and a described step has one for thousands of items, so what is limited
is counted where an item starts and where it ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Valve:
    """Counts the items in flight.  Thread-safe."""

    def __init__(self, on_kept: Callable[[int], object]) -> None:
        """`on_kept` is called with the serial of a limit as soon as no more are in flight than it allows."""
        self._on_kept = on_kept
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        """The same lock: whoever does not wait takes it itself, which is four times as fast."""
        self._most: int | None = None
        self._inside = 0
        self._serial = self._kept = 0

    def limit(self, serial: int, most: int | None) -> None:
        """Let no more than so many in from now on; None: any number."""
        with self._changed:
            self._serial, self._most = serial, most
            self._changed.notify_all()
            self._tell()

    def enter(self) -> bool | None:
        """An item is to start: True, it is in; None: not now; False: none will, it must go back."""
        with self._lock:
            if self._most is not None and self._inside >= self._most:
                return None if self._most else False
            self._inside += 1
            return True

    def await_entry(self, wait_s: float | None = None) -> bool | None:
        """The same, with so much patience, in seconds; `wait_s` None: with any."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: self._most is None or self._inside < self._most or not self._most, wait_s
            ):
                return None
            if self._most == 0:
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """An item that was let in has ended, or is not to start after all."""
        with self._lock:
            self._inside -= 1
            if self._most is not None:
                self._changed.notify()
                self._tell()

    def _tell(self) -> None:
        if self._kept != self._serial and (self._most is None or self._inside <= self._most):
            self._kept = self._serial
            self._on_kept(self._serial)
