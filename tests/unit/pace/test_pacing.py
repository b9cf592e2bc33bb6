"""When items come: in order, as many as the rate says, the same whoever asks, and random where asked for.

The bounds of the distribution tests are those that a true process misses once in a thousand seeds; the
seeds are fixed, so a test that passes does so for ever.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean, variance

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.errors import UsageError
from loadgen.pace.pacing import WINDOW, Changed, Even, Pace, Poisson, Rates, Trace, parse_stages, parse_trace

SECOND = 1_000_000
A_RATE = st.sampled_from([0.0, 0.0, 1.0, 7.0, 50.0]) | st.floats(min_value=0.01, max_value=5_000)


@st.composite
def some_rates(draw) -> Rates:
    """Lines, jumps and pauses."""
    points = [(0.0, draw(A_RATE))]
    for _ in range(draw(st.integers(0, 4))):
        points.append((points[-1][0] + draw(st.integers(1, 20_000)) / 1000, draw(A_RATE)))
        if draw(st.booleans()):
            points.append((points[-1][0], draw(A_RATE)))
    return Rates(tuple(points))


def recorded(gaps: list[int]) -> Trace:
    return Trace(tuple(sum(gaps[:upto]) for upto in range(1, len(gaps) + 1)))


@st.composite
def changed(draw) -> Pace:
    """A pace that was steered, once or more."""
    pace: Pace = draw(SIMPLE)
    for _ in range(draw(st.integers(1, 3))):
        pace = pace.changed(draw(st.integers(0, 60 * SECOND)), draw(A_RATE))
    return pace


SIMPLE = st.one_of(
    st.builds(Even, some_rates()),
    st.builds(Poisson, some_rates(), st.integers(-5, 2**64)),
    st.builds(recorded, st.lists(st.sampled_from([0, 0, 1, 999, SECOND]), max_size=50)),
)
PACES = SIMPLE | changed()
briskly = settings(deadline=None, max_examples=60)


def first(pace: Pace, most: int = 300) -> list[int]:
    return pace.offsets_us(0, int(min(pace.total, most)))


@briskly
@given(PACES)
def test_no_item_comes_before_the_one_before_it(pace: Pace) -> None:
    offsets = first(pace)
    assert offsets == sorted(offsets)
    assert all(offset >= 0 for offset in offsets)


@briskly
@given(PACES, st.data())
def test_due_counts_exactly(pace: Pace, data) -> None:
    offsets = first(pace)
    if not offsets:
        assert pace.due(10**12) == 0
        return
    some = data.draw(st.sampled_from(offsets))
    if some < offsets[-1] or len(offsets) == pace.total:
        assert pace.due(some) == bisect_right(offsets, some)
    assert pace.due(some - 1) == bisect_left(offsets, some)
    between = data.draw(st.integers(-1, offsets[-1] - 1))
    assert pace.due(between) == bisect_right(offsets, between)


@briskly
@given(PACES, st.integers(0, 10**8))
def test_any_range_tells_the_same(pace: Pace, seed: int) -> None:
    """Whoever leases it, after whatever was done before."""
    offsets = first(pace)
    cuts = sorted({0, len(offsets), *(seed // 7**k % (len(offsets) + 1) for k in range(5))})
    parts = [pace.offsets_us(start, stop) for start, stop in reversed(list(pairwise(cuts)))]
    assert [offset for part in reversed(parts) for offset in part] == offsets
    assert [pace.offsets_us(at, at + 1)[0] for at in range(len(offsets))][-20:] == offsets[-20:]
    assert pace.offsets_us(5, 5) == []


@briskly
@given(PACES)
def test_what_never_comes_is_never_due(pace: Pace) -> None:
    if math.isinf(pace.total):
        return
    total = int(pace.total)
    assert pace.due(10**15) == total
    with pytest.raises(ValueError, match="never comes"):
        pace.offsets_us(max(total - 1, 0), total + 1)
    with pytest.raises(ValueError, match="never comes"):
        pace.offsets_us(total + 5, total + 6)


@briskly
@given(some_rates(), st.integers(0, 100 * SECOND))
def test_even_arrivals_are_the_integral_within_one(rates: Rates, offset_us: int) -> None:
    here = Even(rates).due(offset_us)
    assert (
        rates.arrivals((offset_us - 1) / SECOND) - 1e-6
        <= here
        <= rates.arrivals((offset_us + 1) / SECOND) + 1
    )


def test_even_offsets_are_those_one_writes_down() -> None:
    assert Even(Rates(((0.0, 50.0),))).offsets_us(0, 4) == [0, 20_000, 40_000, 60_000]
    assert Even(Rates(((0.0, 3.0),))).offsets_us(3_000_000, 3_000_003) == [
        10**12,
        10**12 + 333333,
        10**12 + 666667,
    ]
    climb = Even(Rates(((0.0, 0.0), (10.0, 100.0))))
    assert climb.offsets_us(0, 500) == [round(math.sqrt(item / 5) * SECOND) for item in range(500)]


def test_half_a_microsecond_is_due_when_it_is_said_to_come() -> None:
    pace = Even(Rates(((0.0, 400_000.0),)))
    assert pace.offsets_us(0, 4) == [0, 2, 5, 8], "2.5 and 7.5, to the even one"
    assert [pace.due(at) for at in range(9)] == [1, 1, 2, 2, 2, 3, 3, 3, 4]


def test_stages_jump_and_rest() -> None:
    pace = Even(parse_stages("0:50/s,1s:50/s,1s:0/s,2s:0/s,2s:100/s,3s:100/s,3s:0/s"))
    assert pace.total == 150
    assert pace.offsets_us(48, 53) == [960_000, 980_000, 2_000_000, 2_010_000, 2_020_000]
    assert [pace.due(at) for at in (979_999, 980_000, 1_999_999, 2_000_000, 2_989_999, 2_990_000)] == [
        49, 50, 50, 51, 149, 150,
    ]  # fmt: skip
    by_chance = Poisson(pace.rates, 3)
    assert by_chance.due(1_000_000) == by_chance.due(2_000_000), "nobody comes in a pause"


@briskly
@given(PACES, st.integers(0, 30 * SECOND), A_RATE)
def test_a_change_keeps_what_was_due(pace: Pace, at_us: int, rate: float) -> None:
    then = pace.changed(at_us, rate)
    due = pace.due(at_us)
    assert then.due(at_us) >= due
    some = min(due, 300)
    assert then.offsets_us(due - some, due) == pace.offsets_us(due - some, due)
    more = int(min(then.total - due, 20))
    assert all(offset >= at_us for offset in then.offsets_us(due, due + more))
    assert math.isinf(then.total) if rate else then.total <= due + 1
    assert then.text.endswith("/s")


def test_a_run_is_steered() -> None:
    pace = Even(Rates(((0.0, 50.0),))).changed(1_010_000, 100.0)
    assert pace.offsets_us(49, 54) == [980_000, 1_000_000, 1_015_000, 1_025_000, 1_035_000], (
        "half was waited for"
    )
    paused = pace.changed(1_020_000, 0.0)
    assert (paused.total, paused.due(10**12)) == (52, 52)
    again = paused.changed(9_000_000, 10.0)
    assert again.offsets_us(51, 54) == [1_015_000, 9_050_000, 9_150_000]
    assert again.changed(1_010_000, 50.0).offsets_us(50, 53) == [1_000_000, 1_020_000, 1_040_000], (
        "all undone"
    )
    replay = Trace((0, 5, 5, 7_000_000), "old.csv").changed(5, 2.0)
    assert replay.offsets_us(0, 5) == [0, 5, 5, 5, 500_005]
    earlier = Trace((0, SECOND, 2 * SECOND, 3 * SECOND)).changed(3 * SECOND, 2.0).changed(SECOND, 1.0)
    assert earlier.offsets_us(0, 4) == [0, SECOND, SECOND, 2 * SECOND], "the later change never was"
    assert Trace((0, 0, 9)).changed(0, 1.0).offsets_us(0, 4) == [0, 0, 1, 1_000_001]
    assert (paused.text, replay.text) == (
        "50/s; from 1.01s 100/s; from 1.02s 0/s",
        "old.csv; from 0.000005s 2/s",
    )


TOLD = """
import json
from loadgen.pace.pacing import Poisson, Rates
pace = Poisson(Rates(((0.0, 5.0), (60.0, 500.0))), 4711)
print(json.dumps([pace.offsets_us(0, 5), pace.offsets_us(99_998, 100_003), pace.due(3_600_000_000)]))
"""
SAID = [
    [251233, 336719, 403367, 430748, 434870],
    [228466512, 228468514, 228469343, 228471310, 228471791],
    1785131,
]


def test_another_process_tells_the_same() -> None:
    """And another day, and another machine: the numbers stand here."""
    command = [sys.executable, "-c", TOLD]
    done = subprocess.run(
        command, capture_output=True, check=True, timeout=30, env={**os.environ, "PYTHONHASHSEED": "12345"}
    )
    assert json.loads(done.stdout) == SAID
    pace = Poisson(Rates(((0.0, 5.0), (60.0, 500.0))), 4711)
    assert [pace.offsets_us(0, 5), pace.offsets_us(99_998, 100_003), pace.due(3_600_000_000)] == SAID


ONE = Rates(((0.0, 1.0),))
"""One a second: offsets are the unit process itself."""


def unit(seed: int, items: int) -> list[float]:
    return [offset / SECOND for offset in Poisson(ONE, seed).offsets_us(0, items)]


def exponential(gap: float) -> float:
    return -math.expm1(-gap)


def erlang(gap: float) -> float:
    """The sum of two exponential gaps."""
    return 1 - (1 + gap) * math.exp(-gap)


def distance(values: Sequence[float], chance: Callable[[float], float]) -> float:
    """Kolmogorov and Smirnov's, times the root of how many: below 1.95, but once in a thousand."""
    ranked, count = sorted(values), len(values)
    return math.sqrt(count) * max(
        max((rank + 1) / count - chance(value), chance(value) - rank / count)
        for rank, value in enumerate(ranked)
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_gaps_are_exponential_and_know_nothing_of_each_other(seed: int) -> None:
    sums = unit(seed, 20_000)
    gaps = [sums[0], *(later - earlier for earlier, later in pairwise(sums))]
    assert distance(gaps, exponential) < 1.95
    mean, spread = fmean(gaps), variance(gaps)
    for apart in (1, 2, WINDOW):
        pairs = zip(gaps, gaps[apart:], strict=False)
        correlation = fmean((one - mean) * (other - mean) for one, other in pairs) / spread
        assert abs(correlation) < 3.3 / math.sqrt(len(gaps))


@pytest.mark.parametrize(("width", "windows"), [(0.5, 20_000), (20, 10_000), (1_000, 400), (WINDOW, 1_000)])
def test_counts_are_poisson(width: float, windows: int) -> None:
    """Mean and variance are the width; windows narrower and wider than those that are drawn."""
    pace = Poisson(ONE, 20)
    sums = unit(20, pace.due(round(width * windows * SECOND)))
    upto = [bisect_right(sums, width * (at + 1)) for at in range(windows)]
    counts = [later - earlier for earlier, later in pairwise([0, *upto])]
    assert fmean(counts) == pytest.approx(width, abs=3.3 * math.sqrt(width / windows))
    of_dispersion = math.sqrt((2 + 1 / width) / windows)
    assert variance(counts) / fmean(counts) == pytest.approx(1, abs=3.3 * of_dispersion)


def test_the_borders_of_windows_are_not_seen() -> None:
    """From a fixed time back to the last arrival and on to the next is exponential each.

    The gap around it is thus the sum of two: longer than others, as around any fixed time.
    """
    sums = unit(5, 300_000)
    borders = [WINDOW * at for at in range(1, int(sums[-1]) // WINDOW)]
    nexts = [bisect_right(sums, border) for border in borders]
    back = [border - sums[item - 1] for border, item in zip(borders, nexts, strict=True)]
    on = [sums[item] - border for border, item in zip(borders, nexts, strict=True)]
    assert len(borders) > 1_000
    assert distance(back, exponential) < 1.95
    assert distance(on, exponential) < 1.95
    assert distance([one + other for one, other in zip(back, on, strict=True)], erlang) < 1.95


def test_other_seeds_tell_other_times() -> None:
    assert len({tuple(Poisson(ONE, seed).offsets_us(0, 3)) for seed in range(-20, 20)}) == 40


def test_counts_on_a_ramp_follow_the_integral() -> None:
    """Chi-square of twenty windows, jumps among them: below 45.3, but once in a thousand."""
    rates = parse_stages("0:0/s,10s:200/s,10s:50/s,20s:400/s,30s:0/s")
    for seed in (1, 2, 3):
        pace = Poisson(rates, seed)
        due = [pace.due(round(at * 1.5 * SECOND)) for at in range(21)]
        meant = [rates.arrivals(at * 1.5) for at in range(21)]
        chi = sum(
            ((now - before) - (then - earlier)) ** 2 / (then - earlier)
            for (before, now), (earlier, then) in zip(pairwise(due), pairwise(meant), strict=True)
        )
        assert 5.9 < chi < 45.3, "nor better than chance is"
        assert pace.total == due[-1]


def test_the_far_end_costs_little() -> None:
    """One draw for a window before it, not one for each item."""
    pace = Poisson(Rates(((0.0, 5_000.0),)), 1)
    offsets = pace.offsets_us(10**7, 10**7 + 3)
    assert [pace.due(offset) for offset in offsets] == [10**7 + 1, 10**7 + 2, 10**7 + 3]
    assert offsets[0] == pytest.approx(2_000 * SECOND, abs=3.3 * math.sqrt(10**7) * 200)


@pytest.mark.parametrize(
    ("lines", "offsets"),
    [
        (["0", "0.5", "0.5", "12.0000014"], [0, 500_000, 500_000, 12_000_001]),
        (["# recorded in May\n", "\n", "1.5\n", " 2 \r\n"], [1_500_000, 2_000_000]),
        (["\ufeffseconds,path\n", '"1",/a\n', "2,/b\n"], [SECOND, 2 * SECOND]),
        (["2026-05-01T12:00:00Z", "2026-05-01T14:00:01.25+02:00;x"], [0, 1_250_000]),
        (["when", "2026-05-01 23:59:59", "2026-05-02 00:00:01"], [0, 2 * SECOND]),
        ([".5", "1."], [500_000, SECOND]),
    ],
)
def test_a_trace(lines: list[str], offsets: list[int]) -> None:
    trace = parse_trace(iter(lines), "old.csv")
    assert (trace, trace.text, trace.total) == (Trace(tuple(offsets), "old.csv"), "old.csv", len(offsets))


@pytest.mark.parametrize(
    ("lines", "number", "at", "message"),
    [
        (["1", "# pause", " 0.5"], 3, 1, "sort them"),
        (["2026-05-01 12:00:01", "2026-05-01 12:00:00"], 2, 0, "sort them"),
        (["at", "at"], 2, 0, "ISO 8601"),
        (["1", "later"], 2, 0, "ISO 8601"),
        (["1.2.3"], 1, 0, "ISO 8601"),
        (["-1"], 1, 0, "ISO 8601"),
        (["1777000000.25"], 1, 0, "ISO 8601"),
        (["1", ",2"], 2, 0, "ISO 8601"),
        (["1", "2026-05-01 12:00:01"], 2, 0, "are seconds"),
        (["2026-05-01 12:00:01", "1"], 2, 0, "are times"),
        (["2026-05-01 12:00:01", "2026-05-01 12:00:02Z"], 2, 0, "time zone"),
    ],
)
def test_a_line_that_is_no_arrival(lines: list[str], number: int, at: int, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse_trace(lines, "old.csv")
    said, shown, caret = str(raised.value).split("\n")
    assert said.startswith(f"old.csv:{number}: ")
    assert (shown, caret) == (f"  {lines[number - 1]}", f"  {' ' * at}^")


def test_a_trace_of_nothing() -> None:
    with pytest.raises(UsageError, match=r"old\.csv: no arrivals"):
        parse_trace(["# nothing", "", "seconds"], "old.csv")
    with pytest.raises(ValueError, match="back"):
        Trace((5, 4))


def test_paces_are_values() -> None:
    one, other = (Poisson(ONE, 5).changed(7, 2.0) for _ in range(2))
    assert isinstance(one, Changed)
    assert (one, hash(one)) == (other, hash(other))
    assert Poisson(ONE, 5).text == "1/s (Poisson, seed 5)"
