"""The queue itself: the lease machine with a lock, a clock and a recorder.

It is what the manager serves, and what tests and single-process users call directly.  Whatever a call
changes is committed by the recorder before the call returns; the lock is free meanwhile, so that the
calls of many workers share a commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec

from loadgen.clock import Clock
from loadgen.errors import Refused
from loadgen.plan import StepPlan, chunk_size
from loadgen.queues import intake
from loadgen.queues.crew import Crew
from loadgen.queues.decisions import Decisions, Rules, Wanted
from loadgen.queues.leases import LeaseMachine
from loadgen.queues.members import Member, Restored, check_version
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Armed,
    Batch,
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
from loadgen.queues.paced import Pacer
from loadgen.queues.recorder import Recorder
from loadgen.queues.supply import supply
from loadgen.record import (
    Acknowledged,
    Decided,
    Entry,
    Event,
    Granted,
    Joined,
    LeaseEnded,
    Past,
)
from loadgen.record import (
    Armed as ArmedMark,
)
from loadgen.steering import Change, Limits, Orders, Steering
from loadgen.version import __version__
from loadgen.view import QueueView

LARGEST_ROWS = 1024 * 1024
"""Bytes of rows in one lease: keeps the frame well below its limit."""
IDLE_WAIT_S = 0.02
"""How long a worker waits before it asks again while others hold what is left, times the workers."""
LONGEST_WAIT_S = 1.0
REST_WAIT_S = 0.25
"""How long one waits that is to hold nothing: it hears in a beat when that changes."""
OPENING_S = 1.0
"""How long a call of an earlier session's worker waits for its step to be open again."""


