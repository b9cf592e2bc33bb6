"""The small histogram: what is counted comes back an eighth off at most, and the worst process decides."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.lag import BUCKETS, NO_LAG, UNIT_US, Lag, bucket, middle_us, percentile, trimmed, worst


@given(st.integers(min_value=64, max_value=60_000_000))
def test_a_value_comes_back_an_eighth_off_at_most(us: int) -> None:
    assert abs(middle_us(bucket(us)) - us) <= us / 8 + 1


@given(st.integers(min_value=0, max_value=10**9), st.integers(min_value=0, max_value=10**9))
def test_buckets_keep_the_order(one: int, other: int) -> None:
    assert (bucket(one) <= bucket(other)) or one > other
    assert 0 <= bucket(one) < BUCKETS


def test_each_bucket_holds_its_middle() -> None:
    assert [bucket(middle_us(index)) for index in range(BUCKETS)] == list(range(BUCKETS))
    assert bucket(-5) == 0, "a clock may round"
    assert middle_us(0) == UNIT_US // 2


def counted(*values_us: int) -> tuple[int, ...]:
    counts = [0] * BUCKETS
    for value in values_us:
        counts[bucket(value)] += 1
    return trimmed(counts)


def test_percentiles_are_of_nearest_rank() -> None:
    counts = counted(*[100] * 98, 5_000, 50_000)
    assert percentile(counts, 50) == pytest.approx(100, rel=0.13)
    assert percentile(counts, 98) == pytest.approx(100, rel=0.13)
    assert percentile(counts, 99) == pytest.approx(5_000, rel=0.13)
    assert percentile(counts, 100) == pytest.approx(50_000, rel=0.13)
    assert percentile((), 99) == percentile((0, 0), 99) == 0


def test_what_a_lag_tells() -> None:
    lag = Lag(counted(*[100] * 99, 9_000), counted(100, 9_000), cpu_us=500_000, wall_us=2_000_000)
    assert (lag.ticks, lag.cpu) == (100, 0.25)
    assert lag.mean_us == pytest.approx(189, rel=0.13)
    assert lag.seconds_over(1_000) == (1, 2)
    assert (NO_LAG.ticks, NO_LAG.cpu, NO_LAG.mean_us, NO_LAG.p99_us) == (0, 0.0, 0.0, 0)


def test_the_worst_process_decides_and_all_waits_count() -> None:
    calm = Lag(counted(*[100] * 500), waited_us=7)
    slow = Lag(counted(*[100] * 50, *[9_000] * 50), waited_us=11)
    assert worst([calm, slow, calm]) == msgspec.structs.replace(slow, waited_us=25)
    assert worst([]) == NO_LAG


def test_it_travels_small() -> None:
    lag = Lag(counted(*[100] * 500, 9_000), counted(9_000), 1, 2, 3)
    packed = msgspec.msgpack.encode(lag)
    assert len(packed) < 100
    assert msgspec.msgpack.decode(packed, type=Lag) == lag
    too_long = msgspec.msgpack.encode([[1] * (BUCKETS + 1)])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(too_long, type=Lag)
