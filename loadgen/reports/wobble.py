"""How far a run's own points lie from its course: what differs by no more than that is its noise.  Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

SHARE = 90
"""Percent of the points that the band holds: of more, one spike in fifty points would say how wide it is."""
_NEIGHBOURS = 4
"""On each side of a point: their median, with it, is the course."""
_FEWEST = 12
"""Points; of fewer nothing is said."""

Points = Sequence[float | None]


def wobble(values: Points) -> tuple[list[float | None], list[float | None]]:
    """The band's lower and upper edge at each of these points: it follows their course, up and down.

    Both are empty where there are too few of them.  The edges are as many percent away from the course as
    the points are, but for the outermost 5 % on each side.

    >>> low, high = wobble([10.0, 11.0, 10.0, 9.0] * 5)
    >>> low[9], high[9], wobble([1.0, 2.0])
    (9.0, 11.0, ([], []))
    """
    courses = [_course(values, place) for place in range(len(values))]
    ratios = sorted(
        value / course
        for value, course in zip(values, courses, strict=True)
        if value is not None and course  # nothing is no course
    )
    if len(ratios) < _FEWEST:
        return [], []
    tail = (100 - SHARE) / 200
    least, most = ratios[int(tail * len(ratios))], ratios[min(int((1 - tail) * len(ratios)), len(ratios) - 1)]
    edges = (min(least, 1.0), max(most, 1.0))
    low, high = ([None if course is None else course * edge for course in courses] for edge in edges)
    return low, high


def _course(values: Points, place: int) -> float | None:
    """None where there is a gap, so that the band has it, too."""
    if values[place] is None:
        return None
    near = values[max(place - _NEIGHBOURS, 0) : place + _NEIGHBOURS + 1]
    return statistics.median(value for value in near if value is not None)
