"""One round: a run with a local worker, a direct one and one behind a bad network, while things die.

Everything is drawn from a seed, so that a round can be played again, though never exactly.
"""

from __future__ import annotations

import contextlib
import heapq
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from loadgen.errors import RunNotFound
from loadgen.ledger.reader import Reader
from loadgen.plan import Chunk

from . import processes
from .checker import Findings, check
from .loops import Loop
from .processes import Process
from .relay import Relay
from .target import Manners, Target

LONGEST_S = 150.0
"""A round that takes longer than this hangs."""
EVERYTHING = (
    "kill worker",
    "kill child",
    "kill master",
    "stop worker",
    "stop child",
    "stop master",
    "cut",
    "stall",
    "half-close",
    "drain",
)
SCENARIO = '''"""Chaos."""
from dataclasses import dataclass
from loadgen import Retry, Scenario, Session

@dataclass(frozen=True)
class Options:
    first: int = 10
    second: int = 10

scenario = Scenario(options=Options, timeout={timeout})

@scenario.login
def login(http: Session, options: Options) -> None:
    http.get("/login")

@scenario.setup
def setup(http: Session, options: Options) -> None:
    http.get("/setup")

@scenario.step(items=lambda o: o.first, delivery="{delivery}"{more})
def first(http: Session, item: int, options: Options) -> object:
    return http.post(f"/do/first/{{item}}").json()["id"]

@scenario.step(items=lambda o: o.second, delivery="{delivery}"{more})
def second(http: Session, item: int, options: Options) -> object:
    return http.post(f"/do/second/{{item}}").json()["id"]
'''
EXISTS = """
@{step}.exists
def {step}_exists(http: Session, item: int, options: Options) -> bool:
    return http.get(f"/exists/{step}/{{item}}").json()
"""


@dataclass(frozen=True, slots=True)
class Play:
    """What a round is like."""

    policy: str
    """A delivery."""
    items: int = 2000
    seed: int = 0
    keys: int = 0
    """Items with the same remainder share a key; 0: no keys."""
    retries: bool = False
    actions: tuple[str, ...] = EVERYTHING
    most_actions: int = 12
    pause_s: tuple[float, float] = (0.2, 1.2)
    """Between two actions."""
    ttl_s: float = 1.0
    timeout_s: float = 1.0
    stop_s: tuple[float, float] = (0.1, 3.0)
    """How long a stopped process stays so: also beyond a lease's life."""
    concurrency: int = 8
    externals: int = 2
    manners: Manners = field(default_factory=Manners)
    slowness: int = 1
    """So many times fewer items are enough."""

    def scenario(self) -> str:
        """The scenario file."""
        more = f", key=lambda item, options: item % {self.keys}" if self.keys else ""
        if self.retries:
            more += ', retry=Retry(3, on=("connect", "timeout"), backoff_s=0.05)'
        text = SCENARIO.format(timeout=self.timeout_s, delivery=self.policy, more=more)
        if self.policy == "verify":
            text += "".join(EXISTS.format(step=step) for step in ("first", "second"))
        return text


@dataclass(slots=True)
class Played:
    """What came of a round."""

    play: Play
    findings: Findings
    actions: Counter[str]
    resumes: int
    armed: int
    """Items that were armed without a result at the kills and stops, as the ledger told."""
    widest: int
    """The most that were armed without a result in one worker."""
    took_s: float
    exit_code: int


