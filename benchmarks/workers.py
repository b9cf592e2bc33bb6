"""Many workers on one master: how long a call to it takes, and what they cost it."""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Job, Order
from benchmarks.lab import Failed, Lab, take_turns
from benchmarks.servers import Web, free_port
from benchmarks.tables import Cell, Figure, Goal, Table

CREWS = (100, 1000)
PROCESSES = 4
"""The simulated workers are threads of so many processes."""
CHUNK = 20
PATIENCE_S = 30.0
"""So long the simulated workers get to leave."""
VERBS = ("lease", "arm", "report")


@dataclass(frozen=True, slots=True)
class Served:
    """One run with many workers."""

    p50_ms: dict[str, float]
    p99_ms: dict[str, float]
    calls_per_s: float
    lost: int
    """Workers that the master took for dead."""
    cpu: float | None
    """Of the master, as a share of one core."""
    cpu_us: float | None
    """Of the master, an item."""


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    crews = (100,) if lab.quick else CREWS
    turns = take_turns(lab, {f"{crew:,}": partial(_run, lab, web, crew) for crew in crews}, lab.fewer)
    rows: list[tuple[str, list[Cell]]] = []
    for name, runs in turns.measured.items():
        cells: list[Cell] = []
        for verb in VERBS:
            cells.append(Figure.of(run.p50_ms.get(verb) for run in runs))
            cells.append(Figure.of(run.p99_ms.get(verb) for run in runs))
        cells.append(Figure.of(run.calls_per_s for run in runs))
        cells.append(_percent(Figure.of(run.cpu for run in runs)))
        cells.append(Figure.of(run.cpu_us for run in runs))
        rows.append((name, cells))
    return Table(
        name="workers",
        title="Many workers on one master: real connections, fake work",
        columns=(
            "workers",
            *(f"{verb} {spot} ms" for verb in VERBS for spot in ("p50", "p99")),
            "calls/s",
            "master, of a core",
            "CPU us/item",
        ),
        rows=rows,
        goals=[_goal(turns.measured.get("1,000", ()))],
        notes=[
            f"Each leases {CHUNK} items, marks them, waits 0.5 to 1.5 s, reports: {_turns(lab)} times.",
            (
                f"The workers are threads of {PROCESSES} processes on one core, the master has the other; "
                "times are taken by the workers, their own queueing included."
            ),
            *turns.out.values(),
        ],
    )


def _goal(runs: Sequence[Served]) -> Goal:
    what, wanted = "1,000 workers stay served", "every item done, no worker lost"
    if not runs:
        return Goal(what, wanted, "-", None)
    lost, worst_ms = sum(run.lost for run in runs), max(run.p99_ms["lease"] for run in runs)
    return Goal(what, wanted, f"{lost} lost, lease p99 {worst_ms:.0f} ms at worst", not lost)


def _run(lab: Lab, web: Web, crew: int) -> Served:
    port = free_port()
    state = lab.environ["LOADGEN_STATE_DIR"]
    numbers = [str(port), str(crew // PROCESSES), str(CHUNK)]
    with contextlib.ExitStack() as stack:
        command = [sys.executable, "-m", "benchmarks.simulated", state, *numbers]
        crowd = [stack.enter_context(lab.beside(command, core=lab.server_core)) for _ in range(PROCESSES)]
        job = jobs.watch(lab, _order(lab, web, port, crew))
        return _served(job, [each.finish(PATIENCE_S) for each in crowd])


def _turns(lab: Lab) -> int:
    """Chunks for each worker."""
    return int(lab.pick(6, 2))


def _order(lab: Lab, web: Web, port: int, crew: int) -> Order:
    more = ["--listen", f"127.0.0.1:{port}", "--wait-for-workers", str(crew), "--chunk", str(CHUNK)]
    return Order(
        scenario=SCENARIOS / "nothing.py",
        options={"items": crew * CHUNK * _turns(lab)},
        target=web.fast,
        processes=0,
        core=lab.client_core,
        limit_s=90,
        more=more,
    )


def _served(job: Job, told: Sequence[str]) -> Served:
    took_us: dict[str, list[int]] = defaultdict(list)
    for each in told:
        found: dict[str, Any] = json.loads(each)
        if found["errors"]:
            raise Failed(f"{len(found['errors'])} simulated workers: {found['errors'][0]}")
        for verb, times in found["took_us"].items():
            took_us[verb] += times
    began_s, ended_s = job.active
    cuts = {verb: statistics.quantiles(took_us[verb], n=100) for verb in VERBS}
    cpu_s = job.watched.own_cpu_s(began_s, ended_s)
    return Served(
        p50_ms={verb: cut[49] / 1000 for verb, cut in cuts.items()},
        p99_ms={verb: cut[98] / 1000 for verb, cut in cuts.items()},
        lost=sum(worker["lost"] for worker in job.summary["workers"]),
        calls_per_s=sum(len(took_us[verb]) for verb in VERBS) / (ended_s - began_s),
        cpu=None if cpu_s is None else cpu_s / (ended_s - began_s),
        cpu_us=None if cpu_s is None else cpu_s / job.items * 1_000_000,
    )


def _percent(share: Figure | None) -> Cell:
    return None if share is None else f"{100 * share.median:.0f} %"
