"""Waiting: response times of an open run against a queue of which the waiting time is known, M/D/1."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from benchmarks import queueing
from benchmarks.lab import Lab
from benchmarks.lines import against, line, timed
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, number, within
from loadgen.pace.pacing import Poisson, parse_rate

ITEMS = {5.0: 12_000, 20.0: 3_500}
"""Of each service time, in ms: some eighty seconds and more of arrivals."""
FEW_ITEMS = 400
LOADS = (0.5, 0.7, 0.9)
SLOTS = 256
SEED = 4711
LIMIT = 5.0
"""Percent."""
WAITED_S = 1e-6
"""Who waited less met an empty line."""
SPOTS = ("mean", "p50", "p90", "p99")


@dataclass(frozen=True, slots=True)
class Case:
    """A queue, and how busy it is."""

    service_ms: float
    load: float

    @property
    def rate_per_s(self) -> float:
        """Arrivals."""
        return 1000 * self.load / self.service_ms

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.service_ms:g} ms, {self.load:g}"


def measure(lab: Lab, _: Web) -> Table:
    """Measure it."""
    cases = [Case(service, load) for service in ITEMS for load in LOADS]
    rows: list[tuple[str, list[Cell]]] = []
    goals: list[Goal] = []
    notes: list[str] = []
    for case in [Case(20.0, 0.7)] if lab.quick else cases:
        lab.say(case.name)
        found = _measured(lab, case)
        rows += found[0]
        goals += found[1]
        notes.append(found[2])
    return Table(
        name="open_queue",
        title="Waiting: Poisson arrivals at a queue with one server and a known service time (M/D/1), ms",
        columns=("service, load; whose response time", *SPOTS),
        rows=rows,
        goals=goals,
        notes=[
            (
                "pathwise: Lindley's recursion over the very arrivals that were ordered; no chance is in it,"
                " and it is what is compared."
            ),
            (
                "the server's own clock: when each answer left it, since its item was meant to start; where"
                " this is not the pathwise truth, the server was kept from its work."
            ),
            "long run: the formulas of Erlang and Crommelin, Pollaczek and Khinchin; a run comes near them.",
            (
                "the way: what an item takes beyond the service when it meets an empty line: sending,"
                " the network, and being woken; the formulas know of none."
            ),
            (
                "the service is what loadgen measured from sending to the answer, which is what a"
                " closed model would call latency; here it holds the queue too, as every item has a slot."
            ),
            *notes,
        ],
    )


def _measured(lab: Lab, case: Case) -> tuple[list[tuple[str, list[Cell]]], list[Goal], str]:
    count = round(lab.pick(ITEMS[case.service_ms], FEW_ITEMS))
    rate = f"{case.rate_per_s:g}/s"
    with line(lab, case.service_ms) as queue:
        how = ("--rate", rate, "--arrivals", "poisson", "--seed", str(SEED), "--max-lag", "10s")
        job, items = timed(lab, against(queue.url, "described", count, *how, concurrency=SLOTS))
        told = queue.finish()
    served_us = told["services_us"]
    offsets = Poisson(parse_rate(rate), SEED).offsets_us(0, count)
    service_s = case.service_ms / 1000
    path = queueing.walked([offset / 1e6 for offset in offsets], service_s)
    theirs = queueing.spots([path[one.item] for one in items])
    ours = queueing.spots([one.response_s for one in items])
    known = {"mean": queueing.mean(case.rate_per_s, service_s)}
    known |= {f"p{n}": queueing.quantile(case.rate_per_s, service_s, n / 100) for n in (50, 90, 99)}
    begin_s = median(one.due_s - offsets[one.item] / 1e6 for one in items)
    saw = queueing.spots(
        [left - begin_s - at / 1e6 for left, at in zip(told["left_s"], offsets, strict=False)]
    )
    off = {spot: 100 * (ours[spot] / theirs[spot] - 1) for spot in SPOTS}
    way_s = median(one.response_s for one in items if path[one.item] - service_s < WAITED_S) - service_s
    rows: list[tuple[str, list[Cell]]] = [
        (f"{case.name}: loadgen", [_ms(ours[spot]) for spot in SPOTS]),
        (f"{case.name}: pathwise", [_ms(theirs[spot]) for spot in SPOTS]),
        (f"{case.name}: the server's own clock", [_ms(saw[spot]) for spot in SPOTS]),
        (f"{case.name}: long run", [_ms(known[spot]) for spot in SPOTS]),
        (f"{case.name}: loadgen against pathwise", [f"{off[spot]:+.1f} %" for spot in SPOTS]),
        (
            f"{case.name}: loadgen against the server's own clock",
            [f"{100 * (ours[spot] / saw[spot] - 1):+.1f} %" for spot in SPOTS],
        ),
        (
            f"{case.name}: loadgen less the way, against pathwise",
            [f"{100 * ((ours[spot] - way_s) / theirs[spot] - 1):+.1f} %" for spot in SPOTS],
        ),
    ]
    goals = [
        within(f"{case.name}, {spot} against the pathwise truth", Figure((off[spot],)), LIMIT)
        for spot in SPOTS
    ]
    lag = queueing.spots([one.lag_s for one in items])
    note = (
        f"{case.name}: {len(items)} of {count} items done; the way {_ms(way_s)} ms; lag p50"
        f" {_ms(lag['p50'])}, p99 {_ms(lag['p99'])} ms;"
        f" the server served in {number(median(served_us) / 1000)} ms (p50),"
        f" {number(sorted(served_us)[len(served_us) * 99 // 100] / 1000)} ms (p99);"
        f" the shortest call took {_ms(min(one.response_s for one in items))} ms"
    )
    says = job.summary["generator"]["verdict"]
    return rows, goals, f"{note}; the run says of itself: {says}"


def _ms(seconds: float) -> str:
    return number(1000 * seconds)
