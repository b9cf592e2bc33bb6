"""A worker: leases chunks, has its pool execute them, reports what came of it, until the queue is drained.

Three kinds of threads: the main one leases, arms and reports; one beats; the pool's readers put what the
children return on the desk.  Nothing is started that was not armed before.  A worker that loses its
master keeps what it has done, and says hello again; one that was not heard of for too long starts
nothing more until it knows which leases it still has.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from loadgen.clock import Clock
from loadgen.errors import Incomplete, LoadgenError, MasterGone, UsageError
from loadgen.execution.pipe import Task
from loadgen.execution.pool import Pool
from loadgen.execution.widening import Reading, Widening
from loadgen.queues.client import QueueClient
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Armed,
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
from loadgen.version import __version__
from loadgen.worker.backlog import marks, without
from loadgen.worker.desk import Desk
from loadgen.worker.enlist import enlist
from loadgen.worker.helm import Helm
from loadgen.worker.link import Link
from loadgen.worker.resting import Rests
from loadgen.worker.spool import Spool

BEAT_S = 0.5
"""Not longer: a beat also brings what the run is told, and all must keep to that within two seconds."""
BEATS_PER_LIFE = 5
"""A short-lived lease is renewed so often."""
FENCE_S = 3.0
"""So long before its leases may be over, a worker that hears nothing starts nothing more."""
REPORT_S = 0.25
"""The longest that results wait before they are reported."""
REPORT_RESULTS = 500
"""A report is sent as soon as this many results wait."""
REPORT_FAILURES = 10
"""The same for those that failed: the master may want to pause before many more do."""
ARM_S = 0.1
"""How much work is armed beyond what is in flight, in seconds: covers the way to the master and back."""
AHEAD_S = 1.0
"""How much work a worker wants to have leased, in seconds."""
MOST_AHEAD = 30_000
"""But not more items than this: the master remembers each of them."""
RAMPED_BEAT_S = 0.25
"""How often a worker asks how many items it may have in flight, where that changes with time."""
NAP_S = 0.02
"""How long the main thread waits for something to happen."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What the command line settled."""

    processes: int
    concurrency: int | None
    """Items in flight a process; None: as the run says."""
    patience_s: float
    """How long to look for a master before giving up."""
    spool: Path
    """Where results lie until the master has them."""
    scenario: Path | None = None
    """Run only this copy of the scenario, never code that the master sends."""
    max_clock_error_us: int = 10_000
    """In an open model: how well the master's clock has to be known."""


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
        self._settings = settings
        self._clock = clock
        self._say = say
        self.name = f"{socket.gethostname()}-{os.getpid()}"
        hello = Hello(
            session=uuid.uuid4().hex,
            name=self.name,
            host=socket.gethostname(),
            slots=settings.processes * (settings.concurrency or 1),
            protocol=PROTOCOL,
            version=__version__,
        )
        self._link = Link(find, hello, settings.patience_s, clock, say)
        self._link.max_clock_error_us = settings.max_clock_error_us
        self._session = hello.session
        self._ttl_us = 0
        self._wait_until_us = 0
        self._reported_us = 0
        self._end = ""
        self._clock_us = 0
        """How far the master's clock is ahead of ours."""
        self._clock_error_us: int | None = None
        self._finished = threading.Event()
        self._welcome: Welcome
        self._pool: Pool
        self._desk: Desk
        self._helm: Helm
        self._said = self._failures = 0
        self._widening: Widening

    def stop(self, reason: str) -> None:
        """Start nothing more: what is in flight settles, the rest goes back.  Safe in a signal handler."""
        self.finish(reason)
        self._link.patience_s = 0.0

    def finish(self, reason: str) -> None:
        """The same; but when the master is gone, wait for it with patience to tell it what was done."""
        self._end = self._end or reason

    def run(self) -> int:
        """Work until the queue is drained; returns how many items this worker settled.

        Raises MasterGone, TokenError, Refused, ScenarioError.
        """
        welcome = self._link.join()
        if self._settings.concurrency is None:
            self._link.take_slots(self._settings.processes * welcome.concurrency)
            welcome = self._link.join()
        self._welcome, self._ttl_us = welcome, round(welcome.ttl_s * 1_000_000)
        try:
            return self._take_part(welcome)
        except UsageError as error:  # it cannot work here: nobody need wait for it
            self.finish(str(error))
            self._leave()
            raise

    def _take_part(self, welcome: Welcome) -> int:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadgen-")))
            setup = enlist(welcome, self._settings.scenario, folder, self._settings.concurrency)
            code = f"{welcome.scenario}, digest {welcome.digest[:12]}"
            self._say(f"{self.name} joins run {welcome.run}: {code}")
            spool = Spool(self._settings.spool, welcome.run, self._session)
            stack.callback(spool.close)
            rests = Rests(welcome.thinks, welcome.seed)
            self._desk = Desk(self._clock, spool, self._link.hello.slots, rests, welcome.mix)
            self._link.hand_over(self._settings.spool, welcome.run)
            self._set_clock()
            most = welcome.most if self._settings.concurrency is None else setup.threads
            self._widening = Widening(self._settings.processes, setup.threads, most)
            self._pool = Pool(setup, self._settings.processes, self._desk.put, self._desk.lose)
            self._helm = Helm(self._pool, self._settings.processes, self._clock)
            self._fence(self._clock.monotonic_us())
            beats = threading.Thread(target=self._beat, name="beat", daemon=True)
            beats.start()
            try:
                settled = self._work()
                self._pool.stop()
                self._finished.set()
                beats.join()
                self._leave()
            except Incomplete:  # what was armed settles, and waits in the spool for the next worker here
                self._pool.stop()
                raise
            except BaseException:
                self._pool.kill()
                raise
            finally:
                self._finished.set()
                self._link.client.close()
        return settled

    def _meet_again(self) -> None:
        """The master is back; if it has other settings, what was begun under the old ones ends here."""
        welcome, before = self._link.join(), self._welcome
        self._set_clock()
        self._ttl_us = round(welcome.ttl_s * 1_000_000)
        if msgspec.structs.replace(welcome, ttl_s=before.ttl_s) != before:
            self.finish("the run goes on with other settings: join again")

    def _work(self) -> int:
        """The main loop; returns how many items were settled."""
        settled, cancelled = 0, False
        while True:
            if self._link.lost.is_set():
                self._meet_again()
            if self._end and not cancelled:
                cancelled = True
                self._desk.clear_backlog()
                self._pool.cancel(self._desk.leases)
            self._widen()
            hungry = self._feed()
            if self._report_is_due(hungry=hungry) or self._helm.obeys != self._said:
                settled += self._report()
            elif hungry and not self._end and self._clock.monotonic_us() >= self._wait_until_us:
                self._lease()
            elif self._desk.unstarted:
                self._give_back()
            elif self._end and self._desk.clear:
                return settled
            else:
                with self._desk.changed:
                    self._desk.changed.wait(self._desk.nap_s(NAP_S))

    def _feed(self) -> bool:
        """Keep the pool stocked with armed items; True: it is time for another lease.

        What is armed is in doubt when this worker dies, so no more is armed than is about to be started;
        but enough at once that marks cost nothing.
        """
        if self._helm.resting:
            self._desk.rest()
            return True
        paced = self._welcome.max_lag_us is not None
        slots, rate = self._helm.slots(self._desk.slots), self._desk.rate()
        ahead = max(2, round(rate * ARM_S))
        if self._welcome.thinks or self._welcome.tight:
            ahead = 0  # whatever the pool is given is started at once
        room = slots + ahead - self._pool.outstanding - self._desk.resting
        # what is due goes to the pool, however full it is: it is dropped there, if need be
        if ((room > 0 and room >= ahead / 2) or paced) and not self._helm.settling:
            tasks = self._armed(self._desk.next_tasks(self._helm.room(max(room, 0))))
            if tasks:
                self._helm.started(0 if paced else sum(len(task.items) for task in tasks))
                self._pool.submit(tasks)
        # in a paced run it is the master who says when there is more
        return paced or self._desk.backlog < max(slots / 2, self._ahead / 3, 1)

    def _widen(self) -> None:
        """Have as many slots as pay, or as it was told to have; the master hears how many."""
        if self._helm.news():
            self._widening.interrupt()
            self._wait_until_us = 0
        if not (self._widening.settled or self._helm.resting or self._helm.width):
            now_us, pool = self._clock.monotonic_us(), self._pool
            reading = Reading(now_us, *self._desk.totals, pool.cpu_s, self._desk.step, pool.lag.p90_us)
            self._widening.observe(reading)
        width = self._helm.width or self._widening.width
        slots = self._settings.processes * width
        if slots != self._desk.slots:
            self._pool.widen(width)
            self._desk.slots = slots
            self._link.take_slots(slots)
            self._link.ask(lambda client: client.hello(self._link.hello))

    def _armed(self, tasks: list[Task]) -> list[Task]:
        """Mark the tasks' items; returns what may be started."""
        wanted = marks(tasks)
        if not wanted:
            return tasks
        answer = self._link.ask(lambda client: client.arm(Arm(self._session, wanted, self._helm.obeys)))
        if answer is None or answer.orders is not None:
            self._helm.hear(answer.orders if answer else None)
            self._desk.put_back(tasks)
            return []
        if not (answer.skip or answer.dropped):
            return tasks
        return self._without_refused(tasks, answer)

    def _without_refused(self, tasks: list[Task], answer: Armed) -> list[Task]:
        """What is left of the tasks when leases are lost, or items were settled meanwhile."""
        skipped: dict[int, set[int]] = {}
        for lease, item in answer.skip:
            skipped.setdefault(lease, set()).add(item)
        kept = []
        for task in tasks:
            left = None if task.lease in answer.dropped else without(task, skipped.get(task.lease, set()))
            if left is not None:
                self._desk.follow_after(task.lease, task.items[-1], left.items[-1])
                kept.append(left)
        for lease, items in skipped.items():
            self._desk.skip(lease, sorted(items))
        if answer.dropped:
            self._pool.drop(answer.dropped)
            self._desk.drop(answer.dropped)
        return kept

    def _report_is_due(self, *, hungry: bool) -> bool:
        """Enough results wait, or for long enough, or the master may be waiting for them to free a key."""
        waiting = self._desk.waiting
        if not waiting:
            return False
        passed_s = (self._clock.monotonic_us() - self._reported_us) / 1_000_000
        failing = self._desk.totals[1] - self._failures >= REPORT_FAILURES
        return waiting >= REPORT_RESULTS or passed_s >= (
            NAP_S if hungry or self._end or failing else REPORT_S
        )

    def _report(self) -> int:
        """Hand results over, and keep them until the receipt is there; returns how many there were."""
        in_flight, obeys = self._in_flight(), self._helm.obeys
        self._failures = self._desk.totals[1]
        report = Report(self._session, self._desk.take(), self._cpu_s(), in_flight, self._pool.lag, obeys)
        receipt = self._link.ask(lambda client: client.report(report))
        if receipt is None:
            return 0
        self._said = obeys
        self._helm.hear(receipt.orders)
        self._reported_us = self._clock.monotonic_us()
        return self._desk.confirm()

    def _lease(self) -> None:
        want = max(self._desk.slots, round(self._ahead))
        request = LeaseRequest(self._session, want, self._desk.slots, self._helm.obeys)
        asked_us = self._clock.monotonic_us()
        answer = self._link.ask(lambda client: client.lease(request))
        if isinstance(answer, Lease):
            if self._clock.monotonic_us() - asked_us < self._margin_us:
                self._desk.accept(answer, self._clock_us)
            else:  # it was long under way: it may end before the fence does
                self._desk.decline(answer)
        elif isinstance(answer, Drained):
            self._end = self._end or answer.reason
        elif answer is not None:
            self._helm.hear(answer.orders)
            self._wait_until_us = self._clock.monotonic_us() + round(answer.seconds * 1_000_000)

    def _give_back(self) -> None:
        for lease, items in self._desk.unstarted.items():
            release = Release(self._session, lease, items)
            if self._link.ask(partial(QueueClient.release, message=release)) is not None:
                self._desk.given_back(lease)

    def _leave(self) -> None:
        with contextlib.suppress(MasterGone):  # all is reported: it may have left before us
            self._link.client.bye(Bye(self._session, self._end))

    def _beat(self) -> None:
        interval_s = min(BEAT_S, self._ttl_us / 1_000_000 / BEATS_PER_LIFE)
        if self._welcome.ramped:
            interval_s = min(interval_s, RAMPED_BEAT_S)
        while not self._finished.wait(interval_s):
            sent_us = self._clock.monotonic_us()
            try:
                receipt = self._link.client.beat(self._alive())
            except LoadgenError:  # whatever it is, the main thread finds out
                self._link.lost.set()
            else:
                if receipt.dropped:
                    self._say(
                        f"{len(receipt.dropped)} leases are lost: the master did not hear of us in time"
                    )
                    self._pool.drop(receipt.dropped)
                    self._desk.drop(receipt.dropped)
                self._helm.hear(receipt.orders)  # first: nothing that it forbids may start
                self._fence(sent_us)

    def _alive(self) -> Beat:
        """What a beat says."""
        leases, in_flight, lag = self._desk.leases, self._in_flight(), self._pool.lag
        return Beat(
            self._session, leases, self._cpu_s(), in_flight, lag, self._helm.obeys, self._clock_error_us
        )

    def _set_clock(self) -> None:
        """Find out how far the master's clock is ahead, before anything is to start at a time of his."""
        skew = self._link.skew()
        if skew is not None:
            self._clock_us, self._clock_error_us = skew.ahead_us, skew.error_us

    def _fence(self, heard_us: int) -> None:
        """Leases live at least until `heard_us` plus their life: start nothing after that."""
        self._pool.fence(heard_us + self._ttl_us - self._margin_us)

    @property
    def _ahead(self) -> float:
        """Items that it wants to have leased."""
        return min(self._desk.rate() * AHEAD_S, MOST_AHEAD)

    @property
    def _margin_us(self) -> int:
        return min(round(FENCE_S * 1_000_000), self._ttl_us // BEATS_PER_LIFE)

    def _cpu_s(self) -> float:
        return self._pool.cpu_s + time.process_time()

    def _in_flight(self) -> int:
        """Until a new limit is kept there may be more than it allows."""
        under_way = max(self._pool.outstanding - self._desk.early, 0)
        return under_way if self._helm.settling else min(under_way, self._helm.slots(self._desk.slots))
