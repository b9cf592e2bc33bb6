"""What the lease machine goes by, and what it decides: values, for the queue and for the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field

from loadgen.plan import Chunk, Delivery
from loadgen.record import Fate, OpenItem


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all items of a step."""

    step: int
    delivery: Delivery
    ttl_us: int
    """How long a lease lives without a beat."""
    quarantine_us: int
    """The longest that a request can live: so long after an expiry it may still reach the target."""
    keyed: bool = False
    retry_budget: float = 0.0
    """Retries may be at most this share of all attempts so far."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker asks for."""

    session: str
    """Whose."""
    size: int
    """Items, at most."""
    lanes: int
    """Keys, at most: so many items of it could be in flight at the same time."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A chunk is handed out."""

    lease: int
    chunk: Chunk
    attempts: dict[int, int]
    """The attempt to make (or to verify), where it is not the first."""
    verifying: bool = False
    """The items are not to be done but to be looked for."""


@dataclass(slots=True)
class Decisions:
    """What an event led to: for the ledger, and for people."""

    fates: list[Fate] = field(default_factory=list)
    opened: list[OpenItem] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    """Leases that are over."""
    counted: set[tuple[int, int]] = field(default_factory=set)
    """(item, attempt) of results that settle their item."""
    resolved: set[int] = field(default_factory=set)
    """Items of which a late result ended the doubt."""
    conflicts: set[int] = field(default_factory=set)
    """Items with two different results for one attempt."""
    losses: list[Loss] = field(default_factory=list)
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    """(lease, start, stop) that run backwards: what a new master could not tell from the rest."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A lease was not renewed in time."""

    lease: int
    session: str
    unsent: int
    """Items that were provably never sent."""
    armed: int
    """Items that may have been sent."""
