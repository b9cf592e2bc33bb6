"""Dispatch: items that do nothing, through master and workers, against one proxy call an item."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Job, Order
from benchmarks.lab import Failed, Lab, take_turns
from benchmarks.servers import Web, free_port
from benchmarks.tables import Cell, Figure, Goal, Table, at_least, fold, ratio

CREWS = (1, 2, 8)
MOST = 2_000_000
TUTORIAL = "tutorial pattern"


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One run."""

    rate_per_s: float
    master_us: float | None
    """CPU microseconds of the master an item, while items were under way."""
    wall_s: float


class Ours:
    """loadgen as a contender: the run before tells how many items make a long enough one."""

    def __init__(self, lab: Lab, web: Web, workers: int, processes: int) -> None:
        self._lab = lab
        self._web = web
        self._workers = workers
        self._processes = processes
        self._items = int(lab.pick(60_000, 20_000))

    def __call__(self) -> Dispatched:
        """One run."""
        with contextlib.ExitStack() as stack:
            job = jobs.watch(self._lab, self._order(stack))
        self._items = min(MOST, max(self._items, round(job.rate_per_s * self._lab.pick(3, 1))))
        return _dispatched(job)

    def _order(self, stack: contextlib.ExitStack) -> Order:
        order = Order(
            scenario=SCENARIOS / "nothing.py",
            options={"items": self._items},
            target=self._web.fast,
            processes=self._processes,
        )
        if not self._workers:
            return order
        port = free_port()
        for _ in range(self._workers):  # they wait for their master
            command = [sys.executable, "-m", "loadgen", "worker", "--server", f"127.0.0.1:{port}"]
            stack.enter_context(self._lab.beside([*command, "--processes", "1", "--wait", "60"]))
        more = ["--listen", f"127.0.0.1:{port}", "--wait-for-workers", str(self._workers)]
        return dataclasses.replace(order, processes=0, more=more)


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    crews = CREWS[:1] if lab.quick else CREWS
    contenders: dict[str, Callable[[], Dispatched]] = {}
    for crew in crews:
        contenders[_name(crew)] = Ours(lab, web, crew, 1)
        contenders[_tutorial_name(crew)] = partial(_tutorial, lab, crew)
    contenders["loadgen, its own worker, 1 process"] = Ours(lab, web, 0, 1)
    if not lab.quick:
        contenders["loadgen, its own worker, 2 processes"] = Ours(lab, web, 0, 2)
    turns = take_turns(lab, contenders)
    rates = {name: Figure.of(run.rate_per_s for run in runs) for name, runs in turns.measured.items()}
    rows = []
    for name, runs in turns.measured.items():
        master = Figure.of(run.master_us for run in runs)
        base = rates.get(_tutorial_name(_crew(name)))
        cells: list[Cell] = [rates[name], master, fold(ratio(rates[name], base))]
        rows.append((name, cells))
    return Table(
        name="dispatch",
        title="Dispatch: items that do nothing",
        columns=("queue", "items/s", "master, CPU ms/1000 items", "x tutorial, same workers"),
        rows=rows,
        goals=[_goal(crew, rates) for crew in crews],
        notes=[
            "loadgen: ledger and marks on; from the first item's start to the last one's end.",
            "Its workers are processes of their own with one pool process each, 16 threads.",
            "tutorial: from the first put to the last result; the CPU is that of master and manager process.",
            *turns.out.values(),
        ],
    )


def _name(crew: int) -> str:
    return f"loadgen, {crew} worker{'s' if crew > 1 else ''}"


def _tutorial_name(crew: int) -> str:
    return f"{TUTORIAL}, {crew} worker{'s' if crew > 1 else ''}"


def _crew(name: str) -> int:
    return next(int(word) for word in name.split() if word.isdecimal())


def _goal(crew: int, rates: dict[str, Figure | None]) -> Goal:
    figure = ratio(rates.get(_name(crew)), rates.get(_tutorial_name(crew)))
    return at_least(f"{_name(crew)}, against the {TUTORIAL}", figure, 50)


def _dispatched(job: Job) -> Dispatched:
    cpu_s = job.watched.own_cpu_s(*job.active)
    return Dispatched(
        job.rate_per_s, None if cpu_s is None else cpu_s / job.items * 1_000_000, job.ended.wall_s
    )


def _tutorial(lab: Lab, crew: int) -> Dispatched:
    items = int(lab.pick(8000, 3000))
    ended = lab.run([sys.executable, "-m", "benchmarks.tutorial", str(crew), str(items)])
    if ended.code:
        raise Failed(ended.words)
    told = json.loads(ended.out)
    cpu_us = told["cpu_s"] / items * 1_000_000
    return Dispatched(items / told["seconds"], cpu_us or None, ended.wall_s)
