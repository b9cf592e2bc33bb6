"""Growth: whether an item costs more the longer a run lasts: rate and CPU time, tenth by tenth of it."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Lab
from benchmarks.processes import Watched
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, at_most, ratio

MARKS = 100
SLICES = 10
FLAT = 1.15
"""Flat: the last three tenths cost no more than this times what the second, third and fourth did."""
EARLY, LATE = slice(1, 4), slice(7, 10)
"""The first tenth is left out: connections are opened, the pace is found."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A tenth of a run."""

    rate_per_s: float
    cpu_us: float | None
    """CPU time of master, worker and pool an item, in microseconds."""


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    kinds = {"nothing": "items that do nothing", "get": "items with a GET"}
    columns: dict[str, list[Slice]] = {}
    for step in kinds:
        columns[step] = _measure(lab, step, web.fast)
    rows: list[tuple[str, list[Cell]]] = []
    for index in range(SLICES):
        cells: list[Cell] = []
        for slices in columns.values():
            each = slices[index]
            cells += [Figure((each.rate_per_s,)), None if each.cpu_us is None else Figure((each.cpu_us,))]
        rows.append((f"{index * 10}-{index * 10 + 10} %", cells))
    return Table(
        name="growth",
        title="Growth: the cost of an item as the run gets longer",
        columns=("part of the run", "nothing, items/s", "CPU us/item", "GET, items/s", "CPU us/item"),
        rows=rows,
        goals=[_goal(kinds[step], slices) for step, slices in columns.items()],
        notes=[
            f"Flat: the last three tenths cost at most {FLAT:g} times the second to fourth.",
            "Cost: CPU time of master, worker and pool (time where that cannot be had). One run each.",
        ],
    )


def sliced(marks: Sequence[float], every: int, watched: Watched) -> list[Slice]:
    """Tenths of a run, from when its marks were come to; the last one lacks what came after the last mark."""
    step = len(marks) // SLICES
    edges = [index * step for index in range(SLICES)] + [len(marks) - 1]
    slices = []
    for left, right in pairwise(edges):
        items, cpu_s = (right - left) * every, watched.all_cpu_s(marks[left], marks[right])
        cpu_us = None if cpu_s is None else cpu_s / items * 1_000_000
        slices.append(Slice(items / max(marks[right] - marks[left], 1e-6), cpu_us))
    return slices


def _measure(lab: Lab, step: str, target: str) -> list[Slice]:
    seconds = lab.pick(12, 1)
    order = Order(
        scenario=SCENARIOS / "growing.py",
        options={"items": 5000, "every": 5000, "marks": lab.new("marks")},
        target=target,
        concurrency=32,
        more=["--step", step],
    )
    lab.say(f"{step}: a short run, to know the rate")
    rate_per_s = jobs.run(lab, order).rate_per_s
    every = max(50, round(rate_per_s * seconds / MARKS))
    file = lab.new("marks")
    lab.say(f"{step}: {every * MARKS:,} items")
    long = dataclasses.replace(order, options={"items": every * MARKS, "every": every, "marks": file})
    job = jobs.watch(lab, long)
    return sliced(_read(file), every, job.watched)


def _read(file: Path) -> list[float]:
    return sorted(float(line) for line in file.read_text().split())


def _goal(what: str, slices: Sequence[Slice]) -> Goal:
    def cost(part: slice) -> Figure:
        costs = [each.cpu_us or 1_000_000 / each.rate_per_s for each in slices[part]]
        return Figure((statistics.mean(costs),))

    return at_most(f"{what}: late against early", ratio(cost(LATE), cost(EARLY)), FLAT, "x")
