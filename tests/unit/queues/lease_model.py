"""A whole run in one thread: the real queue and lease machine, everything around them simulated.

The master's memory dies with it; what its recorder committed survives (`Replica` keeps what the ledger
and its reader keep).  Workers follow the rules of the real one: arm before sending, a fence, lanes in
order, results kept until the receipt.  The network loses, repeats and delays; the target counts sends
and effects, and an effect may come as late as its request may live.  `World.check` is the invariants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from loadgen import __version__
from loadgen.clock import SteppedClock
from loadgen.columns import Harvest
from loadgen.errors import Refused
from loadgen.loader import Bundle
from loadgen.plan import Delivery, StepPlan
from loadgen.queues.leases import LeaseMachine, State
from loadgen.queues.members import Restored
from loadgen.queues.memory import MemoryQueue
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Batch,
    Beat,
    Bye,
    Hello,
    Lease,
    LeaseRequest,
    Mark,
    Release,
    Report,
    Welcome,
)
from loadgen.record import (
    Acknowledged,
    Armed,
    Decided,
    Entry,
    Granted,
    Joined,
    LeaseEnded,
    LeaseRecord,
    OpenItem,
    Past,
    Reported,
    Settled,
)
from loadgen.sample import Outcome, Presence, Result

TTL_S, FENCE_S = 15.0, 3.0
LIFE_S, QUARANTINE_S = 39.0, 40.0
OPEN = (State.PENDING, State.LEASED)
DOUBTFUL = (State.ARMED, State.IN_DOUBT, State.VERIFYING, State.UNKNOWN)
TERMINAL = (State.DONE, State.FAILED, State.UNKNOWN, State.CANCELLED)
Fault = Literal["", "request lost", "reply lost", "twice", "delayed", "killed before commit", "killed after"]
End = Literal["done", "failed", "retry"]


def each_result(batch: Batch) -> list[Result]:
    """Alike or not."""
    return [*batch.harvest.plain.results(), *batch.harvest.results]


class Violated(AssertionError):
    """An invariant of protocol.md, section 3, does not hold."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"invariant {number}: {text}")
        self.number = number


