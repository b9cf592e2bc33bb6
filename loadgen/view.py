"""The queue at one moment: what the master decides by, and what the screen shows."""

from __future__ import annotations

from dataclasses import dataclass

from loadgen.lag import NO_LAG, Lag
from loadgen.record import ItemCounts


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker, for people."""

    name: str
    slots: int
    items: int
    calls: int
    in_flight: int
    cpu: float
    """Share of one core, since it joined."""
    here: bool
    lost: bool
    number: int = 0
    """In this run, from 1."""
    lag: Lag = NO_LAG
    """What the probe of its slowest process has read so far."""


@dataclass(frozen=True, slots=True)
class QueueView:
    """The queue at one moment, for people and for the master's decisions."""

    counts: ItemCounts
    """Of the step that is open."""
    settled: bool
    """Every item of it has its outcome, and no late result may still end a doubt."""
    leased: int
    """Items that are out."""
    first_lease_us: int | None
    """When the run's first chunk was handed out: wall clock, microseconds since 1970."""
    last_lease_us: int | None
    """When the last chunk so far was handed out."""
    workers: tuple[WorkerView, ...]
    begun_us: int | None = None
    """When the run's first item was started, or was meant to be."""
    paused: str = ""
    """By whom the run was paused; empty: it is not."""
    late: int = 0
    """Workers that do not yet keep to what the run was told last."""
