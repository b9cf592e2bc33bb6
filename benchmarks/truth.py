"""Truth: what each client says a server takes of which it is known how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from benchmarks import jobs
from benchmarks.jobs import SCENARIOS, Order
from benchmarks.lab import Lab, take_turns
from benchmarks.peers import Duty, Load, hey, locust_fast, wrk
from benchmarks.servers import FAST_MS, FIXED_MS, SLOW_MS, SLOW_SHARE, Web
from benchmarks.tables import Cell, Figure, Goal, Table, deviation, within

LEVELS = (16, 64, 256)
JUDGED = 64
"""In flight, where the design has its target."""
SCRIPTED, DESCRIBED, REFERENCE = "loadgen, scripted", "loadgen, described", "wrk"
MEAN_MS = {"fixed": FIXED_MS, "bimodal": FAST_MS * (1 - SLOW_SHARE) + SLOW_MS * SLOW_SHARE}
SHARE = 0.8
"""Of the calls that fit into the time, loadgen makes so many: its runs shall not be the longest."""
Row = tuple[str, list[Cell]]


def measure(lab: Lab, web: Web) -> Table:
    """Measure it."""
    rows: list[Row] = []
    goals: list[Goal] = []
    notes: list[str] = []
    for path, level in _settings(lab):
        lab.say(f"/{path}, {level} in flight")
        rounds = lab.rounds if (path, level) == ("fixed", JUDGED) else lab.fewer
        turns = take_turns(lab, _contenders(lab, web, path, level), rounds)
        rows += _rows(path, level, turns.measured)
        notes += [note for note in turns.out.values() if note not in notes]
        if (path, level) == ("fixed", JUDGED):
            goals += _goals(turns.measured)
    return Table(
        name="truth",
        title=f"Truth: a server that answers after {FIXED_MS:g} ms; one after {FAST_MS:g} or {SLOW_MS:g} ms",
        columns=(
            "server, in flight, client",
            "requests/s",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p50 error",
            "p99 error",
            "says of itself",
        ),
        rows=rows,
        goals=goals,
        notes=[
            (
                f"bimodal: {100 * SLOW_SHARE:g} % of answers take {SLOW_MS:g} ms, the others {FAST_MS:g}: "
                f"p50 and p90 should be {FAST_MS:g}, p99 {SLOW_MS:g}; nginx's timers add up to a millisecond."
            ),
            (
                "wrk adds made-up samples after each slow answer, for its own waiting (stats_correct): "
                "its p90 of the bimodal server is not what it did."
            ),
            "error: on the fixed server against wrk in its round, on the bimodal one against its delays.",
            "Locust rounds its percentiles.",
            *notes,
        ],
    )


def _settings(lab: Lab) -> Iterator[tuple[str, int]]:
    for level in (JUDGED,) if lab.quick else LEVELS:
        yield "fixed", level
    if not lab.quick:
        yield "bimodal", JUDGED


def _contenders(lab: Lab, web: Web, path: str, level: int) -> Mapping[str, Callable[[], Load]]:
    seconds = lab.pick(2, 1)
    duty = Duty(f"{web.delayed}/{path}", level, seconds)
    items = round(level * seconds * 1000 / MEAN_MS[path] * SHARE)
    return {
        SCRIPTED: partial(_ours, lab, web, "scripted", path, level, items),
        DESCRIBED: partial(_ours, lab, web, "described", path, level, items),
        REFERENCE: partial(wrk, lab, duty),
        "hey": partial(hey, lab, duty),
        "Locust FastHttpUser": partial(locust_fast, lab, duty),
    }


def _ours(lab: Lab, web: Web, name: str, path: str, level: int, items: int) -> Load:
    order = Order(
        scenario=SCENARIOS / f"{name}.py",
        options={"items": items, "path": f"/{path}"},
        target=web.delayed,
        concurrency=level,
        core=lab.client_core,
    )
    return jobs.run(lab, order).load


def _rows(path: str, level: int, measured: Mapping[str, Sequence[Load]]) -> list[Row]:
    rows: list[Row] = []
    spots = {name: _spots(loads) for name, loads in measured.items()}
    known = {"p50": FAST_MS, "p99": SLOW_MS}
    for name, loads in measured.items():
        cells: list[Cell] = [Figure.of(load.rate_per_s for load in loads), *spots[name].values()]
        for spot in ("p50", "p99"):
            true = spots.get(REFERENCE, {}).get(spot)
            if path == "bimodal":
                true = Figure((known[spot],) * len(loads))
            cells.append(_percent(deviation(spots[name][spot], true)))
        cells.append("; ".join(dict.fromkeys(load.says for load in loads if load.says)) or None)
        rows.append((f"{path}, {level}, {name}", cells))
    return rows


def _spots(loads: Sequence[Load]) -> dict[str, Figure | None]:
    return {
        "p50": Figure.of(load.p50_ms for load in loads),
        "p90": Figure.of(load.p90_ms for load in loads),
        "p99": Figure.of(load.p99_ms for load in loads),
    }


def _goals(measured: Mapping[str, Sequence[Load]]) -> list[Goal]:
    reference = _spots(measured.get(REFERENCE, ()))
    goals = []
    for name in (SCRIPTED, DESCRIBED):
        ours = _spots(measured.get(name, ()))
        for spot, limit in (("p50", 3), ("p99", 10)):
            what = f"{name}, {JUDGED} in flight, {spot} against wrk's"
            goals.append(within(what, deviation(ours[spot], reference[spot]), limit))
    return goals


def _percent(off: Figure | None) -> Cell:
    return None if off is None else f"{off.median:+.1f} %"
