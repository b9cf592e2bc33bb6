"""Windows over time, where time has holes."""

from loadgen.reports.tally import SLICES, Series, Tally

SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US


def slowly(series: Series) -> list[tuple[int, int]]:
    """Every full window, counted one after the other: the end of each, and how much ended in it."""
    width_us = series.slice_us or 1
    found = []
    for first_us, last_us in series.stretches.all:
        first, last = -(-first_us // width_us), last_us // width_us
        ends = range(first + SLICES - 1, last)
        found += [((end + 1) * width_us, series.window(end - SLICES + 1).count) for end in ends]
    return found


def test_the_windows_are_all_that_say_something() -> None:
    series = Series(10 * SECOND_US)
    ends_us = [START_US + at * SECOND_US // 4 for at in (*range(100), *range(300, 380), 1000, 1001)]
    series.add(ends_us, [1000] * len(ends_us), [False] * len(ends_us))
    told = {end_us: tally.count for end_us, tally in series.windows()}
    everything = dict(slowly(series))
    assert told.items() <= everything.items()
    assert {end_us for end_us, count in everything.items() if count} <= set(told)
    assert 0 in told.values(), "where nothing ended, a rate is nothing"


def test_a_clock_that_was_wrong_costs_nothing() -> None:
    series = Series(10 * SECOND_US)
    for start_us in (0, START_US):
        series.add([start_us + at * SECOND_US for at in range(30)], [1000] * 30, [False] * 30)
    windows: list[tuple[int, Tally]] = list(series.windows())
    assert len(windows) < 100
