"""The values of a run's record: what the master notes, the ledger keeps and the reports explain."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from operator import add
from typing import Any, TypeAlias

import msgspec

from loadgen.columns import NO_PLAIN, NO_SAMPLES, Plain, Samples
from loadgen.lag import NO_LAG, Lag
from loadgen.plan import Chunk
from loadgen.sample import Outcome, Result


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run before its first item."""

    id: str
    """Its name, and that of its directory."""
    scenario: str
    """The scenario file's stem."""
    title: str
    """The first line of the scenario's docstring."""
    path: str
    """The scenario file, as the user gave it."""
    digest: str
    """SHA-256 of the scenario's bundle."""
    target: str
    """Base URL of the target; for a sandbox, that of this run's."""
    sandbox: str = ""
    """Name of the sandbox that was started for the run; empty for a target of the user's."""
    options: dict[str, Any]
    """The scenario's options, secrets masked."""
    seed: int | None = None
    """Feeds every random choice of the run; None: there is none."""
    undoable: bool = False
    """Whether the scenario has a teardown."""
    settings: dict[str, Any]
    """Processes, concurrency, chunk, steps: what the command line settled."""
    versions: dict[str, str]
    """Of loadgen, Python, libcurl, the platform."""


class StepFacts(msgspec.Struct, frozen=True):
    """A step of the run, as planned."""

    index: int
    name: str
    items: int
    delivery: str


class Phases(msgspec.Struct, frozen=True, kw_only=True):
    """When the parts of a run began and ended: wall clock, microseconds since 1970; None: not reached.

    A resumed run keeps its first start; the other marks are those of the last session.
    """

    started_us: int
    """The run directory was made."""
    prepared_us: int | None = None
    """Login and setup were done: a resume does not repeat them."""
    first_lease_us: int | None = None
    """The first chunk was handed out."""
    draining_us: int | None = None
    """The last chunk was handed out."""
    settled_us: int | None = None
    """The last result was in."""
    verified_us: int | None = None
    """Verification was over."""
    ended_us: int | None = None
    """The report was written."""
    clean_started_us: int | None = None
    """Somebody began to undo it on its target."""
    cleaned_us: int | None = None
    """That came to its end."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A worker said hello."""

    worker: int
    """Its number in this run, from 1."""
    session: str
    """Its own name for itself, random."""
    name: str
    """Host and process id."""
    host: str
    slots: int
    """Processes times threads."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A chunk was handed out."""

    lease: int
    worker: int
    chunk: Chunk
    verifying: bool
    """The items are to be looked for on the target, not to be done."""


@dataclass(frozen=True, slots=True)
class Armed:
    """Items of a lease are about to be sent: positions in the chunk's order."""

    lease: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A lease is over."""

    lease: int


@dataclass(frozen=True, slots=True)
class OpenItem:
    """What must be remembered of an item without an outcome, beyond that it is open."""

    item: int
    attempt: int
    """The next one to make; for an item in doubt: the one in doubt."""
    lost: int
    """How often it was lost while armed."""
    in_doubt: bool


@dataclass(frozen=True, slots=True)
class Fate:
    """An item was settled without a result."""

    item: int
    outcome: Outcome
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What the lease machine decided about items of a step."""

    step: int
    fates: Sequence[Fate]
    opened: Sequence[OpenItem]


