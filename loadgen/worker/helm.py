"""How a worker keeps to what it was told: items in flight, items a second.

The limit in flight is the pool's to keep, since only its processes know what is under way; the rate is kept
here, where items are given to the pool.
"""

from __future__ import annotations

import random
import threading

from loadgen.clock import Clock
from loadgen.execution.pool import Pool
from loadgen.steering import Orders

BURST_S = 0.05
"""How much of a rate may come at once, in seconds of it; but always one item."""


class Bucket:
    """A token bucket: so many items a second, evenly.  Time is handed in."""

    def __init__(self, rate: float, now_us: int, level: float = 0.0) -> None:
        """`rate`: items a second; `level`: how many may start now, below 1."""
        self._rate = rate
        self._level = level
        self._at_us = now_us

    def room(self, now_us: int) -> int:
        """How many items may start now."""
        self._fill(now_us)
        return int(self._level)

    def take(self, items: int) -> None:
        """So many were started."""
        self._level -= items

    def turn(self, rate: float, now_us: int) -> None:
        """From now on at another rate."""
        self._fill(now_us)
        self._rate = rate

    def _fill(self, now_us: int) -> None:
        gained = (now_us - self._at_us) * self._rate / 1_000_000
        self._level = min(self._level + gained, max(1.0, self._rate * BURST_S))
        self._at_us = now_us


class Helm:
    """What the worker was told last, and whether all of its processes keep to it.  Thread-safe."""

    def __init__(self, pool: Pool, processes: int, clock: Clock) -> None:
        self._pool = pool
        self._processes = processes
        self._clock = clock
        self._lock = threading.Lock()
        self._told = Orders()
        self._obeys = 0
        self._limit = 0
        """The serial of the last limit that the pool was told."""
        self._bucket: Bucket | None = None
        self._news = False

    def hear(self, orders: Orders | None) -> None:
        """Keep to these from now on; answers overtake each other, so earlier ones are let be."""
        with self._lock:
            if orders is None or orders.serial <= self._told.serial:
                return
            before, self._told, self._news = self._told, orders, True
            if (orders.slots, orders.width) != (before.slots, before.width):
                self._limit = orders.serial
                self._pool.limit(orders.serial, self._most)
            self._turn(orders.rate)

    @property
    def obeys(self) -> int:
        """The serial of the orders that are kept."""
        with self._lock:
            if self._pool.kept >= self._limit:
                self._obeys = self._told.serial
            return self._obeys

    @property
    def settling(self) -> bool:
        """It does not keep yet to what it was told: the master would mark nothing for it."""
        return self.obeys != self._told.serial

    @property
    def resting(self) -> bool:
        """It is to hold nothing."""
        return self._told.slots == 0

    @property
    def width(self) -> int | None:
        """Slots that each process is to have; None: as many as it likes."""
        return self._told.width

    def news(self) -> bool:
        """Whether it was told something since this was asked last."""
        with self._lock:
            news, self._news = self._news, False
            return news

    def slots(self, own: int) -> int:
        """How many items may be in flight, of as many as there are slots."""
        return own if self._told.slots is None else min(own, self._told.slots)

    def room(self, room: int) -> int:
        """How many items may be started now, of as many as there is room for."""
        with self._lock:
            return room if self._bucket is None else min(room, self._bucket.room(self._clock.monotonic_us()))

    def started(self, items: int) -> None:
        """So many items were started."""
        with self._lock:
            if self._bucket is not None:
                self._bucket.take(items)

    @property
    def _most(self) -> int | None:
        """Both are upper limits: a width that shrinks is kept to strictly."""
        told = self._told
        caps = [told.slots, None if told.width is None else told.width * self._processes]
        return min((cap for cap in caps if cap is not None), default=None)

    def _turn(self, rate: float | None) -> None:
        now_us = self._clock.monotonic_us()
        if rate is None:
            self._bucket = None
        elif self._bucket is None:  # workers that were told together must not start in step
            self._bucket = Bucket(rate, now_us, random.random())  # noqa: S311 - nothing secret
        else:
            self._bucket.turn(rate, now_us)
