"""The dashboard: what a run pays for it, with nobody, one and ten watching."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Failed, Lab, take_turns
from benchmarks.servers import Web, free_port
from benchmarks.tables import Cell, Figure, Table, at_least, fold, ratio

NONE = "no dashboard"
TEN = "10 watching"
WATCHERS = {"nobody watching": 0, "1 watching": 1, TEN: 10}
STILL = 0.97
"""As much of the rate as there has to be."""


@dataclass(frozen=True, slots=True)
class Watched:
    """One run."""

    rate_per_s: float
    master_us: float | None
    """CPU microseconds of the master an item, while items were under way."""
    messages: float | None
    """That each watcher got."""


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    contenders: dict[str, Callable[[], Watched]] = {NONE: partial(_watched, lab, web, None)}
    contenders |= {name: partial(_watched, lab, web, count) for name, count in WATCHERS.items()}
    turns = take_turns(lab, contenders)
    rates = {name: Figure.of(run.rate_per_s for run in runs) for name, runs in turns.measured.items()}
    rows = []
    for name, runs in turns.measured.items():
        cells: list[Cell] = [
            rates[name],
            fold(ratio(rates[name], rates.get(NONE))),
            Figure.of(run.master_us for run in runs),
            Figure.of(run.messages for run in runs),
        ]
        rows.append((name, cells))
    return Table(
        name="dashboard",
        title="The dashboard: items that do nothing, with so many watching",
        columns=("dashboard", "items/s", "x none", "master, CPU ms/1000 items", "messages each"),
        rows=rows,
        goals=[at_least("10 watching, against none", ratio(rates.get(TEN), rates.get(NONE)), STILL)],
        notes=["Who watches is one process with so many connections.", *turns.out.values()],
    )


def _watched(lab: Lab, web: Web, count: int | None) -> Watched:
    """A run with so many watching; None: without a dashboard."""
    port = free_port()
    order = Order(
        scenario=SCENARIOS / "nothing.py",
        options={"items": int(lab.pick(1_500_000, 100_000))},
        target=web.fast,
        more=[] if count is None else ["--dashboard", f"127.0.0.1:{port}"],
    )
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.watchers", str(port), str(count)]
        beside = stack.enter_context(lab.beside(command)) if count else None
        job = jobs.watch(lab, order)
        messages = None if beside is None or not count else _number(beside.finish(10.0)) / count
    cpu_s = job.watched.own_cpu_s(*job.active)
    return Watched(job.rate_per_s, None if cpu_s is None else cpu_s / job.items * 1_000_000, messages)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Failed(f"the watchers said {text!r}") from None