@dataclass(frozen=True, slots=True)
class Reopened:
    """Items with these outcomes are to be done again, as new attempts."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled item, as the ledger knows it."""

    item: int
    outcome: Outcome
    attempt: int
    has_result: bool
    """False: decided without one, so that a late result is still welcome."""


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease that is not over, as the ledger knows it."""

    lease: int
    session: str
    chunk: Chunk
    verifying: bool
    armed: tuple[tuple[int, int], ...]
    """Spans of positions in the chunk's order."""


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier session of the run left of a step."""

    settled: Sequence[Settled] = ()
    opened: Sequence[OpenItem] = ()
    leases: Sequence[LeaseRecord] = ()
    done: Sequence[tuple[int, int]] = ()
    """(start, stop) ranges of items that were done at the first attempt, and are not in `settled`."""

    def each_settled(self) -> Iterator[Settled]:
        """Every item that is settled."""
        yield from self.settled
        for start, stop in self.done:
            yield from (Settled(item, Outcome.DONE, 1, has_result=True) for item in range(start, stop))


@dataclass(frozen=True, slots=True)
class Reported:
    """Results and samples of one step, as one worker reported them."""

    step: int
    worker: int
    results: Sequence[Result] = ()
    """Attempts that ended."""
    samples: Samples = NO_SAMPLES
    """Each call that ended."""
    plain: Plain = NO_PLAIN
    """More attempts that ended, of items that are settled by them."""
    counted: Collection[tuple[int, int]] = frozenset()
    """The (item, attempt) pairs among the results that settle their item; the rest are tries before a
    retry, or executions of an item that was settled already."""
    resolved: Collection[int] = frozenset()
    """Items of which a result here ended the doubt."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A worker's reports up to this number are in the ledger."""

    worker: int
    seq: int


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What a worker said of itself last."""

    worker: int
    cpu_s: float
    """CPU time of its processes so far, in seconds."""
    alive_s: float
    """How long it has been at work, in seconds."""
    lost: bool = False
    """Its lease expired: it was not heard of in time."""
    lag: Lag = NO_LAG
    """What the probe of its slowest process has read."""
    clock_error_us: int | None = None
    """How well it knew the master's clock, at worst; None: it had no need to."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that people want to see on the time line."""

    at_us: int
    """Wall clock, microseconds since 1970."""
    kind: str
    """`worker joined`, `worker left`, `lease expired`, `stopping`, ..."""
    text: str
    """One line."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The verdict of the scenario's verify."""

    expected: int
    found: int
    missing: int
    unexpected: int
    examples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """A few names of what is missing and what is unexpected."""

    @property
    def ok(self) -> bool:
        """Everything is there, and nothing else."""
        return self.expected == self.found and not self.missing and not self.unexpected


@dataclass(frozen=True, slots=True)
class Mark:
    """A phase of the run began or ended."""

    phase: str
    """A field of `Phases`."""
    at_us: int


@dataclass(frozen=True, slots=True)
class SetUp:
    """What the scenario's setup returned."""

    value: bytes
    """JSON."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The master is done with the run, for now or for good."""

    at_us: int
    reason: str
    """Why it stopped early; empty when it did not."""
    exit_code: int = 4


Entry: TypeAlias = (
    Joined
    | Granted
    | Armed
    | LeaseEnded
    | Decided
    | Reopened
    | Reported
    | Acknowledged
    | WorkerLoad
    | Event
    | Mark
    | SetUp
    | Verified
    | Ended
)
"""What the ledger is asked to keep."""


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """A worker, as the ledger knows it."""

    worker: int
    name: str
    host: str
    slots: int
    items: int
    calls: int
    cpu_s: float
    alive_s: float
    lost: bool
    lag: Lag = NO_LAG
    """What the probe of its slowest process has read."""
    clock_error_us: int | None = None
    """How well it knew the master's clock, at worst; None: it had no need to."""


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """How the items of a step, or of a run, ended so far."""

    planned: int = 0
    done: int = 0
    failed: int = 0
    unknown: int = 0
    dropped: int = 0
    cancelled: int = 0

    @property
    def settled(self) -> int:
        """Items with an outcome."""
        return self.done + self.failed + self.unknown + self.dropped + self.cancelled

    @property
    def pending(self) -> int:
        """Items without an outcome yet."""
        return self.planned - self.settled

    def plus(self, other: ItemCounts) -> ItemCounts:
        """The sum, field by field."""
        return ItemCounts(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class Attempts:
    """How often items were tried."""

    total: int = 0
    retries: int = 0
    """Attempts after an item's first."""
    duplicate_executions: int = 0
    """Results for items that were settled already."""
    in_doubt_resolved: int = 0
    """Unknown outcomes that became known later."""
    found: int = 0
    """Items that were there already, and not done."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One try at an item, as the ledger keeps it."""

    step: int
    item: int
    attempt: int
    worker: int
    outcome: Outcome
    start_us: int
    """Since the run's start."""
    duration_us: int
    error: str
    counted: bool
    """Whether it settled its item."""
    found: bool = False
    """The item was there already."""
    lag_us: int = 0
    """How long after its intended start it was started, in an open model."""


@dataclass(frozen=True, slots=True)
class CallTable:
    """Calls that were reported together, as the ledger keeps them."""

    step: int
    worker: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class TryTable:
    """Attempts that were reported together and settled their items, as the ledger keeps them."""

    step: int
    worker: int
    plain: Plain


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What a step returned for an item."""

    step: str
    item: int
    value: Any
