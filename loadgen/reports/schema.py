"""The contract of `summary.json`, schema 1: names, nesting and order below are those of the file.

It may grow; it never changes its meaning.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from loadgen.record import ItemCounts
from loadgen.reports.metrics import Stats

SCHEMA = 1

Judgement: TypeAlias = Literal["ok", "suspect", "invalid"]
"""Of times: the generator's own slowness does not show in them, may show, or spoils them; see `truth`."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether the run did what it promised."""

    ok: bool
    exit_code: int
    reasons: tuple[str, ...] = ()
    """Short sentences for people; empty when all is well."""
    resumable: bool = False
    """Whether it stopped early, so that a resume goes on with it."""
    running: bool = False
    """Whether it still goes on; `exit_code` is 4 meanwhile, since it is not complete."""


class WarmUpSummary(msgspec.Struct, frozen=True):
    """What was done first, and is in no time and no rate here; in the numbers it is."""

    spec: str
    """A time or a number of items, as it was written."""
    items: int
    """That are left out: of the attempts that settled their items, those that belong to it."""
    calls: int
    until: str | None
    """When it was over; None: it was so many items, or it did not begin."""
    text: str
    """All that, for people."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Which run it was.  Durations are None for what was not reached."""

    id: str
    scenario: str
    title: str
    digest: str
    target: str
    options: dict[str, Any]
    started_at: str
    """ISO 8601, UTC, milliseconds; so are all points in time here."""
    ended_at: str | None
    wait_s: float | None
    """From the start until the first chunk was handed out."""
    active_s: float | None
    """From there until the last was handed out."""
    drain_s: float | None
    """From there until the last result was in."""
    verify_s: float | None
    """From there until verification was over."""
    seed: int | None
    undoable: bool
    """Whether the scenario has a teardown for `loadgen clean`."""
    versions: dict[str, str]
    duration_s: float | None = None
    """How long it was to go on, whatever number of items that is; None: it has a fixed number of them."""
    ramp: str | None = None
    """Items in flight over time, as the user said it."""
    think_time: str | None = None
    """The same: how long slots wait after an item, where all steps have it from the command line."""
    mix: dict[str, float] | None = None
    """Steps that ran side by side, with their weights."""
    warm_up: WarmUpSummary | None = None
    load: str = ""
    """What was asked for, in one line for people: open or closed, rate, slots, limits, course."""


class Items(msgspec.Struct, frozen=True):
    """How items ended; planned is the sum of the rest."""

    planned: int
    done: int
    failed: int
    unknown: int
    dropped: int
    cancelled: int
    pending: int
    """Left for a resume."""

    @classmethod
    def of(cls, counts: ItemCounts) -> Items:
        """The counts, with what is pending spelled out."""
        names = ("planned", "done", "failed", "unknown", "dropped", "cancelled", "pending")
        return cls(*(getattr(counts, name) for name in names))


class Tries(msgspec.Struct, frozen=True):
    """How often items were tried; see `Attempts`."""

    total: int
    retries: int
    duplicate_executions: int
    in_doubt_resolved: int
    found: int


class StepSummary(msgspec.Struct, frozen=True):
    """One step."""

    name: str
    items: Items
    rate_per_s: float | None
    """Settled items a second, from the first one's start to the last one's end; pauses are left out."""
    item_time: Stats
    """How long the step's function ran, in the attempts that settled their items."""
    response_time: Stats | None = None
    """From when an item was meant to start until its end; None in a closed model."""
    start_lag: Stats | None = None
    """From when an item was meant to start until it was started."""
    target_rate_per_s: float | None = None
    """Items a second that were meant to start, from the first to the last that was due."""

    @property
    def times(self) -> Stats:
        """What its items are judged by: response times in an open model, else item times."""
        return self.response_time or self.item_time


class CallSummary(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of one label."""

    name: str
    count: int
    errors: int
    rate_per_s: float | None
    """From the first one's start to the last one's end; pauses are left out."""
    service_time: Stats
    response_time: Stats | None = None
    """From when a call was meant to start; None in a closed model, which has no such moment."""
    start_lag: Stats | None = None
    time_to_first_byte: Stats
    """Of the calls that got an answer."""
    connect_time: Stats
    """Of the calls that opened a connection: until it stood."""
    dns_time: Stats
    """The same: until the name was resolved."""
    tls_time: Stats
    """The same: from there until the TLS handshake was over."""
    bytes_in: int
    bytes_out: int
    statuses: dict[str, int]
    """By HTTP status; "0" when no answer came."""

    @property
    def times(self) -> Stats:
        """What they are judged by: response times in an open model, else service times."""
        return self.response_time or self.service_time


class VerificationSummary(msgspec.Struct, frozen=True):
    """What the target holds, against what it should hold."""

    expected: int
    found: int
    missing: int
    unexpected: int
    examples: dict[str, list[str]]


class WorkerSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One worker."""

    name: str
    host: str
    items: int
    calls: int
    cpu: float
    """Share of one core while it was here."""
    probe_ms: float | None = None
    """By how much its probe woke late, at p99, in its slowest process; None: too little was seen."""
    lost: bool
    verdict: Judgement | None = None
    """Of the times that it took; None: too little was seen, nothing is claimed."""
    slots: int
    """Items that it had in flight at most, in all its processes."""
    clock_error_ms: float | None = None
    """How well it knew the master's clock, at worst; None: it had no need to."""


class ErrorSummary(msgspec.Struct, frozen=True):
    """Failed attempts, and failed calls outside any item, of one kind."""

    fingerprint: str
    count: int
    first: str
    last: str
    sample: str


class Generator(msgspec.Struct, frozen=True):
    """Whether the generator itself was the bottleneck."""

    verdict: Judgement | None = None
    """That of the worst worker; None: too little was seen of all of them, nothing is claimed."""
    reasons: tuple[str, ...] = ()
    """Sentences for people, with what to do; empty when ok."""


class ThresholdSummary(msgspec.Struct, frozen=True):
    """One gate."""

    expr: str
    """As it was written."""
    value: float | None
    """Of the run, or of its worst window, in the unit of the limit; None: nothing was measured."""
    ok: bool
    unit: str = ""
    """us, ms, s, /s, %; empty for a number."""
    reason: str = ""
    """Why it was crossed, or not judged; for people."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    schema: int = SCHEMA
    run: Run
    verdict: Verdict
    items: Items
    attempts: Tries
    steps: tuple[StepSummary, ...]
    calls: tuple[CallSummary, ...]
    verification: VerificationSummary | None
    workers: tuple[WorkerSummary, ...]
    errors: tuple[ErrorSummary, ...]
    generator: Generator = Generator()
    thresholds: tuple[ThresholdSummary, ...] = ()

    @property
    def paced(self) -> bool:
        """Whether items were meant to start at times of their own: an open model."""
        return any(step.response_time is not None for step in self.steps)

    @property
    def item_time(self) -> str:
        """The name of what items are judged by."""
        return "response time" if self.paced else "item time"

    @property
    def call_time(self) -> str:
        """The name of what calls are judged by."""
        return "response time" if self.paced else "service time"
