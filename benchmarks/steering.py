"""Steering: how long it takes from an order until the target sees nothing but what was ordered."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from benchmarks.jobs import SCENARIOS
from benchmarks.lab import Lab, wait_until
from benchmarks.servers import Web, free_port
from benchmarks.tables import Cell, Figure, Goal, Table
from loadgen.control import Continue, Pause, Set, ask, socket_path

ROUNDS, FEW_ROUNDS = 20, 3
WORKERS, PROCESSES, SLOTS = 2, 2, 4
SERVICE_S = 0.02
CAP, MANY = 3, 10
QUIET_S = 0.3
"""So long after an order nothing more comes of what was before."""
LIMIT_MS: Final = 2000.0


class Seen:
    """What the target saw: when calls began, and how many were there at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_s: list[float] = []
        self._crowds: list[tuple[float, int]] = []
        self._inside = 0

    def enter(self) -> None:
        """A call has begun."""
        with self._lock:
            self._inside += 1
            now_s = time.monotonic()
            self._began_s.append(now_s)
            self._crowds.append((now_s, self._inside))

    def leave(self) -> None:
        """One has ended."""
        with self._lock:
            self._inside -= 1

    def last_s(self) -> float:
        """When the last call began."""
        with self._lock:
            return self._began_s[-1]

    def first_s(self, after_s: float, least: int = 1) -> float | None:
        """When a call began first after that time with at least so many there."""
        with self._lock:
            return next((at for at, crowd in self._crowds if at > after_s and crowd >= least), None)

    def last_over_s(self, after_s: float, most: int) -> float:
        """When, after that time, more than so many were there for the last time."""
        with self._lock:
            return max((at for at, crowd in self._crowds if at > after_s and crowd > most), default=after_s)


def measure(lab: Lab, _web: Web) -> Table:
    """Measure it."""
    rounds = FEW_ROUNDS if lab.quick else ROUNDS
    seen = Seen()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(seen))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    out, port = lab.new("runs"), free_port()
    loadgen = [sys.executable, "-m", "loadgen"]
    slots = ("--processes", str(PROCESSES), "--concurrency", str(SLOTS))
    target = f"http://127.0.0.1:{server.server_port}"
    run = [*loadgen, "run", str(SCENARIOS / "scripted.py"), "--target", target, "--duration", "10m"]
    where = ("--listen", f"127.0.0.1:{port}", "--out", str(out), "--no-dashboard")
    spool = str(lab.new("spool"))
    worker = [*loadgen, "worker", "--server", f"localhost:{port}", "--spool", spool, *slots]
    try:
        with lab.beside([*run, *where, *slots]), lab.beside(worker):
            wait_until(lambda: seen.first_s(0.0, WORKERS * PROCESSES * SLOTS - 2), "all slots are at work")
            directory = next(path for path in Path(out).iterdir() if path.is_dir())
            door = socket_path(directory, lab.environ)
            took = [_round(lab, seen, lambda order: ask(door, order, directory.name)) for _ in range(rounds)]
    finally:
        server.shutdown()
        server.server_close()
    rows: list[tuple[str, list[Cell]]] = []
    for name in took[0]:
        values = sorted(1000 * each[name] for each in took)
        rows.append((name, [Figure.of(values), f"{values[-1]:.0f}"]))
    worst = max(1000 * value for each in took for value in each.values())
    return Table(
        name="steering",
        title="Steering: from an order until the target sees nothing but what was ordered",
        columns=("order", "ms", "at worst, ms"),
        rows=rows,
        goals=[
            Goal(
                "all workers keep to it, at worst", f"{LIMIT_MS:.0f} ms", f"{worst:.0f} ms", worst <= LIMIT_MS
            )
        ],
        notes=[
            (
                f"{WORKERS} workers x {PROCESSES} processes x {SLOTS} slots; a call takes"
                f" {1000 * SERVICE_S:.0f} ms; {rounds} rounds; asked through the run's socket."
            )
        ],
    )


def _round(lab: Lab, seen: Seen, give: Callable[[Pause | Continue | Set], object]) -> dict[str, float]:
    """Each order once."""
    lab.say("pause, continue, set")
    paused_s = time.monotonic()
    give(Pause())
    answered_s = time.monotonic()
    time.sleep(QUIET_S)
    went_on_s = time.monotonic()
    last_s = seen.last_s()
    give(Continue())
    first_s = wait_until(lambda: seen.first_s(went_on_s), "calls begin again")
    wait_until(lambda: seen.first_s(went_on_s, MANY), "all slots are at work again")
    capped_s = time.monotonic()
    give(Set((f"max-in-flight={CAP}",)))
    time.sleep(QUIET_S)
    over_s = seen.last_over_s(capped_s, CAP)
    freed_s = time.monotonic()
    give(Set(("max-in-flight=none",)))
    many_s = wait_until(lambda: seen.first_s(freed_s, MANY), "there are many again")
    return {
        "pause: until the last call began": max(last_s - paused_s, 0.0),
        "pause: until it is answered, nothing is in flight": answered_s - paused_s,
        "continue: until the first call began": first_s - went_on_s,
        f"set max-in-flight={CAP}: until there were never more": over_s - capped_s,
        f"set max-in-flight=none: until there were {MANY} at once": many_s - freed_s,
    }


def _handler(seen: Seen) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Take a while."""
            seen.enter()
            time.sleep(SERVICE_S)
            seen.leave()
            body = b'{"ok": true}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
