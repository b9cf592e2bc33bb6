"""What a worker has on its hands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from loadgen.clock import SteppedClock
from loadgen.columns import Harvest
from loadgen.execution.pipe import Returned
from loadgen.plan import Chunk
from loadgen.queues.messages import Lease, Mark
from loadgen.sample import Outcome, Result, Sample
from loadgen.worker.backlog import marks
from loadgen.worker.desk import LARGEST_REPORT, Desk
from loadgen.worker.spool import Spool


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


def test_the_rate_is_known_soon_as_long_as_it_climbs(desk: Desk, clock: SteppedClock) -> None:
    """A run of a second would otherwise be over before anything is asked for ahead."""
    desk.accept(Lease(7, Chunk(0, 0, 1000), {}))

    def after(seconds: float, count: int) -> float:
        ended(desk, 7, *range(count))
        clock.step(seconds)
        return desk.rate()

    assert after(0.02, 3) == 0.0, "less than two rounds of its slots say nothing"
    assert after(0.005, 1) == pytest.approx(4 / 0.025)
    assert after(0.01, 50) == pytest.approx(4 / 0.025), "nor does so short a time"
    assert after(0.01, 50) == pytest.approx(100 / 0.02)
    assert after(0.02, 90) == pytest.approx((5000 + 4500) / 2), "it climbs no more"
    assert after(0.2, 900) == pytest.approx(4750), "and is taken over a longer time from now on"
    assert after(0.05, 225) == pytest.approx((4750 + 4500) / 2)


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


def test_what_a_lost_lease_leaves_is_not_given_back(desk: Desk) -> None:
    """Some of it was started: the master must not take it for unsent."""
    desk.accept(Lease(7, Chunk(0, 0, 2), {}))
    desk.next_tasks(2)
    desk.drop([7])
    desk.put(Returned((), ((7, (0, 1)),), 0.0))
    assert desk.unstarted == {}


def test_what_follows_a_piece_waits_for_the_last_that_is_kept(desk: Desk) -> None:
    """The piece's last item is not to be done after all; the one before it is under way."""
    desk.accept(Lease(7, Chunk(0, lanes=((1, 2, 3),)), {}))
    (first,) = desk.next_tasks(1)
    assert list(first.items) == [1]
    desk.follow_after(7, 1, 0)  # as if an item 0 of the same piece were kept
    desk.skip(7, [1])
    assert desk.next_tasks(9) == []
    ended(desk, 7, 0)
    assert items(desk.next_tasks(9)) == [[2]]


def test_a_report_is_not_much_larger_than_it_may_be(desk: Desk) -> None:
    """Whatever the samples weigh."""
    desk.accept(Lease(7, Chunk(0, 0, 60), {}))
    for item in range(60):
        samples = [Sample(item, 1, f"{number:0200}", 0, 0) for number in range(1000)]
        desk.put(Returned(((7, 0, Harvest.of([Result(item, 1, Outcome.DONE, 0, 1)], samples)),), (), 0.0))
    taken = []
    while desk.waiting:
        report = msgspec.msgpack.encode(desk.take())
        assert len(report) < 2 * LARGEST_REPORT
        taken.append(desk.confirm())
    assert sum(taken) == 60


def test_a_worker_that_is_to_rest_gives_all_back(desk: Desk, clock: SteppedClock) -> None:
    """What its processes skip, and what would have come after that; in flight is only what was started."""
    desk.accept(Lease(7, Chunk(0, lanes=((1, 3), (2, 4))), {}))
    desk.accept(Lease(8, Chunk(0, 10, 14), {}))
    started = items(desk.next_tasks(3))
    assert started == [[1], [2], [10]]
    desk.rest()
    assert (desk.backlog, desk.rate()) == (0, 0.0)
    desk.put(Returned((), ((7, (2,)),), 0.0))
    ended(desk, 7, 1)
    ended(desk, 8, 10)
    desk.take()
    desk.confirm()
    assert {lease: sorted(back) for lease, back in desk.unstarted.items()} == {7: [2, 3, 4], 8: [11, 12, 13]}


def test_a_piece_that_a_process_skips_takes_its_lane_along(desk: Desk) -> None:
    desk.accept(Lease(7, Chunk(0, lanes=((1, 3, 5), (2, 4))), {}))
    assert items(desk.next_tasks(9)) == [[1], [2]]
    desk.put(Returned((), ((7, (1,)),), 0.0))
    ended(desk, 7, 2)
    assert items(desk.next_tasks(9)) == [[4]]
    ended(desk, 7, 4)
    desk.take()
    desk.confirm()
    assert {lease: sorted(back) for lease, back in desk.unstarted.items()} == {7: [1, 3, 5]}