class Round:
    """Plays a round in a scratch directory."""

    def __init__(self, play: Play, directory: Path) -> None:
        self._play = play
        self._rng = random.Random(play.seed)
        self._directory = directory
        self._out = directory / "runs"
        self._family = processes.Family(directory / "state")
        self._scenario = directory / "chaos.py"
        self._scenario.write_text(play.scenario())
        self._actions: Counter[str] = Counter()
        self._resumes = self._armed = self._widest = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._externals: dict[int, subprocess.Popen[bytes] | None] = {}
        self._violations: list[str] = []
        self._relay: Relay | None = None
        self._master: subprocess.Popen[bytes]

    def play(self) -> Played:
        """Play it, and leave no process behind."""
        began_s = time.monotonic()
        with Loop() as loop:
            target = Target(loop, self._play.manners)
            target.rng.seed(self._play.seed)
            try:
                code = self._drive(loop, target)
            finally:
                self._family.end()
                if self._relay is not None:
                    self._relay.close()
                target.close()
        findings = Findings()
        if code is not None:
            findings = check(
                self._run, target.log, exit_code=code, keys=self._play.keys, retries=self._play.retries
            )
            if findings.unknown and set(self._play.actions) == {"kill master"}:
                self._violations.append("(8) workers that lived on know what the ledger calls unknown")
            if findings.unknown > self._armed:
                self._violations.append(f"{findings.unknown} unknown, {self._armed} were armed")
        if target.log.other["setup"] < 1:
            self._violations.append("setup was never done")
        self._look_for_crashes()
        findings.violations += self._violations
        took_s = time.monotonic() - began_s
        return Played(
            self._play,
            findings,
            self._actions,
            self._resumes,
            self._armed,
            self._widest,
            took_s,
            -1 if code is None else code,
        )

    # The course of a round

    def _drive(self, loop: Loop, target: Target) -> int | None:
        """Returns the exit code of the finished run; None: it did not finish."""
        self._begin(target)
        next_s = time.monotonic() + self._rng.uniform(*self._play.pause_s)
        for _ in processes.polled(LONGEST_S):
            now_s = time.monotonic()
            while self._due and self._due[0][0] <= now_s:
                heapq.heappop(self._due)[2]()
            code = self._master.poll()
            if code is not None and code not in (-signal.SIGKILL, 4):
                return code
            if code is not None:
                self._again(target)
            self._tend(loop)
            if now_s >= next_s and sum(self._actions.values()) < self._play.most_actions:
                self._act(self._rng.choice(self._play.actions))
                next_s = time.monotonic() + self._rng.uniform(*self._play.pause_s)
        self._violations.append(f"not finished after {LONGEST_S:g} s: {self._standing()}")
        return None

    def _begin(self, target: Target) -> None:
        first = self._play.items // 3
        arguments = ["run", str(self._scenario), "--target", target.url, "--set", f"first={first}"]
        arguments += ["--set", f"second={self._play.items - first}", "--listen", "127.0.0.1:0"]
        self._master = self._loadgen([*arguments, *self._common()])

    def _again(self, target: Target) -> None:
        """The master is gone: resume, unless it was gone before the run had begun."""
        self._resumes += 1
        time.sleep(self._rng.uniform(0, 0.5))
        if not self._port():
            self._begin(target)
            return
        self._master = self._loadgen(["resume", self._run.name, *self._common()])

    def _common(self) -> list[str]:
        play = self._play
        return [
            *("--processes", "2", "--concurrency", str(play.concurrency), "--out", str(self._out)),
            *("--lease-ttl", str(play.ttl_s), "--quiet"),
        ]

    def _loadgen(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        return self._family.start(arguments, self._directory / "master.log")

    def _tend(self, loop: Loop) -> None:
        """Have the workers of other machines there: one comes directly, the others through the relay."""
        port = self._port()
        if not port:
            return
        if self._relay is None:
            with contextlib.suppress(FileNotFoundError):  # not quite yet
                shutil.copy(self._family.state / f"{port}.token", self._directory / "token")
                self._relay = Relay(loop, port)
        if self._relay is None:
            return
        if not self._relay.chop:
            self._relay.chop = 0.3
        for number in range(self._play.externals):
            worker = self._externals.get(number)
            if worker is None or worker.poll() is not None:
                if worker is not None and worker.returncode not in (
                    0,
                    4,
                    143,
                    -signal.SIGKILL,
                    -signal.SIGTERM,
                ):
                    self._violations.append(f"a worker exited with {worker.returncode}")
                through = port if number == 0 else self._relay.port
                self._externals[number] = self._family.start(
                    [
                        *("worker", "--server", f"127.0.0.1:{through}", "--wait", "60"),
                        *("--token-file", str(self._directory / "token")),
                        *("--processes", str(1 + number), "--concurrency", str(self._play.concurrency)),
                    ],
                    self._directory / f"worker-{number}.log",
                )

    # What happens to it

    def _act(self, action: str) -> None:
        verb, _, role = action.partition(" ")
        there = [process for process in self._family.find() if process.role == role]
        if role and not there:
            return
        if verb == "kill":
            self._kill(self._rng.choice(there))
        elif verb == "stop":
            self._stop(self._rng.choice(there))
        elif verb == "drain":
            running = [each for each in self._externals.values() if each and each.poll() is None]
            if not running:
                return
            self._rng.choice(running).terminate()
        elif self._relay is None:
            return
        else:
            self._disturb(self._relay, verb)
        self._actions[action] += 1

    def _kill(self, victim: Process) -> None:
        processes.send(victim.pid, signal.SIGKILL)
        self._count(victim)

    def _stop(self, victim: Process) -> None:
        """Stop for a while; what was armed by then may be in doubt, if the while is long enough."""
        processes.send(victim.pid, signal.SIGSTOP)
        time.sleep(0.02)
        self._count(victim)
        self._later(self._rng.uniform(*self._play.stop_s), lambda: processes.send(victim.pid, signal.SIGCONT))

    def _disturb(self, relay: Relay, verb: str) -> None:
        if verb == "cut":
            relay.cut()
        elif verb == "half-close":
            relay.half_close()
        else:
            relay.stall(stalled=True)
            self._later(self._rng.uniform(*self._play.stop_s), lambda: relay.stall(stalled=False))
        self._armed += sum(self._armed_now().values())

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, id(work), work))

    def _count(self, victim: Process) -> None:
        """Add up what the victim's worker (or, with the master, every worker) had armed without a result."""
        by_worker = self._armed_now()
        self._widest = max([self._widest, *by_worker.values()])
        pid = victim.parent if victim.role == "child" else victim.pid
        mine = {name: n for name, n in by_worker.items() if name.endswith(f"-{pid}")}
        self._armed += sum((by_worker if victim.role == "master" else mine).values())

    def _armed_now(self) -> Counter[str]:
        """By worker: items that are armed and have no outcome, as the ledger has it at this moment."""
        counts: Counter[str] = Counter()
        if not self._port():
            return counts
        with Reader(self._run) as reader:
            settled = {
                (s.index, each.item) for s in reader.steps() for each in reader.past(s.index).each_settled()
            }
        with self._ledger() as connection:
            rows = connection.execute(
                """SELECT name, step, chunk, start, stop FROM arm JOIN lease ON lease.id = arm.lease
                   JOIN worker ON worker.id = lease.worker WHERE NOT ended"""
            )
            for name, step, chunk, start, stop in rows:
                order = tuple(msgspec.msgpack.decode(chunk, type=Chunk))
                counts[name] += sum((step, item) not in settled for item in order[start:stop])
        return counts

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(f"{(self._run / 'run.db').as_uri()}?mode=ro", uri=True)
        try:
            yield connection
        finally:
            connection.close()

    # What can be seen

    @property
    def _run(self) -> Path:
        return max(self._out.iterdir())

    def _port(self) -> int:
        """Where the master listens; 0: the run has not begun."""
        try:
            with Reader(self._run) as reader:
                return int(str(reader.facts().settings["listen"]).rpartition(":")[2])
        except (OSError, ValueError, RunNotFound, sqlite3.Error):
            return 0

    def _standing(self) -> str:
        with contextlib.suppress(OSError, ValueError, RunNotFound), Reader(self._run) as reader:
            return ", ".join(f"{step.name}: {reader.counts(step)}" for step in reader.steps())
        return "nothing"

    def _look_for_crashes(self) -> None:
        logs = [*self._directory.glob("*.log"), *self._out.glob("*/worker.log")]
        for log in logs:
            text = log.read_text(errors="replace")
            if "Traceback" in text:
                last = text[text.index("Traceback") :].strip().splitlines()
                self._violations.append(f"{log.name}: {' / '.join(last[-4:])}")
