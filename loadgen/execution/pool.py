"""The pool: child processes times threads, fed by the worker, one pipe each.

Children are spawned, never forked: the same on every platform, and no thread or lock of the parent is
copied half-way.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from loadgen.errors import LoadgenError, ScenarioError, WorkersGone
from loadgen.execution import child
from loadgen.execution.pipe import (
    Broken,
    Cancel,
    Drop,
    Fence,
    FromChild,
    Limit,
    Ready,
    Returned,
    Setup,
    Stop,
    Task,
    Tasks,
    ToChild,
    Width,
)
from loadgen.lag import NO_LAG, Lag, worst

STARTS = 3
"""How often a child is started that dies before it is ready."""
MOST_DEATHS = 10
"""How many may die one after the other while nothing gets done."""


@dataclass(slots=True, eq=False)
class _Process:
    process: Any
    connection: Connection
    sending: threading.Lock = field(default_factory=threading.Lock)
    """Large messages go out in several writes: nothing may come between them."""
    items: dict[int, set[int]] = field(default_factory=dict)
    """By lease: what is outstanding."""
    outstanding: int = 0
    cpu_s: float = 0.0
    lag: Lag = NO_LAG
    most: int | None = None
    """Items that it may have in flight."""
    kept: int = 0
    """The serial of the limit that it keeps to."""
    gone: bool = False


class Pool:
    """Child processes that execute tasks.

    `on_return` is called with what came back; `on_lost` with the items (by lease) that a child which died
    had.  Both are called from the pool's own threads.
    """

    def __init__(
        self,
        setup: Setup,
        processes: int,
        on_return: Callable[[Returned], None],
        on_lost: Callable[[dict[int, set[int]]], None],
    ) -> None:
        """Start the children.  Raises ScenarioError when they cannot load the scenario."""
        self._setup = setup
        self._on_return = on_return
        self._on_lost = on_lost
        self._context = multiprocessing.get_context("spawn")
        self._encoder = msgspec.msgpack.Encoder(enc_hook=tuple)  # ranges
        self._lock = threading.Lock()
        self._past_cpu_s = 0.0
        self._past_lag = NO_LAG
        self._until_us = 0
        self._limited = 0
        self._stopping = False
        self._deaths = 0  # since something was done
        self._failed: LoadgenError | None = None
        self._parked: list[Task] = []  # while the only child is being replaced
        self._readers: list[threading.Thread] = []
        started = [self._spawn() for _ in range(processes)]
        self._children = [self._begin(process) or self._start() for process in started]

    @property
    def outstanding(self) -> int:
        """Items that are in the children."""
        with self._lock:
            parked = sum(len(task.items) for task in self._parked)
            return parked + sum(process.outstanding for process in self._children)

    @property
    def cpu_s(self) -> float:
        """CPU time of the children so far, in seconds."""
        return self._past_cpu_s + sum(process.cpu_s for process in self._children)

    @property
    def lag(self) -> Lag:
        """What the probe of the slowest child has read so far."""
        return worst([self._past_lag, *(process.lag for process in self._children)])

    @property
    def kept(self) -> int:
        """The serial of the limit that all children keep to; one that died has nothing in flight."""
        return min((process.kept for process in self._children if not process.gone), default=self._limited)

    def submit(self, tasks: Iterable[Task]) -> None:
        """Spread tasks over the children, each to the one with the least to do.  Raises WorkersGone."""
        shares: dict[_Process, list[Task]] = {}
        with self._lock:
            if self._failed is not None:
                raise self._failed
            there = [process for process in self._children if not process.gone]
            there = [process for process in there if process.most != 0] or there
            for task in tasks:
                if not there:
                    self._parked.append(task)
                    continue
                process = min(there, key=lambda child: child.outstanding / (child.most or 1))
                process.outstanding += len(task.items)
                process.items.setdefault(task.lease, set()).update(task.items)
                shares.setdefault(process, []).append(task)
        for process, share in shares.items():
            self._tell(process, Tasks(tuple(share)))

    def cancel(self, leases: Iterable[int]) -> None:
        """Do not start what is left of these leases; `on_return` tells what was skipped."""
        self._call_off(Cancel(tuple(leases)))

    def drop(self, leases: Iterable[int]) -> None:
        """These leases are lost: start nothing more of them, and let nothing of them make a further call."""
        self._call_off(Drop(tuple(leases)))

    def _call_off(self, message: Cancel | Drop) -> None:
        gone = set(message.leases)
        with self._lock:
            skipped = tuple((task.lease, tuple(task.items)) for task in self._parked if task.lease in gone)
            self._parked = [task for task in self._parked if task.lease not in gone]
            children = list(self._children)
        for process in children:
            self._tell(process, message)
        if skipped:
            self._on_return(Returned((), skipped, 0.0))

    def fence(self, until_us: int) -> None:
        """Start nothing after this time (of the machine's monotonic clock), until a later one is told."""
        self._until_us = until_us
        for process in list(self._children):
            self._tell(process, Fence(until_us))

    def widen(self, threads: int) -> None:
        """Let each child do so many items at a time; fewer than before: when those under way have ended."""
        self._setup = msgspec.structs.replace(self._setup, threads=threads)
        for process in list(self._children):
            self._tell(process, Width(threads))

    def limit(self, serial: int, most: int | None) -> None:
        """Have no more than so many items in flight; what a child with no part of that has comes back."""
        with self._lock:
            self._limited, children = serial, list(self._children)
            for place, process in enumerate(children):
                process.most = None if most is None else (most + len(children) - 1 - place) // len(children)
        for process in children:
            self._tell(process, Limit(serial, process.most))

    def stop(self) -> None:
        """Let the children finish what they have started, and wait for them."""
        with self._lock:
            self._stopping = True
            children = list(self._children)
        for process in children:
            self._tell(process, Stop())
        while alive := [reader for reader in self._readers if reader.is_alive()]:
            for reader in alive:  # one that replaces its child has begun another one before it ends
                reader.join()

    def kill(self) -> None:
        """End the children at once."""
        with self._lock:
            self._stopping = True
            children = list(self._children)
        for process in children:
            process.process.kill()

    def _start(self) -> _Process:
        """A child that is ready.  Raises ScenarioError when it cannot load the scenario."""
        for _ in range(STARTS):
            process = self._begin(self._spawn())
            if process is not None:
                return process
        raise ScenarioError("pool processes die while they load the scenario")

    def _spawn(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=child.main, args=(theirs,), name="loadgen-pool", daemon=True)
        process.start()
        theirs.close()
        started = _Process(process, ours)
        self._tell(started, self._setup)
        return started

    def _begin(self, process: _Process) -> _Process | None:
        """The child, when it is ready; None: it died.  Raises ScenarioError."""
        decoder = msgspec.msgpack.Decoder(FromChild)
        try:
            first = decoder.decode(process.connection.recv_bytes())
        except (EOFError, OSError):
            process.connection.close()
            process.process.join()
            return None
        if not isinstance(first, Ready):
            raise ScenarioError(first.reason if isinstance(first, Broken) else "unexpected message")
        self._tell(process, Fence(self._until_us))
        reader = threading.Thread(target=self._read, args=(process, decoder), name="pool-read", daemon=True)
        reader.start()
        self._readers = [*(other for other in self._readers if other.is_alive()), reader]
        return process

    def _tell(self, process: _Process, message: ToChild) -> None:
        data = self._encoder.encode(message)
        with contextlib.suppress(OSError), process.sending:  # it died: its reader sees that
            process.connection.send_bytes(data)

    def _read(self, process: _Process, decoder: msgspec.msgpack.Decoder[FromChild]) -> None:
        try:
            while True:
                message = decoder.decode(process.connection.recv_bytes())
                if isinstance(message, Returned):
                    self._account(process, message)
                    self._on_return(message)
        except (EOFError, OSError):
            pass  # it is gone
        except msgspec.MsgspecError:
            process.process.kill()  # what it says cannot be understood: it must not go on
        with process.sending:
            process.connection.close()
        process.process.join()
        if not self._stopping:
            self._replace(process)

    def _account(self, process: _Process, message: Returned) -> None:
        with self._lock:
            process.cpu_s, process.lag, process.kept = message.cpu_s, message.lag, message.kept
            self._deaths = 0
            for lease, _, harvest in message.harvests:
                self._ended(process, lease, harvest.ended, harvest.items())
            for lease, items in message.skipped:
                self._ended(process, lease, len(items), items)

    @staticmethod
    def _ended(process: _Process, lease: int, count: int, items: Iterable[int]) -> None:
        if not count:
            return
        process.outstanding -= count
        left = process.items[lease]
        left.difference_update(items)
        if not left:
            del process.items[lease]

    def _replace(self, process: _Process) -> None:
        """A child died: say what it took along, and start another in its place."""
        with self._lock:
            process.gone = True
            lost, process.items, process.outstanding = process.items, {}, 0
            self._past_lag = worst([self._past_lag, process.lag])
            self._past_cpu_s, process.cpu_s = self._past_cpu_s + process.cpu_s, 0.0
            self._deaths += 1
        self._on_lost(lost)
        try:
            if self._deaths > MOST_DEATHS:
                raise WorkersGone(f"{self._deaths} of them died one after the other, and nothing was done")
            successor = self._start()
        except (LoadgenError, OSError) as error:
            with self._lock:
                self._children.remove(process)
                if not self._children:
                    self._failed = WorkersGone(f"no pool process is left: {error}")
            return
        with self._lock:
            self._children[self._children.index(process)] = successor
            successor.most, serial = process.most, self._limited
            parked, self._parked = self._parked, []
            stopping = self._stopping
        self._tell(successor, Fence(self._until_us))  # a later one may have been told meanwhile
        self._tell(successor, Width(self._setup.threads))
        if serial:
            self._tell(successor, Limit(serial, successor.most))
        self.submit(parked)
        if stopping:
            self._tell(successor, Stop())
