"""Durations along an axis."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.reports.bands import Bands, BandsBuilder

rows = st.lists(
    st.tuples(st.integers(-1000, 10**7), st.integers(0, 10**8), st.booleans()), min_size=1, max_size=80
)


def bands(rows, most=20, parts=2, **how):
    builder = BandsBuilder(most)
    for part in (rows[n::parts] for n in range(parts)):
        columns = list(zip(*part, strict=True)) or [(), (), ()]
        builder.add(*columns)
    return builder.build(**how)


@settings(deadline=None)
@given(rows, st.integers(2, 40), st.integers(1, 5))
def test_every_row_is_in_one_band_whatever_the_order(rows, limit, parts):
    made = bands(rows, limit, parts)
    assert made == bands(rows[::-1], limit, 1)
    assert len(made.bands) <= limit
    assert (made.count, made.failed) == (len(rows), sum(failed for *_, failed in rows))
    for band in made.bands:
        inside = sorted(us for place, us, _ in rows if band.at <= place < band.at + made.width)
        assert band.count == len(inside)
        if inside:
            assert (band.min, band.max) == (inside[0] / 1000, inside[-1] / 1000)
            assert band.min <= band.p50 <= band.p95 <= band.p99 <= band.max
        else:
            assert (band.min, band.p50, band.p95, band.p99, band.max) == (None,) * 5


def test_percentiles_are_those_of_the_sorted_rows():
    made = bands([(0, us, False) for us in range(1, 1001)])
    (band,) = made.bands
    assert (band.p50, band.p95, band.p99) == pytest.approx((0.5, 0.95, 0.99), rel=0.005)


def test_bands_can_be_made_fewer_and_wider():
    thousand = [(place, 5, False) for place in range(1000)]
    assert bands(thousand, 100).width == 10
    assert bands(thousand, 100, limit=10).width == 100
    assert bands(thousand, 100, least=50).width == 50


def test_bands_at_rest_forget_nothing():
    """Many slices, so that most are packed, and come back to."""
    builder = BandsBuilder(100)
    for us in (1000, 1000, 1000, 5000):
        for place in range(1000):
            builder.add([place], [us])
    made = builder.build()
    assert [band.count for band in made.bands] == [40] * 100
    assert all(band.p50 == pytest.approx(1.0, rel=0.005) for band in made.bands)
    assert all(band.p95 == pytest.approx(5.0, rel=0.005) for band in made.bands)


def test_nothing_makes_no_bands():
    assert BandsBuilder(10).build() == Bands()
