"""How wrong our times are, and what the probe says then: the table that the verdict's cut-offs come from.

    python -m benchmarks.verdict [--delay 10] [--seconds 3] [--rounds 3] [--json FILE]

A server in a process of its own answers each GET after a fixed delay (`loadgen sandbox delay`).  A client
process calls it with real Sessions, in so many threads that each burn so much CPU before each call, as
steps do that prepare or check something; in some cases a thread beside them computes all the time, or
another process takes the core away.  The truth is what the same client measures with one idle thread;
all that a case shows beyond that, at p50 and at p99, is the generator's own error.  Server and client are
pinned to different cores where there are two.  Medians of several rounds; the cases of a round run one
after the other, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import msgspec
import requests

from loadgen.clock import SystemClock
from loadgen.execution.probe import Probe
from loadgen.execution.session import Session
from loadgen.lag import Lag
from loadgen.record import WorkerFacts
from loadgen.reports.metrics import Stats
from loadgen.reports.schema import CallSummary
from loadgen.reports.truth import judge_worker
from loadgen.sample import NO_ITEM, Sample

WARM_UP_S = 0.5
"""Not measured: connections, imports."""
CALM_P50_MS, CALM_P99_MS = 0.6, 6.0
"""A round in which the server was later than this says little about the client."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the client does."""

    threads: int
    cpu_ms: float = 0.0
    """CPU time before each call, in Python."""
    hog: bool = False
    """A thread of the same process computes all the time."""
    rival: int = 0
    """Other processes that compute all the time on the client's core."""

    @property
    def name(self) -> str:
        """For the table."""
        parts = [
            f"{self.threads} x {self.cpu_ms:g} ms" if self.cpu_ms else f"{self.threads}",
            *(["hog"] if self.hog else []),
            *([f"{self.rival} rivals"] if self.rival else []),
        ]
        return " + ".join(parts)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it."""

    rate: float
    """Calls a second."""
    p50_ms: float
    p99_ms: float
    cpu: float
    """Share of a core."""
    waited_ms: float
    """What threads of the process waited for a core, a call."""
    lag: Lag
    late_p50_ms: float = 0.0
    late_p99_ms: float = 0.0
    """By how much the server answered later than it should have."""


CASES = (
    Case(1),
    Case(4),
    Case(16),
    Case(64),
    Case(128),
    Case(256),
    Case(16, 0.2),
    Case(16, 0.35),
    Case(16, 0.5),
    Case(24, 0.5),
    Case(32, 0.5),
    Case(4, 2.0),
    Case(8, 2.0),
    Case(1, hog=True),
    Case(8, hog=True),
    Case(8, rival=1),
    Case(8, rival=3),
)


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--delay", type=float, default=10.0, metavar="MS")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    rounds: dict[Case, list[Figures]] = {case: [] for case in CASES}
    with server(arguments.delay) as url:
        for _ in range(arguments.rounds):
            for case in CASES:
                rounds[case].append(measured(case, url, arguments.seconds))
    _show(rounds)
    if arguments.json is not None:
        told = [{"name": case.name, **asdict(case), "rounds": figures} for case, figures in rounds.items()]
        arguments.json.write_text(msgspec.json.format(msgspec.json.encode(told)).decode() + "\n")


@contextlib.contextmanager
def server(delay_ms: float) -> Iterator[str]:
    """The target, on the last core."""
    command = [sys.executable, "-m", "loadgen", "sandbox", "delay", "--port", "0", "--latency", str(delay_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        _pin(process.pid, last=True)
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate()


def measured(case: Case, url: str, seconds: float) -> Figures:
    """One round of a case, in a fresh process."""
    context = multiprocessing.get_context("spawn")
    rivals = [context.Process(target=_compute, daemon=True) for _ in range(case.rival)]
    ours, theirs = context.Pipe()
    client = context.Process(target=_client, args=(case, url, seconds, theirs), daemon=True)
    for process in (*rivals, client):
        process.start()
        _pin(process.pid or 0, last=False)
    try:
        figures: Figures = ours.recv()
        told = requests.get(f"{url}/status", timeout=10).json()
        return replace(figures, late_p50_ms=told["late_p50_ms"], late_p99_ms=told["late_p99_ms"])
    finally:
        for process in (*rivals, client):
            process.kill()
            process.join()


def _client(case: Case, url: str, seconds: float, answer: Connection) -> None:
    """Call for a while, and send the figures."""
    times: list[int] = []
    stop = threading.Event()
    crew = [threading.Thread(target=_call, args=(case, url, times, stop)) for _ in range(case.threads)]
    if case.hog:
        threading.Thread(target=_compute, daemon=True).start()
    for thread in crew:
        thread.start()
    time.sleep(WARM_UP_S)
    probe = Probe(SystemClock())
    probe.start()
    times.clear()
    requests.get(f"{url}/status", timeout=10)  # what was late until now is forgotten
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        time.sleep(0.2)
        probe.reading()
    lag, ended = probe.reading(), sorted(times)
    answer.send(
        Figures(
            rate=len(ended) / seconds,
            p50_ms=ended[len(ended) // 2] / 1000,
            p99_ms=ended[len(ended) * 99 // 100] / 1000,
            cpu=lag.cpu,
            waited_ms=lag.waited_us / len(ended) / 1000,
            lag=lag,
        )
    )
    os.kill(os.getpid(), signal.SIGKILL)


def _call(case: Case, url: str, times: list[int], stop: threading.Event) -> None:
    """A worker's thread: burn, call, take the time."""

    def keep(sample: Sample) -> None:
        times.append(sample.total_us)

    with Session(url, on_sample=keep) as session:
        while not stop.is_set():
            _burn(case.cpu_ms / 1000)
            session.begin("step", NO_ITEM, 1)
            session.get("/").json()
            session.finish()


