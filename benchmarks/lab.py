"""The laboratory: a temporary folder, the cores, how long and how often to measure, what must not survive.

Contenders take turns, forwards in one round and backwards in the next, so that what the machine does
beside them hits all of them alike.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Self, TypeVar

from benchmarks import processes
from benchmarks.processes import Ended, Watch, Watched

CHECKOUT = Path(__file__).resolve().parents[1]
LIMIT_S = 180.0
"""Nothing that is measured takes longer."""

M = TypeVar("M")


class Missing(Exception):
    """A contender cannot take part; says why in one line."""


class Failed(Exception):
    """A measurement went wrong; says how in one line."""


@dataclass(frozen=True, slots=True)
class Turns(Generic[M]):
    """What the contenders measured."""

    measured: Mapping[str, Sequence[M]]
    """By name, in the order of the rounds; contenders that could not take part are absent."""
    out: Mapping[str, str]
    """By name: why it could not, or not to the end."""


@dataclass(frozen=True, slots=True)
class Beside:
    """A program that runs beside what is measured."""

    process: subprocess.Popen[bytes]
    out: Path
    """The file that it prints into."""
    err: Path

    def finish(self, limit_s: float) -> str:
        """Wait for its end; returns what it printed.  Raises Failed."""
        code, cpu_s = processes.wait(self.process, limit_s)
        ended = Ended(code, self.out.read_text(), self.err.read_text(errors="replace"), 0.0, cpu_s)
        if code:
            raise Failed(ended.words)
        return ended.out


@dataclass(slots=True, kw_only=True)
class Lab:
    """Where everything is measured."""

    folder: Path
    quick: bool
    """A smoke run: everything once, and short."""
    long: bool
    """Also what takes very long."""
    rounds: int
    fewer: int
    """Rounds where one takes long, or nothing is judged."""
    client_core: int | None
    """Where the contenders run; None: anywhere."""
    server_core: int | None
    """Where the web server runs."""
    failed: list[str] = field(default_factory=list)
    """What went wrong, for the exit code; peers that are missing are no failure."""
    _serial: int = 0
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            processes.end(process)

    def pick(self, usual: float, quick: float) -> float:
        """A duration or a size."""
        return quick if self.quick else usual

    def say(self, text: str) -> None:
        """Progress, for people."""
        print(f"  {text}", file=sys.stderr, flush=True)

    @property
    def environ(self) -> dict[str, str]:
        """For all programs: this checkout's loadgen, and all its files in the laboratory's folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOADGEN_")}
        path = os.pathsep.join(filter(None, [str(CHECKOUT), kept.get("PYTHONPATH")]))
        state = {"LOADGEN_STATE_DIR": str(self.folder / "state"), "TMPDIR": str(self.folder)}
        return {**kept, "PYTHONPATH": path, **state}

    def new(self, stem: str) -> Path:
        """A path in the laboratory that nobody has."""
        self._serial += 1
        return self.folder / f"{self._serial:04d}-{stem}"

    def run(self, command: Sequence[str], *, core: int | None = None, limit_s: float = LIMIT_S) -> Ended:
        """Run a program to its end.  Raises Missing when there is no such program."""
        ended, _ = self._run(command, core, limit_s, watched=False)
        return ended

    def watch(
        self, command: Sequence[str], *, core: int | None = None, limit_s: float = LIMIT_S
    ) -> tuple[Ended, Watched]:
        """The same, watched through /proc meanwhile."""
        return self._run(command, core, limit_s, watched=True)

    @contextlib.contextmanager
    def beside(self, command: Sequence[str], *, core: int | None = None) -> Iterator[Beside]:
        """Run a program beside.  It is ended on the way out."""
        process, out, err = self._start(command, core)
        try:
            yield Beside(process, out, err)
        finally:
            processes.end(process)
            self._running.remove(process)

    def _run(
        self, command: Sequence[str], core: int | None, limit_s: float, *, watched: bool
    ) -> tuple[Ended, Watched]:
        began_s = time.monotonic()
        process, out, err = self._start(command, core)
        watch = Watch(process.pid)
        try:
            with watch if watched else contextlib.nullcontext():
                code, cpu_s = processes.wait(process, limit_s)
        finally:
            processes.end(process)
            self._running.remove(process)
        wall_s = time.monotonic() - began_s
        ended = Ended(code, out.read_text(errors="replace"), err.read_text(errors="replace"), wall_s, cpu_s)
        return ended, watch.seen

    def _start(self, command: Sequence[str], core: int | None) -> tuple[subprocess.Popen[bytes], Path, Path]:
        if shutil.which(command[0]) is None:
            raise Missing(f"{command[0]} is not on PATH")
        out, err = self.new("out"), self.new("err")
        process = processes.start(command, self.environ, core=core, out=out, err=err)
        self._running.append(process)
        return process, out, err


def take_turns(lab: Lab, contenders: Mapping[str, Callable[[], M]], rounds: int | None = None) -> Turns[M]:
    """Let each contender measure once in each round; one that fails takes part no longer."""
    measured: dict[str, list[M]] = {name: [] for name in contenders}
    out: dict[str, str] = {}
    for turn in range(rounds or lab.rounds):
        for name in list(contenders)[:: -1 if turn % 2 else 1]:
            if name in out:
                continue
            lab.say(f"round {turn + 1}: {name}")
            try:
                measured[name].append(contenders[name]())
            except Missing as error:
                out[name] = f"{name}: left out: {error}"
            except Failed as error:
                out[name] = f"{name}: failed in round {turn + 1}: {error}"
                lab.failed.append(out[name])
    return Turns({name: values for name, values in measured.items() if values}, out)


def wait_until(ready: Callable[[], M | None], what: str, limit_s: float = 30.0) -> M:
    """Poll until there is something.  Raises Failed when it takes too long."""
    deadline_s = time.monotonic() + limit_s
    while time.monotonic() < deadline_s:
        found = ready()
        if found is not None:
            return found
        time.sleep(0.02)
    raise Failed(f"{what}: not there after {limit_s:g} s")
