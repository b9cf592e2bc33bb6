"""The fence in a pool process: nothing starts, and no call is made, when its lease may be over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from loadgen.clock import Clock


class Gate:
    """Opens for a thread that may start an item, or make the next call of one: not after the fence."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._until_us = 0
        self._cancelled: set[int] = set()
        self._lost: set[int] = set()
        self._closing = False

    def close(self) -> None:
        """Do not wait any more: what may not start now never will."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def fence(self, until_us: int) -> None:
        """Nothing may start after this time."""
        with self._changed:
            self._until_us = max(self._until_us, until_us)
            self._changed.notify_all()

    def cancel(self, leases: Iterable[int]) -> None:
        """Nothing of these leases may start."""
        with self._changed:
            self._cancelled.update(leases)
            self._changed.notify_all()

    def drop(self, leases: Iterable[int]) -> None:
        """These leases are lost: nothing of them may start or go on."""
        with self._changed:
            self._lost.update(leases)
            self._cancelled.update(self._lost)
            self._changed.notify_all()

    def may_start(self, lease: int) -> bool | None:
        """Whether an item of the lease may be started; None: nobody knows yet."""
        if lease in self._cancelled:
            return False
        return True if self._clock.monotonic_us() < self._until_us else self._fenced()

    def may_go_on(self, lease: int) -> bool | None:
        """Whether an item of the lease that was started may make its next call; None: nobody knows yet."""
        if lease in self._lost:
            return False
        return True if self._clock.monotonic_us() < self._until_us else self._fenced()

    def await_start(self, lease: int) -> bool:
        """Wait until it is known whether an item of the lease may be started."""
        opens = self.may_start(lease)
        return self._await(lambda: self.may_start(lease)) if opens is None else opens

    def await_call(self, lease: int) -> bool:
        """Wait until it is known whether an item of the lease that was started may make its next call."""
        opens = self.may_go_on(lease)
        return self._await(lambda: self.may_go_on(lease)) if opens is None else opens

    def _await(self, opens: Callable[[], bool | None]) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: opens() is not None)
            return bool(opens())

    def _fenced(self) -> bool | None:
        return False if self._closing else None
