"""The job that it all began with: 10,000 flows in Azkaban, against one script that fills one project.

The script is the tester's of old: unpack the project's archive, add a flow, pack it, upload it, again and
again, each archive larger than the one before.  It would take too long: what fits into its time is
measured, then single uploads at a few larger sizes, and in between is interpolated.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import requests

from benchmarks import jobs
from benchmarks.jobs import Order
from benchmarks.lab import CHECKOUT, Lab, take_turns, wait_until
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Goal, Table, at_least, fold, ratio

SCENARIO = CHECKOUT / "scenarios" / "azkaban_flows.py"
FLOWS, PROJECTS = 10_000, 100
LOOP, SINGLE, BATCHED = "one project, one script", "loadgen, 1 flow an upload", "loadgen, 100 flows an upload"
TRIES = 2
"""Single uploads at each larger size."""
TAIL = 5
"""Uploads at the end of the box whose median stands for its last size."""


@dataclass(frozen=True, slots=True)
class Filled:
    """One way to do the job."""

    seconds: float
    """For all flows, the whole command."""
    measured: int
    """Uploads that were really made."""
    active_s: float | None = None
    """loadgen: from the first lease to the last result."""


def measure(lab: Lab, _web: Web) -> Table:
    """Measure it."""
    flows = int(lab.pick(FLOWS, 300))
    contenders: dict[str, Callable[[], Filled]] = {
        SINGLE: partial(_ours, lab, flows, 1),
        BATCHED: partial(_ours, lab, flows, 100),
        LOOP: partial(_loop, lab, flows),
    }
    turns = take_turns(lab, contenders, lab.fewer)
    walls = {name: Figure.of(run.seconds for run in runs) for name, runs in turns.measured.items()}
    rows: list[tuple[str, list[Cell]]] = []
    for name, runs in turns.measured.items():
        active = Figure.of(run.active_s for run in runs)
        faster = fold(ratio(walls.get(LOOP), walls[name]))
        rows.append((name, [walls[name], active, f"{runs[-1].measured:,}", faster]))
    return Table(
        name="azkaban",
        title=f"{flows:,} flows in Azkaban (the sandbox), {PROJECTS} projects, 2 processes",
        columns=("how", "whole job, s", "active, s", "uploads really made", "faster"),
        rows=rows,
        goals=[_goal(SINGLE, 20, walls, flows), _goal(BATCHED, 500, walls, flows)],
        notes=[
            "loadgen: the whole command, with start-up, verification and report; the sandbox runs before it.",
            (
                f"{LOOP}: extrapolated from uploads that were made, one after another for {_box_s(lab):g} s, "
                f"then the faster of two each at {_sizes(flows)} flows; in between on straight lines."
            ),
            *turns.out.values(),
        ],
    )


def _goal(name: str, limit: float, walls: Mapping[str, Figure | None], flows: int) -> Goal:
    faster = ratio(walls.get(LOOP), walls.get(name)) if flows == FLOWS else None
    return at_least(f"{FLOWS:,} flows, {name} against {LOOP}", faster, limit)


def extrapolated(measured: Sequence[float], spots: Mapping[int, float], total: int) -> float:
    """Seconds for `total` uploads of which the first were measured, and a few later ones by their number.

    >>> extrapolated([1.0, 1.0], {4: 3.0}, 4)
    7.0
    """
    count = len(measured)
    if count >= total:
        return sum(measured[:total])
    tail = sorted(measured[-TAIL:])
    knots = {count: tail[len(tail) // 2], **{size: cost for size, cost in spots.items() if size > count}}
    seconds = sum(measured)
    for (left, low), (right, high) in pairwise(sorted(knots.items())):
        slope = (high - low) / (right - left)
        seconds += sum(low + slope * (size - left) for size in range(left + 1, min(right, total) + 1))
    return seconds


class OneProject:
    """The script of old."""

    def __init__(self, url: str) -> None:
        self._http = requests.Session()
        self._http.headers["X-Requested-With"] = "XMLHttpRequest"
        self._url = url
        login = {"username": "azkaban", "password": "azkaban"}
        self._answer(self._http.post(f"{url}/", params={"action": "login"}, data=login))
        fields = {"action": "create", "name": "old", "description": "made by a loop"}
        self._answer(self._http.post(f"{url}/manager", data=fields))

    def upload_one_more(self, archive: bytes) -> tuple[bytes, float]:
        """The archive with one flow more, now on the server, and the seconds that took."""
        began_s = time.monotonic()
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            files = {name: packed.read(name) for name in packed.namelist()}
        files[f"flow_{len(files):06d}.job"] = b"type=noop\n"
        archive = pack(files)
        response = self._http.post(
            f"{self._url}/manager",
            data={"ajax": "upload", "project": "old"},
            files={"file": ("old.zip", archive, "application/zip")},
        )
        self._answer(response)
        return archive, time.monotonic() - began_s

    def _answer(self, response: requests.Response) -> None:
        if "error" in response.json():
            raise RuntimeError(response.json()["error"])


def pack(files: Mapping[str, bytes]) -> bytes:
    """A project archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _loop(lab: Lab, flows: int) -> Filled:
    box_s = _box_s(lab)
    with _sandbox(lab) as url:
        script, archive, measured = OneProject(url), pack({}), list[float]()
        deadline_s = time.monotonic() + box_s
        while len(measured) < flows and time.monotonic() < deadline_s:
            archive, took_s = script.upload_one_more(archive)
            measured.append(took_s)
        spots = {}
        for size in _spots(flows):
            before = pack({f"flow_{index:06d}.job": b"type=noop\n" for index in range(size - 1)})
            spots[size] = min(script.upload_one_more(before)[1] for _ in range(TRIES))
    return Filled(extrapolated(measured, spots, flows), len(measured) + TRIES * len(spots))


def _box_s(lab: Lab) -> float:
    return lab.pick(8, 1)


def _sizes(flows: int) -> str:
    return ", ".join(f"{size:,}" for size in _spots(flows))


def _spots(flows: int) -> list[int]:
    return [flows // 5, flows // 2, flows]


def _ours(lab: Lab, flows: int, batch: int) -> Filled:
    with _sandbox(lab) as url:
        options = {"flows": flows, "projects": PROJECTS, "batch": batch}
        order = Order(scenario=SCENARIO, options=options, target=url, processes=2, concurrency=8)
        job = jobs.run(lab, order)
    began_s, ended_s = job.active
    return Filled(job.ended.wall_s, job.items, ended_s - began_s)


@contextlib.contextmanager
def _sandbox(lab: Lab) -> Iterator[str]:
    command = [sys.executable, "-m", "loadgen", "sandbox", "azkaban", "--port", "0"]
    with lab.beside(command) as sandbox:
        yield wait_until(lambda: sandbox.out.read_text().rpartition(" ")[2].strip() or None, "the sandbox")
