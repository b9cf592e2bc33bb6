"""A pool's child process: threads that execute items, and one that sends what came of them to the parent.

The parent talks over a pipe in MessagePack, many tasks and many results a message: nothing crosses the
process boundary alone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from loadgen import options as _options
from loadgen.clock import Clock, SystemClock
from loadgen.columns import Harvest
from loadgen.errors import LoadgenError
from loadgen.execution import cores
from loadgen.execution.probe import Probe
from loadgen.execution.runner import Errand, LeaseLost, Runner, explain, open_session
from loadgen.execution.session import Session
from loadgen.lag import NO_LAG, Lag
from loadgen.loader import Loaded, load
from loadgen.sample import Presence, Result, Sample
from loadgen.scenario import Connections, Step

FLUSH_S = 0.01
"""How long results gather before they leave: the delay that the parent sees."""
SWITCH_S = 0.0005
"""How long a thread may keep the others waiting: with Python's 5 ms, one that computes delays all calls."""
MOST_ROWS = 1000
"""Results, or samples, in one harvest."""


class Setup(msgspec.Struct, frozen=True, tag=True):
    """What a child must know before its first task."""

    scenario: str
    """Path of the scenario file."""
    steps: tuple[str, ...]
    """Names of the run's steps, by index."""
    target: str
    options: bytes
    """MessagePack, secrets included: comes by the pipe, not by the command line."""
    threads: int
    connections: Connections
    """Whether calls share connections."""
    run: str
    """For the X-Loadgen-* headers; empty: none."""


class Task(msgspec.Struct, frozen=True, array_like=True):
    """Items of one lease to be done one after the other by one thread."""

    lease: int
    step: int
    start: int
    """Position of the first item in the chunk's order."""
    items: Sequence[int]
    """In the parent a range, when they come from a chunk without keys."""
    attempts: tuple[int, ...] = ()
    """The attempt to make at each; empty when it is the first at all of them."""
    rows: tuple[msgspec.Raw, ...] = ()
    verifying: bool = False
    """The items are to be looked for on the target, not to be done."""


