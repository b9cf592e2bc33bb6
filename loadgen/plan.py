"""What a run will do, as pure data: steps, item counts, chunks.

A step of N items has the items 0..N-1.  A chunk is what one lease hands out: consecutive items of a
step without keys, which may run at the same time; or, for a step with keys, a few *lanes*: each lane
is a run of items that share a key, to be run one after the other, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Literal, TypeAlias

import msgspec

from loadgen.pace.pacing import Pace
from loadgen.pace.thinking import Think

ENDLESS = -1
"""The number of items of a step that has none."""
Delivery: TypeAlias = Literal["at_most_once", "at_least_once", "verify"]
"""What happens to an item whose outcome is unknown."""


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step of a run."""

    index: int
    """Position among the run's steps, from 0."""
    name: str
    """The name of the step's function."""
    items: int
    """How many items there are; ENDLESS: as many as its time allows."""
    delivery: Delivery = "at_most_once"
    """What happens to an item whose outcome is unknown."""
    retry_budget: float = 0.0
    """Retries may be at most this share of all attempts so far."""
    chunk: int | None = None
    """Items a chunk; None: decided while it runs, by `chunk_size`."""
    pace: Pace | None = None
    """When its items are meant to start (open model); None: as soon as a slot is free (closed model)."""
    weight: float | None = None
    """Its share, beside the other steps that have one and run at the same time; None: it runs by itself."""
    think: Think | None = None
    """How long a slot waits after each of its items; None: not at all."""

    @property
    def endless(self) -> bool:
        """Whether it goes on for a time, however many items that is."""
        return self.items == ENDLESS


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do."""

    steps: tuple[StepPlan, ...]
    """In the order in which they run; each is finished before the next starts, but for those mixed."""

    @property
    def items(self) -> int | None:
        """Items of all steps; None: nobody knows before its time is over."""
        return None if any(step.endless for step in self.steps) else sum(step.items for step in self.steps)

    @property
    def phases(self) -> tuple[tuple[StepPlan, ...], ...]:
        """Steps that run at the same time, in the order in which they run.

        Those that are mixed do so where the first of them stands.
        """
        mixed = tuple(step for step in self.steps if step.weight is not None)
        return tuple(
            mixed if step.weight is not None else (step,)
            for step in self.steps
            if step.weight is None or step is mixed[0]
        )


class Chunk(msgspec.Struct, frozen=True, array_like=True):
    """Items handed out together: one job on the queue."""

    step: int
    """Index of the step."""
    start: int = 0
    """First item of a plain chunk."""
    stop: int = 0
    """One past the last item of a plain chunk."""
    lanes: tuple[tuple[int, ...], ...] = ()
    """Items by key, for a step with keys; start and stop are then 0."""
    stride: Annotated[int, msgspec.Meta(gt=0)] = 1
    """From one item of a plain chunk to its next: above 1 where several workers share a stretch of time."""

    def __len__(self) -> int:
        """How many items are in it."""
        return sum(map(len, self.lanes)) if self.lanes else len(self.plain)

    def __iter__(self) -> Iterator[int]:
        """Its items, in the order in which they are handed out."""
        return iter(self.items)

    @property
    def items(self) -> Sequence[int]:
        """The same; a range where they are in no lanes."""
        return tuple(chain.from_iterable(self.lanes)) if self.lanes else self.plain

    @property
    def plain(self) -> range:
        """Those of a plain chunk."""
        return range(self.start, self.stop, self.stride)


LARGEST_CHUNK = 20_000
"""Keeps a lease with rows inside one frame, and what a dead worker gives back small."""


def chunk_size(remaining: int, want: int, workers: int) -> int:
    """Items for the next chunk of a worker that asks for `want` of them.

    Guided self-scheduling (Polychronopoulos and Kuck, 1987): a fixed share of what is left, so that
    chunks are large while there is much to do and the last workers finish together.  `want` is what
    the worker gets through in about a second, so that a lease costs nothing beside its work.

    >>> chunk_size(remaining=10_000, want=200, workers=2)
    200
    >>> chunk_size(remaining=100, want=200, workers=2)
    25
    >>> chunk_size(remaining=1, want=200, workers=8)
    1
    """
    share = -(-remaining // (2 * max(workers, 1)))
    return max(1, min(want, share, LARGEST_CHUNK))
