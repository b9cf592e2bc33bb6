"""The run over time."""

from __future__ import annotations

import math
import random

import pytest
from fake_records import STARTED_US, a_call
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.columns import Samples
from loadgen.record import CallTable
from loadgen.reports.timeline import Timeline, TimelineBuilder


def timeline(calls, limit=60):
    """Out of two tables."""
    made = TimelineBuilder(STARTED_US, limit)
    for part in (calls[:7], calls[7:]):
        made.add(CallTable(0, 1, Samples.of(part)))
    return made.build()


rows = st.lists(
    st.builds(
        lambda start_us, total_us, error: a_call(start_us=start_us, total_us=total_us, error=error),
        st.integers(-1_000_000, 10**11),
        st.integers(0, 10**9),
        st.sampled_from(["", "HTTP 500"]),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(rows, st.integers(2, 60))
def test_every_call_is_in_one_bucket_and_the_limit_holds(calls, limit):
    made = timeline(calls, limit)
    assert len(made.buckets) <= limit
    assert sum(bucket.calls for bucket in made.buckets) == len(calls)
    assert sum(bucket.errors for bucket in made.buckets) == sum(bool(call.error) for call in calls)
    for bucket in made.buckets:
        inside = [
            call.total_us / 1000
            for call in calls
            if 0 <= (call.start_us - STARTED_US + call.total_us) / 1e6 - bucket.at_s < made.width_s
        ]
        assert bucket.calls == len(inside)
        assert (bucket.min, bucket.max) == (min(inside, default=None), max(inside, default=None))


@settings(deadline=None)
@given(rows, st.integers(2, 60))
def test_the_width_is_round_and_no_finer_one_would_do(calls, limit):
    width_s = timeline(calls, limit).width_s
    digit = width_s / 10 ** math.floor(math.log10(width_s) + 1e-9)
    assert round(digit, 6) in {1, 2, 5}
    assert timeline(calls, 10 * limit).width_s <= width_s


@given(rows, st.randoms(use_true_random=False))
def test_order_does_not_matter(calls, dice):
    shuffled = calls.copy()
    dice.shuffle(shuffled)
    assert timeline(shuffled, 20) == timeline(calls, 20)


def test_buckets_follow_each_other_and_empty_ones_are_there():
    made = timeline([a_call(start_us=0, total_us=0), a_call(start_us=9_500_000, total_us=0)], 10)
    assert [bucket.at_s for bucket in made.buckets] == list(range(10))
    assert [bucket.calls for bucket in made.buckets] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert made.buckets[1].p95 is None
    assert made.end_s == 10


def test_rate_and_percentiles_of_a_bucket():
    dice = random.Random(3)
    times = [dice.randrange(1_000, 100_000) for _ in range(2_000)]
    calls = [a_call(start_us=number * 1_000 - us, total_us=us) for number, us in enumerate(times)]
    made = timeline(calls, 2)
    assert made.width_s == 1
    assert [bucket.rate_per_s for bucket in made.buckets] == [1_000, 1_000]
    for bucket, part in zip(made.buckets, (times[:1_000], times[1_000:]), strict=True):
        ordered = sorted(part)
        assert bucket.p50 == pytest.approx(ordered[499] / 1000, rel=0.005)
        assert bucket.p95 == pytest.approx(ordered[949] / 1000, rel=0.005)


def test_no_calls_make_no_buckets():
    assert timeline([]) == Timeline()
    assert timeline([]).end_s == 0
