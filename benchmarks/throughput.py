"""Throughput: requests a second of one core, and CPU time a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Lab, Turns, take_turns
from benchmarks.peers import PEERS, Duty, Load
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, at_least, fold, ratio

IN_FLIGHT = 32
SCRIPTED, DESCRIBED = "loadgen, scripted step", "loadgen, described step"
TWO = "loadgen, scripted, 2 processes, 2 cores"
SHORT = 4000
"""Items of loadgen's short run, which tells how many make a long one."""
MOST = 400_000


class Ours:
    """loadgen as a contender: a run has so many items, not so many seconds: the one before sets the next."""

    def __init__(self, lab: Lab, order: Order, seconds: float) -> None:
        self._lab = lab
        self._order = order
        self._seconds = seconds
        self._items = SHORT

    def short(self) -> Load:
        """What a short run costs: taken off, what is left is the cost of more requests."""
        return self._run(SHORT)

    def __call__(self) -> Load:
        """One run, long enough."""
        return self._run(self._items)

    def _run(self, items: int) -> Load:
        order = dataclasses.replace(self._order, options={**self._order.options, "items": items})
        load = jobs.run(self._lab, order).load
        self._items = min(MOST, max(items, round(load.rate_per_s * self._seconds)))
        return load


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    seconds = lab.pick(3, 1)
    ours = {
        SCRIPTED: Ours(lab, _order(lab, web, "scripted"), seconds),
        DESCRIBED: Ours(lab, _order(lab, web, "described"), seconds),
        TWO: Ours(lab, _order(lab, web, "scripted", processes=2), seconds),
    }
    duty = Duty(web.json, IN_FLIGHT, seconds)
    peers = {name: partial(peer, lab, duty) for name, peer in PEERS.items()}
    contenders: dict[str, Callable[[], Load]] = {**ours, **peers}
    shorts = _short_runs(lab, web, ours)
    turns = take_turns(lab, {name: each for name, each in contenders.items() if name not in shorts.out})
    rates = {name: Figure.of(load.rate_per_s for load in loads) for name, loads in turns.measured.items()}
    rows = []
    for name, loads in turns.measured.items():
        whole = Figure.of(load.requests / load.wall_s for load in loads)
        cpu = Figure.of(_marginal_us(load, shorts.measured.get(name, ())) for load in loads)
        cells: list[Cell] = [rates[name], whole, cpu]
        cells += [fold(ratio(rates[name], rates.get(peer))) for peer in ("Locust HttpUser", "wrk")]
        rows.append((name, cells))
    return Table(
        name="throughput",
        title=f"Throughput: GET and JSON check, keep-alive, {IN_FLIGHT} in flight, one core",
        columns=(
            "client",
            "requests/s",
            "whole command, requests/s",
            "CPU us/request",
            "x HttpUser",
            "x wrk",
        ),
        rows=rows,
        goals=_goals(rates),
        notes=[
            (
                "loadgen: the whole job shares the core: master, ledger, marks, worker; "
                "requests/s is over its active phase."
            ),
            "whole command: start-up, verification and report included, so short runs look worse.",
            "CPU us/request: of all processes, beyond what a short run of the same client costs.",
            "wrk, hey, oha and vegeta read the answer without checking it.",
            *shorts.out.values(),
            *turns.out.values(),
        ],
    )


def _order(lab: Lab, web: Web, name: str, processes: int = 1) -> Order:
    return Order(
        scenario=SCENARIOS / f"{name}.py",
        options={},
        target=web.fast,
        processes=processes,
        concurrency=IN_FLIGHT // processes,
        core=lab.client_core if processes == 1 else None,
    )


def _goals(rates: dict[str, Figure | None]) -> list[Goal]:
    scripted, described = rates.get(SCRIPTED), rates.get(DESCRIBED)
    return [
        at_least("scripted step against Locust HttpUser", ratio(scripted, rates.get("Locust HttpUser")), 12),
        at_least(
            "scripted step against FastHttpUser", ratio(scripted, rates.get("Locust FastHttpUser")), 2.5
        ),
        at_least("described step against wrk", ratio(described, rates.get("wrk")), 0.6),
        at_least("described step against hey", ratio(described, rates.get("hey")), 1.5),
    ]


def _short_runs(lab: Lab, web: Web, ours: Mapping[str, Ours]) -> Turns[Load]:
    """What starting costs; not in a smoke run."""
    if lab.quick:
        return Turns({}, {})
    lab.say("short runs first: what starting costs")
    brief = {name: partial(peer, lab, Duty(web.json, IN_FLIGHT, 1)) for name, peer in PEERS.items()}
    return take_turns(lab, {**{name: each.short for name, each in ours.items()}, **brief}, rounds=1)


def _marginal_us(load: Load, shorts: Sequence[Load]) -> float | None:
    """CPU time of one more request; None when the run was not much longer than the short one."""
    if not shorts or load.requests < 2 * shorts[0].requests:
        return None
    return (load.cpu_s - shorts[0].cpu_s) / (load.requests - shorts[0].requests) * 1_000_000
