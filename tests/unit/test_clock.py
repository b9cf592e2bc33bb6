"""Time: the machine's, and the one that tests step."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import clock as clocks
from loadgen.clock import AwakeClock, Clock, Skew, SteppedClock, SystemClock


def test_the_system_clock_is_the_wall_clock_in_microseconds() -> None:
    """Between two readings of `time.time_ns`, give or take what the two clocks drifted apart."""
    before = time.time_ns() // 1000
    now = SystemClock().now_us()
    assert before - 1_000_000 <= now <= time.time_ns() // 1000 + 1_000_000


def test_setting_the_machines_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock is read once and carried on by the monotonic one."""
    clock = SystemClock()
    before = clock.now_us()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert 0 <= clock.now_us() - before < 60_000_000


def test_monotonic_and_wall_clock_advance_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A duration is the same by either, to the microsecond."""
    ticks = [5_000_000_000]
    monkeypatch.setattr(clocks, "monotonic_ns", lambda: ticks[0])
    clock = SystemClock()
    wall, mono = clock.now_us(), clock.monotonic_us()
    ticks[0] += 1_234_000
    assert (clock.now_us() - wall, clock.monotonic_us() - mono) == (1234, 1234)


def test_the_system_clock_sleeps_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hands the seconds on as they are."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    SystemClock().sleep(0.25)
    assert slept == [0.25]


def test_a_stepped_clock_stands_still_until_told() -> None:
    """Steps and sleeps move both of its times by the same amount."""
    clock = SteppedClock(start_us=1_000)
    assert (clock.now_us(), clock.monotonic_us()) == (1_000, 0)
    clock.step(1.5)
    clock.sleep(0.000001)
    assert (clock.now_us(), clock.monotonic_us()) == (1_501_001, 1_500_001)


def test_steps_of_many_threads_add_up() -> None:
    """None is lost."""
    clock = SteppedClock()

    def step() -> None:
        for _ in range(500):
            clock.step(0.001)

    threads = [threading.Thread(target=step) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.monotonic_us() == 2_000_000


def test_what_was_slept_through_does_not_count() -> None:
    """Short steps count whole, a gap between two readings not at all; the wall clock goes on."""
    stepped = SteppedClock()
    clock = AwakeClock(stepped, longest_s=0.5)
    readings = []
    for step_s in (0.4, 0.5, 60.0, 0.1, 0.6):
        stepped.step(step_s)
        readings.append(clock.monotonic_us())
    assert readings == [400_000, 900_000, 900_000, 1_000_000, 1_000_000]
    assert clock.now_us() == stepped.now_us()


@pytest.mark.parametrize("clock", [SystemClock(), SteppedClock(), AwakeClock(SystemClock(), 1.0)])
def test_both_are_clocks(clock: Clock) -> None:
    """Whole microseconds, not going backwards."""
    first, second = clock.monotonic_us(), clock.monotonic_us()
    assert isinstance(first, int)
    assert isinstance(clock.now_us(), int)
    assert first <= second


def test_the_shortest_round_trip_tells_another_clock_best() -> None:
    """Theirs is 5 s ahead; one way is slow, and only some of the time."""
    skew = Skew()
    for asked, there, back in ((0, 900, 100), (10_000, 60, 40), (20_000, 50, 4_000)):
        skew.observe(asked, asked + there + back, asked + there + 5_000_000)
    assert skew.error_us == 50
    assert abs(skew.ahead_us - 5_000_000) <= skew.error_us
    assert skew.ahead_us == 5_000_010


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=60))
def test_another_clock_is_never_further_off_than_said(trips: list[tuple[int, int]]) -> None:
    skew, now = Skew(), 0
    for there, back in trips:
        skew.observe(now, now + there + back, now + there - 123_456)
        now += there + back
    assert abs(skew.ahead_us + 123_456) <= skew.error_us


def test_old_round_trips_are_forgotten() -> None:
    """Clocks drift."""
    skew = Skew()
    skew.observe(0, 2, 1_000)
    for _ in range(Skew.LAST):
        skew.observe(0, 100, 5_000)
    assert (skew.error_us, skew.ahead_us) == (50, 4_950)


def test_a_clock_that_was_never_asked_is_not_known() -> None:
    with pytest.raises(ValueError, match="empty"):
        _ = Skew().ahead_us
