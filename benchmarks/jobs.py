"""loadgen under measurement: the command line as users type it, and the summary that it leaves."""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.lab import LIMIT_S, Failed, Lab
from benchmarks.peers import Load
from benchmarks.processes import Ended, Watched
from loadgen.ledger.reader import Reader

SCENARIOS = Path(__file__).parent / "scenarios"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A run to be made."""

    scenario: Path
    options: Mapping[str, object]
    target: str = ""
    processes: int = 1
    concurrency: int = 16
    core: int | None = None
    limit_s: float = LIMIT_S
    more: Sequence[str] = ()
    codes: Sequence[int] = (0,)
    """Exit codes that are a measurement: 3 where items may be dropped."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run that was made, all its items done, unless its order allows less."""

    summary: Mapping[str, Any]
    ended: Ended
    watched: Watched

    @property
    def items(self) -> int:
        """How many there were."""
        return int(self.summary["items"]["planned"])

    @property
    def rate_per_s(self) -> float:
        """Items a second of the first step, from its first item's start to its last one's end."""
        rate = self.summary["steps"][0]["rate_per_s"]
        if not rate:
            raise Failed("its summary has no rate")
        return float(rate)

    @property
    def active(self) -> tuple[float, float]:
        """When items were under way: from the first lease to the last result, seconds since 1970."""
        run = self.summary["run"]
        started = datetime.datetime.fromisoformat(run["started_at"]).timestamp()
        first = started + (run["wait_s"] or 0.0)
        return first, first + (run["active_s"] or 0.0) + (run["drain_s"] or 0.0)

    @property
    def load(self) -> Load:
        """The calls of the first label, as a peer would tell."""
        if not self.summary["calls"]:
            raise Failed("its summary has no calls")
        call = self.summary["calls"][0]
        times = call["service_time"]
        spots = times["p50"], times["p90"], times["p99"]
        costs = {"cpu_s": self.ended.cpu_s, "wall_s": self.ended.wall_s}
        return Load(call["count"], self.rate_per_s, *spots, **costs, says=self._says)

    @property
    def _says(self) -> str:
        """What the run says about its own truth: verdict, and the worst probe of its workers."""
        verdict = self.summary.get("generator", {}).get("verdict") or ""
        probes = [worker.get("probe_ms") for worker in self.summary["workers"]]
        worst = max((probe for probe in probes if probe is not None), default=None)
        return verdict if worst is None else f"{verdict}, probe {worst:.2g} ms"


def run(lab: Lab, order: Order) -> Job:
    """Make it.  Raises Failed unless every item was done."""
    command, file = _command(lab, order)
    return _job(file, lab.run(command, core=order.core, limit_s=order.limit_s), Watched(), order.codes)


def read(lab: Lab, order: Order, look: Callable[[Reader], Read]) -> tuple[Job, Read]:
    """The same, and what is to be seen in its ledger."""
    command, file = _command(lab, order)
    ended = lab.run(command, core=order.core, limit_s=order.limit_s)
    job = _told(file, ended, Watched(), order.codes)
    (ledger,) = file.parent.glob("*/run.db")
    with Reader(ledger.parent) as reader:
        seen = look(reader)
    _forget(file)
    return job, seen


def watch(lab: Lab, order: Order) -> Job:
    """The same, watched through /proc."""
    command, file = _command(lab, order)
    return _job(file, *lab.watch(command, core=order.core, limit_s=order.limit_s), order.codes)


def _command(lab: Lab, order: Order) -> tuple[list[str], Path]:
    out = lab.new("run")
    file = out / "figures.json"
    out.mkdir()
    how = ["--processes", str(order.processes), "--concurrency", str(order.concurrency)]
    listen = [] if "--listen" in order.more else ["--listen", "127.0.0.1:0"]
    board = [] if "--dashboard" in order.more else ["--no-dashboard"]
    files = ["--out", str(out), "--json", str(file), "--quiet"]
    target = ["--target", order.target] if order.target else []
    options = [word for name, value in order.options.items() for word in ("--set", f"{name}={value}")]
    command = [*(sys.executable, "-m", "loadgen", "run", str(order.scenario))]
    return [*command, *target, *options, *how, *listen, *board, *files, *order.more], file


def _job(file: Path, ended: Ended, watched: Watched, codes: Sequence[int]) -> Job:
    try:
        return _told(file, ended, watched, codes)
    finally:
        _forget(file)


def _forget(file: Path) -> None:
    """Ten million items need not lie here until the end."""
    for ledger in file.parent.glob("*/run.db*"):
        ledger.unlink()


def _told(file: Path, ended: Ended, watched: Watched, codes: Sequence[int]) -> Job:
    try:
        summary = json.loads(file.read_text())
    except (OSError, ValueError):
        raise Failed(ended.words) from None
    if ended.code not in codes:
        raise Failed(
            f"exit code {ended.code}: {'; '.join(summary['verdict']['reasons']) or 'no reason given'}"
        )
    return Job(summary, ended, watched)
