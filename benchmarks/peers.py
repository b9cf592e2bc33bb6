"""The peers: how each is called for a while with so many requests in flight, and what it says about them.

Each runs with its own defaults, keep-alive, on one core.  Those that can check the JSON do; wrk, hey, oha
and vegeta only read it.  Latencies are those that the peer itself states.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab import Failed, Lab, Missing
from benchmarks.processes import Ended

HERE = Path(__file__).parent
UNITS_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
K6_SCRIPT = """
import http from 'k6/http';
import { check } from 'k6';
export const options = { summaryTrendStats: ['p(50)', 'p(90)', 'p(99)'] };
export default function () {
  check(http.get(__ENV.URL), { ok: (answer) => answer.json().ok === true });
}
export function handleSummary(data) { return { stdout: JSON.stringify(data.metrics) }; }
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one contender did."""

    requests: int
    rate_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    cpu_s: float = 0.0
    """Of all its processes, start and end included."""
    wall_s: float = 0.0
    """The whole command."""
    says: str = ""
    """Its own word about how true its figures are; only loadgen has one."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What a contender is to do."""

    url: str
    in_flight: int
    seconds: float


def wrk(lab: Lab, duty: Duty) -> Load:
    """In C; one thread."""
    command = ["wrk", "-t1", f"-c{duty.in_flight}", f"-d{_whole(duty.seconds)}s", "--latency", duty.url]
    return _measured(lab, command, parse_wrk)


def hey(lab: Lab, duty: Duty) -> Load:
    """In Go; told of one core."""
    command = ["hey", "-cpus", "1", "-c", str(duty.in_flight), "-z", f"{duty.seconds:g}s", duty.url]
    return _measured(lab, command, parse_hey)


def k6(lab: Lab, duty: Duty) -> Load:
    """In Go, scripts in JavaScript; checks the JSON."""
    script = lab.new("k6.js")
    script.write_text(K6_SCRIPT)
    how = ["--quiet", "--vus", str(duty.in_flight), "--duration", f"{duty.seconds:g}s"]
    return _measured(lab, ["k6", "run", *how, "-e", f"URL={duty.url}", str(script)], parse_k6)


def oha(lab: Lab, duty: Duty) -> Load:
    """In Rust."""
    how = ["--no-tui", "--output-format", "json", "-c", str(duty.in_flight), "-z", f"{duty.seconds:g}s"]
    return _measured(lab, ["oha", *how, duty.url], parse_oha)


def vegeta(lab: Lab, duty: Duty) -> Load:
    """In Go; as fast as its workers can.  Its report is a second command, whose CPU is not counted."""
    targets, results = lab.new("targets"), lab.new("results")
    targets.write_text(f"GET {duty.url}\n")
    how = ["-rate", "0", "-workers", str(duty.in_flight), "-max-workers", str(duty.in_flight)]
    files = ["-targets", str(targets), "-output", str(results)]
    ended = lab.run(
        ["vegeta", "-cpus", "1", "attack", *how, "-duration", f"{duty.seconds:g}s", *files],
        core=lab.client_core,
    )
    report = lab.run(["vegeta", "report", "-type", "json", str(results)])
    results.unlink(missing_ok=True)
    if ended.code or report.code:
        raise Failed((ended if ended.code else report).words)
    return _with_costs(parse_vegeta(report.out), ended)


def requests_threads(lab: Lab, duty: Duty) -> Load:
    """`requests` as most people use it: a Session a thread."""
    numbers = [str(duty.in_flight), str(duty.seconds)]
    return _measured(lab, [sys.executable, "-m", "benchmarks.with_requests", duty.url, *numbers], parse_own)


def locust_http(lab: Lab, duty: Duty) -> Load:
    """Locust on requests."""
    return _locust(lab, duty, "Plain")


def locust_fast(lab: Lab, duty: Duty) -> Load:
    """Locust on geventhttpclient."""
    return _locust(lab, duty, "Fast")


PEERS: Mapping[str, Callable[[Lab, Duty], Load]] = {
    "wrk": wrk,
    "hey": hey,
    "k6": k6,
    "oha": oha,
    "vegeta": vegeta,
    "Locust FastHttpUser": locust_fast,
    "Locust HttpUser": locust_http,
    "requests, threads": requests_threads,
}


