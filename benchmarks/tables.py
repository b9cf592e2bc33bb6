"""What was measured, as values: figures with their spread, ratios round by round, goals; how they are shown.

Pure: nothing here runs or reads anything.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

THOUSAND = 1000
SIGNIFICANT = 3
"""Digits shown; more would be noise."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing, measured once in each round."""

    values: tuple[float, ...]
    """In the order of the rounds; at least one."""

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Self | None:
        """The figure of what was measured; None when nothing was."""
        known = tuple(value for value in values if value is not None)
        return cls(known) if known else None

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest."""
        return max(self.values)

    def __str__(self) -> str:
        """The median, and from where to where it went."""
        if len(self.values) == 1:
            return number(self.median)
        return f"{number(self.median)} ({number(self.low)}–{number(self.high)})"  # noqa: RUF001 - a range


Cell: TypeAlias = Figure | str | None
"""None: was not measured."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A target of the design, and what came of it."""

    what: str
    wanted: str
    got: str
    reached: bool | None
    """None: what it needs could not be measured."""

    def __str__(self) -> str:
        words = {True: "reached", False: "MISSED", None: "not measured"}
        return f"{words[self.reached]}: {self.what}: wanted {self.wanted}, got {self.got}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    name: str
    title: str
    columns: tuple[str, ...]
    """Headings; the first is that of the labels."""
    rows: Sequence[tuple[str, Sequence[Cell]]]
    """A label, and a cell for each column but the first."""
    goals: Sequence[Goal] = ()
    notes: Sequence[str] = ()
    text: str = ""
    """A drawing in characters."""
    drawing: str = ""
    """An SVG that belongs to it; empty: none does."""


def number(value: float) -> str:
    """The value with three significant digits.

    >>> number(84512.3), number(1.2345), number(0.0123), number(0)
    ('84,500', '1.23', '0.0123', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(0, digits)}f}"


def ratio(ours: Figure | None, theirs: Figure | None) -> Figure | None:
    """Round by round: what two runs side by side have in common cancels out.

    >>> ratio(Figure((10.0, 30.0)), Figure((5.0, 10.0)))
    Figure(values=(2.0, 3.0))
    """
    if ours is None or theirs is None:
        return None
    pairs = zip(ours.values, theirs.values, strict=False)  # a contender that gave up has fewer rounds
    return Figure.of(mine / other for mine, other in pairs if other)


def deviation(ours: Figure | None, true: Figure | None) -> Figure | None:
    """By how many percent the one is above the other, round by round."""
    off = ratio(ours, true)
    return None if off is None else Figure(tuple(100 * (value - 1) for value in off.values))


def fold(ratios: Figure | None) -> str:
    """How a ratio is shown."""
    return "-" if ratios is None else f"{number(ratios.median)}x"


def at_least(what: str, ratios: Figure | None, limit: float) -> Goal:
    """The median ratio must be so much or more."""
    reached = None if ratios is None else ratios.median >= limit
    return Goal(what, f">= {limit:g}x", fold(ratios), reached)


def at_most(what: str, figure: Figure | None, limit: float, unit: str) -> Goal:
    """The median must be so much or less."""
    reached = None if figure is None else figure.median <= limit
    return Goal(
        what, f"<= {limit:g}{unit}", "-" if figure is None else f"{number(figure.median)}{unit}", reached
    )


def within(what: str, percent: Figure | None, limit: float) -> Goal:
    """The median deviation must be no larger, up or down."""
    reached = None if percent is None else abs(percent.median) <= limit
    got = "-" if percent is None else f"{percent.median:+.1f} %"
    return Goal(what, f"within {limit:g} %", got, reached)


def render(table: Table) -> str:
    """As Markdown, which also reads well on a terminal."""
    lines = [list(table.columns), *([label, *map(_shown, cells)] for label, cells in table.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    body = [_line(line, widths) for line in (lines[0], rule, *lines[1:])]
    goals = [f"- {goal}" for goal in table.goals]
    notes = [f"- {note}" for note in table.notes]
    text = f"```\n{table.text}\n```" if table.text else ""
    parts = [f"### {table.title}", "\n".join(body), text, "\n".join(goals), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part)


def plain(table: Table) -> dict[str, Any]:
    """For JSON: every value of every round."""
    return {
        "name": table.name,
        "title": table.title,
        "columns": list(table.columns),
        "rows": [{"label": label, "cells": [_plain(cell) for cell in cells]} for label, cells in table.rows],
        "goals": [
            {"what": goal.what, "wanted": goal.wanted, "got": goal.got, "reached": goal.reached}
            for goal in table.goals
        ],
        "notes": list(table.notes),
    }


def placed(page: str, name: str, text: str) -> str:
    """The page with the text between `<!-- figures: NAME -->` and `<!-- end -->`; as it is without them."""
    start, end = f"<!-- figures: {name} -->", "<!-- end -->"
    before, found, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    return f"{before}{start}\n\n{text}\n\n{end}{after}" if found and closed else page


def _shown(cell: Cell) -> str:
    return "-" if cell is None else str(cell)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0])]
    padded += [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return f"| {' | '.join(padded)} |"


def _plain(cell: Cell) -> object:
    if not isinstance(cell, Figure):
        return cell
    return {"median": cell.median, "min": cell.low, "max": cell.high, "values": list(cell.values)}
