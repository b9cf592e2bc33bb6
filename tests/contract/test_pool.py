"""The pool with a real child process: as many items at once as it was told, and told again."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from loadgen.clock import SystemClock
from loadgen.execution.pipe import Returned, Setup, Task
from loadgen.execution.pool import Pool
from loadgen.sample import Outcome, Result

PATIENCE_S = 20
FOREVER_US = 2**62
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SCRIPTED = "def act(http: Session, item: int, options: object) -> None:\n    http.get(f'/{item}')\n"
DESCRIBED = "def act(item: int, options: object) -> Call:\n    return Call('GET', f'/{item}')\n"


class Doorman:
    """A server that lets nobody out before it is told to."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._serve, args=(self.listener.accept()[0],), daemon=True).start()

    def _serve(self, guest: socket.socket) -> None:
        with contextlib.suppress(OSError), guest:
            while re.match(rb"GET /\d+ ", guest.recv(4096)):
                with self.changed:
                    self.inside.append(guest)
                    self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until so many are inside."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.inside) == count, PATIENCE_S), len(self.inside)

    def let_out(self, count: int) -> None:
        """Answer those that came first."""
        with self.changed:
            gone, self.inside = self.inside[:count], self.inside[count:]
        for guest in gone:
            guest.sendall(ANSWER)


class Harvested:
    """What came back."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.ended = 0

    def add(self, returned: Returned) -> None:
        with self.changed:
            self.ended += sum(harvest.ended for _, _, harvest in returned.harvests)
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.ended >= count, PATIENCE_S), self.ended


@pytest.fixture
def doorman() -> Iterator[Doorman]:
    doorman = Doorman()
    with contextlib.closing(doorman.listener):
        yield doorman


@pytest.mark.parametrize("step", [SCRIPTED, DESCRIBED], ids=["scripted", "described"])
def test_a_pool_can_be_widened_and_narrowed(tmp_path: Path, doorman: Doorman, step: str) -> None:
    path = tmp_path / "doors.py"
    path.write_text(
        f"from loadgen import Call, Scenario, Session\nscenario = Scenario()\n@scenario.step(items=1)\n{step}"
    )
    setup = Setup(str(path), ("act",), doorman.url, b"\x80", threads=2, connections="keep", run="")
    harvested = Harvested()
    pool = Pool(setup, 1, harvested.add, lambda _: None)
    pool.fence(SystemClock().monotonic_us() + FOREVER_US)
    pool.submit(Task(1, 0, item, (item,)) for item in range(30))

    doorman.wait_for(2)
    pool.widen(8)
    doorman.wait_for(8)
    pool.widen(1)
    doorman.let_out(8)
    harvested.wait_for(8)
    pool.widen(3)  # whoever was late to rest has an item more: from here on there can be three at most
    for out in range(8, 20):
        with doorman.changed:
            assert doorman.changed.wait_for(lambda: doorman.inside, PATIENCE_S)
        doorman.let_out(1)
        harvested.wait_for(out + 1)
    doorman.wait_for(3)
    doorman.let_out(3)
    for out in range(23, 30):
        with doorman.changed:
            assert doorman.changed.wait_for(lambda: doorman.inside, PATIENCE_S)
            assert len(doorman.inside) <= 3
        doorman.let_out(1)
        harvested.wait_for(out + 1)
    pool.stop()
    assert harvested.ended == 30


@pytest.mark.parametrize("step", [SCRIPTED, DESCRIBED], ids=["scripted", "described"])
def test_a_pool_keeps_to_a_limit_strictly(tmp_path: Path, doorman: Doorman, step: str) -> None:
    """Over all its processes, one of which may have no part of it; what is not to be started comes back."""
    path = tmp_path / "doors.py"
    path.write_text(
        f"from loadgen import Call, Scenario, Session\nscenario = Scenario()\n@scenario.step(items=1)\n{step}"
    )
    setup = Setup(str(path), ("act",), doorman.url, b"\x80", threads=3, connections="keep", run="")
    harvested = Harvested()
    back: list[int] = []
    changed = threading.Condition()

    def returned(message: Returned) -> None:
        with changed:
            back.extend(item for _, items in message.skipped for item in items)
            changed.notify_all()
        harvested.add(message)
        with changed:
            changed.notify_all()

    def let_out_until(done: Callable[[], bool]) -> None:
        with changed:
            for _ in range(1000):
                if done():
                    return
                doorman.let_out(1)
                changed.wait(0.02)
        raise AssertionError((pool.kept, harvested.ended, back))

    pool = Pool(setup, 2, returned, lambda _: None)
    pool.fence(SystemClock().monotonic_us() + FOREVER_US)
    pool.submit(Task(1, 0, item, (item,)) for item in range(40))
    doorman.wait_for(6)
    pool.limit(1, 1)
    assert pool.kept == 0, "six are in flight"
    let_out_until(lambda: pool.kept == 1)
    for _ in range(3):
        doorman.wait_for(1)
        doorman.let_out(1)
    assert back, "the other process has no part of one"
    pool.limit(2, 0)
    let_out_until(lambda: pool.kept == 2 and harvested.ended + len(back) == 40)
    assert not doorman.inside
    pool.limit(3, None)
    pool.submit(Task(1, 0, item, (item,)) for item in back)
    let_out_until(lambda: harvested.ended == 40)
    pool.stop()


@pytest.mark.parametrize("step", [SCRIPTED, DESCRIBED], ids=["scripted", "described"])
def test_what_is_due_waits_no_longer_at_a_limit_and_in_a_pause_it_goes_back(
    tmp_path: Path, doorman: Doorman, step: str
) -> None:
    path = tmp_path / "doors.py"
    path.write_text(
        f"from loadgen import Call, Scenario, Session\nscenario = Scenario()\n@scenario.step(items=1)\n{step}"
    )
    lag_us = 300_000
    setup = Setup(
        str(path), ("act",), doorman.url, b"\x80", threads=4, connections="keep", run="", max_lag_us=lag_us
    )
    results: list[Result] = []
    back: list[int] = []
    changed = threading.Condition()

    def returned(message: Returned) -> None:
        with changed:
            back.extend(item for _, items in message.skipped for item in items)
            results.extend(result for _, _, harvest in message.harvests for result in harvest.results)
            changed.notify_all()

    def until(done: Callable[[], bool]) -> None:
        """A child that is told anything looks whether something is overdue, as with each beat."""
        with changed:
            for _ in range(50 * PATIENCE_S):
                if changed.wait_for(done, 0.02):
                    return
                pool.fence(clock.monotonic_us() + FOREVER_US)
        raise AssertionError((results, back))

    clock = SystemClock()
    pool = Pool(setup, 1, returned, lambda _: None)
    pool.fence(clock.monotonic_us() + FOREVER_US)
    pool.limit(1, 1)
    due_us = clock.monotonic_us()
    pool.submit([Task(1, 0, 0, (0,), due_us=(due_us,))])
    doorman.wait_for(1)
    pool.submit(Task(1, 0, item, (item,), due_us=(due_us,)) for item in (1, 2, 3))
    until(lambda: {result.item for result in results} == {1, 2, 3})
    assert {result.outcome for result in results} == {Outcome.DROPPED}
    later_us = clock.monotonic_us() + 3_600_000_000
    pool.submit(Task(1, 0, item, (item,), due_us=(later_us,)) for item in (4, 5))
    pool.limit(2, 0)
    pool.submit([Task(1, 0, 6, (6,), due_us=(later_us,))])
    until(lambda: sorted(back) == [4, 5, 6])
    doorman.let_out(1)
    pool.stop()
    assert len(results) == 3