def _burn(seconds: float) -> None:
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


def _compute() -> None:
    while True:
        sum(range(100))


def _pin(pid: int, *, last: bool) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[-1]} if last else set(cores[:-1]))


def _median(figures: list[Figures]) -> Figures:
    """Field by field; the probe's reading is that of the round in the middle."""
    numbers = [field.name for field in fields(Figures) if field.name != "lag"]
    middle = sorted(figures, key=lambda one: one.lag.p99_us)[len(figures) // 2]
    return replace(middle, **{name: median(getattr(one, name) for one in figures) for name in numbers})


def _show(rounds: dict[Case, list[Figures]]) -> None:
    """Medians, and how the verdict on each round compares with the truth of it."""
    heads = (
        *("threads x CPU a call", "calls/s", "cpu", "p50/p99 ms", "server late p50/p99", "error p50/p99"),
        *("probe mean/p99 ms", "core wait ms", "said"),
    )
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    truth = _median(rounds[CASES[0]])
    for case, figures in rounds.items():
        one = _median(figures)
        p50, p99 = errors(one, truth)
        said = Counter(_said(figure) for figure in figures)
        cells = (
            *(case.name, f"{one.rate:.0f}", f"{one.cpu:.0%}", f"{one.p50_ms:.1f}/{one.p99_ms:.1f}"),
            *(f"{one.late_p50_ms:.1f}/{one.late_p99_ms:.1f}", f"{p50:+.0%}/{p99:+.0%}"),
            *(f"{one.lag.mean_us / 1000:.2f}/{one.lag.p99_us / 1000:.1f}", f"{one.waited_ms:.2f}"),
            ", ".join(f"{count} {verdict}" for verdict, count in said.most_common()),
        )
        lines.append(f"| {' | '.join(cells)} |")
    sys.stdout.write("\n".join(lines) + "\n\n")
    _confusion(rounds, truth)


def _confusion(rounds: dict[Case, list[Figures]], truth: Figures) -> None:
    """How often the verdict was right: rounds in which the server itself was late tell nothing."""
    seen: Counter[tuple[str, str]] = Counter()
    for figures in rounds.values():
        for one in figures:
            if one.late_p50_ms < CALM_P50_MS and one.late_p99_ms < CALM_P99_MS:
                seen[_true(*errors(one, truth)), _said(one)] += 1
    words = ("ok", "suspect", "invalid")
    lines = ["| truth \\ said | " + " | ".join(words) + " |", "|---|---|---|---|"]
    lines += [f"| {true} | " + " | ".join(str(seen[true, said]) for said in words) + " |" for true in words]
    sys.stdout.write("\n".join(lines) + "\n")


def errors(one: Figures, truth: Figures) -> tuple[float, float]:
    """By which share p50 and p99 are too long, beyond what the server was late."""
    p50 = (one.p50_ms - one.late_p50_ms) / (truth.p50_ms - truth.late_p50_ms) - 1
    p99 = (one.p99_ms - one.late_p99_ms) / (truth.p99_ms - truth.late_p99_ms) - 1
    return p50, p99


def _true(p50: float, p99: float) -> str:
    """What the verdict is meant to say."""
    if p50 > 0.2 or p99 > 0.5:
        return "invalid"
    return "suspect" if p50 > 0.1 or p99 > 0.1 else "ok"


def _said(one: Figures) -> str:
    """What the verdict says, as of a worker in a run."""
    calls = round(one.rate * 10)
    waited_us = round(one.waited_ms * calls * 1000)
    worker = WorkerFacts(
        1,
        "it",
        "here",
        1,
        calls,
        calls,
        0.0,
        0.0,
        lost=False,
        lag=msgspec.structs.replace(one.lag, waited_us=waited_us),
    )
    times = Stats(count=calls, p50=one.p50_ms, p99=one.p99_ms)
    call = CallSummary(
        name="GET /",
        count=calls,
        errors=0,
        rate_per_s=one.rate,
        service_time=times,
        time_to_first_byte=times,
        dns_time=Stats(),
        connect_time=Stats(),
        tls_time=Stats(),
        bytes_in=0,
        bytes_out=0,
        statuses={},
    )
    return judge_worker(worker, [call]).verdict or "nothing"


if __name__ == "__main__":
    main()
