"""The report at the end of a run: how long it takes, and how large it gets, for runs of different lengths."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

from rich.console import Console

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Lab
from benchmarks.servers import Web
from benchmarks.tables import Figure, Table, at_most
from loadgen.cli.finish import verdict_of
from loadgen.ledger.reader import Reader
from loadgen.reports.forms import gather_all

LENGTHS = (10_000, 100_000, 1_000_000)
KINDS = {"nothing": "items that do nothing", "described": "items with a GET"}
LIMIT_S = 900.0
MOST_MB = 6.0
"""Of the page."""


@dataclass(frozen=True, slots=True)
class Report:
    """One, made again from the run's ledger."""

    summary_s: float
    """CPU time: all rows of the ledger into the summary, and what the pictures need."""
    page_s: float
    """CPU time: report.html from these."""
    page_mb: float
    ledger_mb: float


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    rows, sizes = [], []
    for kind, what in KINDS.items():
        for items in [1_000, 10_000] if lab.quick else LENGTHS:
            lab.say(f"{items:,} {what}")
            more = ["--max-in-flight", "256"] if kind == "described" else []
            order = Order(
                scenario=SCENARIOS / f"{kind}.py",
                options={"items": items},
                target=web.fast,
                limit_s=LIMIT_S,
                more=more,
            )
            _, reports = jobs.read(lab, order, lambda reader: [_report(reader) for _ in range(lab.fewer)])
            names = ("summary_s", "page_s", "page_mb", "ledger_mb")
            cells = [Figure.of(getattr(report, name) for report in reports) for name in names]
            sizes.append(max(report.page_mb for report in reports))
            rows.append((f"{items:,} {what}", cells))
    return Table(
        name="report",
        title="The report of a run: CPU seconds and megabytes",
        columns=("run", "summary, s", "report.html, s", "report.html, MB", "ledger, MB"),
        rows=rows,
        goals=[at_most("the largest report.html", Figure((max(sizes),)), MOST_MB, " MB")],
        notes=[
            "CPU time of one process; it is made twice for each run. Nearly all of report.html is plotly.",
            "summary: reading all of the ledger once, which every other form needs as well.",
        ],
    )


def _report(reader: Reader) -> Report:
    began_s = time.process_time()
    _, _, draw = gather_all(reader, verdict_of(reader), Console(file=io.StringIO(), width=100))
    counted_s = time.process_time()
    page = draw()
    drawn_s = time.process_time()
    ledger = sum(path.stat().st_size for path in reader.directory.glob("run.db*"))
    return Report(counted_s - began_s, drawn_s - counted_s, len(page) / 1e6, ledger / 1e6)
