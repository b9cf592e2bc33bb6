"""Start-up: what one waits for before anything happens."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Failed, Lab, Missing, take_turns
from benchmarks.servers import Web
from benchmarks.tables import Cell, Figure, Table, at_most

HELP = "loadgen --help"
LIMIT_S = 0.3
TIMES = 2
"""In each round: starts are short."""


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    contenders: dict[str, Callable[[], tuple[float, float]]] = {
        "python -c pass": partial(_command, lab, ["-c", "pass"]),
        "python -c 'import requests'": partial(_command, lab, ["-c", "import requests"]),
        "python -c 'import loadgen'": partial(_command, lab, ["-c", "import loadgen"]),
        HELP: partial(_command, lab, ["-m", "loadgen", "--help"]),
        "locust --help": partial(_locust, lab),
        "loadgen run, 1 item that does nothing": partial(_one_item, lab, "nothing", web.fast),
        "loadgen run, 1 GET": partial(_one_item, lab, "scripted", web.fast),
    }
    turns = take_turns(lab, contenders, rounds=lab.rounds * (1 if lab.quick else TIMES))
    rows: list[tuple[str, list[Cell]]] = []
    walls = {name: Figure.of(wall_s for wall_s, _ in runs) for name, runs in turns.measured.items()}
    for name, runs in turns.measured.items():
        cpu = Figure.of(cpu_s for _, cpu_s in runs)
        rows.append((name, [walls[name], cpu]))
    return Table(
        name="startup",
        title="Start-up, seconds",
        columns=("command", "wall s", "CPU s"),
        rows=rows,
        goals=[at_most(HELP, walls.get(HELP), LIMIT_S, " s")],
        notes=["A run starts three processes: master, worker, and the worker's pool.", *turns.out.values()],
    )


def _command(lab: Lab, words: list[str]) -> tuple[float, float]:
    ended = lab.run([sys.executable, *words])
    if ended.code:
        raise Failed(ended.words)
    return ended.wall_s, ended.cpu_s


def _locust(lab: Lab) -> tuple[float, float]:
    if importlib.util.find_spec("locust") is None:
        raise Missing("Locust is not installed: pip install -e '.[bench]'")
    return _command(lab, ["-m", "locust", "--help"])


def _one_item(lab: Lab, name: str, target: str) -> tuple[float, float]:
    job = jobs.run(lab, Order(scenario=SCENARIOS / f"{name}.py", options={"items": 1}, target=target))
    return job.ended.wall_s, job.ended.cpu_s
