"""A timeline as a few lines of blocks: latency on one scale, the rate below it, seconds under both.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loadgen.reports.timeline import Bucket, Timeline
from loadgen.reports.words import Glyphs, duration, three

MARGIN = 19
"""Width of what stands left of the bars."""


def chart(timeline: Timeline, width: int, glyphs: Glyphs) -> list[str]:
    """The lines of the chart, none wider than `width`; no lines for an empty timeline."""
    buckets = timeline.buckets
    if not buckets:
        return []
    room = max(width - MARGIN, 10)
    buckets = buckets[:room]
    wide = room // len(buckets)
    top = max(bucket.p95 or 0.0 for bucket in buckets)
    rates = [bucket.rate_per_s for bucket in buckets]
    lines = [
        *_bars(_Series("p95", f"{three(top)} ms", top, [bucket.p95 for bucket in buckets]), 2, wide, glyphs),
        *_bars(_Series("p50", f"{three(top)} ms", top, [bucket.p50 for bucket in buckets]), 2, wide, glyphs),
        *_bars(_Series("calls", f"{three(max(rates))}/s", max(rates), rates), 1, wide, glyphs),
    ]
    if any(bucket.errors for bucket in buckets):
        lines.append(_errors(buckets, wide, glyphs))
    return [*lines, seconds(buckets[0].at_s, timeline.end_s, wide * len(buckets))]


@dataclass(frozen=True, slots=True)
class _Series:
    """Values to draw."""

    name: str
    scale: str
    """The highest value, for people."""
    highest: float
    """What a full bar stands for."""
    values: Sequence[float | None]


def _bars(series: _Series, rows: int, wide: int, glyphs: Glyphs) -> list[str]:
    """Bars so many rows high and cells wide, with the name and the scale before them."""
    full = len(glyphs.levels) - 1
    levels = [_level(value, series.highest, rows * full) for value in series.values]
    labels = [series.scale, *([""] * (rows - 2)), "0"] if rows > 1 else [series.scale]
    return [
        f"  {series.name if row == 0 else '':<6}{label:>9} {glyphs.axis}"
        + _row(levels, (rows - 1 - row) * full, wide, glyphs)
        for row, label in enumerate(labels)
    ]


def _row(levels: Iterable[int], below: int, wide: int, glyphs: Glyphs) -> str:
    full = len(glyphs.levels) - 1
    return "".join(glyphs.levels[min(max(level - below, 0), full)] * wide for level in levels).rstrip()


def _level(value: float | None, highest: float, full: int) -> int:
    """Anything measured is at least one level high: an empty place means that nothing was."""
    if not value or not highest:
        return 0
    return min(max(1, math.ceil(value / highest * full)), full)


def _errors(buckets: Sequence[Bucket], wide: int, glyphs: Glyphs) -> str:
    marks = "".join(("x" if bucket.errors else " ") * wide for bucket in buckets)
    total = sum(bucket.errors for bucket in buckets)
    return f"  {'errors':<6}{total:>9} {glyphs.axis}{marks}".rstrip()


def seconds(start_s: float, end_s: float, width: int) -> str:
    """What stands below: the start, the middle where there is room, and the end."""
    start, middle, end = (duration(at) for at in (start_s, (start_s + end_s) / 2, end_s))
    if width < len(f"{start}  {middle}  {end}"):
        return " " * MARGIN + f"{start} to {end}"
    left = max((width - len(middle)) // 2 - len(start), 1)
    right = max(width - len(start) - left - len(middle) - len(end), 1)
    return " " * MARGIN + start + " " * left + middle + " " * right + end
