"""What master and worker say to each other: one frozen value a call, one a reply.

Every call is idempotent: delivered twice, it changes nothing more.
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

from loadgen.loader import Bundle
from loadgen.plan import Chunk
from loadgen.sample import Result, Sample

PROTOCOL = 1
"""Changes whenever a message changes its meaning."""


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A worker introduces itself; again after a reconnect, with the same session."""

    session: str
    """Random, the worker's own."""
    name: str
    """Host and process id."""
    host: str
    slots: int
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
    correlate: bool
    """Whether calls carry X-Loadgen-Run, -Item and -Attempt."""


class LeaseRequest(msgspec.Struct, frozen=True, tag=True):
    """A worker wants work."""

    session: str
    want: int
    """Items it would like: what it gets through in about a second."""
    lanes: int
    """Items it could have in flight at the same time."""


class Lease(msgspec.Struct, frozen=True, tag=True):
    """A right to a chunk, kept alive by beats."""

    id: int
    chunk: Chunk
    attempts: dict[int, int]
    """The attempt to make of an item; 1 where it is not named."""
    rows: tuple[msgspec.Raw, ...] = ()
    """The data rows, in the chunk's order; empty when items are counted."""


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Nothing to hand out just now; ask again."""

    seconds: float


class Drained(msgspec.Struct, frozen=True, tag=True):
    """Nothing will ever be handed out again."""

    reason: str


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What came of a lease so far."""

    lease: int
    step: int
    results: tuple[Result, ...]
    samples: tuple[Sample, ...]


class Report(msgspec.Struct, frozen=True, tag=True):
    """Results, kept by the worker until the receipt is there."""

    session: str
    seq: int
    """Counts the session's reports from 1; a number seen before is acknowledged and ignored."""
    batches: tuple[Batch, ...]
    cpu_s: float = 0.0
    """CPU time of the worker's processes so far, in seconds."""
    in_flight: int = 0
    """Items being executed."""


class Beat(msgspec.Struct, frozen=True, tag=True):
    """A worker is alive and still holds these leases."""

    session: str
    leases: tuple[int, ...]
    cpu_s: float
    """CPU time of its processes so far, in seconds."""
    in_flight: int
    """Items being executed."""


class Release(msgspec.Struct, frozen=True, tag=True):
    """A worker gives a lease back; what it did not report was never started."""

    session: str
    lease: int


class Bye(msgspec.Struct, frozen=True, tag=True):
    """A worker leaves; it holds nothing any more."""

    session: str
    reason: str


class Receipt(msgspec.Struct, frozen=True, tag=True):
    """What was said is in the ledger."""

    dropped: tuple[int, ...] = ()
    """Leases that the worker named and no longer has: it must not start what is left of them."""


Request: TypeAlias = Hello | LeaseRequest | Report | Beat | Release | Bye
Reply: TypeAlias = Welcome | Lease | Wait | Drained | Receipt


class Queue(Protocol):
    """What a worker sees of the queue, wherever the queue is."""

    def hello(self, message: Hello) -> Welcome:
        """Join, or join again.  Raises Refused."""
        ...

    def lease(self, message: LeaseRequest) -> Lease | Wait | Drained:
        """Get a chunk."""
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