class Tasks(msgspec.Struct, frozen=True, tag=True):
    """More to do."""

    tasks: tuple[Task, ...]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Do not start what is left of these leases; what was started goes on."""

    leases: tuple[int, ...]


class Drop(msgspec.Struct, frozen=True, tag=True):
    """These leases are lost: what was started of them makes no further call."""

    leases: tuple[int, ...]


class Fence(msgspec.Struct, frozen=True, tag=True):
    """Start nothing after this time, until a later one is told: the leases may be over by then."""

    until_us: int
    """Of the machine's monotonic clock, which its processes share."""


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Finish what was started, and exit."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scenario is loaded."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The scenario cannot be loaded."""

    reason: str


class Returned(msgspec.Struct, frozen=True, tag=True):
    """What came of the tasks since the last message."""

    harvests: tuple[tuple[int, int, Harvest], ...]
    """With their lease and step."""
    skipped: tuple[tuple[int, tuple[int, ...]], ...]
    """Lease and items that were cancelled before they were started, or lost with their lease."""
    cpu_s: float
    """CPU time of this process so far."""
    lag: Lag = NO_LAG
    """What its probe has read so far."""


ToChild: TypeAlias = Setup | Tasks | Cancel | Drop | Fence | Stop
FromChild: TypeAlias = Ready | Broken | Returned


class Gate:
    """Opens for a thread that may start an item, or make the next call of one: not after the fence."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._until_us = 0
        self._cancelled: set[int] = set()
        self._lost: set[int] = set()
        self._closing = False

    def close(self) -> None:
        """Do not wait any more: what may not start now never will."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def fence(self, until_us: int) -> None:
        """Nothing may start after this time."""
        with self._changed:
            self._until_us = max(self._until_us, until_us)
            self._changed.notify_all()

    def cancel(self, leases: Iterable[int]) -> None:
        """Nothing of these leases may start."""
        with self._changed:
            self._cancelled.update(leases)
            self._changed.notify_all()

    def drop(self, leases: Iterable[int]) -> None:
        """These leases are lost: nothing of them may start or go on."""
        with self._changed:
            self._lost.update(leases)
            self._cancelled.update(self._lost)
            self._changed.notify_all()

    def may_start(self, lease: int) -> bool:
        """Wait until it is known whether an item of the lease may be started."""
        return self._opens(lease, self._cancelled)

    def may_go_on(self, lease: int) -> bool:
        """Wait until it is known whether an item of the lease that was started may make its next call."""
        return self._opens(lease, self._lost)

    def _opens(self, lease: int, barred: set[int]) -> bool:
        if lease in barred:
            return False
        if self._clock.monotonic_us() < self._until_us:
            return True
        with self._changed:
            self._changed.wait_for(lambda: self._closing or lease in barred or self._is_before_fence)
            return lease not in barred and self._is_before_fence

    @property
    def _is_before_fence(self) -> bool:
        return self._clock.monotonic_us() < self._until_us


@dataclass(slots=True)
class _Gathered:
    """What came of one lease since the last message."""

    results: list[Result] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    verdicts: list[tuple[int, Presence]] = field(default_factory=list)

    def harvests(self) -> Iterator[Harvest]:
        """In parts, so that no message is too large."""
        longest = max(len(self.results), len(self.samples), len(self.verdicts))
        for start in range(0, longest, MOST_ROWS):
            part = slice(start, start + MOST_ROWS)
            yield Harvest.of(self.results[part], self.samples[part], self.verdicts[part])


class Outbox:
    """Gathers what the threads have done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.probe = Probe(SystemClock())
        self._encoder = msgspec.msgpack.Encoder()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._closed = False
        self._gathered: dict[tuple[int, int], _Gathered] = {}
        self._skipped: list[tuple[int, tuple[int, ...]]] = []

    def add(self, task: Task, result: Result, samples: list[Sample]) -> None:
        """An attempt ended."""
        with self._lock:
            gathered = self._of(task)
            gathered.results.append(result)
            gathered.samples.extend(samples)
        self._wake()

    def add_verdict(self, task: Task, item: int, presence: Presence, samples: list[Sample]) -> None:
        """An item in doubt was looked for."""
        with self._lock:
            gathered = self._of(task)
            gathered.samples.extend(samples)
            gathered.verdicts.append((item, presence))
        self._wake()

    def skip(self, task: Task, items: Sequence[int], samples: Sequence[Sample] = ()) -> None:
        """Items were cancelled before they were started; or lost, after these calls."""
        with self._lock:
            self._skipped.append((task.lease, tuple(items)))
            if samples:
                self._of(task).samples.extend(samples)
        self._wake()

    def close(self) -> None:
        """Nothing more will come."""
        self._closed = True
        self._filled.set()

    def send(self, message: FromChild) -> None:
        """Send one message to the parent."""
        self._connection.send_bytes(self._encoder.encode(message))

    def run(self) -> None:
        """Send what gathers, until closed and empty, or the parent is gone."""
        with contextlib.suppress(OSError):
            while self._filled.wait() and not (self._closed and not self._gathered and not self._skipped):
                if not self._closed:
                    time.sleep(FLUSH_S)
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            gathered, self._gathered = self._gathered, {}
            skipped, self._skipped = self._skipped, []
            if not self._closed:
                self._filled.clear()
        harvests = tuple((*place, harvest) for place, got in gathered.items() for harvest in got.harvests())
        self.send(Returned(harvests, tuple(skipped), time.process_time(), self.probe.reading()))

    def _of(self, task: Task) -> _Gathered:
        place = task.lease, task.step
        found = self._gathered.get(place)
        if found is None:
            found = self._gathered[place] = _Gathered()
        return found

    def _wake(self) -> None:
        if not self._filled.is_set():  # asking is cheaper than setting it again
            self._filled.set()


