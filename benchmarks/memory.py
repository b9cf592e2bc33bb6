"""Memory: the largest resident size of master and worker, for runs of different lengths."""

from __future__ import annotations

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import LIMIT_S, Failed, Lab, Missing
from benchmarks.processes import PROC
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, at_most, number, ratio

LENGTHS = (10_000, 100_000, 1_000_000)
LONGEST = 10_000_000
SLOWEST_PER_S = 2000
"""Items a second below which a run is given up."""
FLAT = 1.2
"""Flat: no more than a fifth above the run that is compared with."""
FROM = 100_000
"""The design asks for a flat master from here on."""
ROLES = ("master", "worker", "pool")


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    if not PROC.joinpath("self", "status").exists():
        raise Missing("there is no /proc here")
    lengths = [10_000, 30_000] if lab.quick else [*LENGTHS, *([LONGEST] if lab.long else [])]
    peaks: dict[int, dict[str, Figure]] = {}
    rows: list[tuple[str, list[Cell]]] = []
    notes = []
    for items in lengths:
        lab.say(f"{items:,} items")
        order = Order(
            scenario=SCENARIOS / "nothing.py",
            options={"items": items},
            target=web.fast,
            limit_s=max(LIMIT_S, items / SLOWEST_PER_S),
        )
        try:
            job = jobs.watch(lab, order)
        except Failed as error:
            notes.append(f"{items:,} items: failed: {error}")
            lab.failed.append(notes[-1])
            continue
        peaks[items] = {role: Figure((kib / 1024,)) for role, kib in job.watched.peaks_kib.items()}
        seconds = f"{number(job.ended.wall_s)}"
        rows.append((f"{items:,}", [*(peaks[items].get(role) for role in ROLES), seconds]))
    return Table(
        name="memory",
        title="Memory: largest resident size in MiB, items that do nothing",
        columns=("items", "master", "worker", "its pool process", "whole run, s"),
        rows=rows,
        goals=_goals(peaks),
        notes=[
            "Once each: sizes hardly vary. The master's includes the report at the end.",
            f"Flat: at most {FLAT:g} times that of the shorter run.",
            *notes,
        ],
    )


def _goals(peaks: dict[int, dict[str, Figure]]) -> list[Goal]:
    longest, shortest = max(peaks, default=0), min(peaks, default=0)
    start = FROM if FROM in peaks else shortest
    goals = []
    for role, since in (("master", start), ("worker", shortest), ("pool", shortest)):
        grown = None
        if longest > since:
            grown = ratio(peaks[longest].get(role), peaks[since].get(role))
        goals.append(at_most(f"{role}: {longest:,} items against {since:,}", grown, FLAT, "x"))
    if longest < LONGEST:
        goals.append(Goal(f"master at {LONGEST:,} items", f"<= {FLAT:g}x", "only with --long", None))
    return goals
