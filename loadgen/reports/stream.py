"""What happens in a run, as a stream of events: each a flat JSON object, told when it happens.

    started  joined  left  lost  step-began  progress (each second)  threshold  note  step-ended  ended

Every event has `event`, `at` (ISO 8601, UTC) and `run`; docs/formats.md has the other fields.  Pure: time
is handed in.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from msgspec.structs import asdict

from loadgen.record import ItemCounts, RunFacts, StepFacts
from loadgen.reports.flow import Flow
from loadgen.reports.pulse import Progress
from loadgen.reports.schema import Items, Verdict
from loadgen.view import QueueView, WorkerView

EventLine: TypeAlias = "dict[str, Any]"
EVERY_US = 1_000_000
"""How often there is a `progress`."""
_RESPONSE = ("response_p50_ms", "response_p95_ms", "response_p99_ms")
"""What it says of an open model besides."""


class Stream:
    """Turns looks at a run into events."""

    def __init__(self, facts: RunFacts, steps: Sequence[StepFacts], flow: Flow) -> None:
        self._facts = facts
        self._steps = {step.index: step for step in steps}
        self._flow = flow
        self._here: set[str] = set()
        self._lost: set[str] = set()
        self._step: int | None = None
        self._closed = False
        self._counts = ItemCounts()
        self._told_us = 0
        self._note = ""

    def started(self, now_us: int, *, resumed: bool) -> EventLine:
        """The run begins, or goes on."""
        facts = self._facts
        return self._event(
            now_us,
            "started",
            resumed=resumed,
            scenario=facts.scenario,
            digest=facts.digest,
            target=facts.target,
            steps={step.name: step.items for step in self._steps.values()},
            planned=sum(step.items for step in self._steps.values()),
        )

    def happened(self, now_us: int, kind: str, text: str) -> EventLine:
        """Something that people want to know."""
        self._note = text
        return self._event(now_us, "threshold" if kind == "threshold" else "note", text=text)

    def look(self, step: int | None, view: QueueView, progress: Progress, now_us: int) -> list[EventLine]:
        """What is new; `step` is the index of the one that `view` shows, None before the first."""
        news = [*self._workers(view.workers, now_us), *self._stepped(step, view, now_us)]
        if progress.event and progress.event != self._note:
            news.append(self.happened(now_us, "note", progress.event))
        if now_us - self._told_us >= EVERY_US:
            self._told_us = now_us
            news.append(self._progress(progress, now_us))
        return news

    def ended(self, verdict: Verdict, counts: ItemCounts, now_us: int) -> EventLine:
        """The last one."""
        return self._event(
            now_us,
            "ended",
            ok=verdict.ok,
            exit_code=verdict.exit_code,
            reasons=list(verdict.reasons),
            resumable=verdict.resumable,
            **asdict(Items.of(counts)),
        )

    def _workers(self, workers: Sequence[WorkerView], now_us: int) -> Iterator[EventLine]:
        for worker in workers:
            if worker.here and worker.name not in self._here:
                self._here.add(worker.name)
                yield self._event(now_us, "joined", worker=worker.name, slots=worker.slots)
            gone = not worker.here and worker.name in self._here
            if gone or (worker.lost and worker.name not in self._lost):
                self._here.discard(worker.name)
                what = "lost" if worker.lost else "left"
                if worker.lost:
                    self._lost.add(worker.name)
                yield self._event(now_us, what, worker=worker.name, items=worker.items, calls=worker.calls)
            if worker.here and not worker.lost:
                self._lost.discard(worker.name)

    def _stepped(self, step: int | None, view: QueueView, now_us: int) -> Iterator[EventLine]:
        if step is None:
            return
        if step != self._step:
            self._step, self._closed = step, False
            facts = self._steps[step]
            yield self._event(now_us, "step-began", step=facts.name, planned=facts.items)
        if view.settled and view.counts.planned and not self._closed:
            self._closed = True
            counts = asdict(Items.of(view.counts))
            yield self._event(now_us, "step-ended", step=self._steps[step].name, **counts)

    def _progress(self, progress: Progress, now_us: int) -> EventLine:
        moment = self._flow.moment()
        response = {name: getattr(moment, name) for name in _RESPONSE} if self._flow.paced else {}
        return self._event(
            now_us,
            "progress",
            elapsed_s=round(progress.elapsed_s, 3),
            step=progress.step,
            **asdict(Items.of(progress.run_counts)),
            rate_per_s=round(progress.rate_now, 3),
            calls=moment.calls,
            errors=moment.errors,
            p50_ms=moment.p50_ms,
            p95_ms=moment.p95_ms,
            p99_ms=moment.p99_ms,
            **response,
            in_flight=progress.in_flight,
            workers=progress.workers,
            eta_s=None if progress.eta_s is None else round(progress.eta_s, 1),
        )

    def _event(self, now_us: int, kind: str, **fields: Any) -> EventLine:
        at = datetime.datetime.fromtimestamp(now_us // 1000 / 1000, datetime.UTC)
        moment = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"event": kind, "at": moment, "run": self._facts.id, **fields}