class Child:
    """The threads of one process."""

    def __init__(self, setup: Setup, loaded: Loaded, outbox: Outbox) -> None:
        self._setup = setup
        self._loaded = loaded
        self._outbox = outbox
        self._options: Any = _options.unpack(loaded.scenario.options, setup.options)
        self._steps = [loaded.step(name) for name in setup.steps]
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._gate = Gate(SystemClock())
        self._threads = [
            threading.Thread(target=self._work, name=f"slot-{n}", daemon=True) for n in range(setup.threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def obey(self, message: ToChild) -> bool:
        """Do what the parent says; False: it says stop."""
        match message:
            case Tasks():
                for task in message.tasks:
                    self._tasks.put(task)
            case Cancel():
                self._gate.cancel(message.leases)
            case Drop():
                self._gate.drop(message.leases)
            case Fence():
                self._gate.fence(message.until_us)
            case Stop():
                return False
        return True

    def finish(self) -> None:
        """Let the threads end what they were given, as long as it may be started."""
        self._gate.close()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        clock = SystemClock()
        setup = self._setup
        with open_session(
            self._loaded.scenario, setup.target, self._options, clock, connections=setup.connections
        ) as session:
            slot = Slot(self._steps, session, self._gate, self._outbox)
            runner = Runner(self._options, session, clock, self._setup.run)
            while (task := self._tasks.get()) is not None:
                slot.do(task, runner)


class Slot:
    """One thread's way through its tasks."""

    def __init__(self, steps: Sequence[Step[..., Any]], session: Session, gate: Gate, outbox: Outbox) -> None:
        self._steps = steps
        self._session = session
        self._gate = gate
        self._outbox = outbox
        self._lease = 0
        session.before_call = self._go_on

    def do(self, task: Task, runner: Runner) -> None:
        """Do a task's items one after the other, as long as the lease is ours."""
        step, self._lease = self._steps[task.step], task.lease
        attempts = task.attempts or repeat(1)
        for position, (item, attempt) in enumerate(zip(task.items, attempts, strict=False)):
            if not self._gate.may_start(task.lease):
                self._outbox.skip(task, task.items[position:])
                return
            argument: Any = msgspec.msgpack.decode(task.rows[position]) if task.rows else item
            errand = Errand(step, item, argument, attempt)
            try:
                if task.verifying:
                    self._outbox.add_verdict(task, item, *runner.look(errand))
                else:
                    self._outbox.add(task, *runner.run(errand))
            except LeaseLost:
                samples, _ = self._session.finish()
                self._outbox.skip(task, task.items[position:], samples)
                return

    def _go_on(self) -> None:
        if not self._gate.may_go_on(self._lease):
            raise LeaseLost


def _quieten() -> None:
    """Let Python's own housekeeping disturb the timing as little as it can."""
    gc.collect()
    gc.freeze()  # what the scenario and the libraries made stays: no need to walk through it again and again
    sys.setswitchinterval(SWITCH_S)


def main(connection: Connection) -> None:
    """Run a child until the parent says stop, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    decoder = msgspec.msgpack.Decoder(ToChild)
    outbox = Outbox(connection)
    try:
        setup = decoder.decode(connection.recv_bytes())
        if not isinstance(setup, Setup):
            return
        try:
            child = Child(setup, load(Path(setup.scenario)), outbox)
        except LoadgenError as error:
            outbox.send(Broken(explain(error)))
            return
        outbox.send(Ready())
    except (EOFError, OSError):
        return
    _quieten()
    core = cores.claim()
    flusher = threading.Thread(target=outbox.run, name="flush", daemon=True)
    flusher.start()
    outbox.probe.start()
    child.start()
    try:
        while child.obey(decoder.decode(connection.recv_bytes())):
            pass
    except (EOFError, OSError):
        os._exit(1)  # the parent died: what is in flight can be told to nobody
    child.finish()
    outbox.close()
    flusher.join()
    if core is not None:
        core.close()
    connection.close()
