"""The story that it began with, as a table: one call a job, slower each time; and what helps against it.

A "create job" call packs the whole project anew.  The tester's loop fills one project; here the same jobs
are also spread over projects, and carried over in bundles, each with 1, 2 and 4 processes.  The sandbox's
costs are a hundredth of the story's, or it would take hours; what the real ones come to is computed.
"""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import Order
from benchmarks.lab import CHECKOUT, Lab, take_turns
from benchmarks.plot import Series, draw
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, at_least, deviation, fold, number, ratio, within
from loadgen.ledger.reader import Reader

SCENARIOS = CHECKOUT / "scenarios"
JOBS, SHARDS, BUNDLES = 1000, 100, 10
SLOTS = 8
"""Items in flight a process."""
BASE_S, PER_JOB_S = 0.9, 0.002
"""What a call of the story takes, and what each job that the project holds, or will, adds to it."""
SCALE = 100
"""The sandbox's costs are so much less."""
EDGE = 20
"""So many calls are the start of a run, and its end; a tenth where it has fewer than ten times as many."""
DOTS = 100
"""Points of a line in the plot."""


NOTE = (
    f"A call takes {BASE_S:g} s, and {PER_JOB_S * 1000:g} ms for each job in the project: here "
    f"{BASE_S * 1000 / SCALE:g} ms and {PER_JOB_S * 1000 / SCALE:g} ms. An upload takes the same."
)
CORES = (
    "The sandbox works on the same cores as those who call it, and its own work is not scaled down: "
    "more processes bring less here than with the real costs."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to have all jobs."""

    name: str
    projects: int
    bundled: bool = False
    """All jobs of a project in one upload, instead of a call for each."""
    processes: int = 1
    slots: int = SLOTS

    def order(self, count: int) -> Order:
        """The run."""
        base, per_job = f"{BASE_S * 1000 / SCALE:g}", f"{PER_JOB_S * 1000 / SCALE:g}"
        file = "mammut_jobs.py"
        options: dict[str, object] = {"jobs": count, "projects": self.projects}
        target = f"front=create-job&front-base-cost={base}&front-cost-per-job={per_job}"
        if self.bundled:
            file = "azkaban_flows.py"
            options = {"flows": count, "projects": self.projects, "strategy": "bundle"}
            target = f"base-cost={base}&cost-per-flow={per_job}"
        return Order(
            scenario=SCENARIOS / file,
            options=options,
            target=f"sandbox:azkaban?{target}",
            processes=self.processes,
            concurrency=self.slots,
        )

    def calls(self, count: int) -> list[tuple[int, float]]:
        """Project and seconds of each call, in the order of the items, as the real costs are."""
        if self.bundled:
            sizes = [len(range(project, count, self.projects)) for project in range(self.projects)]
            return [(project, BASE_S + PER_JOB_S * size) for project, size in enumerate(sizes)]
        turns = (divmod(item, self.projects) for item in range(count))
        return [(project, BASE_S + PER_JOB_S * size) for size, project in turns]


@dataclass(frozen=True, slots=True)
class Told:
    """A run, as its ledger tells it."""

    active_s: float
    """From the first call's start to the last one's end."""
    calls_ms: Sequence[float]
    """Of each call, in the order of their starts."""


LOOP = Way(name="the loop: 1 project, 1 in flight", projects=1, slots=1)
WAYS = (
    LOOP,
    *(
        Way(name=f"{SHARDS} projects, {count} x {SLOTS} in flight", projects=SHARDS, processes=count)
        for count in (1, 2, 4)
    ),
    *(
        Way(
            name=f"bundles in {BUNDLES} projects, {count} x {SLOTS} in flight",
            projects=BUNDLES,
            processes=count,
            bundled=True,
        )
        for count in (1, 2, 4)
    ),
)


def measure(lab: Lab, _web: Web) -> Table:
    """Measure it."""
    count = int(lab.pick(JOBS, 100))
    turns = take_turns(lab, {way.name: partial(_told, lab, way, count) for way in WAYS}, lab.fewer)
    actives = {name: Figure.of(run.active_s for run in runs) for name, runs in turns.measured.items()}
    real_loop_s = makespan(LOOP.calls(count), 1)
    rows: list[tuple[str, list[Cell]]] = []
    for way in WAYS:
        if way.name not in turns.measured:
            continue
        runs, real_s = turns.measured[way.name], makespan(way.calls(count), way.slots * way.processes)
        cells: list[Cell] = [f"{len(runs[-1].calls_ms):,}", actives[way.name]]
        cells += [Figure.of(edge(run.calls_ms)[place] for run in runs) for place in (0, 1)]
        cells.append(fold(ratio(actives.get(LOOP.name), actives[way.name])))
        rows.append((way.name, [*cells, number(real_s), f"{number(real_loop_s / real_s)}x"]))
    loops = turns.measured.get(LOOP.name, ())
    return Table(
        name="story",
        title=f"{count:,} jobs, one call each or in bundles; costs are 1/{SCALE} of the real ones",
        columns=(
            *("how", "calls", "active, s", "first calls, ms", "last calls, ms", "faster"),
            *("real costs, s", "faster"),
        ),
        rows=rows,
        goals=_goals(count, loops, actives),
        notes=[
            NOTE,
            f"first, last calls: the median of {EDGE}, a tenth where there are fewer than {10 * EDGE}.",
            "real costs: computed, from the costs alone and so many in flight; nobody waited for it.",
            CORES,
            *turns.out.values(),
        ],
        drawing=plotted(loops[-1].calls_ms) if loops else "",
    )


def _goals(count: int, loops: Sequence[Told], actives: dict[str, Figure | None]) -> list[Goal]:
    """The story is told when the loop slows down as it did."""
    whole = count == JOBS
    last = Figure.of(edge(run.calls_ms)[1] for run in loops if whole)
    wanted = Figure.of(edge([1000 * took_s / SCALE for _, took_s in LOOP.calls(count)])[1] for _ in loops)
    sharded, bundled = WAYS[3].name, WAYS[5].name
    return [
        within("the loop: its last calls against what they are set to cost", deviation(last, wanted), 10),
        *(
            at_least(
                f"{name}, against the loop",
                ratio(actives.get(LOOP.name), actives.get(name)) if whole else None,
                limit,
            )
            for name, limit in ((sharded, 10), (bundled, 100))
        ),
    ]


def _told(lab: Lab, way: Way, count: int) -> Told:
    _, told = jobs.read(lab, way.order(count), partial(tell, label="upload" if way.bundled else "create job"))
    return told


def tell(reader: Reader, label: str) -> Told:
    """The calls of that name."""
    calls: list[tuple[int, int]] = []
    for table in reader.call_tables():
        samples = table.samples
        columns = samples.texts("label"), samples.numbers("start_us"), samples.numbers("total_us")
        calls += [(start, total) for name, start, total in zip(*columns, strict=True) if name == label]
    calls.sort()
    ended_us = max(start + total for start, total in calls)
    return Told((ended_us - calls[0][0]) / 1e6, [total / 1000 for _, total in calls])


def edge(times: Sequence[float]) -> tuple[float, float]:
    """The medians of the first and of the last calls.

    >>> edge([1.0] * 20 + [5.0] * 200 + [3.0] * 20)
    (1.0, 3.0)
    """
    some = min(EDGE, max(1, len(times) // 10))
    return statistics.median(times[:some]), statistics.median(times[-some:])


def makespan(calls: Sequence[tuple[int, float]], slots: int) -> float:
    """Seconds for calls, each with its project: so many at a time, in order, of one project only one.

    >>> makespan([(0, 1.0), (1, 1.0), (0, 1.0)], 2), makespan([(0, 1.0), (0, 1.0)], 2)
    (2.0, 2.0)
    """
    free = [0.0] * slots
    ready: dict[int, float] = {}
    for project, took_s in calls:
        began_s = max(heapq.heappop(free), ready.get(project, 0.0))
        ready[project] = began_s + took_s
        heapq.heappush(free, ready[project])
    return max(ready.values(), default=0.0)


def plotted(calls_ms: Sequence[float]) -> str:
    """Time per call over the size of the project, which grows by one with each."""
    step = max(1, len(calls_ms) // DOTS)
    parts = [(start, calls_ms[start : start + step]) for start in range(0, len(calls_ms), step)]
    measured = [(start + (len(part) - 1) / 2, statistics.median(part)) for start, part in parts]
    most = len(calls_ms) - 1
    wanted = [(size, (BASE_S + PER_JOB_S * size) * 1000 / SCALE) for size in (0, most)]
    return draw(
        "Time per call over the size of the project",
        "jobs that the project holds",
        f"ms a call (real: ms x {SCALE})",
        [
            Series(f"the loop, measured: medians of {step}", measured),
            Series("what the call is set to cost", wanted, dashed=True),
        ],
    )
