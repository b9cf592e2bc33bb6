"""The described steps' way through the doors: who stands at the valve for too long is dropped."""

from __future__ import annotations

from typing import Any

from loadgen.clock import SystemClock
from loadgen.execution.child import Engine
from loadgen.execution.gate import Gate
from loadgen.execution.multi import Lane
from loadgen.execution.pipe import Task
from loadgen.execution.valve import Valve


class Skipped:
    """An outbox that hears only of what goes back."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    def skip(self, task: Task, items: Any, samples: Any = ()) -> None:
        self.tasks.append(task)


def lane(item: int, until_us: int) -> Lane:
    task = Task(1, 0, item, (item,), due_us=(1,), until_us=until_us)
    return Lane(task.lease, (), task)


def test_who_stands_at_the_valve_for_too_long_is_dropped() -> None:
    clock, valve, outbox = SystemClock(), Valve(lambda _: None), Skipped()
    gate, dropped = Gate(clock), list[Task]()
    unused: Any = None
    sent: Any = outbox
    engine = Engine(unused, unused, (), (gate, valve), sent, dropped.append)
    now_us = clock.monotonic_us()
    soon, late, timeless = lane(1, now_us + 60_000_000), lane(2, now_us - 1), lane(3, 0)
    valve.limit(1, 1)
    assert engine.may_start(late) is None, "the lease is not sure: nobody is dropped for that"
    gate.fence(now_us + 60_000_000)
    assert engine.may_start(late) is True, "there is room, so it is late, and done"
    assert [engine.may_start(each) for each in (soon, late, timeless)] == [None, False, None]
    engine.lost(late, 0, None)
    assert (dropped, outbox.tasks) == ([late.token], [])
    valve.limit(2, 0)
    assert engine.may_start(soon) is False, "a pause gives back"
    engine.lost(soon, 0, None)
    assert (dropped, outbox.tasks) == ([late.token], [soon.token])
