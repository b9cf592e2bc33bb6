"""Programs under measurement: started on a core, waited for with their CPU time, watched through /proc.

What was started is killed with everything it started itself: nothing survives a benchmark.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PROC = Path("/proc")
WATCH_S = 0.05
"""How often a watched process is looked at."""
FAMILY_S = 0.5
"""How often its children are looked for: that costs more."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended."""

    code: int
    """Exit code; negative: the signal that killed it."""
    out: str
    err: str
    wall_s: float
    cpu_s: float
    """User and system time of the process and of all its children."""

    @property
    def words(self) -> str:
        """The last thing it said, for a note."""
        if self.code == -signal.SIGKILL:
            return f"killed after {self.wall_s:.0f} s: it took too long"
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return f"exit code {self.code}: {lines[-1][:160] if lines else 'it said nothing'}"


@dataclass(frozen=True, slots=True)
class Point:
    """What a watched process and its family had used at a moment."""

    at_s: float
    """Wall clock, seconds since 1970."""
    own_cpu_s: float
    all_cpu_s: float


@dataclass(slots=True)
class Watched:
    """What was seen of a process while it ran.  Empty where there is no /proc."""

    points: list[Point] = field(default_factory=list)
    peaks_kib: dict[str, int] = field(default_factory=dict)
    """Largest resident size by role: master, worker, pool."""

    def own_cpu_s(self, from_s: float, to_s: float) -> float | None:
        """CPU time of the process itself between two moments, in seconds."""
        return _between([(point.at_s, point.own_cpu_s) for point in self.points], from_s, to_s)

    def all_cpu_s(self, from_s: float, to_s: float) -> float | None:
        """The same for it and all that it started."""
        return _between([(point.at_s, point.all_cpu_s) for point in self.points], from_s, to_s)


class Watch:
    """Looks at a running process from a thread of its own until it is left."""

    def __init__(self, pid: int) -> None:
        self.seen = Watched()
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._cpu: dict[int, float] = {}

    def __enter__(self) -> Self:
        if PROC.joinpath("self", "stat").exists():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _look(self) -> None:
        family, looked_s = [self._pid], 0.0
        while not self._over.is_set():
            if time.monotonic() - looked_s > FAMILY_S:
                family, looked_s = [self._pid, *descendants(self._pid)], time.monotonic()
            for pid in family:
                with contextlib.suppress(OSError, ValueError):
                    self._note(pid)
            point = Point(time.time(), self._cpu.get(self._pid, 0.0), sum(self._cpu.values()))
            self.seen.points.append(point)
            self._over.wait(WATCH_S)

    def _note(self, pid: int) -> None:
        self._cpu[pid] = cpu_s(pid)
        role = "master" if pid == self._pid else _role(pid)
        self.seen.peaks_kib[role] = max(self.seen.peaks_kib.get(role, 0), _peak_kib(pid))


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What this thread starts meanwhile runs on that core only; None: anywhere."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def start(
    command: Sequence[str], environ: Mapping[str, str], *, core: int | None, out: Path, err: Path
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own: Ctrl-C is ours to pass on."""
    with on_core(core), out.open("wb") as output, err.open("wb") as errors:
        return subprocess.Popen(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
        )


def wait(process: subprocess.Popen[bytes], limit_s: float) -> tuple[int, float]:
    """Exit code and CPU seconds of it and its children; it is killed when it takes longer than the limit."""
    alarm = threading.Timer(limit_s, kill_family, (process.pid,))
    alarm.daemon = True
    alarm.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    finally:
        alarm.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_utime + usage.ru_stime


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started."""
    if process.poll() is None:
        kill_family(process.pid)
        process.wait()


def kill_family(pid: int) -> None:
    """Kill a process and its descendants at once, those with a session of their own included."""
    for member in [pid, *descendants(pid)]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """All processes below one; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            children.setdefault(int(_fields(entry)[1]), []).append(int(entry.parent.name))
    found, waiting = [], list(children.get(pid, ()))
    while waiting:
        member = waiting.pop()
        found.append(member)
        waiting += children.get(member, ())
    return found


def cpu_s(pid: int) -> float:
    """User and system time of a living process.  Raises OSError when it is gone."""
    fields = _fields(PROC / str(pid) / "stat")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fields(stat: Path) -> list[str]:
    """From the third on: what comes before, the program's name, may hold blanks and brackets."""
    return stat.read_text(errors="replace").rpartition(")")[2].split()


def _peak_kib(pid: int) -> int:
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0  # a kernel thread, or a zombie


def _role(pid: int) -> str:
    words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    if b"worker" in words:
        return "worker"
    return "pool" if any(b"spawn_main" in word for word in words) else "other"


def _between(points: Sequence[tuple[float, float]], from_s: float, to_s: float) -> float | None:
    if not points or to_s <= from_s:
        return None
    return _at(points, to_s) - _at(points, from_s)


def _at(points: Sequence[tuple[float, float]], at_s: float) -> float:
    """Between two points on a straight line; beyond the last, what it was then."""
    index = bisect.bisect_left(points, (at_s, 0.0))
    if index == 0:
        return points[0][1]
    if index == len(points):
        return points[-1][1]
    (left_s, left), (right_s, right) = points[index - 1], points[index]
    return left + (right - left) * (at_s - left_s) / (right_s - left_s) if right_s > left_s else right
