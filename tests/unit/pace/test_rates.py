"""Rates over time: the integral, its inverse, and how they are written."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageError
from loadgen.pace.mixing import parts
from loadgen.pace.rates import Rates, parse_duration, parse_rate, parse_stages

A_RATE = st.sampled_from([0.0, 0.0, 1.0, 7.0, 50.0]) | st.floats(min_value=0.01, max_value=5_000)
RAMP = Rates(((0.0, 0.0), (10.0, 100.0), (20.0, 0.0)))
BREAK = Rates(((0.0, 50.0), (1.0, 50.0), (1.0, 0.0), (2.0, 0.0), (2.0, 50.0), (3.0, 50.0), (3.0, 0.0)))


@st.composite
def some_rates(draw) -> Rates:
    """Lines, jumps and pauses."""
    points = [(0.0, draw(A_RATE))]
    for _ in range(draw(st.integers(0, 5))):
        points.append((points[-1][0] + draw(st.integers(1, 20_000)) / 1000, draw(A_RATE)))
        if draw(st.booleans()):
            points.append((points[-1][0], draw(A_RATE)))
    return Rates(tuple(points))


@given(some_rates(), st.floats(min_value=0, max_value=1))
def test_the_inverse_of_the_integral(rates: Rates, part: float) -> None:
    arrivals = part * min(rates.total, 10_000)
    earliest, latest = rates.seconds(arrivals), rates.onward(arrivals)
    assert rates.arrivals(earliest) == pytest.approx(arrivals, rel=1e-9, abs=1e-9)
    assert latest >= earliest or latest == pytest.approx(earliest)
    if math.isfinite(latest):
        assert rates.arrivals(latest) == pytest.approx(arrivals, rel=1e-9, abs=1e-9)
        assert rates.arrivals(latest + 0.1) > arrivals


@given(some_rates(), st.integers(0, 200_000))
def test_the_integral_is_that_of_the_lines(rates: Rates, at_ms: int) -> None:
    """Summed up by hand, in steps that end at the points."""
    seconds = at_ms / 1000
    ends = sorted({at for at, _ in rates.points if at < seconds} | {seconds})
    middles = [(start + stop) / 2 for start, stop in pairwise(ends)]
    widths = [stop - start for start, stop in pairwise(ends)]
    by_hand = sum(width * at_(rates, middle) for width, middle in zip(widths, middles, strict=True))
    assert rates.arrivals(seconds) == pytest.approx(by_hand, rel=1e-9, abs=1e-9)


def at_(rates: Rates, seconds: float) -> float:
    """The rate at a time that is no point."""
    before = [point for point in rates.points if point[0] < seconds][-1]
    after = [point for point in rates.points if point[0] > seconds][:1] or [(math.inf, before[1])]
    part = (seconds - before[0]) / (after[0][0] - before[0])
    return before[1] + (part * (after[0][1] - before[1]) if part else 0.0)


def test_a_ramp_from_and_to_0_to_the_last_digit() -> None:
    assert RAMP.total == 1000
    for arrivals in (1e-12, 1e-6, 0.5, 1, 17, 499):
        climbed = math.sqrt(arrivals / 5)
        assert RAMP.seconds(arrivals) == pytest.approx(climbed, rel=1e-14)
        left = 20 - RAMP.seconds(1000 - arrivals)
        assert left == pytest.approx(math.sqrt((1000 - (1000 - arrivals)) / 5), abs=1e-14)
    assert RAMP.seconds(1000) == 20
    assert (RAMP.onward(1000), RAMP.seconds(1000.1)) == (math.inf, math.inf)
    long = Rates(((0.0, 1e6), (3600.0, 0.0)))
    assert long.seconds(long.total - 1) == pytest.approx(3600 - math.sqrt(0.0072), abs=1e-11)


@given(st.floats(min_value=-1e-9, max_value=1e-9), st.floats(min_value=0, max_value=5000))
def test_a_line_that_is_almost_level_is_as_good_as_a_level_one(tilt: float, arrivals: float) -> None:
    rates = Rates(((0.0, 50.0), (100.0, 50.0 + tilt)))
    assert rates.seconds(arrivals) == pytest.approx(arrivals / 50, rel=1e-10, abs=2e-11)


def test_a_fall_begins_where_it_begins() -> None:
    """Its sum is no round number, and the first item comes at once nevertheless."""
    rates = Rates(((0.0, 1001.0859375), (19.996, 0.0)))
    assert rates.seconds(1e-300) == pytest.approx(0, abs=1e-14)
    assert rates.arrivals(rates.seconds(1e-6)) == pytest.approx(1e-6, abs=1e-11)


def test_where_the_rate_is_0_for_a_while() -> None:
    assert BREAK.total == 100
    assert (BREAK.seconds(50), BREAK.onward(50)) == (1, 2)
    assert (BREAK.seconds(100), BREAK.onward(100)) == (3, math.inf)
    assert [BREAK.arrivals(at) for at in (-1, 0, 0.5, 1, 1.5, 2, 2.5, 3, 99)] == [
        0, 0, 25, 50, 50, 50, 75, 100, 100,
    ]  # fmt: skip
    late = Rates(((0.0, 0.0), (5.0, 0.0), (5.0, 1.0)))
    assert (late.seconds(0), late.onward(0), late.seconds(1)) == (0, 5, 6)
    none = Rates(((0.0, 0.0),))
    assert (none.total, none.seconds(0), none.onward(0), none.arrivals(9)) == (0, 0, math.inf, 0)


def test_a_rate_by_the_minute_adds_up() -> None:
    """50/60 is no float, and 120 s of it are 100 nevertheless."""
    assert parse_stages("0:50/m,2m:50/m,2m:0/s").total == 100
    assert parse_stages("0:33.3/s,1m:33.3/s,1m:0/s").total == 1998


@given(some_rates(), st.integers(0, 60_000), A_RATE)
def test_a_change_keeps_what_was(rates: Rates, at_ms: int, rate: float) -> None:
    at_s = at_ms / 1000
    changed = rates.changed(at_s, rate)
    for part in (0.0, 0.3, 0.9, 1.0):
        assert changed.arrivals(part * at_s) == pytest.approx(rates.arrivals(part * at_s), rel=1e-9, abs=1e-9)
    assert changed.arrivals(at_s + 10) - changed.arrivals(at_s) == pytest.approx(
        10 * rate, rel=1e-6, abs=1e-6
    )
    assert changed.changed(at_s, 5) == rates.changed(at_s, 5), "again at the same time: the last one counts"


@given(some_rates(), st.floats(min_value=0.01, max_value=1), st.floats(min_value=0, max_value=200))
def test_shares_add_up(rates: Rates, part: float, seconds: float) -> None:
    assert rates.shared([(0, part)]).arrivals(seconds) == pytest.approx(
        rates.arrivals(seconds) * part, rel=1e-9, abs=1e-9
    )


@given(some_rates(), st.lists(st.integers(1, 200), min_size=2, max_size=3), st.floats(0, 1))
def test_a_mix_has_the_whole_rate_until_its_last_item(rates: Rates, items: list[int], at: float) -> None:
    """Whatever its weights, and whichever step ends first."""
    shares = parts({step: step + 1 for step in range(len(items))}, dict(enumerate(items)))
    seconds = at * min(rates.seconds(sum(items)), 1e6)
    together = sum(
        min(rates.shared(shares[step]).arrivals(seconds), count) for step, count in enumerate(items)
    )
    assert together == pytest.approx(min(rates.arrivals(seconds), sum(items)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((), "first"),
        (((1.0, 5.0),), "first"),
        (((0.0, 5.0), (2.0, 1.0), (1.0, 1.0)), "back"),
        (((0.0, 5.0), (0.0, 1.0), (0.0, 1.0)), "two"),
        (((0.0, -5.0),), "negative"),
        (((0.0, math.nan),), "finite"),
        (((0.0, 5.0), (math.inf, 5.0)), "finite"),
    ],
)
def test_points_that_are_none(points, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rates(points)


def test_it_is_a_value() -> None:
    again = pickle.loads(pickle.dumps(RAMP))
    assert (again, hash(again), again.total) == (RAMP, hash(RAMP), 1000)
    assert Rates(((0.0, 5.0),), "5/s") == Rates(((0.0, 5.0),), "300/m")


@pytest.mark.parametrize(
    ("text", "rate"), [("50/s", 50), ("30/m", 0.5), ("36/h", 0.01), ("0.5/s", 0.5), (" 7 / s ", 7)]
)
def test_a_rate(text: str, rate: float) -> None:
    assert parse_rate(text) == Rates(((0.0, rate),))
    assert parse_rate(text).text == text.strip()


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("0:50/s,2m:200/s,10m:200/s", ((0, 50), (120, 200), (600, 200))),
        ("0s:1/s", ((0, 1),)),
        (" 0 : 0/s , 1m30s : 60/m , 1m30s : 5/s ", ((0, 0), (90, 1), (90, 5))),
        ("0:1/s,1h1m1s1ms:0/s", ((0, 1), (3661.001, 0))),
        ("0:0/s,500ms:2.5/s", ((0, 0), (0.5, 2.5))),
    ],
)
def test_stages(text: str, points) -> None:
    rates = parse_stages(text)
    assert rates.points == points
    assert rates.text == text.strip()
    again = Rates(points).text
    assert again == "1/s" or parse_stages(again) == rates, "as it could have been written"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("2m", 120), ("1h", 3600), ("1m30s", 90), ("1.5h", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("parse", "text", "at", "message"),
    [
        (parse_rate, "50", 2, "write 50/s"),
        (parse_rate, "50/d", 2, "write 50/s"),
        (parse_rate, "50/sec", 2, "write 50/s"),
        (parse_rate, "-5/s", 0, "not negative"),
        (parse_rate, " 0/s", 1, "nothing would ever arrive"),
        (parse_rate, "fast", 0, "expected a rate"),
        (parse_rate, "", 0, "expected a rate"),
        (parse_rate, "1e3/s", 1, "needs its time"),
        (parse_rate, "50/s now", 5, "expected the end"),
        (parse_stages, "", 0, "a duration"),
        (parse_stages, "0:5/s,", 6, "a duration"),
        (parse_stages, "50/s", 2, "a duration"),
        (parse_stages, "1s:5/s", 0, "first stage is at 0"),
        (parse_stages, "0:5/s,2m", 8, "a colon"),
        (parse_stages, "0:5/s,2m:9", 10, "write 9/s"),
        (parse_stages, "0:5/s,2m:-9/s", 9, "not negative"),
        (parse_stages, "0:5/s 2m:9/s", 6, "a comma or the end"),
        (parse_stages, "0:5/s,2m:9/s,1m:5/s", 13, "not before"),
        (parse_stages, "0:5/s,1s:5/s,1s:4/s,1s:3/s", 20, "a third one"),
        (parse_stages, "0:0/s,5s:0/s", 0, "all rates are 0"),
        (parse_stages, "0:5/s,0:0/s", 0, "all rates are 0"),
        (parse_duration, "30", 2, "a duration"),
        (parse_duration, "30x", 2, "a duration"),
        (parse_duration, "1s2m", 3, "from large to small"),
        (parse_duration, "1s2s", 3, "from large to small"),
        (parse_duration, "1m30", 4, "a duration"),
        (parse_duration, "1m 30s", 3, "the end"),
        (parse_duration, "1msec", 1, "a duration"),
    ],
)
def test_the_caret_is_below_what_is_wrong(parse, text: str, at: int, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        parse(text, "here")
    said, shown, caret = str(raised.value).split("\n")
    assert said.startswith("here: ")
    assert (shown, caret) == (f"  {text}", f"  {' ' * at}^")
