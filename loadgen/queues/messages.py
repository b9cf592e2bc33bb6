"""What master and worker say to each other: one frozen value a call, one a reply.

Every call is idempotent: delivered twice, it changes nothing more.
"""

from __future__ import annotations

from typing import Annotated, Protocol, TypeAlias

import msgspec

from loadgen.columns import Harvest
from loadgen.lag import NO_LAG, Lag
from loadgen.loader import Bundle
from loadgen.pace.thinking import Think
from loadgen.plan import Chunk
from loadgen.sample import Count, Seconds
from loadgen.scenario import Connections
from loadgen.steering import Orders

PROTOCOL = 1
"""Changes whenever a message changes its meaning."""


Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Of a worker: people see it on their terminals."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker introduces itself; again after a reconnect, with the same session."""

    session: Name
    """Random, the worker's own."""
    name: Name
    """Host and process id."""
    host: Name
    slots: Count
    """Processes times threads."""
    protocol: int
    version: str
    """Of loadgen."""


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """All that a worker must know of the run."""

    run: str
    """The run's id."""
    scenario: str
    """The scenario's name."""
    steps: tuple[str, ...]
    """Names of the steps, by index."""
    target: str
    """Base URL."""
    options: bytes
    """MessagePack, secrets included: never written to disk."""
    digest: str
    """Of the bundle."""
    bundle: Bundle
    """The scenario's code."""
    ttl_s: float
    """How long a lease lives without a beat, in seconds."""
    concurrency: Count
    """Items in flight a process, for workers that were not told."""
    most: Count
    """More than `concurrency`: they may find out by trying how many pay, up to these."""
    connections: Connections
    """Whether calls share connections."""
    correlate: bool
    """Whether calls carry X-Loadgen-Run, -Item and -Attempt."""
    top_up: bool = False
    """Whether each item is looked for first, and only what is missing is done."""
    max_lag_us: Count | None = None
    """In an open model: how long an item waits for a slot before it is dropped; None: a closed model."""
    thinks: dict[int, Think] = {}
    """By step: how long a slot waits after an item; those without have none."""
    seed: int = 0
    """Of think times that are at random."""
    mix: dict[int, float] = {}
    """By step: its weight among those that run at the same time."""
    tight: bool = False
    """Threads work beside the engine of described steps: a process is given no more than it has slots."""
    ramped: bool = False
    """Whether receipts say how many items may be in flight; until one has, none may."""


class LeaseRequest(msgspec.Struct, frozen=True, tag=True):
    """A worker wants work."""

    session: str
    want: Count
    """Items it would like: what it gets through in about a second."""
    lanes: Count
    """Items it could have in flight at the same time."""
    obeys: Count = 0
    """The orders that it keeps to; who was told others gets nothing before it does."""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Items of a lease that are about to be sent: positions in the chunk's order."""

    lease: Count
    start: Count
    stop: Count


class Arm(msgspec.Struct, frozen=True, tag=True):
    """A worker will send nothing that it has not marked before, and heard so."""

    session: str
    marks: tuple[Mark, ...]
    obeys: Count = 0
    """The orders that it keeps to; who was told others is answered with them, and nothing is marked."""


class Armed(msgspec.Struct, frozen=True, tag=True):
    """The marks are in the ledger; or, where there are orders, nothing was marked."""

    dropped: tuple[int, ...] = ()
    """Leases that the worker has no more: nothing of them was marked, nothing may be sent."""
    skip: tuple[tuple[int, int], ...] = ()
    """(lease, item): settled meanwhile, not to be sent."""
    orders: Orders | None = None
    """What to keep to first, before asking again."""


class Lease(msgspec.Struct, frozen=True, tag=True):
    """A right to a chunk, kept alive by beats."""

    id: int
    chunk: Chunk
    attempts: dict[int, int]
    """The attempt to make of an item; 1 where it is not named."""
    rows: tuple[msgspec.Raw, ...] = ()
    """The data rows, in the chunk's order; empty when items are counted."""
    verifying: bool = False
    """The items are not to be done, but to be looked for on the target."""
    due_us: bytes = b""
    """In an open model: a column of when each is meant to start, by the master's clock."""


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Nothing to hand out just now; ask again."""

    seconds: float
    orders: Orders | None = None
    """What to keep to first."""


class Drained(msgspec.Struct, frozen=True, tag=True):
    """Nothing will ever be handed out again."""

    reason: str


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What came of a lease since the batch before."""

    seq: Count
    """Counts the session's batches from 1; one that was seen before is acknowledged and ignored."""
    lease: Count
    step: Count
    harvest: Harvest


class Report(msgspec.Struct, frozen=True, tag=True):
    """Results, kept by the worker until the receipt is there."""

    session: str
    batches: tuple[Batch, ...]
    cpu_s: Seconds = 0.0
    """CPU time of the worker's processes so far, in seconds."""
    in_flight: Count = 0
    """Items being executed."""
    lag: Lag = NO_LAG
    """What the probe of its slowest process has read so far."""
    obeys: Count = 0
    """The orders that all of its processes keep to."""


class Beat(msgspec.Struct, frozen=True, tag=True):
    """A worker is alive and still holds these leases."""

    session: str
    leases: tuple[Count, ...]
    cpu_s: Seconds
    """CPU time of its processes so far, in seconds."""
    in_flight: Count
    """Items being executed."""
    lag: Lag = NO_LAG
    """What the probe of its slowest process has read so far."""
    obeys: Count = 0
    """The orders that all of its processes keep to."""
    clock_error_us: Count | None = None
    """In an open model: how well it knows the master's clock, at worst."""


class Release(msgspec.Struct, frozen=True, tag=True):
    """A worker gives a lease back."""

    session: str
    lease: Count
    unstarted: tuple[Count, ...] = ()
    """Items that were marked and not started after all; others without a result may have been sent."""


class Bye(msgspec.Struct, frozen=True, tag=True):
    """A worker leaves; it holds nothing any more."""

    session: str
    reason: str


class Receipt(msgspec.Struct, frozen=True, tag=True):
    """What was said is in the ledger."""

    dropped: tuple[int, ...] = ()
    """Leases that the worker named and no longer has: it must not start what is left of them."""
    orders: Orders = Orders()
    """What to keep to from now on."""
    at_us: Count = 0
    """When it was said: the master's clock, for those who have to start something at a time of his."""


Request: TypeAlias = Hello | LeaseRequest | Arm | Report | Beat | Release | Bye
Reply: TypeAlias = Welcome | Lease | Wait | Drained | Armed | Receipt


class Queue(Protocol):
    """What a worker sees of the queue, wherever the queue is."""

    def hello(self, message: Hello) -> Welcome:
        """Join, or join again.  Raises Refused."""
        ...

    def lease(self, message: LeaseRequest) -> Lease | Wait | Drained:
        """Get a chunk."""
        ...

    def arm(self, message: Arm) -> Armed:
        """Mark items as about to be sent; they are marked on disk when this returns."""
        ...

    def report(self, message: Report) -> Receipt:
        """Hand results over; they are on disk when this returns."""
        ...

    def beat(self, message: Beat) -> Receipt:
        """Keep leases alive."""
        ...

    def release(self, message: Release) -> Receipt:
        """Give a lease back."""
        ...

    def bye(self, message: Bye) -> Receipt:
        """Leave."""
        ...
