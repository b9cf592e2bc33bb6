"""A long run that notes when it gets to every so many items, to see whether an item costs more later on.

Choose the kind of item with `--step nothing` or `--step get`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from loadgen import Scenario, Session


@dataclass(frozen=True)
class Options:
    """What can be set."""

    items: int = 100_000
    every: int = 1000
    marks: str = "marks"
    """A file: a line for each mark, with seconds since 1970."""


scenario = Scenario(options=Options)


def note(item: int, options: Options) -> None:
    """Write down when a mark was come to."""
    if item % options.every == 0:
        with Path(options.marks).open("a", encoding="ascii") as file:
            file.write(f"{time.time():.6f}\n")


@scenario.step(items=lambda options: options.items)
def nothing(http: Session, item: int, options: Options) -> None:
    """Do nothing."""
    note(item, options)


@scenario.step(items=lambda options: options.items)
def get(http: Session, item: int, options: Options) -> None:
    """One GET and its check."""
    note(item, options)
    if http.get("/json", name="get").json()["ok"] is not True:
        raise ValueError("not ok")
