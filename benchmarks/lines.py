"""Queues with one server, as programs beside the benchmark; and paced runs against them, item by item."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Job, Order
from benchmarks.lab import Beside, Failed, Lab, wait_until
from benchmarks.servers import free_port
from loadgen.ledger.reader import Reader
from loadgen.sample import Outcome

LIMIT_S = 600.0
"""20,000 arrivals at 100 a second take a while."""


@dataclass(frozen=True, slots=True)
class Line:
    """A queue that is there."""

    url: str
    beside: Beside
    log: Path

    def finish(self) -> Mapping[str, Any]:
        """End it; what it tells of itself."""
        self.beside.process.send_signal(signal.SIGTERM)
        self.beside.finish(10)
        told: Mapping[str, Any] = json.loads(self.log.read_text())
        return told


@contextlib.contextmanager
def line(lab: Lab, service_ms: float, *, stall_after: int = 0, stall_s: float = 0.0) -> Iterator[Line]:
    """A queue with one server, on a core of its own where there are two."""
    port, log = free_port(), lab.new("line.json")
    words = [str(port), str(service_ms), str(log), str(stall_after), str(stall_s)]
    command = [sys.executable, "-m", "benchmarks.queue_server", *words]
    with lab.beside(command, core=lab.server_core) as beside:
        wait_until(lambda: _listens(port), "the queue")
        yield Line(f"http://127.0.0.1:{port}", beside, log)


@dataclass(frozen=True, slots=True)
class Timed:
    """One item that was done; seconds since 1970, and seconds."""

    item: int
    due_s: float
    lag_s: float
    service_s: float

    @property
    def response_s(self) -> float:
        """From when it was meant to start."""
        return self.lag_s + self.service_s


def timed(lab: Lab, order: Order) -> tuple[Job, list[Timed]]:
    """Make a run; its items in order."""
    job, items = jobs.read(lab, order, _items)
    if not items:
        raise Failed("no item was done")
    return job, items


def against(url: str, form: str, items: int, *how: str, concurrency: int) -> Order:
    """A run of so many GETs against a line; `form`: scripted or described."""
    return Order(
        scenario=SCENARIOS / f"{form}.py",
        options={"items": items, "path": "/"},
        target=url,
        concurrency=concurrency,
        codes=(0, 3),
        limit_s=LIMIT_S,
        more=how,
    )


def _items(reader: Reader) -> list[Timed]:
    """From its calls: an item is one."""
    found = []
    for table in reader.call_tables():
        for call in table.samples.rows() if table.step == 0 else ():
            due_us = call.start_us - call.lag_us
            found.append(Timed(call.item, due_us / 1e6, call.lag_us / 1e6, call.total_us / 1e6))
    done = {row.item for row in reader.attempt_rows() if row.outcome is Outcome.DONE}
    return sorted((one for one in found if one.item in done), key=lambda one: one.item)


def _listens(port: int) -> bool | None:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return None
