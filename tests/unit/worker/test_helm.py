"""How a worker keeps to what it was told."""

from __future__ import annotations

from types import SimpleNamespace

from loadgen.clock import SteppedClock
from loadgen.steering import Orders
from loadgen.worker.helm import Bucket, Helm
from loadgen.worker.worker import Worker


class FakePool:
    """A pool that keeps to a limit when the test says so."""

    def __init__(self) -> None:
        self.kept = 0
        self.limits: list[tuple[int, int | None]] = []

    def limit(self, serial: int, most: int | None) -> None:
        self.limits.append((serial, most))


def a_helm() -> tuple[Helm, FakePool, SteppedClock]:
    pool, clock = FakePool(), SteppedClock()
    return Helm(pool, 2, clock), pool, clock  # type: ignore[arg-type]


def test_a_bucket_lets_through_its_rate_and_no_burst() -> None:
    bucket, now_us = Bucket(100.0, 0), 0
    through = 0
    for _ in range(1000):
        now_us += 7_000
        room = bucket.room(now_us)
        assert room <= 5, "50 ms worth"
        bucket.take(room)
        through += room
    assert 699 <= through <= 700
    assert bucket.room(now_us + 60_000_000) == 5, "what was not used is lost"


def test_a_slow_bucket_holds_one_item() -> None:
    bucket = Bucket(0.5, 0, level=0.5)
    assert [bucket.room(at * 1_000_000) for at in (0, 0.9, 1)] == [0, 0, 1]
    bucket.take(1)
    assert bucket.room(100_000_000) == 1
    bucket.turn(10.0, 100_000_000)
    bucket.take(1)
    assert bucket.room(100_100_000) == 1


def test_orders_are_obeyed_when_all_processes_keep_to_them() -> None:
    helm, pool, _ = a_helm()
    assert (helm.obeys, helm.settling, helm.slots(8), helm.room(9)) == (0, False, 8, 9)
    helm.hear(Orders(3, slots=5))
    assert pool.limits == [(3, 5)]
    assert (helm.obeys, helm.settling, helm.slots(8)) == (0, True, 5)
    pool.kept = 3
    assert (helm.obeys, helm.settling) == (3, False)
    helm.hear(Orders(2, slots=1))
    assert pool.limits == [(3, 5)], "answers overtake each other"
    helm.hear(Orders(4, slots=5, rate=10.0))
    assert (helm.obeys, pool.limits) == (4, [(3, 5)]), "a rate is no matter of the pool"


def test_a_width_is_a_limit_too() -> None:
    helm, pool, _ = a_helm()
    helm.hear(Orders(1, width=3))
    helm.hear(Orders(2, slots=4, width=3))
    helm.hear(Orders(3, slots=4, width=1))
    helm.hear(Orders(4))
    assert pool.limits == [(1, 6), (2, 4), (3, 2), (4, None)]


def test_the_rate_is_kept_and_taken_off() -> None:
    helm, _, clock = a_helm()
    helm.hear(Orders(1, rate=100.0))
    clock.step(0.5)
    assert helm.room(99) == 5
    helm.started(5)
    assert helm.room(99) == 0
    helm.hear(Orders(2))
    assert helm.room(99) == 99
    assert helm.news()
    assert not helm.news()
    helm.hear(Orders(3, slots=0))
    assert (helm.resting, helm.slots(4)) == (True, 0)


def test_a_worker_tells_how_many_are_in_flight_until_a_new_limit_is_kept() -> None:
    worker = Worker.__new__(Worker)
    worker._helm, limited, _ = a_helm()
    worker._pool = SimpleNamespace(outstanding=9)  # type: ignore[assignment]
    worker._desk = SimpleNamespace(early=1, slots=8)  # type: ignore[assignment]
    worker._helm.hear(Orders(1, slots=2))
    assert worker._in_flight() == 8, "those that were started before"
    limited.kept = 1
    assert worker._in_flight() == 2, "the rest waits for its slot"


def test_a_worker_keeps_a_pool_with_few_slots_stocked() -> None:
    """The valve is what is strict: with nothing in reserve its one slot would wait for each next item."""
    rooms: list[int] = []
    worker = Worker.__new__(Worker)
    worker._helm, limited, _ = a_helm()
    worker._settings = SimpleNamespace(processes=4)  # type: ignore[assignment]
    worker._welcome = SimpleNamespace(max_lag_us=None, thinks={}, tight=False)  # type: ignore[assignment]
    worker._pool = SimpleNamespace(outstanding=1)  # type: ignore[assignment]
    worker._desk = SimpleNamespace(  # type: ignore[assignment]
        slots=16, backlog=0, resting=0, rate=lambda: 0.0, next_tasks=lambda room: rooms.append(room) or []
    )
    worker._helm.hear(Orders(1, slots=1))
    limited.kept = 1
    assert worker._feed() is True
    assert rooms == [2]
