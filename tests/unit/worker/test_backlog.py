"""What a worker has leased, where items are meant to start at times of their own."""

from __future__ import annotations

from collections.abc import Sequence

from loadgen.columns import pack
from loadgen.execution.pipe import Task
from loadgen.plan import Chunk
from loadgen.queues.messages import Lease, Mark
from loadgen.worker.backlog import SOON_S, Backlog, marks

SOON_US = round(SOON_S * 1_000_000)
AHEAD_US = 5_000_000_000
"""By which the master's clock is ahead."""


def timed(number: int, chunk: Chunk, due_us: Sequence[int], **more: object) -> Lease:
    """Due by the worker's clock."""
    return Lease(number, chunk, {}, due_us=pack([at + AHEAD_US for at in due_us]), **more)


def items(tasks: Sequence[Task]) -> list[list[int]]:
    return [list(task.items) for task in tasks]


def test_items_come_when_their_time_is_near_in_its_order() -> None:
    """However full the pool is, and whichever lease they are of."""
    backlog = Backlog({})
    backlog.accept(timed(1, Chunk(0, 0, 6, stride=2), [1_000_000, 2_000_000, 3_000_000]), AHEAD_US)
    backlog.accept(timed(2, Chunk(0, 1, 6, stride=2), [1_500_000, 2_500_000, 3_500_000]), AHEAD_US)
    assert backlog.items == 6
    assert backlog.take(99, 1000.0, 1_000_000 - SOON_US - 1) == []
    (first,) = backlog.take(0, 0.0, 1_000_000 - SOON_US)
    assert (first.items, first.due_us, first.start) == (range(0, 2, 2), (1_000_000,), 0)
    assert items(backlog.take(0, 0.0, 2_500_000 - SOON_US)) == [[1], [3], [2]], "by lease, earliest first"
    assert backlog.items == 2
    assert [task.due_us for task in backlog.take(0, 0.0, 9_000_000)] == [(3_000_000,), (3_500_000,)]
    assert backlog.items == 0


def test_neighbours_share_a_mark() -> None:
    """Though each is a task of its own, so that any slot can have it."""
    backlog = Backlog({})
    backlog.accept(timed(1, Chunk(0, 0, 30, stride=3), [10 * n for n in range(10)]), AHEAD_US)
    backlog.accept(timed(2, Chunk(0, 1, 30, stride=3), [10 * n + 5 for n in range(10)]), AHEAD_US)
    tasks = backlog.take(1, 0.0, 0)
    assert len(tasks) == 20
    assert marks(tasks) == (Mark(1, 0, 10), Mark(2, 0, 10))


def test_what_could_not_be_armed_comes_again_at_its_time() -> None:
    backlog = Backlog({})
    backlog.accept(timed(1, Chunk(0, 0, 4), [100, 200, 300, 4_000_000]), AHEAD_US)
    refused = backlog.take(1, 0.0, 0)
    assert backlog.items == 1
    backlog.put_back(refused, ())
    assert backlog.items == 4
    assert items(backlog.take(1, 0.0, 0)) == [[0], [1], [2]]
    assert items(backlog.take(1, 0.0, 4_000_000)) == [[3]]


def test_items_of_a_key_wait_for_the_one_before_and_for_their_time() -> None:
    backlog = Backlog({})
    lease = timed(7, Chunk(0, lanes=((1, 3, 5), (2,))), [100, 200, 9_000_000, 150])
    backlog.accept(lease, AHEAD_US)
    assert items(backlog.take(9, 0.0, 1_000)) == [[1], [2]]
    assert backlog.items == 0, "3 could not be started, whatever the time"
    assert backlog.take(9, 0.0, 1_000) == []
    backlog.follow(7, [2])
    assert backlog.take(9, 0.0, 1_000) == []
    backlog.follow(7, [1])
    (third,) = backlog.take(9, 0.0, 1_000)
    assert (list(third.items), third.due_us, third.start) == ([3], (200,), 1)
    backlog.follow(7, [3])
    assert backlog.items == 1
    assert backlog.take(9, 0.0, 1_000) == [], "the last one's time has not come"
    assert items(backlog.take(9, 0.0, 9_000_000)) == [[5]]


def test_a_key_that_could_not_be_armed_comes_back_whole() -> None:
    backlog = Backlog({})
    backlog.accept(timed(7, Chunk(0, lanes=((1, 3),)), [100, 200]), AHEAD_US)
    backlog.put_back(backlog.take(9, 0.0, 1_000), {7})
    assert backlog.items == 2
    assert items(backlog.take(9, 0.0, 1_000)) == [[1]]
    backlog.follow(7, [1])
    assert items(backlog.take(9, 0.0, 1_000)) == [[3]]


def test_what_a_lost_item_leaves_of_its_key_is_given_up() -> None:
    backlog = Backlog({})
    backlog.accept(timed(7, Chunk(0, lanes=((1, 3, 5),)), [100, 200, 300]), AHEAD_US)
    backlog.take(9, 0.0, 1_000)
    assert backlog.give_up(7, [1]) == [3, 5]


def test_a_lease_is_forgotten_wherever_its_items_are() -> None:
    backlog = Backlog({})
    for number in (1, 2, 3):
        backlog.accept(timed(number, Chunk(0, 10 * number, 10 * number + 3), [number, 99, 999]), AHEAD_US)
    backlog.accept(timed(4, Chunk(0, lanes=((1, 3),)), [0, 0]), AHEAD_US)
    backlog.take(9, 0.0, -SOON_US)
    assert {task.lease for task in backlog.tasks()} == {1, 2, 3, 4}
    backlog.clear({1, 4})
    assert backlog.items == 6
    assert items(backlog.take(9, 0.0, 0)) == [[20], [21], [22], [30], [31], [32]]
    backlog.follow(4, [1])
    assert list(backlog.tasks()) == []


def test_what_is_looked_for_has_no_time() -> None:
    """It goes before, as room allows."""
    backlog = Backlog({})
    backlog.accept(timed(1, Chunk(0, 0, 1), [9_000_000]), AHEAD_US)
    backlog.accept(Lease(2, Chunk(0, lanes=((5,), (6,))), {}, verifying=True), AHEAD_US)
    assert items(backlog.take(1, 0.0, 0)) == [[5]]
    assert items(backlog.take(1, 0.0, 0)) == [[6]]
