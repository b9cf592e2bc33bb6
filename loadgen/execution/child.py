"""A pool's child process: threads that execute items, and one that sends what came of them to the parent.

The parent talks over a pipe in MessagePack, many tasks and many results a message: nothing crosses the
process boundary alone.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
from collections import defaultdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from loadgen import options as _options
from loadgen.clock import SystemClock
from loadgen.errors import LoadgenError
from loadgen.execution.runner import Errand, Runner, explain, open_session
from loadgen.loader import Loaded, load
from loadgen.sample import Result, Sample

FLUSH_S = 0.01
"""How long results gather before they leave: the delay that the parent sees."""


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
    run: str
    """For the X-Loadgen-* headers; empty: none."""


class Task(msgspec.Struct, frozen=True, array_like=True):
    """Items of one lease to be done one after the other by one thread."""

    lease: int
    step: int
    items: tuple[int, ...]
    attempts: tuple[int, ...]
    rows: tuple[msgspec.Raw, ...] = ()


class Tasks(msgspec.Struct, frozen=True, tag=True):
    """More to do."""

    tasks: tuple[Task, ...]


class Cancel(msgspec.Struct, frozen=True, tag=True):
    """Do not start what is left of these leases."""

    leases: tuple[int, ...]


class Stop(msgspec.Struct, frozen=True, tag=True):
    """Finish what was started, and exit."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The scenario is loaded."""


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The scenario cannot be loaded."""

    reason: str


class Returned(msgspec.Struct, frozen=True, tag=True):
    """What came of the tasks since the last message."""

    batches: tuple[tuple[int, int, list[Result], list[Sample]], ...]
    """Lease, step, attempts that ended, calls that ended."""
    skipped: tuple[tuple[int, int], ...]
    """Lease and number of items that were cancelled before they were started."""
    cpu_s: float
    """CPU time of this process so far."""


ToChild: TypeAlias = Setup | Tasks | Cancel | Stop
FromChild: TypeAlias = Ready | Broken | Returned


class Outbox:
    """Gathers what the threads have done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._closed = False
        self._batches: dict[tuple[int, int], tuple[list[Result], list[Sample]]] = {}
        self._skipped: dict[int, int] = defaultdict(int)

    def add(self, task: Task, result: Result, samples: list[Sample]) -> None:
        """An attempt ended."""
        with self._lock:
            results, calls = self._batches.setdefault((task.lease, task.step), ([], []))
            results.append(result)
            calls += samples
        self._filled.set()

    def skip(self, lease: int, items: int) -> None:
        """Items were cancelled before they were started."""
        with self._lock:
            self._skipped[lease] += items
        self._filled.set()

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
            while self._filled.wait() and not (self._closed and not self._batches and not self._skipped):
                if not self._closed:
                    time.sleep(FLUSH_S)
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            batches, self._batches = self._batches, {}
            skipped, self._skipped = self._skipped, defaultdict(int)
            if not self._closed:
                self._filled.clear()
        parts = tuple((lease, step, *parts) for (lease, step), parts in batches.items())
        self.send(Returned(parts, tuple(skipped.items()), time.process_time()))


class Child:
    """The threads of one process."""

    def __init__(self, setup: Setup, loaded: Loaded, outbox: Outbox) -> None:
        self._setup = setup
        self._loaded = loaded
        self._outbox = outbox
        self._options: Any = _options.unpack(loaded.scenario.options, setup.options)
        self._steps = [loaded.step(name) for name in setup.steps]
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
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
                self._cancelled.update(message.leases)
            case Stop():
                return False
        return True

    def finish(self) -> None:
        """Let the threads end what they have started."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        clock = SystemClock()
        with open_session(self._loaded.scenario, self._setup.target, self._options, clock) as session:
            runner = Runner(self._options, session, clock, self._setup.run)
            while (task := self._tasks.get()) is not None:
                self._do(runner, task)

    def _do(self, runner: Runner, task: Task) -> None:
        step = self._steps[task.step]
        for position, (item, attempt) in enumerate(zip(task.items, task.attempts, strict=True)):
            if task.lease in self._cancelled:
                self._outbox.skip(task.lease, len(task.items) - position)
                return
            argument: Any = msgspec.msgpack.decode(task.rows[position]) if task.rows else item
            for result, samples in runner.run(Errand(step, item, argument, attempt)):
                self._outbox.add(task, result, samples)


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
    flusher = threading.Thread(target=outbox.run, name="flush", daemon=True)
    flusher.start()
    child.start()
    try:
        while child.obey(decoder.decode(connection.recv_bytes())):
            pass
    except (EOFError, OSError):
        os._exit(1)  # the parent died: what is in flight can be told to nobody
    child.finish()
    outbox.close()
    flusher.join()
    connection.close()
