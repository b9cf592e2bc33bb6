"""One run: prepare the target, hand out, record, until every item is settled; then verify.

The master decides when; the queue hands out, the ledger keeps, workers do.  Everything it knows of the
outside (workers to watch, a screen to draw) comes in as a tick that it calls a few times a second.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
import requests

from loadgen.clock import Clock
from loadgen.columns import Samples
from loadgen.errors import Incomplete, ScenarioError, SetupFailed, Stopped, TargetDown, one_line
from loadgen.execution.runner import explain, open_session
from loadgen.execution.session import Session
from loadgen.ledger.made import LedgerMade
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.loader import Loaded, Work
from loadgen.pace.levels import Levels
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.phase import Part
from loadgen.queues.term import Term
from loadgen.record import (
    Mark,
    Past,
    Reported,
    SetUp,
    Verified,
)
from loadgen.sample import NO_ITEM, Sample
from loadgen.scenario import Made, Verification, informed, where
from loadgen.view import QueueView

TICK_S = 0.1
CONNECT_S = 10.0
SETTLE_S = 30.0
"""How long in-flight items may take to settle once the run was told to stop, on top of a call's timeout."""
EXAMPLES = 20
"""Names of missing and unexpected things that are kept."""
TASKS: Mapping[str, str] = MappingProxyType({"setup": "setting up", "verify": "verifying"})
"""What the master does itself, for people."""
OUTSIDE = -1
"""The step of calls that belong to none: setup, verify, teardown."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run."""

    loaded: Loaded
    options: Any
    target: str
    work: Work
    duration_us: int | None = None
    """How long steps without a number of items go on."""
    spent_us: int = 0
    """How long they have in earlier sessions."""
    levels: Levels | None = None
    """How many items may be in flight, from the beginning of each step or mix."""

    def term(self, *, timed: bool) -> Term:
        """The time of a phase; `timed`: one that goes on for a time."""
        length_us, passed_us = (self.duration_us, self.spent_us) if timed else (None, 0)
        return Term(length_us, self.levels, passed_us=passed_us)


