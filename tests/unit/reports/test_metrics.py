"""Timings and error kinds."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.kinds import fingerprint
from loadgen.reports.metrics import HIGHEST_US, PERCENTILES, ErrorKinds, Stats, Timings

durations = st.lists(st.integers(1, HIGHEST_US), min_size=1, max_size=300)


def timings(values: list[int]) -> Timings:
    made = Timings()
    for value in values:
        made.add([value])
    return made


def raw_percentile(values: list[int], percentile: float) -> float:
    """The smallest value that so many are at or below, by counting."""
    ordered = sorted(values)
    return next(
        value
        for place, value in enumerate(ordered, start=1)
        if place * 1000 >= round(percentile * 10) * len(values)
    )


@given(durations)
def test_percentiles_are_those_of_the_raw_values(values):
    """Within HDR's three digits, and the half microsecond of rounding to milliseconds."""
    stats = timings(values).stats()
    for name, percentile in PERCENTILES.items():
        raw_ms = raw_percentile(values, percentile) / 1000
        assert getattr(stats, name) == pytest.approx(raw_ms, rel=0.001, abs=0.001)


@given(durations)
def test_count_extremes_mean_and_deviation_are_exact(values):
    stats = timings(values).stats()
    assert stats.count == len(values)
    assert stats.min == round(min(values) / 1000, 3)
    assert stats.max == round(max(values) / 1000, 3)
    assert stats.mean == pytest.approx(statistics.fmean(values) / 1000, abs=0.001)
    assert stats.stdev == pytest.approx(statistics.pstdev(values) / 1000, rel=1e-9, abs=0.001)


@given(durations)
def test_percentiles_lie_in_order_between_the_extremes(values):
    stats = timings(values).stats()
    line = [stats.min, *(getattr(stats, name) for name in PERCENTILES), stats.max]
    assert line == sorted(line)


def test_large_equal_values_have_no_deviation():
    """Where sums of squares in floating point would cancel to nonsense."""
    assert timings([HIGHEST_US - 1] * 1_000).stats().stdev == 0.0


def test_p99_of_sixty_values_is_the_largest():
    """99 % of 60 are 59.4: the 59th value is not enough."""
    assert timings([1_000] * 59 + [9_000]).stats().p99 == 9.0


def test_values_out_of_range_are_counted():
    stats = timings([-5, 0, 3 * HIGHEST_US]).stats()
    assert (stats.count, stats.min, stats.max) == (3, 0.0, 10_800_000.0)
    assert stats.p999 == pytest.approx(3_600_000, rel=0.001)


def test_nothing_measured_is_null():
    assert Timings().stats() == Stats(count=0)
    assert Timings().stats().p50 is None


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("HTTP 503", "HTTP 503"),
        ("GET /flow/17 answered 404", "GET /flow/<n> answered 404"),
        ("POST /x answered 500: project 'p4711' is locked", "POST /x answered 500: project <name> is locked"),
        ("connection refused by 127.0.0.1:8081", "connection refused by <address>"),
        ("connection refused by [::1]:8081", "connection refused by <address>"),
        ("no answer from azkaban:8081 within 2.5 s", "no answer from azkaban:<n> within <n> s"),
        ("id 550e8400-e29b-41d4-a716-446655440000 is gone", "id <uuid> is gone"),
        ("object at 0x7F3A, commit 64a214c", "object at <hex>, commit <hex>"),
        ('{"error":"The flow 12 exists","id":"a-1"}', '{"error":"The flow <n> exists","id":<name>}'),
        ("can't open it, won't try", "can't open it, won't try"),
        ("two\n  lines", "two lines"),
        ("", ""),
    ],
)
def test_fingerprint(message, kind):
    assert fingerprint(message) == kind


@given(st.text(max_size=400))
def test_a_fingerprint_is_its_own(message):
    assert fingerprint(fingerprint(message)) == fingerprint(message)
    assert len(fingerprint(message)) <= 160


def test_ten_thousand_messages_become_a_few_kinds():
    dice = random.Random(7)
    kinds = ErrorKinds()
    for number in range(10_000):
        kinds.add(f"POST /flow/{number} answered 500: 'p{number}' has lock {dice.getrandbits(64):#x}", number)
    (kind,) = kinds.ranked()
    assert (kind.count, kind.first_us, kind.last_us) == (10_000, 0, 9_999)
    assert kind.sample.startswith("POST /flow/0 ")


def test_kinds_beyond_the_limit_are_counted_as_other():
    kinds = ErrorKinds(limit=3)
    for at_us, word in enumerate("abcdeab"):
        kinds.add(f"error {word}", at_us)
    assert {kind.fingerprint: kind.count for kind in kinds.ranked()} == {
        "error a": 2,
        "error b": 2,
        "error c": 1,
        "other": 2,
    }


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1_000))), st.integers(0, 30))
def test_merged_kinds_count_everything(errors, cut):
    """Also when both sides have more kinds than the limit."""
    one, other = ErrorKinds(limit=4), ErrorKinds(limit=4)
    for place, (word, at_us) in enumerate(errors):
        (one if place < cut else other).add(word, at_us)
    one.merge(other)
    ranked = one.ranked()
    assert sum(kind.count for kind in ranked) == len(errors)
    if errors:
        assert min(kind.first_us for kind in ranked) == min(at_us for _, at_us in errors)
        assert max(kind.last_us for kind in ranked) == max(at_us for _, at_us in errors)