def parse_wrk(text: str) -> Load:
    """What wrk prints.  Raises ValueError."""
    if re.search(r"Non-2xx|Socket errors", text):
        raise ValueError("there were errors")
    spots = {
        mark: to_ms(value) for mark, value in re.findall(r"^\s+(50|90|99)%\s+(\S+)$", text, re.MULTILINE)
    }
    return Load(
        requests=int(_found(r"(\d+) requests in", text)),
        rate_per_s=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50_ms=spots["50"],
        p90_ms=spots["90"],
        p99_ms=spots["99"],
    )


def parse_hey(text: str) -> Load:
    """What hey prints.  Raises ValueError."""
    if "Error distribution" in text:
        raise ValueError("there were errors")
    spots = {mark: float(value) * 1000 for mark, value in re.findall(r"(50|90|99)%+ in ([\d.]+) secs", text)}
    answered = [int(count) for count in re.findall(r"\[200\]\s+(\d+) responses", text)]
    return Load(
        requests=sum(answered),
        rate_per_s=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        p50_ms=spots["50"],
        p90_ms=spots["90"],
        p99_ms=spots["99"],
    )


def parse_k6(text: str) -> Load:
    """What our `handleSummary` prints.  Raises ValueError."""
    metrics = json.loads(text[text.index("{") :])
    if metrics["checks"]["values"]["rate"] < 1:
        raise ValueError("there were errors")
    calls, times = metrics["http_reqs"]["values"], metrics["http_req_duration"]["values"]
    return Load(int(calls["count"]), calls["rate"], times["p(50)"], times["p(90)"], times["p(99)"])


def parse_oha(text: str) -> Load:
    """The JSON of oha.  Raises ValueError."""
    found = json.loads(text)
    spots, codes = found["latencyPercentiles"], found["statusCodeDistribution"]
    if set(codes) != {"200"}:
        raise ValueError(f"there were errors: {codes}")
    rate = found["summary"]["requestsPerSec"]
    return Load(codes["200"], rate, *(spots[name] * 1000 for name in ("p50", "p90", "p99")))


def parse_vegeta(text: str) -> Load:
    """The JSON of vegeta.  Raises ValueError."""
    found = json.loads(text)
    if found["success"] < 1:
        raise ValueError("there were errors")
    spots = (found["latencies"][name] / 1_000_000 for name in ("50th", "90th", "99th"))
    return Load(found["requests"], found["throughput"], *spots)


def parse_own(text: str) -> Load:
    """The last line of our own programs: a Load as JSON.  Raises ValueError."""
    return Load(**json.loads(text.strip().splitlines()[-1]))


def _locust(lab: Lab, duty: Duty, user: str) -> Load:
    if importlib.util.find_spec("locust") is None:
        raise Missing("Locust is not installed: pip install -e '.[bench]'")
    base, _, path = duty.url.rpartition("/")
    how = ["--headless", "--only-summary", "--loglevel", "ERROR", "--exit-code-on-error", "3"]
    users = ["--users", str(duty.in_flight), "--spawn-rate", str(duty.in_flight)]
    time_ = ["--run-time", f"{_whole(duty.seconds)}s", "--stop-timeout", "1"]
    ours = ["--path", f"/{path}"]
    file = str(HERE / "locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", file, user, "--host", base, *how, *users, *time_, *ours]
    return _measured(lab, command, parse_own)


def _measured(lab: Lab, command: list[str], parse: Callable[[str], Load]) -> Load:
    ended = lab.run(command, core=lab.client_core)
    if ended.code:
        raise Failed(ended.words)
    try:
        return _with_costs(parse(ended.out), ended)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise Failed(f"its output cannot be read: {error}") from error


def _with_costs(load: Load, ended: Ended) -> Load:
    spots = load.p50_ms, load.p90_ms, load.p99_ms
    return Load(load.requests, load.rate_per_s, *spots, cpu_s=ended.cpu_s, wall_s=ended.wall_s)


def _whole(seconds: float) -> int:
    """Because wrk and Locust count whole seconds."""
    return max(1, round(seconds))


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"it lacks {pattern}")
    return match[1]


def to_ms(text: str) -> float:
    """`270.00us`, `20.63ms`, `1.10s`, in milliseconds."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if match is None:
        raise ValueError(f"not a time: {text}")
    return float(match[1]) * UNITS_MS[match[2]]
