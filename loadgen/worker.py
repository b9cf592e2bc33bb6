"""A worker: leases chunks, has its pool execute them, reports what came of it, until the queue is drained.

Three kinds of threads: the main one leases and reports; one beats; the pool's readers put what the
children return into the tray.  A worker that loses its master keeps what it has done, and says hello
again.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from loadgen import __version__
from loadgen.clock import Clock
from loadgen.desk import Desk
from loadgen.errors import MasterGone, Refused
from loadgen.execution.child import Setup
from loadgen.execution.pool import Pool
from loadgen.loader import load, only_copy
from loadgen.queues.client import QueueClient
from loadgen.queues.messages import (
    PROTOCOL,
    Beat,
    Bye,
    Drained,
    Hello,
    Lease,
    LeaseRequest,
    Release,
    Report,
    Welcome,
)

BEAT_S = 2.0
REPORT_S = 0.25
"""The longest that results wait before they are reported."""
REPORT_RESULTS = 500
"""A report is sent as soon as this many results wait."""
AHEAD_S = 1.0
"""How much work a worker wants to have leased, in seconds."""
NAP_S = 0.02
"""How long the main thread waits for something to happen."""
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 2.0

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the command line settled."""

    processes: int
    concurrency: int
    """Threads a process."""
    patience_s: float
    """How long to look for a master before giving up."""
    scenario: Path | None = None
    """Run only this copy of the scenario, never code that the master sends."""

    @property
    def slots(self) -> int:
        """Items that can be in flight at the same time."""
        return self.processes * self.concurrency


