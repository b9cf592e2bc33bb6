"""What the dashboard says of a run, put into one small message a second, for everybody the same.

Numbers are those of the terminal: from the pulse and the queue's view, as the run's own loop saw them
last; what happened comes from the ledger.  Nothing is put together while nobody watches, but for the
points of the charts.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import msgspec

from loadgen.control import Answer
from loadgen.dashboard.history import History, Point, nothing
from loadgen.record import Event, StepFacts
from loadgen.reports.pulse import Progress, Pulse
from loadgen.reports.schema import CallSummary, Items, StepSummary, Summary, Verdict
from loadgen.reports.watch import Standing
from loadgen.view import QueueView, WorkerView

WORKERS = 200
"""Rows that are shown; who is lost comes first."""
EVENTS = 200
"""The last ones are shown."""
RATE_TICKS = 5
"""A worker's rate is that of so many seconds."""
ERRORS = 5

_Numbered: TypeAlias = tuple[int, int, str, str]
Phase: TypeAlias = Literal[
    "starting", "setup", "running", "paused", "draining", "verifying", "reporting", "done"
]


@dataclass(frozen=True, slots=True)
class About:
    """What does not change."""

    run: str
    scenario: str
    title: str
    target: str
    options: dict[str, Any]
    """Secrets masked."""
    settings: dict[str, Any]
    steps: tuple[StepFacts, ...]
    directory: str


NOBODY = About("", "", "", "", {}, {}, (), "")
"""Before the run begins."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers come from; each may be asked from any thread."""

    pulse: Pulse
    standing: Callable[[], Answer]
    """Whether it is paused, what it is kept to."""
    thresholds: Callable[[], Sequence[Standing]]
    events: Callable[[int], Sequence[Event]]
    """What happened, without the first so many."""


