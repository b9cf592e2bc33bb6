"""How a worker learns its master's clock, and refuses what is too vague."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from loadgen import __version__
from loadgen.clock import Skew, SteppedClock
from loadgen.errors import MasterGone, Refused
from loadgen.loader import Bundle
from loadgen.queues.messages import PROTOCOL, Beat, Hello, Receipt, Welcome
from loadgen.worker.link import Link

AHEAD_US = 7_000_000


class Master:
    """Answers after so long, with a clock of its own."""

    def __init__(self, clock: SteppedClock, way_s: float, max_lag_us: int | None = 1_000_000) -> None:
        self.clock, self.way_s = clock, way_s
        self.max_lag_us = max_lag_us
        self.beats: list[Beat] = []
        self.gone = False

    def hello(self, _: object) -> Welcome:
        return Welcome(
            run="r1",
            scenario="s",
            steps=("step",),
            target="http://127.0.0.1:1",
            options=b"",
            digest="d",
            bundle=Bundle("s.py", {}),
            ttl_s=15.0,
            concurrency=1,
            most=1,
            connections="keep",
            correlate=True,
            max_lag_us=self.max_lag_us,
        )

    def beat(self, message: Beat) -> Receipt:
        if self.gone:
            raise MasterGone("gone")
        self.beats.append(message)
        self.clock.step(self.way_s)
        receipt = Receipt((), at_us=self.clock.monotonic_us() + AHEAD_US)
        self.clock.step(self.way_s)
        return receipt


@pytest.fixture
def joined() -> Callable[..., tuple[Link, Master]]:
    def join(way_s: float, max_lag_us: int | None = 1_000_000) -> tuple[Link, Master]:
        clock = SteppedClock()
        master: Any = Master(clock, way_s, max_lag_us)
        link = Link(
            lambda: master,
            Hello("w1", "host-1", "host", 4, PROTOCOL, __version__),
            0.0,
            clock,
            lambda _: None,
        )
        link.max_clock_error_us = 10_000
        link.join()
        return link, master

    return join


def test_it_asks_some_times_and_holds_no_leases_meanwhile(joined: Callable[..., tuple[Link, Master]]) -> None:
    link, master = joined(0.001)
    skew = link.skew()
    assert skew is not None
    assert (skew.ahead_us, skew.error_us) == (AHEAD_US, 1_000)
    assert [beat.leases for beat in master.beats] == [()] * Skew.LAST


def test_what_cannot_be_told_well_enough_is_refused_in_words(
    joined: Callable[..., tuple[Link, Master]],
) -> None:
    link, _ = joined(0.025)
    with pytest.raises(Refused, match=r"25\.0 ms only.*--max-clock-error"):
        link.skew()
    link.max_clock_error_us = 25_000
    assert link.skew() is not None


def test_a_closed_run_needs_no_clock(joined: Callable[..., tuple[Link, Master]]) -> None:
    link, master = joined(60.0, None)
    assert link.skew() is None
    assert master.beats == []


def test_a_master_that_is_gone_has_no_clock(joined: Callable[..., tuple[Link, Master]]) -> None:
    link, master = joined(0.001)
    master.gone = True
    assert link.skew() is None
    assert link.lost.is_set()
