"""What a worker has on its hands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadgen.clock import SteppedClock
from loadgen.columns import Harvest
from loadgen.desk import Desk, marks
from loadgen.execution.pipe import Returned
from loadgen.plan import Chunk
from loadgen.queues.messages import Lease, Mark
from loadgen.sample import Outcome, Result
from loadgen.spool import Spool


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def desk(tmp_path: Path, clock: SteppedClock) -> Iterator[Desk]:
    spool = Spool(tmp_path, "r1", "s1")
    yield Desk(clock, spool, slots=2)
    spool.close()


def ended(desk: Desk, lease: int, *items: int) -> None:
    results = [Result(item, 1, Outcome.DONE, 0, 1) for item in items]
    desk.put(Returned(((lease, 0, Harvest.of(results)),), (), 0.0))


def items(tasks: list) -> list[list[int]]:
    return [list(task.items) for task in tasks]


def test_items_without_keys_are_cut_anywhere_and_wait_for_nobody(desk: Desk, clock: SteppedClock) -> None:
    desk.accept(Lease(7, Chunk(0, 10, 20), {}))
    assert items(desk.next_tasks(3)) == [[10], [11], [12]], "one by one, while nobody knows how fast"
    ended(desk, 7, 10, 11, 12)
    clock.step(0.01)
    clock.step(0.25)
    assert desk.rate() == pytest.approx(3 / 0.26)
    tasks = desk.next_tasks(99)
    assert [item for task in tasks for item in task.items] == list(range(13, 20))
    assert marks(tasks) == (Mark(7, 3, 10),)
    assert desk.backlog == 0


def test_items_of_a_key_follow_each_other(desk: Desk) -> None:
    desk.accept(Lease(7, Chunk(0, lanes=((1, 3), (2, 4))), {}))
    assert items(desk.next_tasks(9)) == [[1], [2]]
    assert desk.next_tasks(9) == []
    ended(desk, 7, 2)
    assert items(desk.next_tasks(9)) == [[4]]


def test_a_worker_that_leaves_names_what_it_never_started(desk: Desk) -> None:
    """Also what may be armed: the master died before it could say so, and is back."""
    desk.accept(Lease(7, Chunk(0, 0, 4), {}))
    started, refused = desk.next_tasks(1), desk.next_tasks(2)
    desk.put_back(refused)
    desk.clear_backlog()
    assert desk.unstarted == {}, "not before what was started has ended and is reported"
    ended(desk, 7, *started[0].items)
    desk.take()
    desk.confirm()
    assert {lease: sorted(left) for lease, left in desk.unstarted.items()} == {7: [1, 2, 3]}
