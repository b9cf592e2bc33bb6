"""The queue itself: the lease machine with a lock, a clock and a recorder.

It is what the manager serves, and what tests and single-process users call directly.  Whatever a call
changes is committed by the recorder before the call returns; the lock is free meanwhile, so that the
calls of many workers share a commit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from loadgen.clock import Clock
from loadgen.errors import Refused
from loadgen.plan import StepPlan
from loadgen.queues import intake
from loadgen.queues.crew import Crew
from loadgen.queues.decisions import Rules
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
from loadgen.queues.phase import At, Keys, Made, Part, Phase, opened
from loadgen.queues.recorder import Recorder
from loadgen.queues.term import Term
from loadgen.record import (
    Acknowledged,
    Decided,
    Entry,
    Event,
    Granted,
    ItemCounts,
    Joined,
    LeaseEnded,
    Mark,
    Past,
)
from loadgen.record import (
    Armed as ArmedMark,
)
from loadgen.steering import Change, Limits, Orders, Steering
from loadgen.version import __version__
from loadgen.view import QueueView

IDLE_WAIT_S = 0.02
"""How long a worker waits before it asks again while others hold what is left, times the workers."""
LONGEST_WAIT_S = 1.0
NOTE_TERM_US = 1_000_000
"""How often it is noted how long a phase has gone on: a new master goes on from there."""
REST_WAIT_S = 0.25
"""How long one waits that is to hold nothing: it hears in a beat when that changes."""
OPENING_S = 1.0
"""How long a call of an earlier session's worker waits for its step to be open again."""


