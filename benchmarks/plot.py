"""A plot as SVG: lines and dots over two axes, small enough to be committed.  Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 24, 48
FONT = 'font-family="sans-serif" font-size="12" fill="#333"'
COLORS = ("#0b62a4", "#c0392b", "#2e8b57", "#8e44ad")
TICKS = 6
"""Ticks on an axis, at most."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False
    """For what is known, beside what was measured."""


def draw(title: str, across: str, up: str, series: Sequence[Series]) -> str:
    """The SVG; both axes begin at 0.  A series with one point is a dot."""
    most_x, step_x = scale(max(x for each in series for x, _ in each.points))
    most_y, step_y = scale(max(y for each in series for _, y in each.points))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            LEFT + x / most_x * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for value in ticks(most_y, step_y):
        _, y = place(0, value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value in ticks(most_x, step_x):
        x, _ = place(value, 0)
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#333"/>')
    middle = (LEFT + WIDTH - RIGHT) // 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 10}">{escape(up)}</text>')
    for number, each in enumerate(series):
        parts += _shape(each, [place(x, y) for x, y in each.points], number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _shape(series: Series, places: Sequence[tuple[float, float]], number: int) -> list[str]:
    """The line or the dot, and its name in the legend."""
    color = COLORS[number % len(COLORS)]
    dashes = ' stroke-dasharray="5 4"' if series.dashed else ""
    if len(places) == 1:
        (x, y) = places[0]
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>'
    else:
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        shape = f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"{dashes}/>'
    y = TOP + 14 + 18 * number
    key = f'<path d="M{LEFT + 16} {y - 4}h24" stroke="{color}" stroke-width="3"{dashes}/>'
    return [shape, key, f'<text x="{LEFT + 48}" y="{y}">{escape(series.name)}</text>']


def scale(most: float) -> tuple[float, float]:
    """The end of an axis that holds `most`, and the step of its ticks: 1, 2 or 5 times a power of ten.

    >>> scale(47.0), scale(1000)
    ((50.0, 10.0), (1000.0, 200.0))
    """
    if most <= 0:
        return 1.0, 1.0
    rough = most / (TICKS - 1)
    power: float = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
    return math.ceil(most / step * 0.999) * step, step


def ticks(most: float, step: float) -> list[float]:
    """From 0 to the end.

    >>> ticks(50.0, 10.0)
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    """
    return [number * step for number in range(round(most / step) + 1)]
