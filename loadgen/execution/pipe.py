"""What a worker and its pool processes say to each other, over a pipe, in MessagePack.

Many tasks and many results a message: nothing crosses the process boundary alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from loadgen.columns import Harvest
from loadgen.lag import NO_LAG, Lag
from loadgen.scenario import Connections


class Setup(msgspec.Struct, frozen=True, tag=True):
    """What a child must know before its first task."""

    scenario: str
    """Path of the scenario file."""
    steps: tuple[str, ...]
    """Names of the run's steps, by index."""
    target: str
    options: bytes
    """MessagePack, secrets included: comes by the pipe, not by the command line."""
    threads: int
    connections: Connections
    """Whether calls share connections."""
    run: str
    """For the X-Loadgen-* headers; empty: none."""
    top_up: bool = False
    """Look for each item first, and do only what is missing."""
    max_lag_us: int | None = None
    """How long an item that is due waits for a slot before it is dropped; None: nothing is ever due."""


class Task(msgspec.Struct, frozen=True, array_like=True):
    """Items of one lease to be done one after the other by one thread."""

    lease: int
    step: int
    start: int
    """Position of the first item in the chunk's order."""
    items: Sequence[int]
    """In the parent a range, when they come from a chunk without keys."""
    attempts: tuple[int, ...] = ()
    """The attempt to make at each; empty when it is the first at all of them."""
    rows: tuple[msgspec.Raw, ...] = ()
    verifying: bool = False
    """The items are to be looked for on the target, not to be done."""
    due_us: tuple[int, ...] = ()
    """When each is meant to start, by the machine's monotonic clock; empty: as soon as a slot is free."""
    until_us: int = 0
    """In the child: how long it waits for a slot before it is dropped; 0: for ever."""


class Tasks(msgspec.Struct, frozen=True, tag=True):
    """More to do."""

    tasks: tuple[Task, ...]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Do not start what is left of these leases; what was started goes on."""

    leases: tuple[int, ...]


class Drop(msgspec.Struct, frozen=True, tag=True):
    """These leases are lost: what was started of them makes no further call."""

    leases: tuple[int, ...]


class Fence(msgspec.Struct, frozen=True, tag=True):
    """Start nothing after this time, until a later one is told: the leases may be over by then."""

    until_us: int
    """Of the machine's monotonic clock, which its processes share."""


class Width(msgspec.Struct, frozen=True, tag=True):
    """From now on do so many items at a time."""

    threads: int


class Limit(msgspec.Struct, frozen=True, tag=True):
    """Have no more items in flight than so many, however wide the process is."""

    serial: int
    """Told back as soon as it is so."""
    most: int | None
    """0: what was not started comes back; None: no limit."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Finish what was started, and exit."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scenario is loaded."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The scenario cannot be loaded."""

    reason: str


class Returned(msgspec.Struct, frozen=True, tag=True):
    """What came of the tasks since the last message."""

    harvests: tuple[tuple[int, int, Harvest], ...]
    """With their lease and step."""
    skipped: tuple[tuple[int, tuple[int, ...]], ...]
    """Lease and items that were cancelled before they were started, or lost with their lease."""
    cpu_s: float
    """CPU time of this process so far."""
    lag: Lag = NO_LAG
    """What its probe has read so far."""
    kept: int = 0
    """The serial of the limit that it keeps to."""


ToChild: TypeAlias = Setup | Tasks | Cancel | Drop | Fence | Width | Limit | Stop
FromChild: TypeAlias = Ready | Broken | Returned
