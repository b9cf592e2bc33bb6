"""The points of the charts: bounded, and no peak is lost."""

from __future__ import annotations

import pytest

from loadgen.dashboard.history import SERIES, History, nothing
from loadgen.reports.pulse import Second

AT = 1_700_000_000
ITEMS, P99 = SERIES.index("items"), SERIES.index("p99_ms")


def second(at: int, items: int, p99: float | None = None) -> Second:
    return Second(AT + at, items, 0, items, 0, p99, p99, p99)


def test_a_point_a_second() -> None:
    history = History(AT, most=10)
    history.add(second(0, 5, 1.5))
    history.add(nothing(AT + 1))
    history.add(second(2, 7, 2.5))
    assert [(at, values[ITEMS], values[P99]) for at, values in history.points()] == [
        (0, 5, 1.5),
        (1, 0, None),
        (2, 7, 2.5),
    ]
    assert history.points(since=2) == history.points()[2:]
    assert history.width == 1


def test_neighbours_are_put_together_when_there_would_be_too_many() -> None:
    history = History(AT, most=4)
    for at, items in enumerate([10, 30, 0, 0, 5, 1]):
        history.add(second(at, items, None if at in (2, 3) else float(at)))
    assert history.width == 2
    assert [(at, values[ITEMS]) for at, values in history.points()] == [
        (0, (10, 20.0, 30)),
        (2, 0),
        (4, (1, 3.0, 5)),
    ]
    assert [values[P99] for _, values in history.points()] == [(0.0, 0.5, 1.0), None, (4.0, 4.5, 5.0)]


@pytest.mark.parametrize("hours", [1, 9])
def test_a_long_run_keeps_its_peaks_in_few_points(hours: int) -> None:
    history = History(AT, most=60)
    for at in range(hours * 3600):
        history.add(second(at, 10_000 if at == 1234 else 100))
    points = history.points()
    assert 30 <= len(points) <= 60
    values = [values[ITEMS] for _, values in points]
    assert max(value[2] if isinstance(value, tuple) else value for value in values) == 10_000
    assert min(value[0] if isinstance(value, tuple) else value for value in values) == 100
    total = sum((value[1] if isinstance(value, tuple) else value) * history.width for value in values[:-1])
    assert total == pytest.approx(100 * history.width * (len(points) - 1) + 9_900, abs=1)


def test_a_gap_is_none() -> None:
    """As after a machine slept: points that were never told have no value."""
    history = History(AT, most=10)
    history.add(second(0, 1))
    history.add(second(3, 1))
    assert [values[ITEMS] for _, values in history.points()] == [1, None, None, 1]