class Worker(msgspec.Struct, frozen=True, array_like=True):
    """A row; there may be many, each second."""

    name: str
    state: Literal["here", "lost", "left"]
    slots: int
    in_flight: int
    items: int
    rate: float
    """Items a second, in the last seconds."""
    calls: int
    cpu: float
    """Share of one core, since it joined."""


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands."""

    phase: Phase
    paused: str = ""
    """By whom."""
    stopping: bool = False
    limits: dict[str, str] = {}
    late: int = 0
    step: str = ""
    number: int = 0
    steps: int = 0
    elapsed_s: float = 0.0
    eta_s: float | None = None
    items: Items = Items(0, 0, 0, 0, 0, 0, 0)
    in_flight: int = 0
    rate_now: float = 0.0
    rate_mean: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    workers: int = 0
    event: str = ""


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it: the summary's most important parts, or the verdict alone."""

    ok: bool
    exit_code: int
    reasons: tuple[str, ...]
    resumable: bool
    summary: dict[str, Any] | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a browser gets."""

    server: str
    """Another one: the page is of a run that is over, and must be loaded again."""
    now: Now
    begin: int
    """Where the charts begin: seconds since 1970."""
    width: int
    """Seconds in a point."""
    points: list[Point]
    """Those that are new, or not what they were."""
    events: list[_Numbered] = []
    """Number, when (microseconds since 1970), kind, text."""
    thresholds: list[Standing] = []
    workers: list[Worker] = []
    more_workers: int = 0
    about: About | None = None
    """With it, the message is all there is: what came before is to be forgotten."""
    end: End | None = None


class Board:
    """Of one run.  Thread-safe."""

    def __init__(self, server: str, now_us: Callable[[], int]) -> None:
        """`server`: random; `now_us`: the clock that the pulse goes by."""
        self._server = server
        self._now_us = now_us
        self._lock = threading.Lock()
        self._about: About | None = None
        self._sources: Sources | None = None
        self._begin = self._next = now_us() // 1_000_000
        """The first second that is not in the history yet."""
        self._history = History(self._begin)
        self._sent = 0
        """The first second of the chart that was not told, or told too early."""
        self._told = 0
        """The last event that was told."""
        self._seen: tuple[int | None, Progress, QueueView] | None = None
        self._phase: Phase = "starting"
        self._now = Now(phase="starting")
        self._events: deque[_Numbered] = deque(maxlen=EVENTS)
        self._known = 0
        self._standings: list[Standing] = []
        self._rows: list[Worker] = []
        self._past: deque[tuple[int, dict[str, int]]] = deque(maxlen=RATE_TICKS + 1)
        self._end: End | None = None
        self._is_new = False

    def open(self, about: About, sources: Sources) -> None:
        """The run begins."""
        with self._lock:
            self._about, self._sources, self._phase = about, sources, "setup"
            self._begin = self._next = self._now_us() // 1_000_000
            self._history = History(self._begin)
            self._sent, self._is_new = 0, True

    def show(self, step: int | None, progress: Progress, view: QueueView) -> None:
        """This is how it stands.  Cheap: the run's loop calls it."""
        self._seen = (step, progress, view)

    @property
    def progress(self) -> Progress | None:
        """How it stood last; None before it begins."""
        return None if self._seen is None else self._seen[1]

    @property
    def is_new(self) -> bool:
        """The next message begins anew: whoever misses it cannot make sense of those that follow."""
        return self._is_new

    def close(self) -> None:
        """The run's parts are about to be taken down: look at them for the last time."""
        with self._lock:
            self._remember(self._now_us() // 1_000_000 + 1)
            self._look()
            self._phase, self._sources = "reporting", None

    def end(self, end: End) -> None:
        """What became of it.  All there is goes with it: who was told now and then has missed the rest."""
        with self._lock:
            self._phase, self._end, self._is_new = "done", end, True
            gone = {"in_flight": 0, "workers": 0, "eta_s": None}
            self._now = msgspec.structs.replace(self._now, **gone)
            self._rows = [
                msgspec.structs.replace(row, state="left" if row.state == "here" else row.state, in_flight=0)
                for row in self._rows
            ]

    def tick(self, *, watched: bool) -> bytes | None:
        """A second has passed: what is new, for all who watch; None when nobody does."""
        with self._lock:
            self._remember(self._now_us() // 1_000_000)
            if not watched:
                return None
            self._look()
            since, self._sent = self._sent, max(self._next - 1 - self._begin, 0)
            told, self._told = self._told, self._known
            if self._is_new:
                self._is_new = False
                return self._whole()
            events = [event for event in self._events if event[0] > told]
            return self._encode(self._history.points(since), events, None)

    def whole(self) -> bytes:
        """All there is, for somebody who has just come."""
        with self._lock:
            self._look()
            return self._whole()

    def _whole(self) -> bytes:
        return self._encode(self._history.points(), list(self._events), self._about or NOBODY)

    def _encode(self, points: list[Point], events: list[_Numbered], about: About | None) -> bytes:
        message = Message(
            server=self._server,
            now=self._now,
            begin=self._begin,
            width=self._history.width,
            points=points,
            events=events,
            thresholds=self._standings,
            workers=self._rows[:WORKERS],
            more_workers=max(len(self._rows) - WORKERS, 0),
            about=about,
            end=self._end,
        )
        return b"data: " + msgspec.json.encode(message) + b"\n\n"

    def _remember(self, until: int) -> None:
        """Take the seconds before this one into the charts."""
        if self._sources is None:
            return
        width = self._history.width
        told = {second.at: second for second in self._sources.pulse.seconds(self._next, until)}
        for at in range(self._next, until):
            self._history.add(told.get(at) or nothing(at))
        self._next = max(until, self._next)
        self._is_new |= self._history.width != width

    def _look(self) -> None:
        """See how it stands."""
        if self._sources is None or self._seen is None:
            self._now = msgspec.structs.replace(self._now, phase=self._phase)
            return
        sources, (step, progress, view) = self._sources, self._seen
        fresh = sources.events(self._known)
        self._events += [(self._known + n, e.at_us, e.kind, e.text) for n, e in enumerate(fresh, 1)]
        self._known += len(fresh)
        self._standings = list(sources.thresholds())
        self._now = _now(step, progress, view, sources.standing())
        self._rows = self._workers(view.workers)

    def _workers(self, views: Sequence[WorkerView]) -> list[Worker]:
        now_us = self._now_us()
        if not self._past or now_us - self._past[-1][0] >= 900_000:  # noqa: PLR2004 - once a tick
            self._past.append((now_us, {view.name: view.items for view in views}))
        then_us, then = self._past[0]
        span_s = max((now_us - then_us) / 1_000_000, 1.0)
        rows = [_worker(view, (view.items - then.get(view.name, 0)) / span_s) for view in views]
        return sorted(rows, key=lambda row: ("lost", "here", "left").index(row.state))


def _now(step: int | None, progress: Progress, view: QueueView, answer: Answer) -> Now:
    return Now(
        phase=_phase(step, progress, view, answer),
        paused=answer.paused,
        stopping=answer.stopping,
        limits=answer.limits,
        late=answer.late,
        step=progress.step,
        number=progress.number,
        steps=progress.steps,
        elapsed_s=progress.elapsed_s,
        eta_s=progress.eta_s,
        items=Items.of(progress.run_counts),
        in_flight=progress.in_flight,
        rate_now=progress.rate_now,
        rate_mean=progress.rate_mean,
        p50_ms=progress.p50_ms,
        p95_ms=progress.p95_ms,
        workers=progress.workers,
        event=progress.event,
    )


def _phase(step: int | None, progress: Progress, view: QueueView, answer: Answer) -> Phase:
    if answer.stopping:
        return "draining"
    if answer.paused:
        return "paused"
    if step is None:
        return "setup"
    if progress.number == progress.steps and view.counts.planned and view.settled:
        return "verifying"
    out_of_items = progress.run_counts.pending and progress.run_counts.pending <= progress.in_flight
    return "draining" if progress.number == progress.steps and out_of_items else "running"


def _worker(view: WorkerView, rate: float) -> Worker:
    return Worker(
        name=view.name,
        state="lost" if view.lost and not view.here else "here" if view.here else "left",
        slots=view.slots,
        in_flight=view.in_flight if view.here else 0,
        items=view.items,
        rate=round(max(rate, 0.0), 3),
        calls=view.calls,
        cpu=round(view.cpu, 3),
    )


def end_of(verdict: Verdict, summary: Summary | None) -> End:
    """What the page shows in the end."""
    return End(
        ok=verdict.ok,
        exit_code=verdict.exit_code,
        reasons=verdict.reasons,
        resumable=verdict.resumable,
        summary=None if summary is None else _digest(summary),
    )


def _digest(summary: Summary) -> dict[str, Any]:
    """Its most important parts; steps and calls with the `times` that they are judged by."""
    plain = msgspec.to_builtins(summary)
    names = ("items", "steps", "calls", "thresholds", "verification", "generator")
    told = {name: plain[name] for name in names}
    judged: dict[str, Sequence[StepSummary | CallSummary]] = {"steps": summary.steps, "calls": summary.calls}
    for name, rows in judged.items():
        for row, words in zip(rows, told[name], strict=True):
            words["times"] = msgspec.to_builtins(row.times)
    told["errors"] = plain["errors"][:ERRORS]
    return {**told, "item_time": summary.item_time, "call_time": summary.call_time}
