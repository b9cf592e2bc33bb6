"""The processes of a round: found by the state directory in their environment, whoever their parent is."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LOADGEN = (sys.executable, "-m", "loadgen")


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the round."""

    pid: int
    parent: int
    role: str
    """`master`, `worker` or `child`."""


class Family:
    """The processes of a round: they share a state directory, whoever their parents are."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._started: list[subprocess.Popen[bytes]] = []
        state.mkdir(parents=True, exist_ok=True)

    def start(
        self, arguments: Sequence[str], log: Path, *, prefix: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start `loadgen` with these arguments; its output goes to `log`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADGEN_")}
        root = str(Path(__file__).parents[2])
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*prefix, *LOADGEN, *arguments],
                env={**kept, "LOADGEN_STATE_DIR": str(self.state), "PYTHONPATH": root},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def find(self) -> list[Process]:
        """Those that live."""
        mark = f"LOADGEN_STATE_DIR={self.state}".encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            with contextlib.suppress(OSError):  # it ended meanwhile, or is none of ours
                if mark not in (folder / "environ").read_bytes().split(b"\0"):
                    continue
                words = (folder / "cmdline").read_bytes().split(b"\0")
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    found.append(Process(int(folder.name), int(stat[1]), _role(words)))
        return [process for process in found if process.role]

    def end(self) -> None:
        """Leave nothing behind."""
        deadline = time.monotonic() + 10
        while (left := self.find()) and time.monotonic() < deadline:
            for process in left:
                send(process.pid, signal.SIGKILL)
            time.sleep(0.02)
        for started in self._started:
            started.wait(10)


def _role(words: list[bytes]) -> str:
    if b"worker" in words:
        return "worker"
    if b"run" in words or b"resume" in words:
        return "master"
    return "child" if any(b"spawn_main" in word for word in words) else ""


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def until(condition: object, *, within_s: float, what: str) -> None:
    """Poll until `condition()` is true.  Raises AssertionError when it takes too long."""
    deadline = time.monotonic() + within_s
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.02)


def polled(within_s: float) -> Iterator[None]:
    """Yields now and then, until the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)
