"""What load a run was asked for, in one line, from the settings that its ledger keeps.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, TypeAlias

Settings: TypeAlias = "Mapping[str, Any]"
TOLD = frozenset({"processes", "concurrency", "pace", "course", "max_rate", "max_in_flight", "breaker"})
"""Settings that the line tells."""
_NONE = (None, "", "none")
"""How settings say that there is no limit."""
_SHAPES = ("even", "poisson")


def load(settings: Settings) -> str:
    """The line; a change while the run goes on is an event of its own.

    >>> load({"pace": {"rate": "50/s", "arrivals": "poisson", "seed": 7, "max_lag": "1s"}, "processes": 2,
    ...       "concurrency": 64})
    'open, 50/s poisson, seed 7, max lag 1s; 2 processes x 64'
    >>> load({"processes": 2, "concurrency": 16, "max_rate": "100/s", "course": {"ramp": "30s",
    ...       "think_time": "1s", "duration": "10m", "mix": {"browse": 3.0, "order": 1.0}}})
    'closed, 2 processes x 16, at most 100/s, ramp 30s, think time 1s, for 10m, mix browse=3,order=1'
    >>> load({"processes": 0, "concurrency": None})
    'closed, workers that join, slots found out'
    """
    pace = settings.get("pace")
    rest = ", ".join([*_slots(settings), *_limits(settings), *_course(settings.get("course") or {})])
    if not pace:
        return ", ".join(filter(None, ("closed", rest)))
    return "; ".join(filter(None, (", ".join(["open", *_pace(pace)]), rest)))


def _pace(pace: Settings) -> Iterator[str]:
    arrivals = pace.get("arrivals") or "even"
    rate = pace.get("rate") or pace.get("stages")
    if arrivals in _SHAPES:
        yield f"{rate} {arrivals}" if arrivals != "even" else str(rate)
    else:
        digest = f" ({pace['digest'][:12]})" if pace.get("digest") else ""
        yield f"at the times of {PurePath(arrivals).name}{digest}"
    if pace.get("seed") is not None:
        yield f"seed {pace['seed']}"
    if pace.get("max_lag"):
        yield f"max lag {pace['max_lag']}"


def _slots(settings: Settings) -> Iterator[str]:
    processes, slots = settings.get("processes"), settings.get("concurrency")
    if processes is None:
        return
    here = {0: "workers that join", 1: "1 process"}.get(processes, f"{processes} processes")
    yield f"{here} x {slots}" if slots else f"{here}, slots found out"


def _limits(settings: Settings) -> Iterator[str]:
    if settings.get("max_rate") not in _NONE:
        yield f"at most {settings['max_rate']}"
    if settings.get("max_in_flight") not in _NONE:
        yield f"at most {settings['max_in_flight']} in flight"
    if settings.get("breaker") not in _NONE:
        yield f"breaker {settings['breaker']}"


def _course(course: Settings) -> Iterator[str]:
    for name, said in (("ramp", "ramp"), ("think_time", "think time"), ("duration", "for")):
        if course.get(name):
            yield f"{said} {course[name]}"
    if course.get("mix"):
        yield "mix " + ",".join(f"{name}={weight:g}" for name, weight in course["mix"].items())
    if course.get("seed") is not None:
        yield f"seed {course['seed']}"