class Worker:
    """One worker in one run.

    `find` makes a client for the master as it can be found now; it raises MasterGone while there is none.
    """

    def __init__(
        self,
        find: Callable[[], QueueClient],
        settings: WorkerSettings,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._find = find
        self._settings = settings
        self._clock = clock
        self._say = say
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        self._hello = Hello(
            session=uuid.uuid4().hex,
            name=self.name,
            host=socket.gethostname(),
            slots=settings.slots,
            protocol=PROTOCOL,
            version=__version__,
        )
        self._desk = Desk(clock)
        self._unconfirmed: Report | None = None
        self._seq = 0
        self._wait_until_us = 0
        self._reported_us = 0
        self._end = ""
        self._link_lost = threading.Event()
        self._finished = threading.Event()
        self._client: QueueClient
        self._pool: Pool

    def stop(self, reason: str) -> None:
        """Start nothing more: what is in flight settles, the rest goes back.  Safe in a signal handler."""
        self._end = self._end or reason

    def run(self) -> int:
        """Work until the queue is drained; returns how many items this worker settled.

        Raises MasterGone, TokenError, Refused, ScenarioError.
        """
        welcome = self._join()
        with tempfile.TemporaryDirectory(prefix="loadgen-") as folder:
            setup = self._prepare(welcome, Path(folder))
            self._pool = Pool(setup, self._settings.processes, self._desk.put, self._desk.drop)
            beats = threading.Thread(target=self._beat, name="beat", daemon=True)
            beats.start()
            try:
                settled = self._work()
                self._pool.stop()
                self._leave()
            except BaseException:
                self._pool.kill()
                raise
            finally:
                self._finished.set()
                self._client.close()
        return settled

    def _join(self) -> Welcome:
        """Say hello, with patience: the master may not be there yet, or may come back."""
        backoff_s, waited_s = FIRST_BACKOFF_S, 0.0
        while True:
            try:
                self._client = self._find()
                welcome = self._client.hello(self._hello)
            except MasterGone as error:
                if waited_s >= self._settings.patience_s or self._end:
                    raise
                if not waited_s:
                    self._say(f"{error}; waiting for it")
                pause_s = backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - not in step with other workers
                self._clock.sleep(pause_s)
                waited_s += pause_s
                backoff_s = min(backoff_s * 2, LAST_BACKOFF_S)
            else:
                self._link_lost.clear()
                return welcome

    def _prepare(self, welcome: Welcome, folder: Path) -> Setup:
        if self._settings.scenario is not None:
            path = self._settings.scenario.resolve()
            only_copy(load(path), welcome.digest)
        elif welcome.bundle.digest != welcome.digest:
            raise Refused("the scenario that the master sent does not have the digest that it names")
        else:
            path = welcome.bundle.unpack(folder)
        self._say(f"{self.name} joins run {welcome.run}: {welcome.scenario}, digest {welcome.digest[:12]}")
        return Setup(
            scenario=str(path),
            steps=welcome.steps,
            target=welcome.target,
            options=welcome.options,
            threads=self._settings.concurrency,
            run=welcome.run if welcome.correlate else "",
        )

    def _work(self) -> int:
        """The main loop; returns how many items were settled."""
        settled, cancelled = 0, False
        while True:
            if self._link_lost.is_set():
                self._join()
            if self._end and not cancelled:
                cancelled = True
                self._desk.clear_backlog()
                self._pool.cancel(self._desk.leases)
            hungry = self._feed()
            if self._report_is_due(hungry=hungry):
                settled += self._report()
            elif hungry and not self._end and self._clock.monotonic_us() >= self._wait_until_us:
                self._lease()
            elif self._end and self._desk.clear and self._unconfirmed is None:
                return settled
            else:
                with self._desk.changed:
                    self._desk.changed.wait(NAP_S)

    def _feed(self) -> bool:
        """Keep the pool stocked; True: it is time for another lease."""
        slots, rate = self._settings.slots, self._desk.rate()
        stock = slots + max(2, round(rate / 10))
        tasks = self._desk.next_tasks(stock - self._pool.outstanding)
        if tasks:
            self._pool.submit(tasks)
        return self._desk.backlog < max(slots / 2, rate * AHEAD_S / 3)

    def _report_is_due(self, *, hungry: bool) -> bool:
        """Enough results wait, or for long enough, or the master may be waiting for them to free a key."""
        if self._unconfirmed is not None:
            return True
        waiting = self._desk.waiting
        if not waiting:
            return False
        passed_s = (self._clock.monotonic_us() - self._reported_us) / 1_000_000
        return waiting >= REPORT_RESULTS or passed_s >= (NAP_S if hungry or self._end else REPORT_S)

    def _report(self) -> int:
        """Hand results over, and keep them until the receipt is there; returns how many items they settle."""
        if self._unconfirmed is None:
            self._seq += 1
            self._unconfirmed = Report(
                self._hello.session, self._seq, self._desk.take(), self._cpu_s(), self._in_flight()
            )
        report = self._unconfirmed
        if self._ask(lambda: self._client.report(report)) is None:
            return 0
        self._unconfirmed = None
        self._reported_us = self._clock.monotonic_us()
        return sum(result.final for batch in report.batches for result in batch.results)

    def _lease(self) -> None:
        want = max(self._settings.slots, round(self._desk.rate() * AHEAD_S))
        request = LeaseRequest(self._hello.session, want, self._settings.slots)
        answer = self._ask(lambda: self._client.lease(request))
        if isinstance(answer, Lease):
            self._desk.accept(answer)
        elif isinstance(answer, Drained):
            self._end = self._end or answer.reason
        elif answer is not None:
            self._wait_until_us = self._clock.monotonic_us() + round(answer.seconds * 1_000_000)

    def _leave(self) -> None:
        for lease in self._desk.unstarted:
            release = Release(self._hello.session, lease)
            self._ask(lambda release=release: self._client.release(release))  # type: ignore[misc]
        with contextlib.suppress(MasterGone):  # all is reported: it may have left before us
            self._client.bye(Bye(self._hello.session, self._end))

    def _ask(self, call: Callable[[], R]) -> R | None:
        """Call the master; None when it was gone and is back: the caller asks again."""
        try:
            return call()
        except (MasterGone, Refused):  # Refused: a restarted master does not know us
            self._join()
            return None

    def _beat(self) -> None:
        while not self._finished.wait(BEAT_S):
            beat = Beat(self._hello.session, self._desk.leases, self._cpu_s(), self._in_flight())
            try:
                receipt = self._client.beat(beat)
            except (MasterGone, Refused):
                self._link_lost.set()
            else:
                if receipt.dropped:
                    self._say(f"{len(receipt.dropped)} leases were lost: heard of too late by the master")
                    self._pool.cancel(receipt.dropped)
                    self._desk.drop(set(receipt.dropped))

    def _cpu_s(self) -> float:
        return self._pool.cpu_s + time.process_time()

    def _in_flight(self) -> int:
        return min(self._pool.outstanding, self._settings.slots)
