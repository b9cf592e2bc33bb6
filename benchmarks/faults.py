"""Faults: what is lost or done twice when workers, pool processes and masters are killed, stopped, cut."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from benchmarks.lab import Failed, Lab
from benchmarks.servers import Web
from benchmarks.tables import Cell, Goal, Table

POLICIES = ("at_most_once", "at_least_once", "verify")
ITEMS = 20_000


def measure(lab: Lab, web: Web) -> Table:
    """Measure it: the long version of the chaos tests, which has a target of its own."""
    del web
    told = lab.folder / "faults.json"
    items, rounds = int(lab.pick(ITEMS, 1000)), len(POLICIES) * lab.fewer
    command = [sys.executable, "-m", "tests.chaos", "--items", str(items), "--rounds", str(rounds)]
    policies = [word for policy in POLICIES for word in ("--policy", policy)]
    ended = lab.run([*command, *policies, "--minutes", "60", "--json", str(told)], limit_s=rounds * 240)
    if not told.exists():
        raise Failed(ended.words)
    sums: Mapping[str, Mapping[str, int]] = json.loads(told.read_text())
    return Table(
        name="faults",
        title=f"Faults: runs of {items:,} items with kill -9, stops, cuts and stalls",
        columns=(
            "delivery",
            "items",
            "done",
            "failed by the target",
            "unknown",
            "armed at the kills",
            "kills",
        ),
        rows=[(name, _cells(found)) for name, found in sums.items()],
        goals=[_goal(name, found) for name, found in sums.items()],
        notes=[
            "lost: without an outcome, or with another than the target's own books say; they are compared.",
            "unknown: sent, perhaps, when their worker died; never more than were armed then.",
            "at_least_once does again what may have been sent: that is no duplicate, it is the promise.",
        ],
    )


def _cells(found: Mapping[str, int]) -> list[Cell]:
    names = ("items", "done", "failed", "unknown", "armed", "actions")
    return [f"{found[name]:,}" for name in names]


def _goal(name: str, found: Mapping[str, int]) -> Goal:
    sent_twice = 0 if name == "at_least_once" else found["resent"]
    words = f"{found['lost']} lost, {found['twice']} counted twice, {sent_twice} sent twice"
    held = not (found["lost"] or found["twice"] or sent_twice) and found["unknown"] <= found["armed"]
    return Goal(f"{name}: nothing lost, nothing twice", "0", words, held)
