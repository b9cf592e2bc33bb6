"""The port is open to all: strangers and mad token holders must not disturb a worker that works.

One run goes on while everything in `fuzz` happens to its master; the target's log tells whether the
worker noticed.  `LOADGEN_CHAOS_KNOCKS=10000` makes the storm a long one.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadgen.errors import TokenError
from loadgen.ledger.reader import Reader
from loadgen.queues import token as tokens
from loadgen.queues.client import QueueClient
from loadgen.queues.identity import new_identity

from . import fuzz, processes
from .loops import Loop
from .rounds import Play
from .target import Manners, Target

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are found in /proc")

KNOCKS = int(os.environ.get("LOADGEN_CHAOS_KNOCKS", "500"))
BUSY = Manners(latency_s=0.02)
RATE = 8 / BUSY.latency_s
"""Items a second at most: eight threads."""


@dataclass(frozen=True)
class Shape:
    """What a master holds."""

    threads: int
    descriptors: int
    resident_kib: int

    @classmethod
    def of(cls, pid: int) -> Shape:
        text = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in text.splitlines())
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return cls(int(fields["Threads"]), descriptors, int(fields["VmRSS"].split()[0]))


class Run:
    """A run with one local worker that is busy until `finish`."""

    def __init__(self, target: Target, directory: Path, items: int) -> None:
        self.target = target
        self._out = directory / "runs"
        self._family = processes.Family(directory / "state")
        scenario = directory / "chaos.py"
        scenario.write_text(Play("at_most_once").scenario())
        self.log = directory / "master.log"
        self.process = self._family.start(
            [
                *("run", str(scenario), "--target", target.url, "--listen", "127.0.0.1:0", "--quiet"),
                *("--set", "first=0", "--set", f"second={items}", "--out", str(self._out)),
                *("--processes", "1", "--concurrency", "8", "--lease-ttl", "3"),
            ],
            self.log,
        )
        processes.until(lambda: len(target.log.hits) > 100, within_s=20, what="a busy worker")
        self.door = fuzz.Door(tokens.read(next(self._family.state.glob("*.token"))))

    @property
    def pid(self) -> int:
        return self.process.pid

    def rate(self, seconds: float) -> float:
        """Items a second at the target, from now on."""
        before = len(self.target.log.hits)
        time.sleep(seconds)
        return (len(self.target.log.hits) - before) / seconds

    def finish(self) -> int:
        """Let it end soon; returns the exit code."""
        self.target.manners = Manners(latency_s=0.0)
        return self.process.wait(90)

    def events(self) -> list[str]:
        with Reader(next(self._out.iterdir())) as reader:
            return [event.kind for event in reader.events()]

    def close(self) -> None:
        self._family.end()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Loop() as loop:
        target = Target(loop, BUSY)
        run = Run(target, tmp_path, 6000 + KNOCKS * 3)
        try:
            yield run
        finally:
            run.close()
            target.close()


def test_a_worker_works_on_whatever_comes_to_the_door(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    quiet = Shape.of(run.pid)
    rates = [run.rate(1)]
    started_s, started = time.monotonic(), len(run.target.log.hits)
    with fuzz.silence(run.door, 1000):
        crowded = Shape.of(run.pid)
        leaked = fuzz.storm(run.door, fuzz.STRANGERS, KNOCKS, seed=1)
    for seed in range(3):
        assert not fuzz.mad_worker(run.door, random.Random(seed))
    record = fuzz.recorded_handshake(run.door)
    assert not fuzz.replay(run.door, record)
    took_s = time.monotonic() - started_s
    rates.append((len(run.target.log.hits) - started) / took_s)
    assert not leaked
    assert crowded.threads <= quiet.threads + 70
    _until_like(run.pid, quiet)
    rates.append(run.rate(1))
    after = Shape.of(run.pid)
    assert run.finish() == 0, run.log.read_text()
    assert "lease expired" not in run.events()
    assert run.events().count("worker joined") == 1 + 3, "the worker, and three mad ones"
    assert max(run.target.log.effects.values()) == 1
    assert "Traceback" not in run.log.read_text()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{KNOCKS} knocks in {took_s:.1f} s; items/s before, during, after: "
            f"{[round(rate) for rate in rates]}\n  before {quiet}\n  crowded {crowded}\n  after {after}\n"
        )


def test_a_relay_with_its_own_certificate_learns_nothing(run: Run) -> None:
    impostor = fuzz.Impostor(new_identity().context())
    server = threading.Thread(target=impostor.serve_one)
    server.start()
    with pytest.raises(TokenError, match="another certificate"):
        QueueClient(run.door.token, "127.0.0.1", impostor.port)._connect()
    server.join()
    impostor.close()
    assert impostor.heard == b""


def _until_like(pid: int, before: Shape) -> None:
    """Threads and descriptors are back, and memory nearly."""

    def back() -> bool:
        now = Shape.of(pid)
        return (
            now.threads <= before.threads
            and now.descriptors <= before.descriptors + 1
            and now.resident_kib <= before.resident_kib + 48 * 1024
        )

    processes.until(back, within_s=40, what=f"like {before}: {Shape.of(pid)}")
