"""Peers at a constant rate: what each says of a target that stands still for a second in the middle."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from benchmarks import queueing
from benchmarks.lab import Failed, Lab, take_turns
from benchmarks.lines import against, line, timed
from benchmarks.peers import Load, parse_oha, parse_vegeta, to_ms
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, deviation, within

RATE = 200
SECONDS, FEW_SECONDS = 10.0, 3.0
STALL_S, SHORT_STALL_S = 1.0, 0.3
SERVICE_MS = 2.0
IN_FLIGHT = 64
"""Fewer than come during the stall: who has no connection left waits, and has to count that."""
LIMIT = 5.0
OURS = ("loadgen, scripted", "loadgen, described")


@dataclass(frozen=True, slots=True)
class Told:
    """What a contender said, and what was true for it."""

    said: Load
    true: Mapping[str, float]
    """Seconds."""


def measure(lab: Lab, _: Web) -> Table:
    """Measure it."""
    contenders: dict[str, Callable[[], Told]] = {
        name: partial(_told, lab, play)
        for name, play in {
            OURS[0]: partial(_loadgen, lab, "scripted"),
            OURS[1]: partial(_loadgen, lab, "described"),
            "oha, corrected": partial(_oha, lab, ("--latency-correction",)),
            "wrk2": partial(_wrk2, lab),
            "vegeta": partial(_vegeta, lab),
            "oha, not corrected": partial(_oha, lab, ()),
        }.items()
    }
    turns = take_turns(lab, contenders, lab.fewer)
    stall_s = lab.pick(STALL_S, SHORT_STALL_S)
    return Table(
        name="open_peers",
        title=(
            f"Peers: {RATE}/s, at most {IN_FLIGHT} in flight, a target that stands still {stall_s:g} s, ms"
        ),
        columns=("client", "requests", "p50", "true", "p90", "true", "p99", "true", "p99 error"),
        rows=[(name, _cells(found)) for name, found in turns.measured.items()],
        goals=[_goal(name, turns.measured.get(name, ())) for name in OURS],
        notes=[
            (
                "true: computed from the rate, the service time of 2 ms, and when the target stood still"
                " by its own record, for each run; a request is due 1/rate after the one before."
            ),
            (
                "oha, wrk2 with correction, loadgen: from when a request was due. vegeta sends"
                " without waiting for a slot. oha without correction counts from when it sent."
            ),
            *turns.out.values(),
        ],
    )


def parse_wrk2(text: str) -> Load:
    """What wrk2 prints with --latency.  Raises ValueError."""
    if re.search(r"Non-2xx|Socket errors", text):
        raise ValueError("there were errors")
    spots = re.findall(r"^\s*(50|90|99)\.000%\s+(\S+)$", text, re.MULTILINE)
    found = {mark: to_ms(value) for mark, value in spots}
    count, rate = re.search(r"(\d+) requests in", text), re.search(r"Requests/sec:\s+([\d.]+)", text)
    if count is None or rate is None or len(found) < 3:
        raise ValueError("it lacks figures")
    return Load(int(count[1]), float(rate[1]), found["50"], found["90"], found["99"])


def _told(lab: Lab, play: Callable[[str], Load]) -> Told:
    """A line of its own, what the contender says, and what was true."""
    count = _count(lab)
    stall_s = lab.pick(STALL_S, SHORT_STALL_S)
    with line(lab, SERVICE_MS, stall_after=count // 2, stall_s=stall_s) as queue:
        try:
            said = play(queue.url)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise Failed(f"its output cannot be read: {error}") from error
        told = queue.finish()
    service_s = SERVICE_MS / 1000
    begin_s = told["left_s"][0] - service_s
    arrivals_s = [begin_s + item / RATE for item in range(len(told["left_s"]))]
    stalls = [(stop, go) for stop, go in told["stalls"]]
    return Told(said, queueing.spots(queueing.walked(arrivals_s, service_s, stalls)))


def _loadgen(lab: Lab, form: str, url: str) -> Load:
    how = ("--rate", f"{RATE}/s", "--max-lag", "10s")
    order = against(url, form, _count(lab), *how, concurrency=IN_FLIGHT)
    job, items = timed(lab, replace(order, core=lab.client_core))
    spots = queueing.spots([one.response_s for one in items])
    p50_ms, p90_ms, p99_ms = (1000 * spots[name] for name in ("p50", "p90", "p99"))
    return Load(len(items), job.rate_per_s, p50_ms, p90_ms, p99_ms)


def _oha(lab: Lab, how: tuple[str, ...], url: str) -> Load:
    """In Rust."""
    duty = ["-n", str(_count(lab)), "-q", str(RATE), "-c", str(IN_FLIGHT)]
    ended = lab.run(["oha", "--no-tui", "--output-format", "json", *duty, *how, url], core=lab.client_core)
    if ended.code:
        raise Failed(ended.words)
    return parse_oha(ended.out)


def _wrk2(lab: Lab, url: str) -> Load:
    """In C; where it is called so."""
    duty = ["-t1", f"-c{IN_FLIGHT}", f"-R{RATE}", f"-d{round(_count(lab) / RATE)}s"]
    ended = lab.run(["wrk2", *duty, "--latency", url], core=lab.client_core)
    if ended.code:
        raise Failed(ended.words)
    return parse_wrk2(ended.out)


def _vegeta(lab: Lab, url: str) -> Load:
    """In Go."""
    targets, results = lab.new("targets"), lab.new("results")
    targets.write_text(f"GET {url}/\n")
    duty = ["-rate", str(RATE), "-duration", f"{_count(lab) / RATE:g}s"]
    files = ["-targets", str(targets), "-output", str(results)]
    ended = lab.run(["vegeta", "attack", *duty, *files], core=lab.client_core)
    report = lab.run(["vegeta", "report", "-type", "json", str(results)])
    if ended.code or report.code:
        raise Failed((ended if ended.code else report).words)
    return parse_vegeta(report.out)


def _count(lab: Lab) -> int:
    return round(RATE * lab.pick(SECONDS, FEW_SECONDS))


def _cells(found: Sequence[Told]) -> list[Cell]:
    cells: list[Cell] = [Figure.of(one.said.requests for one in found)]
    for spot in ("p50", "p90", "p99"):
        cells.append(Figure.of(getattr(one.said, f"{spot}_ms") for one in found))
        cells.append(Figure.of(1000 * one.true[spot] for one in found))
    off = _off(found)
    return [*cells, None if off is None else f"{off.median:+.1f} %"]


def _off(found: Sequence[Told]) -> Figure | None:
    said = Figure.of(one.said.p99_ms for one in found)
    return deviation(said, Figure.of(1000 * one.true["p99"] for one in found))


def _goal(name: str, found: Sequence[Told]) -> Goal:
    return within(f"{name}, p99 against the truth", _off(found), LIMIT)
