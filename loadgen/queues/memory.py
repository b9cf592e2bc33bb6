"""The queue itself: the lease machine with a lock, a clock and a recorder.

It is what the manager serves, and what tests and single-process users call directly.  Whatever a call
changes is committed by the recorder before the call returns; the lock is free meanwhile, so that the
calls of many workers share a commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from loadgen import __version__
from loadgen.clock import Clock
from loadgen.errors import Refused
from loadgen.plan import StepPlan, chunk_size
from loadgen.queues.leases import LeaseMachine
from loadgen.queues.messages import (
    PROTOCOL,
    Beat,
    Bye,
    Drained,
    Hello,
    Lease,
    LeaseRequest,
    Receipt,
    Release,
    Report,
    Wait,
    Welcome,
)
from loadgen.queues.supply import supply
from loadgen.record import (
    Acknowledged,
    Entry,
    Event,
    Granted,
    Joined,
    QueueView,
    Reported,
    WorkerLoad,
    WorkerView,
)
from loadgen.sample import Outcome

LARGEST_ROWS = 1024 * 1024
"""Bytes of rows in one lease: keeps the frame well below its limit."""
IDLE_WAIT_S = 0.1
"""How long a worker waits before it asks again while others hold what is left."""


class Ticket(Protocol):
    """A commit under way."""

    def wait(self) -> None:
        """Return when it is on disk, and all that was submitted before it.  Raises LedgerFailed."""
        ...


class Recorder(Protocol):
    """Where a call's consequences go before it is answered."""

    def submit(self, entries: Sequence[Entry]) -> Ticket:
        """Commit the entries, in order of submission; several submissions may share one commit."""
        ...


@dataclass(frozen=True, slots=True)
class Restored:
    """What an earlier session of the run left behind."""

    sessions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By session: the worker's number and the last report acknowledged."""
    workers: int = 0
    """The highest worker number."""
    leases: int = 0
    """The highest lease number."""


@dataclass(slots=True)
class _Worker:
    number: int
    hello: Hello
    seen_us: int
    joined_us: int
    seq: int = 0
    items: int = 0
    calls: int = 0
    in_flight: int = 0
    cpu_s: float = 0.0
    alive_s: float = 0.0
    lost: bool = False
    here: bool = True


