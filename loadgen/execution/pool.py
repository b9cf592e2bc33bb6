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

from loadgen.errors import ScenarioError
from loadgen.execution import child
from loadgen.execution.child import Broken, Cancel, FromChild, Ready, Returned, Setup, Stop, Task, Tasks


@dataclass(slots=True, eq=False)
class _Process:
    process: Any
    connection: Connection
    outstanding: int = 0
    leases: dict[int, int] = field(default_factory=dict)
    cpu_s: float = 0.0
    gone: bool = False


class Pool:
    """Child processes that execute tasks.

    `on_return` is called with what came back; `on_lost` with the leases of which a child that died held
    items.  Both are called from the pool's own threads.
    """

    def __init__(
        self,
        setup: Setup,
        processes: int,
        on_return: Callable[[Returned], None],
        on_lost: Callable[[set[int]], None],
    ) -> None:
        """Start the children.  Raises ScenarioError when they cannot load the scenario."""
        self._setup = setup
        self._on_return = on_return
        self._on_lost = on_lost
        self._context = multiprocessing.get_context("spawn")
        self._encoder = msgspec.msgpack.Encoder()
        self._lock = threading.Lock()
        self._past_cpu_s = 0.0
        self._stopping = False
        self._readers: list[threading.Thread] = []
        started = [self._spawn() for _ in range(processes)]
        self._children = [self._begin(process) for process in started]

    @property
    def outstanding(self) -> int:
        """Items that are in the children."""
        with self._lock:
            return sum(process.outstanding for process in self._children)

    @property
    def cpu_s(self) -> float:
        """CPU time of the children so far, in seconds."""
        return self._past_cpu_s + sum(process.cpu_s for process in self._children)

    def submit(self, tasks: Iterable[Task]) -> None:
        """Spread tasks over the children, each to the one with the least to do."""
        shares: dict[int, list[Task]] = {}
        with self._lock:
            for task in tasks:
                index = min(range(len(self._children)), key=lambda n: self._children[n].outstanding)
                process = self._children[index]
                process.outstanding += len(task.items)
                process.leases[task.lease] = process.leases.get(task.lease, 0) + len(task.items)
                shares.setdefault(index, []).append(task)
            chosen = {index: self._children[index] for index in shares}
        for index, share in shares.items():
            self._tell(chosen[index], Tasks(tuple(share)))

    def cancel(self, leases: Iterable[int]) -> None:
        """Do not start what is left of these leases; `on_return` tells what was skipped."""
        message = Cancel(tuple(leases))
        for process in list(self._children):
            self._tell(process, message)

    def stop(self) -> None:
        """Let the children finish what they have started, and wait for them."""
        self._stopping = True
        for process in self._children:
            self._tell(process, Stop())
        for reader in self._readers:
            reader.join()

    def kill(self) -> None:
        """End the children at once."""
        self._stopping = True
        for process in self._children:
            process.process.kill()

    def _spawn(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=child.main, args=(theirs,), name="loadgen-pool", daemon=True)
        process.start()
        theirs.close()
        ours.send_bytes(self._encoder.encode(self._setup))
        return _Process(process, ours)

    def _begin(self, process: _Process) -> _Process:
        decoder = msgspec.msgpack.Decoder(FromChild)
        try:
            first = decoder.decode(process.connection.recv_bytes())
        except EOFError:
            first = Broken("a pool process died while it loaded the scenario")
        if not isinstance(first, Ready):
            raise ScenarioError(first.reason if isinstance(first, Broken) else "unexpected message")
        reader = threading.Thread(target=self._read, args=(process, decoder), name="pool-read", daemon=True)
        self._readers.append(reader)
        reader.start()
        return process

    def _tell(self, process: _Process, message: child.ToChild) -> None:
        with contextlib.suppress(OSError):  # it died: its reader sees that and takes care of its leases
            process.connection.send_bytes(self._encoder.encode(message))

    def _read(self, process: _Process, decoder: msgspec.msgpack.Decoder[FromChild]) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                message = decoder.decode(process.connection.recv_bytes())
                if isinstance(message, Returned):
                    self._account(process, message)
                    self._on_return(message)
        process.connection.close()
        process.process.join()
        if not self._stopping:
            self._replace(process)

    def _account(self, process: _Process, message: Returned) -> None:
        ended = [(lease, sum(result.final for result in results)) for lease, _, results, _ in message.batches]
        with self._lock:
            process.cpu_s = message.cpu_s
            for lease, items in [*ended, *message.skipped]:
                process.outstanding -= items
                process.leases[lease] -= items
                if not process.leases[lease]:
                    del process.leases[lease]

    def _replace(self, process: _Process) -> None:
        """A child died: say whose items it took along, and start another in its place."""
        with self._lock:
            lost = set(process.leases)
            self._past_cpu_s += process.cpu_s
        try:
            successor = self._begin(self._spawn())
        except (ScenarioError, OSError):
            successor = None
        with self._lock:
            position = self._children.index(process)
            if successor is not None:
                self._children[position] = successor
            else:
                process.outstanding, process.leases = 0, {}
        self._on_lost(lost)
