"""The probe: what it counts on a clock that is told to move, and what it sees of a real process."""

import json
import subprocess
import sys

import pytest

from loadgen.clock import SteppedClock
from loadgen.execution.probe import LONGEST_US, TICK_US, WINDOW_TICKS, Probe
from loadgen.execution.waits import Waits
from loadgen.lag import bucket


class SlowClock(SteppedClock):
    """Sleeps longer than it is told, by what the test says; ends the probe when nothing more is said."""

    def __init__(self, late_us: list[int]) -> None:
        super().__init__()
        self.late_us = late_us
        self.probe: Probe

    def sleep(self, seconds: float) -> None:
        self.step(seconds + (self.late_us.pop(0) if self.late_us else 0) / 1_000_000)
        if not self.late_us:
            self.probe._stopped = True


def probed(late_us: list[int]) -> Probe:
    clock = SlowClock(late_us)
    probe = clock.probe = Probe(clock)
    probe.start()
    probe._thread.join()
    return probe


def test_it_counts_by_how_much_it_woke_late() -> None:
    lag = probed([100, 100, 5_000, 100]).reading()
    assert lag.ticks == 4
    assert (lag.late[bucket(100)], lag.late[bucket(5_000)]) == (3, 1)
    assert lag.wall_us == 4 * TICK_US + 100, "it sleeps to absolute times: being late does not add up"


def test_a_long_stall_counts_for_each_waking_that_was_missed() -> None:
    lag = probed([100, 5 * TICK_US, 100]).reading()
    assert lag.ticks == 8, "with the one that was due just then"
    assert [lag.late[bucket(missed * TICK_US)] for missed in (5, 4, 3, 2, 1)] == [1] * 5


def test_a_machine_that_was_off_was_not_slow() -> None:
    assert probed([100, 10 * LONGEST_US + 7 * TICK_US, 100]).reading().ticks == 3


class Reader(SlowClock):
    """Reads the probe at some wakings, as the child does when something ended."""

    def __init__(self, late_us: list[int], reads: set[int]) -> None:
        super().__init__(late_us)
        self._reads = reads
        self._slept = 0

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self._slept += 1
        if self._slept in self._reads:
            self.probe.reading()


def test_seconds_in_which_nothing_ended_are_left_out() -> None:
    slow, calm = [3_000] * WINDOW_TICKS, [100] * WINDOW_TICKS
    clock = Reader([*slow, *calm, *slow, *calm], {3, 2 * WINDOW_TICKS + 3})
    probe = clock.probe = Probe(clock)
    probe.start()
    probe._thread.join()
    lag = probe.reading()
    assert lag.late[bucket(3_000)] == 2 * WINDOW_TICKS
    assert lag.ticks == 2 * WINDOW_TICKS
    assert lag.worst[bucket(3_000)] == sum(lag.worst) == 2
    assert lag.wall_us == pytest.approx(2_000_000, rel=0.01)


PROCESS = """
import json, sys, threading, time
from loadgen.clock import SystemClock
from loadgen.execution.probe import Probe

def hog():
    while True:
        sum(range(1000))

def look(seconds):
    probe = Probe(SystemClock())
    probe.start()
    time.sleep(seconds)
    lag = probe.reading()
    probe.stop()
    return lag

calm = look(0.6)
for _ in range(int(sys.argv[1])):
    threading.Thread(target=hog, daemon=True).start()
busy = look(0.6)
print(json.dumps([[lag.mean_us, lag.cpu, lag.ticks] for lag in (calm, busy)]))
"""


def test_a_real_probe_sees_who_holds_the_interpreter() -> None:
    """Three threads that compute make it wait for its turn, far longer than an idle process does.

    On a machine that is busy itself no process is idle: then it looks again.
    """
    assert any(clearly_seen() for _ in range(5))


def clearly_seen() -> bool:
    told = subprocess.run([sys.executable, "-c", PROCESS, "3"], check=True, capture_output=True, text=True)
    (calm_us, calm_cpu, ticks), (busy_us, busy_cpu, _) = json.loads(told.stdout)
    return bool(ticks >= 25 and busy_us > 3 * calm_us and busy_cpu > 3 * calm_cpu)


WAITING = """
import os, threading, time
from loadgen.execution.waits import Waits

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
waits = Waits()
rivals = []
for _ in range(2):
    rivals.append(os.fork())
    if not rivals[-1]:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            pass
        os._exit(0)
first = waits.us()
deadline = time.monotonic() + 20
while waits.us() - first < 10_000 and time.monotonic() < deadline:
    pass
for rival in rivals:
    os.kill(rival, 9)
print(waits.us() - first)
"""


@pytest.mark.skipif(Waits().us() == 0 and not sys.platform.startswith("linux"), reason="only Linux tells")
def test_waits_for_a_core_are_added_up() -> None:
    """With two rivals on one core this process has to wait for it."""
    told = subprocess.run([sys.executable, "-c", WAITING], check=True, capture_output=True, text=True)
    assert int(told.stdout) >= 10_000


def test_where_the_system_does_not_tell_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loadgen.execution.waits._TASKS", "/nowhere")
    assert Waits().us() == 0