class MemoryQueue:
    """One step at a time, handed out in chunks to whoever says hello."""

    def __init__(
        self, welcome: Welcome, recorder: Recorder, clock: Clock, restored: Restored | None = None
    ) -> None:
        self._welcome = welcome
        self._recorder = recorder
        self._clock = clock
        self._ttl_us = round(welcome.ttl_s * 1_000_000)
        known = restored or Restored()
        self._workers: dict[str, _Worker] = {}
        self._left = dict(known.sessions)
        self._next_worker = known.workers + 1
        self._machine = LeaseMachine(0, ttl_us=self._ttl_us, first_lease=known.leases + 1)
        self._step: StepPlan | None = None
        self._rows: list[msgspec.Raw] | None = None
        self._most = 1
        self._drained = ""
        self._first_lease_us: int | None = None
        self._last_lease_us: int | None = None
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._listener: Callable[[int, Report], None] | None = None

    # What the master does with it

    def open(
        self,
        step: StepPlan,
        *,
        rows: Sequence[Any] | None = None,
        keys: Sequence[Hashable] | None = None,
        settled: Sequence[tuple[int, Outcome]] = (),
        attempts: Sequence[tuple[int, int]] = (),
    ) -> None:
        """Start handing out a step; `settled` and `attempts` are what an earlier session left of it."""
        with self._lock:
            machine = LeaseMachine(step.items, ttl_us=self._ttl_us, first_lease=self._machine.next_lease)
            machine.restore(settled, attempts)
            resumed = bool(settled)
            machine.stock(lambda is_pending: supply(step, keys, is_pending, resumed=resumed))
            self._machine, self._step = machine, step
            self._rows = None if rows is None else [_encoded(row) for row in rows]
            largest = max(map(len, self._rows), default=1) if self._rows else 1
            self._most = max(1, LARGEST_ROWS // largest)

    def drain(self, reason: str) -> None:
        """Hand out nothing any more: every lease call is answered with Drained."""
        with self._changed:
            self._drained = reason
            self._changed.notify_all()

    def expire(self) -> None:
        """Take back what was not renewed in time."""
        with self._changed:
            now_us = self._clock.monotonic_us()
            expired = self._machine.expire(now_us)
            entries: list[Entry] = []
            for lease in expired:
                worker = self._workers[lease.session]
                worker.lost = worker.lost or now_us - worker.seen_us >= self._ttl_us
                text = f"{worker.hello.name} was not heard of in time: {lease.items} items back in the queue"
                entries.append(self._event("lease expired", text))
                entries.append(self._load(worker))
            for worker in self._workers.values():
                if worker.here and now_us - worker.seen_us >= self._ttl_us:
                    worker.here = False
                    worker.in_flight = 0
            if expired:
                self._changed.notify_all()
            ticket = self._recorder.submit(entries)
        if expired:
            ticket.wait()

    def listen(self, listener: Callable[[int, Report], None]) -> None:
        """Have each accepted report handed to `listener`, with the worker's number, once it is on disk."""
        self._listener = listener

    def wait(self, seconds: float) -> QueueView:
        """The queue as it is now, or after the next change, at most `seconds` later."""
        with self._changed:
            self._changed.wait(seconds)
            return self.view()

    def view(self) -> QueueView:
        """The queue as it is now."""
        with self._lock:
            return QueueView(
                counts=self._machine.counts,
                leased=self._machine.leased,
                first_lease_us=self._first_lease_us,
                last_lease_us=self._last_lease_us,
                workers=tuple(map(_view, self._workers.values())),
            )

    # What workers do with it

    def hello(self, message: Hello) -> Welcome:
        """Join, or join again after a reconnect."""
        if message.protocol != PROTOCOL or message.version != __version__:
            raise Refused(
                f"worker {message.name} runs loadgen {message.version} (protocol {message.protocol}), "
                f"the master runs {__version__} (protocol {PROTOCOL}): install the same version"
            )
        entries: list[Entry] = []
        with self._changed:
            now_us = self._clock.monotonic_us()
            worker = self._workers.get(message.session)
            if worker is None:
                number, seq = self._left.pop(message.session, (self._next_worker, 0))
                self._next_worker = max(self._next_worker, number + 1)
                worker = _Worker(number, message, now_us, now_us, seq)
                text = f"{message.name} joined with {message.slots} slots"
                joined = Joined(number, message.session, message.name, message.host, message.slots)
                entries += [joined, self._event("worker joined", text)]
                self._workers[message.session] = worker
            worker.seen_us, worker.here = now_us, True
            self._changed.notify_all()
            ticket = self._recorder.submit(entries)
        ticket.wait()
        return self._welcome

    def lease(self, message: LeaseRequest) -> Lease | Wait | Drained:
        """Hand out a chunk, as large as suits the worker and what is left."""
        with self._changed:
            worker = self._worker(message.session)
            if self._drained:
                return Drained(self._drained)
            step = self._step
            if step is None or not self._machine.unleased:
                return Wait(IDLE_WAIT_S)
            here = sum(other.here for other in self._workers.values())
            size = step.chunk or chunk_size(self._machine.unleased, message.want, here)
            size = min(size, self._most)
            now_us = self._clock.monotonic_us()
            grant = self._machine.grant(message.session, size, message.lanes, now_us)
            if grant is None:
                return Wait(IDLE_WAIT_S)
            self._last_lease_us = self._clock.now_us()
            self._first_lease_us = self._first_lease_us or self._last_lease_us
            rows = self._rows
            ticket = self._recorder.submit(
                [Granted(grant.lease, worker.number, step.index, len(grant.chunk))]
            )
        data = () if rows is None else tuple(rows[item] for item in grant.chunk)
        ticket.wait()
        return Lease(grant.lease, grant.chunk, grant.attempts, data)

    def report(self, message: Report) -> Receipt:
        """Keep results; a report seen before is acknowledged and ignored."""
        with self._changed:
            worker = self._worker(message.session)
            fresh = message.seq > worker.seq
            entries = self._take_in(worker, message) if fresh else []
            ticket = self._recorder.submit(entries)
            self._changed.notify_all()
        ticket.wait()  # also for a repeated report: its first copy may still be on its way to the disk
        if fresh and self._listener is not None:
            self._listener(worker.number, message)
        return Receipt()

    def _take_in(self, worker: _Worker, message: Report) -> list[Entry]:
        entries: list[Entry] = []
        for batch in message.batches:
            counted: frozenset[tuple[int, int]] = frozenset()
            if self._step is not None and batch.step == self._step.index:
                counted = self._machine.settle(batch.lease, batch.results)
            entries.append(Reported(batch.step, worker.number, batch.results, batch.samples, counted))
            worker.items += len(counted)
            worker.calls += len(batch.samples)
        worker.seq = message.seq
        worker.cpu_s, worker.in_flight = max(worker.cpu_s, message.cpu_s), message.in_flight
        return [*entries, Acknowledged(worker.number, message.seq)]

    def beat(self, message: Beat) -> Receipt:
        """Renew the leases that are named; those that are not named run out."""
        with self._lock:
            worker = self._worker(message.session)
            worker.cpu_s, worker.in_flight = message.cpu_s, message.in_flight
            return Receipt(self._machine.renew(message.session, message.leases, self._clock.monotonic_us()))

    def release(self, message: Release) -> Receipt:
        """Take a lease back; what was not reported was never started."""
        with self._changed:
            self._worker(message.session)
            self._machine.release(message.session, message.lease)
            self._changed.notify_all()
        return Receipt()

    def bye(self, message: Bye) -> Receipt:
        """A worker leaves."""
        entries: list[Entry] = []
        with self._changed:
            worker = self._worker(message.session)
            if worker.here:
                worker.here, worker.in_flight = False, 0
                text = f"{worker.hello.name} left: {message.reason}"
                entries += [self._load(worker), self._event("worker left", text)]
            ticket = self._recorder.submit(entries)
            self._changed.notify_all()
        ticket.wait()
        return Receipt()

    def _worker(self, session: str) -> _Worker:
        worker = self._workers.get(session)
        if worker is None:
            raise Refused("say hello first")
        worker.seen_us = self._clock.monotonic_us()
        worker.alive_s = (worker.seen_us - worker.joined_us) / 1_000_000
        return worker

    def _load(self, worker: _Worker) -> WorkerLoad:
        return WorkerLoad(worker.number, worker.cpu_s, worker.alive_s, worker.lost)

    def _event(self, kind: str, text: str) -> Event:
        return Event(self._clock.now_us(), kind, text)


def _view(worker: _Worker) -> WorkerView:
    return WorkerView(
        name=worker.hello.name,
        slots=worker.hello.slots,
        items=worker.items,
        calls=worker.calls,
        in_flight=worker.in_flight,
        cpu=worker.cpu_s / worker.alive_s if worker.alive_s else 0.0,
        here=worker.here,
        lost=worker.lost,
    )


def _encoded(row: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(row))
