"""A stall: the target answers nothing for a while in the middle; what an open and a closed run say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks import queueing
from benchmarks.lab import Lab
from benchmarks.lines import Timed, against, line, timed
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, number, within

RATE = 200
ITEMS, FEW_ITEMS = 2000, 600
STALL_S, SHORT_STALL_S = 2.0, 0.5
SERVICE_MS = 2.0
SLOTS, IN_FLIGHT = 512, 2
"""Of the open run, more than come while it lasts; of the closed one."""
BUCKET_S = 0.5
WIDE = 40
LIMIT = 5.0
"""Percent."""


def measure(lab: Lab, _web: Web) -> Table:
    """Measure it."""
    count, stall_s = round(lab.pick(ITEMS, FEW_ITEMS)), lab.pick(STALL_S, SHORT_STALL_S)
    lab.say("open")
    with line(lab, SERVICE_MS, stall_after=count // 2, stall_s=stall_s) as queue:
        how = ("--rate", f"{RATE}/s", "--max-lag", "10s")
        _, opened = timed(lab, against(queue.url, "described", count, *how, concurrency=SLOTS))
        stalls = queue.finish()["stalls"]
    lab.say("closed")
    with line(lab, SERVICE_MS, stall_after=count // 2, stall_s=stall_s) as queue:
        _, closed = timed(lab, against(queue.url, "described", count, concurrency=IN_FLIGHT))
    begin_s = median(one.due_s - one.item / RATE for one in opened)
    arrivals_s = [begin_s + item / RATE for item in range(count)]
    true = queueing.walked(arrivals_s, SERVICE_MS / 1000, [(stop, go) for stop, go in stalls])
    found = {
        "open: response time": [one.response_s for one in opened],
        "open: computed": [true[one.item] for one in opened],
        "closed: service time": [one.service_s for one in closed],
    }
    return Table(
        name="open_stall",
        title=(
            f"A stall: {RATE}/s against a target that answers nothing for {stall_s:g} s in the middle;"
            f" a closed run with {IN_FLIGHT} in flight beside it"
        ),
        columns=("run", "items", "mean ms", "p50 ms", "p90 ms", "p99 ms", "max ms", "over a quarter of it"),
        rows=[(name, _cells(values, stall_s)) for name, values in found.items()],
        goals=_goals(found["open: response time"], found["open: computed"]),
        notes=[
            (
                "computed: each item at the time it was ordered for, in the line of one server that"
                " began nothing while it stood still (by the server's own record)."
            ),
            (
                f"the closed run asked for nothing while it waited: {IN_FLIGHT} of its {len(closed)}"
                " items saw the stall, and no percentile up to p99 does."
            ),
        ],
        text=_plot(opened, closed),
    )


def _cells(values: Sequence[float], stall_s: float) -> list[Cell]:
    spots = queueing.spots(values)
    over = sum(value > stall_s / 4 for value in values) / len(values)
    shown = [number(1000 * value) for value in (*spots.values(), max(values))]
    return [str(len(values)), *shown, f"{100 * over:.1f} %"]


def _goals(ours: Sequence[float], true: Sequence[float]) -> list[Goal]:
    mine, theirs = queueing.spots(ours), queueing.spots(true)
    return [
        within(
            f"open, {spot} against what was computed", Figure((100 * (mine[spot] / theirs[spot] - 1),)), LIMIT
        )
        for spot in ("mean", "p90", "p99")
    ]


def _plot(opened: Sequence[Timed], closed: Sequence[Timed]) -> str:
    """The longest time of each half second, by when items were meant to start, or did."""
    runs: Mapping[str, Sequence[Timed]] = {
        "open, response time": opened,
        "closed, service time": closed,
    }
    longest_s = max(one.response_s for one in opened)
    lines = []
    for name, items in runs.items():
        began_s = min(one.due_s for one in items)
        by_bucket: dict[int, list[float]] = {}
        for one in items:
            by_bucket.setdefault(int((one.due_s - began_s) / BUCKET_S), []).append(one.response_s)
        lines.append(f"{name}: p50 and longest, of items that came in each {BUCKET_S:g} s")
        for bucket in range(max(by_bucket) + 1):
            values = by_bucket.get(bucket)
            lines.append(f"{bucket * BUCKET_S:5.1f} s {_bar(values, longest_s)}")
        lines.append("")
    return "\n".join(lines[:-1])


def _bar(values: Sequence[float] | None, longest_s: float) -> str:
    if not values:
        return "(nothing was asked)"
    middle, most = (round(WIDE * value / longest_s) for value in (median(values), max(values)))
    bar = "#" * middle + "-" * (most - middle)
    return f"|{bar:<{WIDE}}| {len(values):5} items, {1000 * median(values):7.1f} {1000 * max(values):7.1f} ms"
