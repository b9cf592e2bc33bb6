"""Who gets a task of the agenda, and when: real threads, and a clock that a test steps where it can."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest

from loadgen.clock import SteppedClock, SystemClock
from loadgen.execution.agenda import Agenda
from loadgen.execution.pipe import Task

LAG_US = 200_000


def task(item: int, due_us: int = 0) -> Task:
    return Task(1, 0, item, (item,), due_us=(due_us,) if due_us else ())


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.001)


class Crew:
    """Threads that ask, and what they got."""

    def __init__(self, agenda: Agenda, threads: int, busy: threading.Event | None = None) -> None:
        self.got: list[tuple[int, int]] = []
        self._clock = SystemClock()
        self._agenda, self._busy = agenda, busy
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        while (one := self._agenda.get()) is not None:
            self.got.append((one.items[0], self._clock.monotonic_us()))
            if self._busy is not None:
                self._busy.wait(20)

    def items(self) -> list[int]:
        return [item for item, _ in self.got]

    def leave(self, agenda: Agenda) -> None:
        for _ in self.threads:
            agenda.put(None)
        for thread in self.threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self.threads), "somebody waits for ever"


def nothing_dropped(one: Task) -> None:
    raise AssertionError(f"dropped: {one}")


def test_each_task_is_had_once_in_order_of_time_never_before() -> None:
    clock = SystemClock()
    agenda = Agenda(clock, 30_000_000, nothing_dropped)
    crew = Crew(agenda, 8)
    begin = clock.monotonic_us() + 20_000
    due = {item: begin + 1_000 * (item * 37 % 100) for item in range(100)}
    for item, at in due.items():
        agenda.put(task(item, at))
    until(lambda: len(crew.got) == 100, "all are had")
    crew.leave(agenda)
    assert sorted(crew.items()) == list(range(100))
    assert all(at >= due[item] for item, at in crew.got)


def test_one_waits_and_the_order_is_that_of_the_clock() -> None:
    clock = SystemClock()
    agenda = Agenda(clock, 30_000_000, nothing_dropped)
    crew = Crew(agenda, 1)
    begin = clock.monotonic_us() + 50_000
    for item in (3, 1, 2, 0):
        agenda.put(task(item, begin + 5_000 * item))
    crew.leave(agenda)
    assert crew.items() == [0, 1, 2, 3]


def test_an_earlier_task_that_comes_later_is_taken_first() -> None:
    """Whoever waits for the first one's time looks again."""
    clock = SystemClock()
    agenda = Agenda(clock, 30_000_000, nothing_dropped)
    crew = Crew(agenda, 3)
    far = clock.monotonic_us() + 3_600_000_000
    agenda.put(task(9, far))
    until(lambda: agenda._waited_for, "one of them waits")
    agenda.put(task(1, clock.monotonic_us() + 1_000))
    until(lambda: crew.items() == [1], "the earlier one")
    agenda.put(task(2))
    until(lambda: crew.items() == [1, 2], "one without a time is due at once")


def test_a_burst_wakes_as_many_as_it_needs() -> None:
    """All at one time: each of them has a thread, none waits for another to be done."""
    clock, busy = SystemClock(), threading.Event()
    agenda = Agenda(clock, 30_000_000, nothing_dropped)
    crew = Crew(agenda, 6, busy)
    at = clock.monotonic_us() + 20_000
    for item in range(6):
        agenda.put(task(item, at))
    until(lambda: len(crew.got) == 6, "six at once")
    busy.set()
    crew.leave(agenda)


def test_those_who_leave_take_what_is_left_along() -> None:
    """Also those that only wait for their turn: nobody would ever wake them after the last task."""
    clock = SystemClock()
    agenda = Agenda(clock, 30_000_000, nothing_dropped)
    crew = Crew(agenda, 5)
    agenda.put(task(1, clock.monotonic_us() + 50_000))
    until(lambda: agenda._waited_for, "one of them waits")
    crew.leave(agenda)
    assert crew.items() == [1]


# Without threads


@pytest.fixture
def clock() -> SteppedClock:
    clock = SteppedClock()
    clock.step(100)
    return clock


def test_what_found_no_slot_for_too_long_is_dropped(clock: SteppedClock) -> None:
    dropped: list[int] = []
    agenda = Agenda(clock, LAG_US, lambda one: dropped.extend(one.items))
    for item in range(3):
        agenda.put(task(item, clock.monotonic_us() + 100_000 * item))
    clock.step(0.2)
    assert agenda.get_nowait().items == (0,), "just within what is allowed"
    clock.step(0.15)
    assert agenda.get_nowait().items == (2,)
    assert dropped == [1]
    with pytest.raises(queue.Empty):
        agenda.get_nowait()


def test_it_is_dropped_in_time_though_nobody_asks(clock: SteppedClock) -> None:
    """All slots are busy for a minute: what is due meanwhile does not pile up."""
    dropped: list[int] = []
    agenda = Agenda(clock, LAG_US, lambda one: dropped.extend(one.items))
    for item in range(10):
        agenda.put(task(item, clock.monotonic_us()))
        clock.step(0.1)
    assert dropped == [0, 1, 2, 3, 4, 5, 6]
    agenda.tidy()
    assert dropped == [0, 1, 2, 3, 4, 5, 6, 7]


def test_what_came_late_is_done_all_the_same(clock: SteppedClock) -> None:
    """Its worker or its master was late, not the slots; from when it came it waits as long as others."""
    dropped: list[int] = []
    agenda = Agenda(clock, LAG_US, lambda one: dropped.extend(one.items))
    agenda.put(task(1, clock.monotonic_us() - 60_000_000))
    agenda.put(task(2, clock.monotonic_us() - 50_000_000))
    assert agenda.get_nowait().items == (1,)
    clock.step(0.3)
    with pytest.raises(queue.Empty):
        agenda.get_nowait()
    assert dropped == [2]


def test_what_has_no_time_is_due_and_never_dropped(clock: SteppedClock) -> None:
    agenda = Agenda(clock, LAG_US, nothing_dropped)
    agenda.put(task(1))
    clock.step(3600)
    assert agenda.wait_s() == 0
    assert agenda.get_nowait().items == (1,)


def test_how_long_until_the_next(clock: SteppedClock) -> None:
    agenda = Agenda(clock, LAG_US, nothing_dropped)
    assert agenda.wait_s() is None
    agenda.put(task(1, clock.monotonic_us() + 2_000_000))
    agenda.put(task(2, clock.monotonic_us() + 1_000_000))
    assert agenda.wait_s() == pytest.approx(1)
    with pytest.raises(queue.Empty):
        agenda.get_nowait()


def test_it_can_be_emptied_and_drops_nothing_then(clock: SteppedClock) -> None:
    agenda = Agenda(clock, LAG_US, nothing_dropped)
    for item in (2, 1, 3):
        agenda.put(task(item, clock.monotonic_us() + 1_000_000 * item))
    clock.step(10)
    assert [one.items for one in agenda.clear()] == [(1,), (2,), (3,)]
    agenda.tidy()
    assert agenda.wait_s() is None


def test_what_is_put_back_waits_no_longer_for_it(clock: SteppedClock) -> None:
    dropped: list[int] = []
    agenda = Agenda(clock, LAG_US, lambda one: dropped.extend(one.items))
    agenda.put(task(1, clock.monotonic_us()))
    clock.step(0.15)
    agenda.put(agenda.get_nowait())
    clock.step(0.1)
    agenda.tidy()
    assert dropped == [1]
