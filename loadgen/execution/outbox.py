"""What a pool process has done, on its way to the parent: gathered for a moment, packed, sent."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

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

    def add(self, task: Task, results: Sequence[Result], samples: Sequence[Sample]) -> None:
        """Attempts have ended."""
        with self._lock:
            gathered = self._of(task)
            gathered.results.extend(results)
            gathered.samples.extend(samples)
        self._wake()

    def add_verdict(self, task: Task, item: int, presence: Presence, samples: Sequence[Sample]) -> None:
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