class Master:
    """Runs a job."""

    def __init__(self, job: Job, queue: MemoryQueue, ledger: Ledger, clock: Clock) -> None:
        self._job = job
        self._queue = queue
        self._ledger = ledger
        self._clock = clock
        self._stopped: Incomplete | None = None
        self._stopped_us = 0
        self.task = ""
        """What it does itself just now; empty: nothing.  Set by one thread, for others to see."""
        self.task_calls = 0
        """Calls that it has made for that."""

    def stop(self, reason: Incomplete) -> None:
        """Hand out nothing more and let what is in flight settle.  Safe in a signal handler."""
        if self._stopped is None:
            self._stopped_us = self._clock.monotonic_us()
            self._stopped = reason

    @property
    def stopped(self) -> Incomplete | None:
        """Why it was told to stop; None: it was not."""
        return self._stopped

    @property
    def was_asked_to_stop(self) -> bool:
        """Somebody stopped it, rather than a threshold, a failure or the breaker."""
        return isinstance(self._stopped, Stopped)

    def prepare(self, *, setup: bool) -> SetUp:
        """Reach the target, log in, set up; returns what setup returned.

        Raises TargetDown and SetupFailed.
        """
        target, hooks = self._job.target, self._job.loaded.scenario.hooks
        self.task = TASKS["setup"]
        reach(target)
        value: object = None
        with self._session("setup") as session:
            try:
                session.log_in()
                if setup and "setup" in hooks:
                    value = hooks["setup"](session, self._job.options)
            except requests.ConnectionError as error:
                raise TargetDown(f"{target}: {explain(error)}") from error
            except (Exception, SystemExit) as error:
                raise SetupFailed(f"setup failed: {explain(error)}") from error
            _, refused = session.finish()
            if refused:
                raise SetupFailed(f"setup failed: {refused}")
        try:
            return SetUp(msgspec.json.encode(value))
        except (TypeError, ValueError, RecursionError) as error:
            text = f"{where(hooks['setup'])}: setup returned what is not JSON-able: {one_line(error)}"
            raise SetupFailed(text) from error

    def probe(self) -> None:
        """See whether the target is there and lets us log in.  Raises TargetDown, and what login raises."""
        reach(self._job.target)
        with self._session("probe") as session:
            session.log_in()
            _, refused = session.finish()
        if refused:
            raise TargetDown(f"{self._job.target}: {refused}")

    def await_workers(self, count: int, tick: Callable[[int, QueueView], None]) -> None:
        """Wait until `count` workers have joined.  Raises the Incomplete that stopped it."""
        view = self._queue.view()
        while sum(worker.here for worker in view.workers) < count:
            tick(0, view)
            if self._stopped is not None:
                raise self._stopped
            view = self._queue.wait(TICK_S)

    def run(self, past: Callable[[int], Past | None], tick: Callable[[int, QueueView], None]) -> None:
        """Run all steps.  Raises the Incomplete that stopped it, when the queue has settled."""
        work = self._job.work
        for phase in work.plan.phases:
            if self._stopped is not None:  # with the last item of the step before
                self._queue.drain(str(self._stopped))
                raise self._stopped
            parts = [
                Part(
                    step,
                    work.rows[step.index],
                    work.key_of[step.index] if step.endless else work.keys[step.index],
                    past(step.index),
                )
                for step in phase
            ]
            for step in phase:
                keys = work.keys[step.index]
                if keys is not None and not step.endless:
                    self._ledger.begin_step(step.index, keys)
            timed = any(step.endless for step in phase)
            self._queue.open_all(parts, self._job.term(timed=timed))
            self._until_settled(phase[0].index, tick)
        self._queue.drain("all items are settled")

    def verify(self) -> Verified | None:
        """Ask the scenario what the target holds; None when it does not say.

        Raises Incomplete when verify itself fails: the run is reported all the same.
        """
        hook = self._job.loaded.scenario.hooks.get("verify")
        if hook is None:
            return None
        self._ledger.submit([]).wait()  # what came before is on disk, for those who read it
        with self._session("verify") as session, Reader(self._ledger.path.parent) as reader:
            try:
                answer = informed(hook, made_by(self._job.loaded, reader))(session, self._job.options)
            except requests.ConnectionError as error:
                raise TargetDown(f"verification: {explain(error)}") from error
            except (Exception, SystemExit) as error:
                raise Incomplete(f"verification failed: {explain(error)}") from error
            _, refused = session.finish()
        if refused:
            raise Incomplete(f"verification failed: {refused}")
        if not isinstance(answer, Verification):
            text = f"{where(hook)}: verify must return a Verification, not {answer!r}"
            raise Incomplete(f"verification failed: {text}")
        examples = {"missing": answer.missing[:EXAMPLES], "unexpected": answer.unexpected[:EXAMPLES]}
        verified = Verified(
            answer.expected, answer.found, len(answer.missing), len(answer.unexpected), examples
        )
        self._ledger.submit([verified, Mark("verified_us", self._clock.now_us())]).wait()
        return verified

    def _until_settled(self, step: int, tick: Callable[[int, QueueView], None]) -> None:
        view = self._queue.view()
        while not view.settled:
            self._queue.expire()
            if self._ledger.failed is not None:
                raise self._ledger.failed
            stopped = self._stopped
            if stopped is not None:
                self._queue.drain(str(stopped))
            try:
                tick(step, view)  # also when nothing is in flight: those who watch see that it was heard
            except Incomplete as error:
                self.stop(error)
            if stopped is not None:
                waited_s = (self._clock.monotonic_us() - self._stopped_us) / 1_000_000
                if not view.leased or waited_s > self._job.loaded.scenario.timeout + SETTLE_S:
                    raise stopped
            view = self._queue.wait(TICK_S)
        tick(step, view)

    @contextlib.contextmanager
    def _session(self, name: str) -> Iterator[Session]:
        """A Session of the master's own; its calls are kept, under the name of what they are for."""
        samples: list[Sample] = []

        def made(sample: Sample) -> None:
            samples.append(sample)
            self.task_calls = len(samples)

        session = open_session(
            self._job.loaded.scenario, self._job.target, self._job.options, self._clock, made
        )
        session.begin(name, NO_ITEM, 1)
        self.task, self.task_calls = TASKS.get(name, ""), 0
        try:
            with session:
                yield session
        finally:
            self.task = ""
            self._ledger.submit([Reported(OUTSIDE, 0, samples=Samples.of(samples))]).wait()


def made_by(loaded: Loaded, reader: Reader) -> Made:
    """What a run made, as long as the reader of its ledger is open."""
    return LedgerMade(reader, [step.name for step in loaded.scenario.steps])


def undo(
    loaded: Loaded, options: Any, target: str, made: Made, clock: Clock, on_sample: Callable[[Sample], None]
) -> None:
    """Undo a run on its target: the scenario's teardown.  Raises ScenarioError and Incomplete."""
    hook = informed(teardown_of(loaded), made)
    with open_session(loaded.scenario, target, options, clock, on_sample) as session:
        session.begin("teardown", NO_ITEM, 1)
        try:
            hook(session, options)
        except (Exception, SystemExit) as error:
            raise Incomplete(f"teardown failed: {explain(error)}") from error
        _, refused = session.finish()
        if refused:
            raise Incomplete(f"teardown failed: {refused}")


def teardown_of(loaded: Loaded) -> Callable[..., Any]:
    """The scenario's teardown.  Raises ScenarioError when it has none."""
    hook = loaded.scenario.hooks.get("teardown")
    if hook is None:
        raise ScenarioError(f"{loaded.path}: has no teardown, so there is nothing that clean could do")
    return hook


def reach(target: str) -> None:
    """Fail early, in one line, when nothing listens at the target.  Raises TargetDown."""
    url = urlsplit(target)
    proxied = url.scheme in getproxies() and not proxy_bypass(url.hostname or "")
    if not url.hostname or proxied:
        return
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname, port), timeout=CONNECT_S).close()
    except OSError as error:
        reason = "timed out" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise TargetDown(f"nothing answers at {target}: {reason.lower()}") from error
