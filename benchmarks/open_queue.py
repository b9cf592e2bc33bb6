"""Waiting: response times of an open run against a queue of which the waiting time is known, M/D/1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import queueing
from benchmarks.lab import Lab
from benchmarks.lines import against, line, timed
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, number, within
from loadgen.pace.pacing import Poisson, parse_rate

ITEMS = {5.0: 7_000, 20.0: 2_200}
"""Of each service time, in ms: a minute of arrivals, more or less."""
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
                "computed: Lindley's recursion over the very arrivals that were ordered, at a server that did"
                " nothing while it was kept from its work (by its own record: it is a process on a virtual"
                " machine); no chance is in it, and it is what is compared."
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
    offsets = Poisson(parse_rate(rate), SEED).offsets_us(0, count)
    service_s = case.service_ms / 1000
    begin_s = median(one.due_s - offsets[one.item] / 1e6 for one in items)
    came_s = [begin_s + offset / 1e6 for offset in offsets]
    kept = [(since, until) for since, until in told["kept"]]
    path = queueing.kept(came_s, service_s, kept)
    true = queueing.spots([path[one.item] for one in items])
    never = queueing.spots(queueing.kept(came_s, service_s))
    ours = queueing.spots([one.response_s for one in items])
    known = {"mean": queueing.mean(case.rate_per_s, service_s)}
    known |= {f"p{n}": queueing.quantile(case.rate_per_s, service_s, n / 100) for n in (50, 90, 99)}
    off = {spot: 100 * (ours[spot] / true[spot] - 1) for spot in SPOTS}
    way_s = median(one.response_s for one in items if path[one.item] - service_s < WAITED_S) - service_s
    rows: list[tuple[str, list[Cell]]] = [
        (f"{case.name}: loadgen", [_ms(ours[spot]) for spot in SPOTS]),
        (f"{case.name}: computed", [_ms(true[spot]) for spot in SPOTS]),
        (f"{case.name}: computed, never kept from its work", [_ms(never[spot]) for spot in SPOTS]),
        (f"{case.name}: long run", [_ms(known[spot]) for spot in SPOTS]),
        (f"{case.name}: loadgen against computed", [f"{off[spot]:+.1f} %" for spot in SPOTS]),
        (
            f"{case.name}: loadgen less the way, against computed",
            [f"{100 * ((ours[spot] - way_s) / true[spot] - 1):+.1f} %" for spot in SPOTS],
        ),
    ]
    goals = [
        within(f"{case.name}, {spot} against what was computed", Figure((off[spot],)), LIMIT)
        for spot in SPOTS
    ]
    lag = queueing.spots([one.lag_s for one in items])
    note = (
        f"{case.name}: {len(items)} of {count} items done; the way {_ms(way_s)} ms; lag p50"
        f" {_ms(lag['p50'])}, p99 {_ms(lag['p99'])} ms;"
        f" the server was kept from its work {_often(kept)};"
        f" the shortest call took {_ms(min(one.response_s for one in items))} ms"
    )
    says = job.summary["generator"]["verdict"]
    return rows, goals, f"{note}; the run says of itself: {says}"


def _often(kept: Sequence[tuple[float, float]]) -> str:
    """How often, and for how long."""
    longest_s = max((until - since for since, until in kept), default=0.0)
    return f"{len(kept)} times, {_ms(longest_s)} ms at most"


def _ms(seconds: float) -> str:
    return number(1000 * seconds)
