"""The dashboard: what a run pays for it, with nobody, one and ten watching.

Twice: as fast as it goes, for the rate that is left; and at a rate that is kept, where the master's CPU tells
what the watching costs, however busy the machine is.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Failed, Lab, take_turns
from benchmarks.servers import Web, free_port
from benchmarks.tables import Cell, Figure, Table, at_least, at_most, fold, ratio

NONE = "no dashboard"
TEN = "10 watching"
COUNTS: Mapping[str, int | None] = {NONE: None, "nobody watching": 0, "1 watching": 1, TEN: 10}
"""How many watch; None: there is no dashboard."""
STILL = 0.97
"""As much of the rate as there has to be."""
AT_MOST = 3.0
"""Percent of a core that ten may cost the master: as much as its rate would lose, were it at its limit."""
KEPT_PER_S = 5000


@dataclass(frozen=True, slots=True)
class Watched:
    """One run."""

    rate_per_s: float
    master: float | None
    """CPU of the master while items were under way: percent of a core."""
    messages: float | None
    """That each watcher got."""


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    fast = take_turns(lab, {name: partial(_fast, lab, web, count) for name, count in COUNTS.items()})
    kept = take_turns(lab, {name: partial(_kept, lab, web, count) for name, count in COUNTS.items()})
    rates = {name: Figure.of(run.rate_per_s for run in runs) for name, runs in fast.measured.items()}
    cores = {name: Figure.of(run.master for run in runs) for name, runs in kept.measured.items()}
    more = {name: _less(core, cores.get(NONE)) for name, core in cores.items()}
    rows = []
    for name, runs in kept.measured.items():
        cells: list[Cell] = [
            rates.get(name),
            fold(ratio(rates.get(name), rates.get(NONE))),
            cores[name],
            more[name],
            Figure.of(run.messages for run in runs),
        ]
        rows.append((name, cells))
    return Table(
        name="dashboard",
        title="The dashboard: items that do nothing, with so many watching",
        columns=("dashboard", "items/s", "x none", "master, % of a core", "more than none", "messages each"),
        rows=rows,
        goals=[
            at_least("10 watching, against none", ratio(rates.get(TEN), rates.get(NONE)), STILL),
            at_most("10 watching, of the master's core", more.get(TEN), AT_MOST, " %"),
        ],
        notes=[
            "Items/s: as fast as it goes; on a busy machine equal runs differ by more than watching takes.",
            f"The rest: at {KEPT_PER_S:,} items a second, the CPU time of the master's process.",
            "Who watches is one process with so many connections.",
            *{**fast.out, **kept.out}.values(),
        ],
    )


def _less(one: Figure | None, other: Figure | None) -> Figure | None:
    """Round by round."""
    if one is None or other is None:
        return None
    return Figure.of(mine - its for mine, its in zip(one.values, other.values, strict=False))


def _fast(lab: Lab, web: Web, count: int | None) -> Watched:
    return _watched(lab, web, count, int(lab.pick(1_000_000, 100_000)), [])


def _kept(lab: Lab, web: Web, count: int | None) -> Watched:
    seconds = int(lab.pick(15, 2))
    return _watched(lab, web, count, KEPT_PER_S * seconds, ["--max-rate", f"{KEPT_PER_S}/s"])


def _watched(lab: Lab, web: Web, count: int | None, items: int, more: Sequence[str]) -> Watched:
    """A run with so many watching; None: without a dashboard."""
    port = free_port()
    order = Order(
        scenario=SCENARIOS / "nothing.py",
        options={"items": items},
        target=web.fast,
        more=[*more, *([] if count is None else ["--dashboard", f"127.0.0.1:{port}"])],
    )
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.watchers", str(port), str(count)]
        beside = stack.enter_context(lab.beside(command)) if count else None
        job = jobs.watch(lab, order)
        messages = None if beside is None or not count else _number(beside.finish(10.0)) / count
    began, ended = job.active
    cpu_s = job.watched.own_cpu_s(began, ended)
    return Watched(job.rate_per_s, None if cpu_s is None else 100 * cpu_s / (ended - began), messages)


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Failed(f"the watchers said {text!r}") from None
