"""Hands each message to all who watch.  Nobody can hold up the run, or the others.

A watcher has a seat with room for a few messages; who does not take them away in time loses the seat.
Who only has the page open in the background gets one now and then, and the last one.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

ROOM = 8
"""Messages, one a second, that may wait for one watcher."""
SEATS = 64
"""More watchers at the same time are turned away."""
IDLE = 30
"""Who does not look gets one message out of so many: enough for the title of a tab."""


class Seat:
    """A watcher's.  Belongs to an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, every: int = 1) -> None:
        """`every`: one message out of so many is for it."""
        import asyncio  # here: whoever gets a seat has a loop, and a run that nobody watches needs none

        self.loop = loop
        self.every = every
        self.is_over = False
        self._messages: deque[bytes] = deque()
        self._woken = asyncio.Event()

    def offer(self, message: bytes) -> None:
        """Put a message there, or end it when too many lie there already."""
        if len(self._messages) >= ROOM:
            self._messages.clear()
            self.is_over = True
        else:
            self._messages.append(message)
        self._woken.set()

    def end(self) -> None:
        """There will be no more."""
        self.is_over = True
        self._woken.set()

    async def take(self) -> bytes:
        """All messages that lie there; waits for one; nothing when it is over."""
        await self._woken.wait()
        messages = b"".join(self._messages)
        self._messages.clear()
        if not self.is_over:
            self._woken.clear()
        return messages


class Hub:
    """All seats.  Thread-safe."""

    def __init__(self) -> None:
        self._seats: set[Seat] = set()
        self._ticks = 0
        self._for_all = False
        self._lock = threading.Lock()
        self._closed = False

    def tick(self, *, for_all: bool = False) -> bool:
        """It is time for the next message: whether anybody is to get it."""
        with self._lock:
            self._ticks, self._for_all = self._ticks + 1, for_all
            return bool(self._due())

    def join(self, every: int = 1) -> Seat | None:
        """A seat on the running loop; None: all are taken, or it is over."""
        import asyncio

        seat = Seat(asyncio.get_running_loop(), every)
        with self._lock:
            if self._closed or len(self._seats) >= SEATS:
                return None
            self._seats.add(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """Give a seat back."""
        with self._lock:
            self._seats.discard(seat)

    def publish(self, message: bytes) -> None:
        """Hand it to all who are to get one, those too who joined since the tick."""
        with self._lock:
            for seat in self._due():
                seat.loop.call_soon_threadsafe(seat.offer, message)

    def close(self) -> None:
        """End all seats, when what lies there has been taken."""
        with self._lock:
            self._closed = True
            for seat in self._seats:
                seat.loop.call_soon_threadsafe(seat.end)

    def _due(self) -> list[Seat]:
        return [seat for seat in self._seats if self._for_all or self._ticks % seat.every == 0]
