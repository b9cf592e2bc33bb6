"""What a run is kept to from its start, and what the breaker counts."""

from __future__ import annotations

from typing import Any

import pytest

from loadgen.breaker import parse_breaker
from loadgen.cli.limits import settle_limits
from loadgen.cli.steersman import Steersman
from loadgen.clock import SteppedClock
from loadgen.columns import Harvest
from loadgen.control import Set
from loadgen.errors import UsageError
from loadgen.queues.messages import Batch
from loadgen.record import ItemCounts
from loadgen.sample import Outcome, Result
from loadgen.scenario import Scenario
from loadgen.steering import Change, Limits, Steering
from loadgen.view import QueueView


def test_two_rates_are_refused_whoever_says_them() -> None:
    assert settle_limits(Scenario(), "5/s", 3, paced=False) == Limits(rate=5.0, in_flight=3)
    with pytest.raises(UsageError, match="times of their own"):
        settle_limits(Scenario(), "5/s", None, paced=True)


class Steered:
    """A queue that can only be steered."""

    def __init__(self) -> None:
        self.steering = Steering()

    def steer(self, change: Any) -> list[Change]:
        changes: list[Change] = change(self.steering)
        return changes

    def view(self) -> QueueView:
        return QueueView(ItemCounts(), False, 0, None, None, ())

    def wait(self, seconds: float) -> QueueView:
        return self.view()


class Idle:
    """A master that nobody has stopped."""

    stopped = None


def test_who_sets_a_rate_is_told_what_becomes_of_the_run_s_own() -> None:
    queue: Any = Steered()
    master: Any = Idle()
    shown: list[str] = []
    steersman = Steersman(queue, master, SteppedClock(), None, shown.append, "r1")
    assert steersman.standing().pace == ""
    assert steersman.knowing("40/s", "10s").standing().pace == "its own rate, 40/s"
    answer = steersman.answer(Set(("rate=4/s",)))
    assert answer.pace == "not its own, 40/s: as many items, whatever --duration 10s says"
    assert shown == ["rate from 40/s (its own) to 4/s, by hand"]


def batch(outcome: Outcome, items: range) -> Batch:
    results = tuple(Result(item, 1, outcome, 1, 1, "e") for item in items)
    return Batch(items.stop, 1, 0, Harvest.of(results))


def test_the_breaker_counts_nothing_that_was_never_sent() -> None:
    """Else the worst target never trips it: the slots are all taken, and most items are dropped."""
    queue: Any = Steered()
    master: Any = None
    rule = parse_breaker("50% over 10s")
    steersman = Steersman(queue, master, SteppedClock(), rule, lambda _: None, "r1")
    steersman.record([batch(Outcome.DROPPED, range(100))], 1)
    steersman.record([batch(Outcome.FAILED, range(100, 120))], 2)
    assert queue.steering.paused