class MasterKilled(Exception):
    """In the middle of a call."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What kind of run it is."""

    delivery: Delivery = "at_most_once"
    keyed: bool = False
    items: int = 6
    chunk: int = 3
    lanes: int = 2

    def keys(self) -> list[int] | None:
        """Three items a key, dealt out in turn."""
        return [item % max(1, self.items // 3) for item in range(self.items)] if self.keyed else None

    def same_key(self, one: int, other: int) -> bool:
        """Whether two items may never be under way at the same time."""
        keys = self.keys()
        return one == other if keys is None else keys[one] == keys[other]


@dataclass(frozen=True, slots=True)
class Cut:
    """What happens in the middle of an episode, and before which of its steps."""

    at: int = -1
    what: str = ""
    fault: Fault = ""


CUTS = (
    "",
    "worker killed",
    "worker killed, disk lost",
    "worker stalls",
    "lease expired",
    "quarantine over",
    "master killed",
    "master not there yet",
)


# What survives a master


class Replica:
    """The recorder: keeps in memory what Ledger and Reader keep in SQLite."""

    def __init__(self) -> None:
        self.workers: dict[str, tuple[int, int]] = {}
        self.leases: dict[int, tuple[Granted, str]] = {}
        self.over: set[int] = set()
        self.arms: dict[int, set[tuple[int, int]]] = {}
        self.opened: dict[int, OpenItem] = {}
        self.settled: dict[int, Settled] = {}
        self.done: list[tuple[int, int]] = []
        self.rows: list[tuple[int, Result, bool]] = []
        self.waiting: list[Entry] = []
        self.kill: Literal["", "before", "after"] = ""

    def submit(self, entries: Sequence[Entry]) -> Replica:
        """Nothing is durable yet."""
        self.waiting += entries
        return self

    def wait(self) -> None:
        """Now it is; unless the master is killed just here."""
        kill, self.kill = self.kill, ""
        if kill == "before":
            raise MasterKilled
        for entry in self.waiting:
            self.keep(entry)
        self.waiting.clear()
        if kill == "after":
            raise MasterKilled

    def keep(self, entry: Entry) -> None:
        """As the ledger's `_keep`."""
        match entry:
            case Joined():
                self.workers.setdefault(entry.session, (entry.worker, 0))
            case Acknowledged():
                session = self._session(entry.worker)
                self.workers[session] = (entry.worker, entry.seq)
            case Granted():
                self.leases[entry.lease] = (entry, self._session(entry.worker))
            case Armed():
                self.arms.setdefault(entry.lease, set()).add((entry.start, entry.stop))
            case LeaseEnded():
                self.over.add(entry.lease)
                self.arms.pop(entry.lease, None)
            case Decided():
                for fate in entry.fates:
                    self.settled[fate.item] = Settled(fate.item, fate.outcome, fate.attempt, has_result=False)
                for item in entry.opened:
                    self.opened[item.item] = item
            case Reported():
                self._keep_reported(entry)
            case _:
                pass

    def past(self) -> Past:
        """As the reader's `past`."""
        return Past(
            settled=[self.settled[item] for item in sorted(self.settled) if not self._is_plain(item)],
            opened=[self.opened[item] for item in sorted(self.opened) if item not in self.settled],
            leases=[
                LeaseRecord(
                    lease, session, granted.chunk, granted.verifying, tuple(sorted(self.arms.get(lease, ())))
                )
                for lease, (granted, session) in sorted(self.leases.items())
                if lease not in self.over
            ],
            done=sorted(self.done),
        )

    def _is_plain(self, item: int) -> bool:
        return any(start <= item < stop for start, stop in self.done)

    def restored(self) -> Restored:
        """As `resume` makes it."""
        return Restored(dict(self.workers), len(self.workers), max(self.leases, default=0))

    def _keep_reported(self, entry: Reported) -> None:
        self.done += entry.plain.spans
        alike = [(result.item, 1) for result in entry.plain.results()]
        for result in (*entry.plain.results(), *entry.results):
            counted = (result.item, result.attempt) in (*entry.counted, *alike)
            if counted:
                self.settled[result.item] = Settled(
                    result.item, result.outcome, result.attempt, has_result=True
                )
            self.rows.append((entry.worker, result, counted))

    def _session(self, worker: int) -> str:
        return next(session for session, (number, _) in self.workers.items() if number == worker)


# The target


@dataclass(slots=True, eq=False)
class Request:
    """One try at an item, on its way."""

    item: int
    attempt: int
    started_us: int
    under_way: bool = True


class Target:
    """Counts what arrives and what takes effect."""

    def __init__(self) -> None:
        self.sends: Counter[tuple[int, int]] = Counter()
        self.effects: Counter[int] = Counter()
        self.requests: list[Request] = []

    def under_way(self) -> list[Request]:
        """Requests that may still take effect."""
        return [request for request in self.requests if request.under_way]

    def end(self, request: Request, *, effect: bool) -> None:
        """A request is over."""
        request.under_way = False
        if effect:
            self.effects[request.item] += 1

    def age(self, now_us: int, *, late_effects: bool) -> None:
        """No request lives longer than LIFE_S; its effect may come with its last breath."""
        for request in self.under_way():
            if request.started_us + LIFE_S * 1_000_000 <= now_us:
                self.end(request, effect=late_effects)


# Workers


@dataclass(slots=True)
class Held:
    """A lease, as its worker sees it.  Positions in the chunk's order."""

    lease: Lease
    lanes: list[list[int]]
    armed: set[int] = field(default_factory=set)
    begun: dict[int, Request] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    @property
    def order(self) -> tuple[int, ...]:
        """Its items."""
        return tuple(self.lease.chunk)

    def attempt(self, position: int) -> int:
        """Which try at the item."""
        return self.lease.attempts.get(self.order[position], 1)

    def startable(self) -> list[int]:
        """Armed, and all before it in its lane ended."""
        heads = [next((p for p in lane if p not in self.ended), None) for lane in self.lanes]
        return [p for p in heads if p is not None and p in self.armed and p not in self.begun]

    def in_flight(self) -> list[int]:
        """Started, not ended."""
        return [position for position in self.begun if position not in self.ended]


class SimWorker:
    """A worker that keeps the rules."""

    def __init__(self, session: str, now_us: int) -> None:
        self.session = session
        self.held: dict[int, Held] = {}
        self.seq = 0
        self.unreported: list[Batch] = []
        self.heard_us = now_us
        self.alive = True

    def may_start(self, now_us: int) -> bool:
        """The fence: its leases live at least until then."""
        return now_us < self.heard_us + (TTL_S - FENCE_S) * 1_000_000

    def accept(self, lease: Lease) -> None:
        """A lease was granted."""
        lanes, position = [], 0
        for run in lease.chunk.lanes or [(item,) for item in lease.chunk]:
            lanes.append(list(range(position, position + len(run))))
            position += len(run)
        self.held[lease.id] = Held(lease, lanes)

    def keep(self, lease: Lease, results: Sequence[Result] = (), verdicts: Sequence[Any] = ()) -> None:
        """Results wait to be reported."""
        self.seq += 1
        self.unreported.append(Batch(self.seq, lease.id, lease.chunk.step, Harvest.of(results, (), verdicts)))

    def drop(self, leases: Sequence[int]) -> None:
        """Start nothing more of them; what is in flight may still end."""
        for lease in leases:
            held = self.held.get(lease)
            if held is not None:
                held.armed &= set(held.begun)
                held.lanes = [[p for p in lane if p in held.begun] for lane in held.lanes]
                if not held.in_flight():
                    del self.held[lease]

    def tidy(self) -> None:
        """Forget leases of which everything ended."""
        for number, held in list(self.held.items()):
            if all(position in held.ended for lane in held.lanes for position in lane):
                del self.held[number]


@dataclass(slots=True)
class Letter:
    """A message that may arrive (again) some day."""

    verb: str
    message: Any
    processed: bool = False


class World:
    """Everything, and what may happen to it."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.step = StepPlan(0, "step", setup.items, setup.delivery, chunk=setup.chunk)
        self.clock = SteppedClock()
        self.store = Replica()
        self.target = Target()
        self.workers: list[SimWorker] = []
        self.spools: list[tuple[str, list[Batch]]] = []
        self.letters: list[Letter] = []
        self.acknowledged: list[tuple[int, int, Outcome]] = []
        self.retries_asked: set[tuple[int, int]] = set()
        self.marked: set[tuple[int, int]] = set()
        self.queue = MemoryQueue(a_welcome(), self.store, self.clock, quarantine_s=QUARANTINE_S)
        self.queue.open(self.step, keys=setup.keys())

    @property
    def machine(self) -> LeaseMachine:
        """The lease machine of the master that lives now."""
        return self.queue._machine

    @property
    def now_us(self) -> int:
        """The one clock of the model."""
        return self.clock.monotonic_us()

    # The master

    def kill_master(self, *, opened: bool = True) -> None:
        """What was not committed is gone; a new master reads the rest."""
        self.store.waiting.clear()
        self.store.kill = ""
        rows = Counter((result.item, result.attempt, result.outcome) for _, result, _ in self.store.rows)
        for row in self.acknowledged:
            if not rows[row]:
                raise Violated(8, f"result {row} was acknowledged, and is gone with the master")
        self.queue = MemoryQueue(
            a_welcome(), self.store, self.clock, quarantine_s=QUARANTINE_S, restored=self.store.restored()
        )
        self.queue._patience_s = 0.0
        if opened:
            self.open()

    def open(self) -> None:
        """The new master comes to the step."""
        if self.queue._step is None:
            self.queue.open(self.step, keys=self.setup.keys(), past=self.store.past())

    def expire(self, fault: Fault = "") -> None:
        """The master's own sweep."""
        self._armed_to_die(fault)
        try:
            self.queue.expire()
        except MasterKilled:
            self.kill_master()
        self.store.kill = ""

    def pass_time(self, seconds: float, *, late_effects: bool) -> None:
        """Time goes by, in steps no longer than a request lives: nothing is seen at a wrong time."""
        self.clock.step(seconds)
        self.target.age(self.now_us, late_effects=late_effects)
        for worker in self.workers:
            self._time_out(worker)

    def _time_out(self, worker: SimWorker) -> None:
        for held in list(worker.held.values()):
            for position in held.in_flight():
                if worker.alive and not held.begun[position].under_way:
                    held.ended.add(position)
                    self._kept(worker, held, position, Outcome.FAILED, retry=False)
        worker.tidy()

    # The network

    def call(self, verb: str, message: Any, fault: Fault = "") -> Any:
        """One call; None: no answer came, and the caller cannot know what became of it."""
        letter = Letter(verb, message)
        if fault in ("twice", "delayed"):
            self.letters.append(letter)
        if fault in ("request lost", "delayed"):
            return None
        self._armed_to_die(fault)
        answer = self._deliver(letter)
        self.store.kill = ""
        if fault == "twice" and verb != "lease":
            self._deliver(letter)
        return None if fault in ("reply lost", "killed after", "killed before commit") else answer

    def deliver(self, index: int, *, again: bool) -> None:
        """A message that was under way arrives, perhaps for the second time, perhaps not the last."""
        if self.letters:
            letter = self.letters[index % len(self.letters)]
            if not again:
                self.letters.remove(letter)
            self._deliver(letter)

    def _armed_to_die(self, fault: Fault) -> None:
        if fault in ("killed before commit", "killed after"):
            self.store.kill = "before" if fault == "killed before commit" else "after"

    def _deliver(self, letter: Letter) -> Any:
        before, stale = self._picture(), self._stale(letter)
        over = self._over(letter.message) if letter.verb == "arm" else set()
        answer = None
        try:
            answer = getattr(self.queue, letter.verb)(letter.message)
        except Refused:
            if letter.verb in ("arm", "report", "release", "lease") and self._picture() != before:
                raise Violated(11, f"{letter.verb} was refused and changed something") from None
            session = letter.message.session
            if any(worker.session == session and worker.alive for worker in self.workers):
                self._hello_again(session)
            return None
        except MasterKilled:
            self.kill_master()
            return None
        after = self._picture()
        if letter.processed and letter.verb != "lease" and after != before:
            raise Violated(7, f"{letter.verb} came twice and changed something: {letter.message}")
        if stale is not None:
            changed = {i for i, (a, b) in enumerate(zip(before[0], after[0], strict=True)) if a != b}
            if changed - stale:
                raise Violated(11, f"a stale {letter.verb} changed items {changed - stale}")
        if letter.verb == "arm" and not over <= set(answer.dropped):
            raise Violated(11, f"a lease that is over was armed: {letter.message}")
        letter.processed = True
        return answer

    def _hello_again(self, session: str) -> None:
        try:
            self.queue.hello(a_hello(session))
        except MasterKilled:
            self.kill_master()

    def _picture(self) -> tuple[Any, ...]:
        machine, store = self.machine, self.store
        return (
            bytes(machine._states),
            machine._attempts.further(range(len(machine._states))),
            len(store.rows),
            dict(store.settled),
        )

    def _stale(self, letter: Letter) -> set[int] | None:
        """Of a message about leases that are over: the items that it may settle.  None: it is not stale."""
        message = letter.message
        if letter.verb == "arm":
            return set() if self._over(message) == {mark.lease for mark in message.marks} else None
        if letter.verb == "report":
            if self._over(message) == {batch.lease for batch in message.batches}:
                return {result.item for batch in message.batches for result in each_result(batch)}
            return None
        return set() if letter.verb in ("beat", "hello", "bye") else None

    def _over(self, message: Arm | Report) -> set[int]:
        """The leases in it that its sender does not have (any more)."""
        parts = message.marks if isinstance(message, Arm) else message.batches
        found = set()
        for number in {part.lease for part in parts}:
            lease = self.machine._leases.get(number)
            if lease is None or lease.session != message.session or lease.expires_us <= self.now_us:
                found.add(number)
        return found

    # Workers

    def join(self, fault: Fault = "") -> SimWorker:
        """A new worker; it hands over what a dead one left, when there is something."""
        worker = SimWorker(f"w{len(self.workers) + 1}", self.now_us)
        self.workers.append(worker)
        self.call("hello", a_hello(worker.session), fault)
        return worker

    def hand_over(self, index: int, fault: Fault = "") -> None:
        """Whoever finds a spool reports what is in it."""
        if self.spools:
            session, batches = self.spools[index % len(self.spools)]
            if self._reported(session, batches, fault):
                self.spools.remove((session, batches))

    def lease(self, worker: SimWorker, fault: Fault = "") -> Held | None:
        """Ask for work."""
        answer = self.call("lease", LeaseRequest(worker.session, 100, self.setup.lanes), fault)
        if not isinstance(answer, Lease):
            return None
        items = list(answer.chunk)
        if len(set(items)) != len(items):
            raise Violated(1, f"lease {answer.id} holds an item twice: {items}")
        worker.accept(answer)
        return worker.held[answer.id]

    def arm(self, worker: SimWorker, held: Held, count: int, fault: Fault = "") -> None:
        """Mark the next `count` items of each lane."""
        if held.lease.verifying:
            return
        spans = []
        for lane in held.lanes:
            ahead = [position for position in lane if position not in held.armed][:count]
            if ahead:
                spans.append((ahead[0], ahead[-1] + 1))
        if not spans:
            return
        marks = tuple(Mark(held.lease.id, start, stop) for start, stop in spans)
        self.marked |= {(held.order[p], held.attempt(p)) for start, stop in spans for p in range(start, stop)}
        answer = self.call("arm", Arm(worker.session, marks), fault)
        if answer is None:
            return
        for start, stop in spans:
            held.armed.update(range(start, stop))
        skipped = {item for _, item in answer.skip}
        held.ended.update(p for p in held.armed if held.order[p] in skipped and p not in held.begun)
        worker.drop(answer.dropped)
        worker.tidy()

    def send(self, worker: SimWorker, held: Held, count: int) -> None:
        """Start armed items."""
        for position in held.startable()[:count]:
            if worker.may_start(self.now_us):
                held.begun[position] = self._sent(held.order[position], held.attempt(position))

    def _sent(self, item: int, attempt: int) -> Request:
        target, setup = self.target, self.setup
        target.sends[item, attempt] += 1
        if target.sends[item, attempt] > 1:
            raise Violated(5, f"item {item}, attempt {attempt} was sent twice")
        if setup.delivery == "at_most_once" and attempt > 1 and (item, attempt - 1) not in self.retries_asked:
            raise Violated(3, f"item {item} was sent again, as attempt {attempt}, and nobody asked for it")
        if setup.keyed:
            for other in target.under_way():
                if setup.same_key(other.item, item):
                    raise Violated(3, f"item {item} was sent while {other.item} of its key was under way")
            tried = {sent for sent, _ in target.sends}
            for before in range(item):
                open_ = self.queue._step and self.machine.state(before) not in TERMINAL
                if setup.same_key(before, item) and before not in tried and open_:
                    raise Violated(3, f"item {item} overtook {before} of its key")
        request = Request(item, attempt, self.now_us)
        target.requests.append(request)
        return request

    def answer(self, worker: SimWorker, held: Held, end: End) -> None:
        """The target answers what was started first."""
        for position in held.in_flight()[:1]:
            request = held.begun[position]
            self.target.end(request, effect=end == "done")
            held.ended.add(position)
            outcome = Outcome.DONE if end == "done" else Outcome.FAILED
            self._kept(worker, held, position, outcome, retry=end == "retry" and request.attempt < 3)
        worker.tidy()

    def _kept(self, worker: SimWorker, held: Held, position: int, outcome: Outcome, *, retry: bool) -> None:
        item, attempt = held.order[position], held.attempt(position)
        if retry:
            self.retries_asked.add((item, attempt))
        error = "" if outcome is Outcome.DONE else "no"
        result = Result(item, attempt, outcome, 0, 1, error, retry_ms=500 * (item % 2) if retry else None)
        worker.keep(held.lease, [result])

    def look(self, worker: SimWorker, held: Held, *, sure: bool) -> None:
        """Ask the target, which tells the truth, for the items of a lease in verification."""
        if held.lease.verifying:
            found = {
                item: Presence.EXISTS if self.target.effects[item] else Presence.ABSENT for item in held.order
            }
            answers = [(item, found[item] if sure else Presence.UNSURE) for item in held.order]
            worker.keep(held.lease, verdicts=answers)
            del worker.held[held.lease.id]

    def report(self, worker: SimWorker, fault: Fault = "") -> None:
        """Hand over what is not acknowledged."""
        if worker.unreported and self._reported(worker.session, worker.unreported, fault):
            worker.unreported.clear()

    def _reported(self, session: str, batches: Sequence[Batch], fault: Fault) -> bool:
        if self.call("report", Report(session, tuple(batches)), fault) is None:
            return False
        results = [result for batch in batches for result in each_result(batch)]
        self.acknowledged += [(result.item, result.attempt, result.outcome) for result in results]
        return True

    def beat(self, worker: SimWorker, fault: Fault = "") -> None:
        """Keep the leases alive."""
        sent_us = self.now_us
        answer = self.call("beat", Beat(worker.session, tuple(worker.held), 0.0, 0), fault)
        if answer is not None:
            worker.drop(answer.dropped)
            worker.heard_us = sent_us

    def release(self, worker: SimWorker, held: Held, fault: Fault = "") -> None:
        """Give a lease back, when all that was started is reported."""
        waiting = {batch.lease for batch in worker.unreported}
        if not held.in_flight() and held.lease.id not in waiting:
            unstarted = [
                held.order[p] for p in sorted(held.armed) if p not in held.begun and p not in held.ended
            ]
            del worker.held[held.lease.id]
            self.call("release", Release(worker.session, held.lease.id, tuple(unstarted)), fault)

    def kill(self, worker: SimWorker, *, spool: bool) -> None:
        """Its requests go on, its results lie on its disk, or are gone."""
        worker.alive = False
        if spool and worker.unreported:
            self.spools.append((worker.session, list(worker.unreported)))
        worker.held.clear()
        worker.unreported.clear()

    def leave(self, worker: SimWorker, fault: Fault = "") -> None:
        """Goodbye."""
        if not worker.held and not worker.unreported:
            worker.alive = False
            self.call("bye", Bye(worker.session, "done"), fault)

    def late_effect(self, index: int, *, effect: bool) -> None:
        """A request of a dead worker ends on the target, some time within its life."""
        ours = {id(r) for w in self.workers for held in w.held.values() for r in held.begun.values()}
        orphans = [request for request in self.target.under_way() if id(request) not in ours]
        if orphans:
            self.target.end(orphans[index % len(orphans)], effect=effect)

    # An episode in which all work together, cut anywhere

    def burst(self, worker: SimWorker, ends: Sequence[End], cut: Cut) -> None:
        """Lease, arm, send, answer, report, beat; at step `cut.at` something happens."""
        script = self._episode(worker, ends, cut)
        for step, _ in enumerate(script):
            self.check()
            if step == cut.at and not self._cut(worker, cut.what):
                return

    def _cut(self, worker: SimWorker, what: str) -> bool:
        """What happens in the middle; False: the worker does not go on now."""
        if what in ("worker killed", "worker killed, disk lost"):
            self.kill(worker, spool=what == "worker killed")
        elif what == "lease expired":
            self.pass_time(TTL_S + 1, late_effects=False)
            self.expire()
        elif what == "quarantine over":
            self.pass_time(TTL_S + 1, late_effects=False)
            self.expire()
            self.pass_time(QUARANTINE_S, late_effects=True)
            self.expire()
        elif what == "master killed":
            self.kill_master()
        elif what == "master not there yet":
            self.kill_master(opened=False)
        return worker.alive and what not in ("worker stalls", "quarantine over")

    def _episode(self, worker: SimWorker, ends: Sequence[End], cut: Cut) -> Iterator[None]:
        steps = 0

        def fault() -> Fault:
            return cut.fault if steps == cut.at else ""

        for end in ends:
            held = next(iter(worker.held.values()), None) or self.lease(worker, fault())
            steps += 1
            yield
            if held is None or held.lease.id not in worker.held:
                continue
            if held.lease.verifying:
                self.look(worker, held, sure=end != "failed")
            elif not held.startable() and not held.in_flight():
                self.arm(worker, held, 2, fault())
            steps += 1
            yield
            self.send(worker, held, self.setup.lanes)
            steps += 1
            yield
            self.answer(worker, held, end)
            steps += 1
            yield
            self.report(worker, fault())
        self.beat(worker, fault())

    # The end

    def heal(self) -> None:
        """Nothing is lost any more, and one good worker finishes the run."""
        self.open()
        while self.letters:
            self.deliver(0, again=False)
        for worker in self.workers:
            if worker.alive:
                self.kill(worker, spool=True)
        for _ in range(3 * len(self.spools)):
            self.hand_over(0)
        good = self.join()
        for _ in range(40 * self.setup.items):
            if self.queue.view().settled:
                break
            self.beat(good)
            self.expire()
            held = self.lease(good)
            if held is None:
                self.pass_time(5.0, late_effects=True)
            else:
                self.work_off(good, held)
            self.check()
        if not self.queue.view().settled:
            raise Violated(9, f"the run does not end: {[self.machine.state(i).name for i in self.items]}")
        self.check_end()

    def work_off(self, worker: SimWorker, held: Held) -> None:
        """Do all of a lease, well."""
        self.look(worker, held, sure=True)
        self.arm(worker, held, self.setup.items)
        while worker.may_start(self.now_us) and (held.startable() or held.in_flight()):
            self.send(worker, held, 1)
            self.answer(worker, held, "done")
        self.report(worker)

    # The invariants

    @property
    def items(self) -> range:
        """All of them."""
        return range(self.setup.items)

    def check(self) -> None:
        """What must hold at any time."""
        self._check_states()
        self._check_rows()
        self._check_effects()

    def _check_states(self) -> None:
        machine = self.machine
        if self.queue._step is None:
            return
        states = {item: machine.state(item) for item in self.items}
        tally = Counter(states.values())
        if [tally[state] for state in State] != machine._states.counts:
            raise Violated(1, f"the tally {machine._states.counts} is not that of the states {states}")
        held = Counter(item for lease in machine._leases.values() for item in lease.outstanding)
        for item, state in states.items():
            out = state in (State.LEASED, State.ARMED, State.VERIFYING)
            if held[item] > 1 or (out and not held[item]):
                raise Violated(1, f"item {item} is {state.name}, and {held[item]} leases hold it")
            if not out and state not in TERMINAL and held[item]:
                raise Violated(1, f"item {item} is {state.name}, and a lease holds it")
            if state in OPEN and self.target.sends[item, machine._attempts[item]]:
                raise Violated(6, f"item {item} is {state.name}, and this attempt was sent")
            if state not in (State.DONE, State.FAILED) and self._has_row(item):
                raise Violated(2, f"item {item} is {state.name}, and its result is in the ledger")
            if state in DOUBTFUL and (item, machine._attempts[item]) not in self.marked:
                raise Violated(6, f"item {item} is {state.name}, and this attempt was never armed")
            if (state in TERMINAL) != (item in self.store.settled) and not self.store.waiting:
                raise Violated(8, f"item {item} is {state.name}, and the ledger has it otherwise")

    def _has_row(self, item: int) -> bool:
        return any(row.item == item and row.retry_ms is None for _, row, _ in self.store.rows)

    def _check_rows(self) -> None:
        rows = Counter((result.item, result.attempt) for _, result, _ in self.store.rows)
        counted = Counter(result.item for _, result, counted in self.store.rows if counted)
        for pair, times in rows.items():
            if times > 1:
                raise Violated(12, f"{pair} has {times} rows")
        for item, settled in self.store.settled.items():
            if counted[item] != settled.has_result:
                raise Violated(12, f"item {item} has {counted[item]} counted rows")
            if settled.outcome is Outcome.DONE and not settled.has_result and not self.target.effects[item]:
                raise Violated(2, f"item {item} is said to be found on the target, and is not there")

    def _check_effects(self) -> None:
        for item, effects in self.target.effects.items():
            if effects > 1 and self.setup.delivery != "at_least_once":
                raise Violated(10, f"item {item} took effect {effects} times")

    def check_end(self) -> None:
        """What must hold when the run is over."""
        self.check()
        tried = {item for item, _ in self.target.sends}
        for item in self.items:
            state = self.machine.state(item)
            if state not in TERMINAL:
                raise Violated(9, f"item {item} is {state.name} at the end")
            poison = state == State.FAILED and not self.store.settled[item].has_result
            if state in (State.DONE, State.FAILED) and item not in tried and not poison:
                raise Violated(4, f"item {item} is {state.name}, and was never sent")
            if state == State.DONE and not self.target.effects[item]:
                raise Violated(2, f"item {item} is done, and its effect is not there")


def a_welcome() -> Welcome:
    """What workers are told; nobody reads it here."""
    bundle = Bundle("s.py", {"s.py": b"pass"})
    return Welcome(
        "r1", "s", ("step",), "http://127.0.0.1:1", b"\x80", "d", bundle, TTL_S, 4, 4, "keep", correlate=True
    )


def a_hello(session: str) -> Hello:
    """A worker's first word."""
    return Hello(session, f"host-{session}", "host", 4, PROTOCOL, __version__)
