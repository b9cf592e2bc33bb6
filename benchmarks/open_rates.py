"""Paces: whether an open run keeps the rate that was ordered, and how late it starts items."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Job, Order
from benchmarks.lab import Failed, Lab
from benchmarks.servers import Web
from benchmarks.tables import Cell, Table, number

RATES = (100, 1000, 5000)
PROCESSES = (1, 2, 4)
FORMS = ("scripted", "described")
ARRIVALS = ("even", "poisson")
SECONDS, FEW_SECONDS = 3.0, 1.0
SLOTS = {"scripted": 32, "described": 256}
"""In flight, in each process."""


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    rows: list[tuple[str, list[Cell]]] = []
    notes: list[str] = []
    for form, arrivals, rate, processes in product(FORMS, ARRIVALS, RATES, PROCESSES):
        if lab.quick and (arrivals, processes) != ("poisson", 1):
            continue
        name = f"{form}, {arrivals}, {rate}/s, {processes}"
        lab.say(name)
        try:
            job = jobs.run(lab, _order(lab, web, form, arrivals, rate, processes))
        except Failed as error:
            notes.append(f"{name}: failed: {error}")
            lab.failed.append(notes[-1])
        else:
            rows.append((name, _cells(job)))
    return Table(
        name="open_rates",
        title="Paces: arrivals a second as ordered and as made, and how late items started, ms",
        columns=(
            "client, arrivals, ordered, processes",
            "made/s",
            "of ordered",
            "dropped",
            "lag p50",
            "lag p99",
            "lag max",
            "service p50",
            "response p99",
            "says of itself",
        ),
        rows=rows,
        notes=[
            (
                "against the web server's /json; one run each, not pinned: server, master, worker and its"
                " processes share the cores."
            ),
            (
                "made/s: items from the first one's start to the last one's end; of ordered: against the rate"
                " of the times that were ordered, which at random is not quite the nominal one."
            ),
            *notes,
        ],
    )


def _order(lab: Lab, web: Web, form: str, arrivals: str, rate: int, processes: int) -> Order:
    return Order(
        scenario=SCENARIOS / f"{form}.py",
        options={"items": round(rate * lab.pick(SECONDS, FEW_SECONDS))},
        target=web.fast,
        processes=processes,
        concurrency=SLOTS[form],
        codes=(0, 3),
        more=("--rate", f"{rate}/s", "--arrivals", arrivals, "--seed", "1"),
    )


def _cells(job: Job) -> list[Cell]:
    (step,) = job.summary["steps"]
    call: Mapping[str, Any] = job.summary["calls"][0]
    lag = step["start_lag"]
    made, ordered = step["rate_per_s"] or 0.0, step["target_rate_per_s"] or 1.0
    return [
        number(made),
        f"{100 * made / ordered:.1f} %",
        str(step["items"]["dropped"]),
        *(number(lag[spot]) for spot in ("p50", "p99", "max")),
        number(call["service_time"]["p50"]),
        number(step["response_time"]["p99"]),
        job.summary["generator"]["verdict"],
    ]