class MemoryQueue:
    """One step at a time, or several in a mix, handed out in chunks to whoever says hello."""

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
        self._phase = Phase(next_lease=known.leases + 1)
        self._earlier: dict[int, LeaseMachine] = {}  # of the steps before: a late result still ends a doubt
        self._noted_us = 0
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
        keys: Keys | None = None,
        past: Past | None = None,
        term: Term | None = None,
    ) -> None:
        """Start handing out a step; `past` is what an earlier session left of it."""
        self.open_all([Part(step, rows, keys, past)], term)

    def open_all(self, parts: Sequence[Part], term: Term | None = None) -> None:
        """Start handing out steps that run at the same time, for as long as `term` says."""
        with self._lock:
            next_lease, at = self._phase.next_lease, self._at()
            steps = [opened(part, self._rules(part), next_lease, at) for part in parts]
            for machine in self._phase:
                machine.retire()
            self._earlier |= self._phase.machines
            self._phase = Phase(steps, term, next_lease=next_lease)
            self._obey()
            self._changed.notify_all()

    def _rules(self, part: Part) -> Rules:
        return Rules(
            step=part.step.index,
            delivery=part.step.delivery,
            ttl_us=self._ttl_us,
            quarantine_us=self._quarantine_us,
            keyed=part.keys is not None,
            retry_budget=part.step.retry_budget,
        )

    def drain(self, reason: str) -> None:
        """Hand out nothing any more: every lease call is answered with Drained."""
        with self._changed:
            self._drained = reason
            self._crew.steering.end()
            self._changed.notify_all()

    def steer(self, change: Callable[[Steering], list[Change]]) -> list[Change]:
        """Tell the run something else; returns what that changed, which is on record by then."""
        with self._changed:
            changes = change(self._crew.steering)
            self._obey()
            ticket = self._recorder.submit([self._event(made.kind, made.text) for made in changes])
            self._changed.notify_all()
        ticket.wait()
        return changes

    def expire(self) -> None:
        """Take back what was not renewed in time."""
        with self._changed:
            now_us = self._clock.monotonic_us()
            self._obey()
            made = self._phase.expire(now_us)
            entries = [*self._noted(made), *self._note_term(now_us)]
            for worker in self._workers.values():
                if worker.here and now_us - worker.seen_us >= self._ttl_us:
                    worker.here, worker.lost, worker.in_flight = False, True, 0
                    entries.append(worker.load())
            for loss in (loss for _, each in made for loss in each.losses):
                name = self._name(loss.session)
                text = f"{name} was not heard of in time: {loss.unsent} items back in the queue"
                if loss.armed:
                    text += f", {loss.armed} may have been sent"
                if self._phase.paced:
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
            phase, by_step = self._phase, self._phase.by_step
            left_us = phase.term.left_us(self._clock.monotonic_us())
            passed_us = phase.term.passed_us(self._clock.monotonic_us())
            return QueueView(
                counts=ItemCounts.sum(by_step.values()),
                settled=phase.settled,
                leased=phase.leased,
                first_lease_us=self._first_lease_us,
                last_lease_us=self._last_lease_us,
                begun_us=self._begun_us,
                workers=tuple(map(Member.view, self._workers.values())),
                by_step=by_step,
                passed_s=passed_us / 1_000_000,
                left_s=None if left_us is None else left_us / 1_000_000,
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
                again = number < self._next_worker  # what it did so far, it did for another master
                self._next_worker = max(self._next_worker, number + 1)
                worker = Member(number, message, now_us, now_us, seq, cpu_before_s=None if again else 0.0)
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
            if not self._crew.steering.paused:
                self._phase.term.begin(self._clock.monotonic_us())
            orders = self._orders(worker, message.obeys)
            if orders.slots == 0 or orders.serial != message.obeys:
                return Wait(IDLE_WAIT_S if orders.slots != 0 else REST_WAIT_S, orders)
            found = self._phase.grant(message, self._slots, self._at())
            if found is None:
                return self._wait()
            step, grant = found
            self._last_lease_us = self._clock.now_us()
            self._first_lease_us = self._first_lease_us or self._last_lease_us
            if self._begun_us is None:
                self._begun_us = step.begins_us or self._first_lease_us
            due_us = step.due_us(grant)
            ticket = self._recorder.submit(
                [Granted(grant.lease, worker.number, grant.chunk, grant.verifying)]
            )
        data = step.data(grant.chunk)
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
            self._await_steps()
            now_us = self._clock.monotonic_us()
            for mark in message.marks:
                span = (mark.start, mark.stop)
                skipped = self._phase.arm(message.session, mark.lease, span, now_us)
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
            self._await_steps(*(batch.step for batch in message.batches))
            fresh = [batch for batch in message.batches if batch.seq > worker.seq]
            entries = self._take_in(worker, fresh)
            worker.note(message)
            orders = self._orders(worker, message.obeys)
            ticket = self._recorder.submit(entries)
            self._changed.notify_all()
        ticket.wait()  # also for a repeated report: its first copy may still be on its way to the disk
        if fresh and self._listener is not None:
            self._listener(intake.told(fresh, entries))
        return Receipt(orders=orders)

    def _take_in(self, worker: Member, batches: Sequence[Batch]) -> list[Entry]:
        entries: list[Entry] = []
        now_us = self._clock.monotonic_us()
        machines = self._machines
        intake.check(batches, len(self._welcome.steps), machines)
        for batch in batches:
            reported, decided = intake.settle(batch, worker.number, machines.get(batch.step), now_us)
            if batch.step in self._phase.opened:
                session, verdicts = worker.hello.session, batch.harvest.verdicts
                found = machines[batch.step].verdict(session, batch.lease, verdicts, now_us)
                decided += [found] if found is not None else []
            entries.append(reported)
            entries += self._noted([(batch.step, made) for made in decided])
            worker.items += len(reported.counted) + len(reported.plain)
            worker.calls += len(reported.samples)
            worker.seq = batch.seq
        return [*entries, Acknowledged(worker.number, worker.seq)] if batches else entries

    def beat(self, message: Beat) -> Receipt:
        """Renew the leases that are named; those that are not named run out."""
        with self._lock:
            worker = self._worker(message.session)
            worker.note(message)
            self._await_steps()  # a receipt would tell a worker that its leases live
            orders = self._orders(worker, message.obeys)
            dropped = self._phase.renew(message.session, message.leases, self._clock.monotonic_us())
            return Receipt(dropped, orders, self._clock.now_us())

    def release(self, message: Release) -> Receipt:
        """Take a lease back."""
        with self._changed:
            self._worker(message.session)
            self._await_steps()
            now_us = self._clock.monotonic_us()
            made = self._phase.release(message.session, message.lease, message.unstarted, now_us)
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

    def _await_steps(self, *indexes: int) -> None:
        """A resumed master serves before it knows its leases: it can say nothing about them until then.

        Raises Refused when the steps are not open in time; the worker asks again.
        """
        if self._resuming and not self._changed.wait_for(lambda: self._are_open(indexes), self._patience_s):
            raise Refused("the step is not open again yet")

    @property
    def _machines(self) -> dict[int, LeaseMachine]:
        """By step: those of the open ones, and those of the steps before."""
        return {**self._earlier, **self._phase.machines}

    def _are_open(self, indexes: Sequence[int]) -> bool:
        return {self._resumes_at, *indexes} <= self._machines.keys()

    def _at(self) -> At:
        return At(self._clock.now_us(), self._clock.monotonic_us())

    def _note_term(self, now_us: int) -> list[Entry]:
        """How long the phase has gone on, now and then, where that matters to a new master."""
        term = self._phase.term
        passed_us = term.passed_us(now_us)
        if term.length_us is None or self._noted_us >= term.length_us:
            return []
        if passed_us - self._noted_us < NOTE_TERM_US and not term.over(now_us):
            return []
        self._noted_us = passed_us
        return [Mark("timed_us", passed_us)]

    def _wait(self) -> Wait:
        """Soon, as others may free a key; but so that all who wait together ask no more than so often."""
        idle_s = min(IDLE_WAIT_S * max(len(self._slots), 1), LONGEST_WAIT_S)
        return Wait(self._phase.wait_s(self._clock.now_us(), idle_s))

    def _obey(self) -> None:
        """Have the phase keep to what the run was told, and the run to the phase's ramp."""
        at, steering = self._at(), self._crew.steering
        self._phase.obey(steering, at)
        steering.ramp = self._phase.term.level(self._slots.values(), at.monotonic_us)

    @property
    def _slots(self) -> dict[str, int]:
        """Of the workers that are here, by session."""
        return {session: worker.hello.slots for session, worker in self._workers.items() if worker.here}

    def _name(self, session: str) -> str:
        worker = self._workers.get(session)
        return "a worker of an earlier session" if worker is None else worker.hello.name

    def _noted(self, decided: Sequence[Made]) -> list[Entry]:
        """The machines' decisions, for the ledger."""
        entries: list[Entry] = []
        for step, made in decided:
            entries += [ArmedMark(*mark) for mark in made.marks]
            entries += [LeaseEnded(lease) for lease in made.ended]
            if made.fates or made.opened:
                entries.append(Decided(step, tuple(made.fates), tuple(made.opened)))
            entries += [
                self._event("conflict", f"item {item}: one attempt was reported with two different results")
                for item in sorted(made.conflicts)
            ]
        return entries

    def _event(self, kind: str, text: str) -> Event:
        return Event(self._clock.now_us(), kind, text)
