"""One session of a run, and all that looks at it while it goes on: gates, steersman, screens, outlets.

The conductor opens the doors and starts the workers; here is what happens when they report, and a few
times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from loadgen import options as scenario_options
from loadgen.cli.gates import Gatekeeper
from loadgen.cli.order import Order
from loadgen.cli.outlets import Outlets
from loadgen.cli.prepare import Prepared
from loadgen.cli.steersman import Steersman
from loadgen.clock import AwakeClock, Clock
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.master import Master
from loadgen.queues.members import Restored
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.messages import Batch, Welcome
from loadgen.record import Event, Past, RunFacts
from loadgen.reports.advice import named
from loadgen.reports.pulse import Progress, Pulse
from loadgen.view import QueueView

QUARANTINE_MARGIN_S = 1.0
"""On top of a call's total timeout: how long a request may still be under way after its worker died."""
LONGEST_TICK_S = 0.5
"""The queue looks at its clock every tick, 0.1 s; where it was kept from it for longer, time stands still."""


@dataclass(frozen=True, slots=True)
class Session:
    """What one session of a run works on."""

    prepared: Prepared
    facts: RunFacts
    directory: Path
    ledger: Ledger
    restored: Restored | None

    def welcome(self, order: Order) -> Welcome:
        """What workers are told."""
        loaded, steps = self.prepared.loaded, self.prepared.work.plan.steps
        width, most = self.prepared.course.width(steps, order.width, order.widest, order.processes)
        return Welcome(
            run=self.facts.id,
            scenario=loaded.name,
            steps=tuple(step.name for step in self.prepared.steps),
            target=self.facts.target,
            options=scenario_options.pack(self.prepared.options),
            digest=loaded.bundle.digest,
            bundle=loaded.bundle,
            ttl_s=order.lease_ttl_s,
            concurrency=order.widest if self.prepared.pace.is_open else width,
            most=most,
            connections=order.connections,
            correlate=order.correlate,
            top_up=order.top_up,
            max_lag_us=self.prepared.pace.max_lag_us,
            thinks={step.index: step.think for step in steps if step.think is not None},
            seed=self.prepared.course.seed or 0,
            mix={step.index: step.weight for step in steps if step.weight is not None},
            tight=len({loaded.step(step.name).described for step in steps if step.weight is not None}) > 1,
            ramped=self.prepared.course.levels is not None,
        )

    def past(self, step: int) -> Past | None:
        """What an earlier session left of a step."""
        if self.restored is None:
            return None
        with Reader(self.directory) as reader:
            return reader.past(step)


class Shown(Protocol):
    """Who gets to see how it stands."""

    def __call__(self, step: int | None, progress: Progress, view: QueueView, /) -> object:
        """`step`: the one that is open; None: none is yet."""


class Stage:
    """Queue and master of a session, and who watches them."""

    def __init__(self, session: Session, order: Order, outlets: Outlets, clock: Clock) -> None:
        self._session, self._outlets, self._clock = session, outlets, clock
        steps = session.prepared.steps
        self.pulse = Pulse(steps, clock.now_us())
        self.queue = MemoryQueue(
            session.welcome(order),
            session.ledger,
            AwakeClock(clock, LONGEST_TICK_S),
            quarantine_s=session.prepared.loaded.scenario.timeout + QUARANTINE_MARGIN_S,
            restored=session.restored,
            limits=order.limits,
        )
        with Reader(session.directory) as reader:
            job = session.prepared.job(session.facts.target, reader.phases().timed_us or 0)
        self.master = Master(job, self.queue, session.ledger, clock)
        self.steersman = Steersman(
            self.queue,
            self.master,
            clock,
            order.breaker,
            self.pulse.happened,
            named(session.facts.id, session.directory),
        ).knowing(session.prepared.pace.brief, session.prepared.course.duration or "")
        self.gates = Gatekeeper(
            order, steps, session.directory, self.tell, self.master.stop, self.steersman.pause
        )
        self.shown: list[Shown] = []
        """Screen, dashboard, outlets."""
        self.tend: Callable[[int], object] = lambda _: None
        """Looks after the workers of this machine, told how many items are settled."""

    def hear(self, batches: Sequence[Batch]) -> None:
        """A worker's report is in the ledger."""
        now_us = self._clock.now_us()
        self.gates.record(batches, now_us)
        self.steersman.record(batches, now_us)
        for batch in batches:
            self.pulse.take(batch.harvest, now_us)

    def tell(self, event: Event) -> None:
        """Something happened: for those who watch, and for the record."""
        self.pulse.happened(event.text)
        self._session.ledger.submit([event])
        self._outlets.happened(event.kind, event.text)

    def tick(self, step: int | None, view: QueueView) -> None:
        """See how it stands.  Raises the Incomplete that ends the run."""
        now_us = self._clock.now_us()
        self.gates.look(step, view, now_us)
        if (warmed_up := self.gates.warmed_up(view, now_us)) is not None:
            self._session.ledger.submit([warmed_up])
        if self.master.stopped is not None:
            then = "; Ctrl-C leaves at once" if self.master.was_asked_to_stop else ""
            self.pulse.happened(f"{self.master.stopped}: what is in flight settles{then}")
        if view.counts.planned and not (view.counts.pending or view.settled or view.left_s):
            self.pulse.happened(f"{view.counts.unknown} unknown: waiting for results that may still come")
        progress = replace(
            self.pulse.progress(step, view, now_us),
            task=self.master.task,
            task_calls=self.master.task_calls,
        )
        self.steersman.look(view, progress.run_counts, now_us)
        for show in self.shown:
            show(step, progress, view)
        self.tend(progress.run_counts.settled)
