"""What a pool process has done, on its way to the parent: gathered for a moment, packed, sent."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import TypeVar

import msgspec

from loadgen.clock import SystemClock
from loadgen.columns import Harvest
from loadgen.execution.pipe import FromChild, Returned, Task
from loadgen.execution.probe import Probe
from loadgen.sample import Presence, Result, Sample

FLUSH_S = 0.01
"""How long results gather before they leave: the delay that the parent sees."""
MOST_ROWS = 1000
"""Results, or samples, in one harvest."""

T = TypeVar("T")


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
    """Gathers what the threads have done.

    They only append to deques, which takes no lock: nothing that a thread has said waits for that thread.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.probe = Probe(SystemClock())
        self._encoder = msgspec.msgpack.Encoder()
        self._filled = threading.Event()
        self._woken = False
        """Whether that was set: asking the event takes four times as long."""
        self._closed = False
        self._kept = self._told_kept = 0
        self._ended: deque[tuple[Task, Result, Sequence[Sample]]] = deque()
        self._found: deque[tuple[Task, int, Presence, Sequence[Sample]]] = deque()
        self._skipped: deque[tuple[Task, Sequence[int], Sequence[Sample]]] = deque()

    def add(self, task: Task, result: Result, samples: Sequence[Sample]) -> None:
        """An attempt has ended."""
        self._ended.append((task, result, samples))
        self._wake()

    def add_verdict(self, task: Task, item: int, presence: Presence, samples: Sequence[Sample]) -> None:
        """An item in doubt was looked for."""
        self._found.append((task, item, presence, samples))
        self._wake()

    def skip(self, task: Task, items: Sequence[int], samples: Sequence[Sample] = ()) -> None:
        """Items were cancelled before they were started; or lost, after these calls."""
        self._skipped.append((task, items, samples))
        self._wake()

    def keep(self, serial: int) -> None:
        """The limit with this serial is kept."""
        self._kept = serial
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
            while not self._closed:
                self._filled.wait()
                time.sleep(FLUSH_S)
                self._filled.clear()
                self._woken = False  # before we look: what comes meanwhile is found now, or wakes us again
                self._flush()
            self._flush()

    def _flush(self) -> None:
        gathered: defaultdict[tuple[int, int], _Gathered] = defaultdict(_Gathered)
        skipped = []
        for task, items, samples in _drained(self._skipped):
            skipped.append((task.lease, tuple(items)))
            if samples:
                gathered[task.lease, task.step].samples.extend(samples)
        for task, item, presence, samples in _drained(self._found):
            got = gathered[task.lease, task.step]
            got.verdicts.append((item, presence))
            got.samples.extend(samples)
        last = None
        for task, result, samples in _drained(self._ended):
            if task is not last:  # several of one task mostly come together
                got, last = gathered[task.lease, task.step], task
            got.results.append(result)
            got.samples.extend(samples)
        kept, told = self._kept, self._told_kept
        if gathered or skipped or kept != told:
            self._told_kept = kept
            parts = tuple((*place, part) for place, got in gathered.items() for part in got.harvests())
            self.send(Returned(parts, tuple(skipped), time.process_time(), self.probe.reading(), kept))

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._filled.set()


def _drained(said: deque[T]) -> Iterator[T]:
    """What is there now; what comes meanwhile goes with the next message."""
    for _ in range(len(said)):
        yield said.popleft()
