"""So many items in flight, and not one more."""

from __future__ import annotations

import threading

from loadgen.execution.valve import Valve


def test_it_counts_and_tells_when_a_limit_is_kept() -> None:
    kept: list[int] = []
    valve = Valve(kept.append)
    assert [valve.enter() for _ in range(3)] == [True] * 3
    valve.limit(1, 1)
    assert (valve.enter(), kept) == (None, [])
    valve.leave()
    assert kept == []
    valve.leave()
    assert kept == [1]
    assert valve.enter() is None
    valve.limit(2, 2)
    assert (kept, valve.enter(), valve.enter()) == ([1, 2], True, None)
    valve.limit(3, 0)
    assert valve.enter() is False
    assert valve.await_entry() is False
    valve.limit(4, None)
    assert kept == [1, 2, 4], "the one before was never kept"
    assert valve.await_entry()


def test_who_waits_is_let_in_or_sent_back() -> None:
    valve = Valve(lambda _: None)
    valve.limit(1, 1)
    assert valve.enter()
    answers: list[bool | None] = []
    waiting = [threading.Thread(target=lambda: answers.append(valve.await_entry())) for _ in range(3)]
    for thread in waiting:
        thread.start()
    valve.leave()
    next(thread for thread in iter(lambda: _ended(waiting), None))
    assert answers == [True]
    valve.limit(2, 0)
    for thread in waiting:
        thread.join(10)
    assert sorted(answers) == [False, False, True]


def test_patience_has_an_end() -> None:
    valve = Valve(lambda _: None)
    valve.limit(1, 1)
    assert valve.await_entry(0)
    assert valve.await_entry(0.001) is None
    valve.leave()
    assert valve.await_entry(0), "who gave up is not inside"


def _ended(threads: list[threading.Thread]) -> threading.Thread:
    """The first of them that ends."""
    for _ in range(10_000):
        for thread in threads:
            thread.join(0.001)
            if not thread.is_alive():
                return thread
    raise AssertionError("none ends")