class MemoryQueue:
    """One step at a time, handed out in chunks to whoever says hello."""

    def __init__(
        self,
        welcome: Welcome,
        recorder: Recorder,
        clock: Clock,
        *,
        quarantine_s: float = 0.0,
        restored: Restored | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`quarantine_s`: the longest that a request can live, in seconds; `limits`: to begin with."""
        self._welcome = welcome
        self._recorder = recorder
        self._clock = clock
        self._ttl_us = round(welcome.ttl_s * 1_000_000)
        self._quarantine_us = round(quarantine_s * 1_000_000)
        known = restored or Restored()
        self._workers: dict[str, Member] = {}
        self._crew = Crew(limits)
        self._left = dict(known.sessions)
        self._resuming = restored is not None
        self._resumes_at = known.step
        self._patience_s = OPENING_S
        self._next_worker = known.workers + 1
        nothing = Rules(step=0, delivery="at_most_once", ttl_us=self._ttl_us, quarantine_us=0)
        self._machine = LeaseMachine(0, nothing, first_lease=known.leases + 1)
        self._earlier: dict[int, LeaseMachine] = {}  # of the steps before: a late result still ends a doubt
        self._step: StepPlan | None = None
        self._rows: list[msgspec.Raw] | None = None
        self._pacer: Pacer | None = None
        self._most = 1
        self._drained = ""
        self._first_lease_us: int | None = None
        self._last_lease_us: int | None = None
        self._begun_us: int | None = None
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._listener: Callable[[Sequence[Batch]], None] | None = None

    # What the master does with it

    def open(
        self,
        step: StepPlan,
        *,
        rows: Sequence[Any] | None = None,
        keys: Sequence[Hashable] | None = None,
        past: Past | None = None,
    ) -> None:
        """Start handing out a step; `past` is what an earlier session left of it."""
        encoded = None if rows is None else [_encoded(row) for row in rows]
        with self._lock:
            rules = Rules(
                step=step.index,
                delivery=step.delivery,
                ttl_us=self._ttl_us,
                quarantine_us=self._quarantine_us,
                keyed=keys is not None,
                retry_budget=step.retry_budget,
            )
            machine = LeaseMachine(step.items, rules, first_lease=self._machine.next_lease)
            if past is not None:
                machine.restore(past, self._clock.monotonic_us())
            self._most = max(1, LARGEST_ROWS // max(map(len, encoded or ()), default=1))
            self._pacer = None if step.pace is None else Pacer(step, step.pace, keys, self._most)
            if self._pacer is None:
                machine.stock(lambda is_pending: supply(step, keys, is_pending, resumed=past is not None))
            else:
                machine.stock(self._pacer.start)
                self._pacer.obey(self._crew.steering, self._clock.now_us())
            if self._step is not None:
                self._machine.retire()
                self._earlier[self._step.index] = self._machine
            self._machine, self._step, self._rows = machine, step, encoded
            self._changed.notify_all()

    def drain(self, reason: str) -> None:
        """Hand out nothing any more: every lease call is answered with Drained."""
        with self._changed:
            self._drained = reason
            self._changed.notify_all()

    def steer(self, change: Callable[[Steering], list[Change]]) -> list[Change]:
        """Tell the run something else; returns what that changed, which is on record by then."""
        with self._changed:
            changes = change(self._crew.steering)
            if self._pacer is not None:
                self._pacer.obey(self._crew.steering, self._clock.now_us())
            ticket = self._recorder.submit([self._event(made.kind, made.text) for made in changes])
            self._changed.notify_all()
        ticket.wait()
        return changes

    def expire(self) -> None:
        """Take back what was not renewed in time."""
        with self._changed:
            now_us = self._clock.monotonic_us()
            made = self._machine.expire(now_us)
            entries = self._noted(made)
            for worker in self._workers.values():
                if worker.here and now_us - worker.seen_us >= self._ttl_us:
                    worker.here, worker.lost, worker.in_flight = False, True, 0
                    entries.append(worker.load())
            for loss in made.losses:
                name = self._name(loss.session)
                text = f"{name} was not heard of in time: {loss.unsent} items back in the queue"
                if loss.armed:
                    text += f", {loss.armed} may have been sent"
                if self._pacer is not None:
                    text += "; they start late"
                entries.append(self._event("lease expired", text))
            if entries:
                self._changed.notify_all()
            ticket = self._recorder.submit(entries)
        if entries:
            ticket.wait()

    def listen(self, listener: Callable[[Sequence[Batch]], None]) -> None:
        """Have what workers report handed to `listener`, once it is on disk."""
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
                settled=self._machine.settled,
                leased=self._machine.leased,
                first_lease_us=self._first_lease_us,
                last_lease_us=self._last_lease_us,
                begun_us=self._begun_us,
                workers=tuple(map(Member.view, self._workers.values())),
                paused=self._crew.steering.paused,
                late=self._crew.late(self._workers.values()),
            )

    # What workers do with it

    def hello(self, message: Hello) -> Welcome:
        """Join, or join again after a reconnect, or in the place of a worker that died."""
        check_version(message)
        entries: list[Entry] = []
        with self._changed:
            now_us = self._clock.monotonic_us()
            worker = self._workers.get(message.session)
            if worker is None:
                number, seq = self._left.pop(message.session, (self._next_worker, 0))
                self._next_worker = max(self._next_worker, number + 1)
                worker = Member(number, message, now_us, now_us, seq)
                self._crew.enrol(worker)
                text = f"{message.name} joined with {message.slots} slots"
                joined = Joined(number, message.session, message.name, message.host, message.slots)
                entries += [joined, self._event("worker joined", text)]
                self._workers[message.session] = worker
            elif worker.hello.slots != message.slots:  # now it knows how many the scenario wants
                worker.hello = message
                entries.append(
                    Joined(worker.number, message.session, message.name, message.host, message.slots)
                )
            worker.seen_us = now_us
            self._crew.admit(worker)
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
            orders = self._orders(worker, message.obeys)
            if orders.slots == 0 or orders.serial != message.obeys:
                return Wait(IDLE_WAIT_S if orders.slots != 0 else REST_WAIT_S, orders)
            if step is None or not self._machine.unleased:
                return self._wait()
            if self._pacer is not None:
                self._pacer.fill(self._clock.now_us(), self._slots)
            size = step.chunk or chunk_size(self._machine.unleased, message.want, len(self._slots))
            wanted = Wanted(message.session, min(size, self._most), message.lanes)
            grant = self._machine.grant(wanted, self._clock.monotonic_us())
            if grant is None:
                return self._wait()
            self._last_lease_us = self._clock.now_us()
            self._first_lease_us = self._first_lease_us or self._last_lease_us
            if self._begun_us is None:
                self._begun_us = self._first_lease_us if self._pacer is None else self._pacer.begins_us
            rows = self._rows
            due_us = b"" if self._pacer is None or grant.verifying else self._pacer.due_us(grant.chunk)
            ticket = self._recorder.submit(
                [Granted(grant.lease, worker.number, grant.chunk, grant.verifying)]
            )
        data = () if rows is None else tuple(rows[item] for item in grant.chunk)
        ticket.wait()
        return Lease(grant.lease, grant.chunk, grant.attempts, data, grant.verifying, due_us)

    def arm(self, message: Arm) -> Armed:
        """Mark items as about to be sent.  A stale lease is not armed: its worker must drop it."""
        dropped, skip = [], []
        entries: list[Entry] = []
        with self._lock:
            orders = self._orders(self._worker(message.session), message.obeys)
            if orders.slots == 0 or orders.serial != message.obeys:
                return Armed(orders=orders)
            self._await_step(0)
            now_us = self._clock.monotonic_us()
            for mark in message.marks:
                span = (mark.start, mark.stop)
                skipped = self._machine.arm(message.session, mark.lease, span, now_us)
                if skipped is None:
                    dropped.append(mark.lease)
                else:
                    skip += [(mark.lease, item) for item in skipped]
                    entries.append(ArmedMark(mark.lease, mark.start, mark.stop))
            ticket = self._recorder.submit(entries)
        ticket.wait()
        return Armed(tuple(dropped), tuple(skip))

    def report(self, message: Report) -> Receipt:
        """Keep results; a batch seen before is acknowledged and ignored."""
        with self._changed:
            worker = self._worker(message.session, replayed=True)
            self._await_step(max((batch.step for batch in message.batches), default=0))
            fresh = [batch for batch in message.batches if batch.seq > worker.seq]
            entries = self._take_in(worker, fresh)
            worker.note(message)
            orders = self._orders(worker, message.obeys)
            ticket = self._recorder.submit(entries)
            self._changed.notify_all()
        ticket.wait()  # also for a repeated report: its first copy may still be on its way to the disk
        if fresh and self._listener is not None:
            self._listener(fresh)
        return Receipt(orders=orders)

    def _take_in(self, worker: Member, batches: Sequence[Batch]) -> list[Entry]:
        entries: list[Entry] = []
        now_us = self._clock.monotonic_us()
        machines = self._machines
        intake.check(batches, len(self._welcome.steps), machines)
        for batch in batches:
            reported, decided = intake.settle(batch, worker.number, machines.get(batch.step), now_us)
            if self._step is not None and batch.step == self._step.index:
                session, verdicts = worker.hello.session, batch.harvest.verdicts
                found = self._machine.verdict(session, batch.lease, verdicts, now_us)
                decided += [found] if found is not None else []
            entries.append(reported)
            entries += [entry for made in decided for entry in self._noted(made)]
            worker.items += len(reported.counted) + len(reported.plain)
            worker.calls += len(reported.samples)
            worker.seq = batch.seq
        return [*entries, Acknowledged(worker.number, worker.seq)] if batches else entries

    def beat(self, message: Beat) -> Receipt:
        """Renew the leases that are named; those that are not named run out."""
        with self._lock:
            worker = self._worker(message.session)
            worker.note(message)
            self._await_step(0)  # a receipt would tell a worker that its leases live
            orders = self._orders(worker, message.obeys)
            dropped = self._machine.renew(message.session, message.leases, self._clock.monotonic_us())
            return Receipt(dropped, orders, self._clock.now_us())

    def release(self, message: Release) -> Receipt:
        """Take a lease back."""
        with self._changed:
            self._worker(message.session)
            self._await_step(0)
            now_us = self._clock.monotonic_us()
            made = self._machine.release(message.session, message.lease, message.unstarted, now_us)
            ticket = self._recorder.submit(self._noted(made))
            self._changed.notify_all()
        ticket.wait()
        return Receipt()

    def bye(self, message: Bye) -> Receipt:
        """A worker leaves."""
        entries: list[Entry] = []
        with self._changed:
            worker = self._worker(message.session)
            if worker.here:
                worker.here, worker.in_flight = False, 0
                text = f"{worker.hello.name} left: {message.reason}"
                entries += [worker.load(), self._event("worker left", text)]
            ticket = self._recorder.submit(entries)
            self._changed.notify_all()
        ticket.wait()
        return Receipt()

    def _worker(self, session: str, *, replayed: bool = False) -> Member:
        """Who calls.  `replayed`: results of a worker that died may come from another one."""
        worker = self._workers.get(session)
        if worker is None and replayed and session in self._left:
            number, seq = self._left.pop(session)
            hello = Hello(session, "a worker of an earlier session", "", 0, PROTOCOL, __version__)
            now_us = self._clock.monotonic_us()
            worker = self._workers[session] = Member(number, hello, now_us, now_us, seq, here=False)
        if worker is None:
            raise Refused("say hello first")
        if replayed and not worker.here:
            return worker
        self._crew.admit(worker)
        worker.seen_us = self._clock.monotonic_us()
        worker.alive_s = (worker.seen_us - worker.joined_us) / 1_000_000
        return worker

    def _orders(self, worker: Member, obeys: int) -> Orders:
        """What the worker is to keep to; one that is gone, to what it was told."""
        self._crew.hear(worker, obeys)
        return self._crew.orders(worker, self._workers.values()) if worker.here else worker.told[-1]

    def _await_step(self, index: int) -> None:
        """A resumed master serves before it knows its leases: it can say nothing about them until then.

        Raises Refused when the step is not open in time; the worker asks again.
        """
        if self._resuming and not self._changed.wait_for(lambda: self._is_open(index), self._patience_s):
            raise Refused("the step is not open again yet")

    @property
    def _machines(self) -> dict[int, LeaseMachine]:
        """By step: that of the open one, and those of the steps before."""
        return self._earlier if self._step is None else {**self._earlier, self._step.index: self._machine}

    def _is_open(self, index: int) -> bool:
        return self._step is not None and self._step.index >= max(index, self._resumes_at)

    def _wait(self) -> Wait:
        """Soon, as others may free a key; but so that all who wait together ask no more than so often."""
        idle_s = min(IDLE_WAIT_S * max(len(self._slots), 1), LONGEST_WAIT_S)
        return Wait(idle_s if self._pacer is None else self._pacer.wait_s(self._clock.now_us(), idle_s))

    @property
    def _slots(self) -> dict[str, int]:
        """Of the workers that are here, by session."""
        return {session: worker.hello.slots for session, worker in self._workers.items() if worker.here}

    def _name(self, session: str) -> str:
        worker = self._workers.get(session)
        return "a worker of an earlier session" if worker is None else worker.hello.name

    def _noted(self, made: Decisions) -> list[Entry]:
        """The machine's decisions, for the ledger."""
        entries: list[Entry] = [ArmedMark(*mark) for mark in made.marks]
        entries += [LeaseEnded(lease) for lease in made.ended]
        if (made.fates or made.opened) and self._step is not None:
            entries.append(Decided(self._step.index, tuple(made.fates), tuple(made.opened)))
        entries += [
            self._event("conflict", f"item {item}: one attempt was reported with two different results")
            for item in sorted(made.conflicts)
        ]
        return entries

    def _event(self, kind: str, text: str) -> Event:
        return Event(self._clock.now_us(), kind, text)


def _encoded(row: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(row))
