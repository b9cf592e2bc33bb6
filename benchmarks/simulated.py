"""`python -m benchmarks.simulated FOLDER PORT COUNT CHUNK`: workers with real connections and fake work.

Each says hello, leases, arms, waits about a second as if it worked, reports, until the queue is drained: the
calls of a worker with a slow target.  Prints a line of JSON: microseconds of each call, by verb.  This is
the one file of the benchmarks that knows the messages of the queue.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from loadgen.columns import Harvest
from loadgen.plan import Chunk
from loadgen.queues import token as tokens
from loadgen.queues.client import QueueClient
from loadgen.queues.messages import (
    PROTOCOL,
    Arm,
    Batch,
    Beat,
    Bye,
    Drained,
    Hello,
    Lease,
    LeaseRequest,
    Mark,
    Report,
)
from loadgen.sample import Outcome, Result
from loadgen.version import __version__

WORK_S = 1.0
"""What a chunk takes: workers lease about a second of work at a time."""
PATIENCE_S = 60.0
"""How long to look for the master."""
AT_ONCE = 6
"""So many of a process join at the same time."""
STACK_BYTES = 256 * 1024
R = TypeVar("R")


class Simulated:
    """One worker."""

    def __init__(
        self, client: QueueClient, number: int, chunk: int, door: threading.BoundedSemaphore
    ) -> None:
        self.took_us: dict[str, list[int]] = defaultdict(list)
        self._client = client
        self._session = uuid.uuid4().hex
        self._name = f"simulated-{number}"
        self._chunk = chunk
        self._door = door
        self._seq = 0
        self._pace = random.Random(number)  # noqa: S311 - workers are not in step

    def run(self) -> None:
        """Until the queue is drained."""
        hello = Hello(self._session, self._name, "simulated", self._chunk, PROTOCOL, __version__)
        with self._door:  # the master turns away who knocks with too many at once: they would come again
            self._timed("hello", lambda: self._client.hello(hello))
        request = LeaseRequest(self._session, self._chunk, self._chunk)
        while True:
            answer = self._timed("lease", lambda: self._client.lease(request))
            if isinstance(answer, Drained):
                break
            if isinstance(answer, Lease):
                self._work(answer)
            else:
                self.took_us["lease"].pop()  # nothing was to be had: no call that hands out work
                time.sleep(max(answer.seconds, self._pace.uniform(0.2, 1.0)))
                self._beat()
        self._client.bye(Bye(self._session, "drained"))
        self._client.close()

    def _work(self, lease: Lease) -> None:
        arm = Arm(self._session, (Mark(lease.id, 0, len(lease.chunk)),))
        self._timed("arm", lambda: self._client.arm(arm))
        began_us = time.time_ns() // 1000
        time.sleep(WORK_S * self._pace.uniform(0.5, 1.5))
        report = Report(self._session, (self._batch(lease.id, lease.chunk, began_us),))
        self._timed("report", lambda: self._client.report(report))

    def _beat(self) -> None:
        beat = Beat(self._session, (), 0.0, 0)
        self._timed("beat", lambda: self._client.beat(beat))

    def _batch(self, lease: int, chunk: Chunk, began_us: int) -> Batch:
        self._seq += 1
        results = tuple(Result(item, 1, Outcome.DONE, began_us, 1000) for item in chunk)
        return Batch(self._seq, lease, chunk.step, Harvest.of(results))

    def _timed(self, verb: str, call: Callable[[], R]) -> R:
        began_ns = time.monotonic_ns()
        answer = call()
        self.took_us[verb].append((time.monotonic_ns() - began_ns) // 1000)
        return answer


def main(folder: Path, port: int, count: int, chunk: int) -> dict[str, Any]:
    """Run so many in threads; their times by verb, and what went wrong."""
    token = _token(folder, port)
    door = threading.BoundedSemaphore(AT_ONCE)
    crew = [Simulated(QueueClient(token, "127.0.0.1", port), number, chunk, door) for number in range(count)]
    errors: list[str] = []

    def body(worker: Simulated) -> None:
        try:
            worker.run()
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")

    threading.stack_size(STACK_BYTES)
    threads = [threading.Thread(target=body, args=(worker,), daemon=True) for worker in crew]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_us: dict[str, list[int]] = defaultdict(list)
    for worker in crew:
        for verb, times in worker.took_us.items():
            took_us[verb] += times
    return {"took_us": took_us, "errors": errors}


def _token(folder: Path, port: int) -> tokens.Token:
    """The master's, as soon as it is there."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return tokens.find({"LOADGEN_STATE_DIR": str(folder)}, port)
        except FileNotFoundError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))))
