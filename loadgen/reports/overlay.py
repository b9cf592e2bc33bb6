"""Several runs in one plot on a terminal: a mark for each, one scale of time and one of values.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from loadgen.reports.chart import MARGIN, seconds
from loadgen.reports.timeline import Bucket, Timeline
from loadgen.reports.words import Glyphs, three

MARKS = "ox+#%&"
"""Of each run; runs beyond these are not drawn."""
SHARED = "*"
"""Where several would stand."""
ROWS = 9

Named: TypeAlias = "Sequence[tuple[str, Timeline]]"


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is drawn of a bucket."""

    name: str
    unit: str
    of: str
    """The bucket's field."""

    def __call__(self, bucket: Bucket) -> float | None:
        """Its value; None where nothing ended."""
        value: float | None = getattr(bucket, self.of)
        return value


def overlaid(timelines: Named, quantity: Quantity, width: int, glyphs: Glyphs) -> list[str]:
    """The lines of the plot, none wider than `width`; no lines when there is nothing to draw."""
    drawn = [timeline for _, timeline in timelines][: len(MARKS)]
    top = max((quantity(bucket) or 0.0 for timeline in drawn for bucket in timeline.buckets), default=0.0)
    if not top:
        return []
    room = max(width - MARGIN, 10)
    end_s = max(timeline.end_s for timeline in drawn)
    cells = [[" "] * room for _ in range(ROWS)]
    for mark, timeline in zip(MARKS, drawn, strict=False):
        for column, value in enumerate(_columns(timeline, quantity, end_s, room)):
            if value is not None:
                row = cells[ROWS - 1 - min(int(value / top * ROWS), ROWS - 1)]
                row[column] = mark if row[column] == " " else SHARED
    names = {0: quantity.name}
    scale = {0: f"{three(top)} {quantity.unit}", ROWS // 2: three(top / 2), ROWS - 1: "0"}
    lines = [
        f"  {names.get(row, ''):<6}{scale.get(row, ''):>9} {glyphs.axis}{''.join(line)}".rstrip()
        for row, line in enumerate(cells)
    ]
    return [*lines, seconds(0.0, end_s, room)]


def legend(names: Sequence[str]) -> list[str]:
    """Which mark is whose, a line each."""
    lines = [f"{mark} {name}" for mark, name in zip(MARKS, names, strict=False)]
    lines += [f"{SHARED} several of them"] if len(lines) > 1 else []
    more = len(names) - len(MARKS)
    return [*lines, f"and {more} more, not drawn"] if more > 0 else lines


def _columns(timeline: Timeline, quantity: Quantity, end_s: float, room: int) -> list[float | None]:
    """What stands in each column: the bucket that its middle lies in."""
    values: list[float | None] = [None] * room
    for bucket in timeline.buckets:
        first, last = (round(at_s / end_s * room) for at_s in (bucket.at_s, bucket.at_s + timeline.width_s))
        values[first : max(last, first + 1)] = [quantity(bucket)] * len(values[first : max(last, first + 1)])
    return values
