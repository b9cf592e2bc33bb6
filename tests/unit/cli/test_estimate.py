"""How long a run will take: by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loadgen.cli.estimate import Estimate, Known, estimate
from loadgen.pace.levels import parse_ramp
from loadgen.pace.pacing import Even, Trace, parse_rate, parse_stages
from loadgen.pace.thinking import Think
from loadgen.plan import ENDLESS, Plan, StepPlan
from loadgen.queues.schedule import ANNOUNCED_S

THINK = Think(1_000_000, 3_000_000)


def estimated(
    *steps: StepPlan, slots: int = 10, ramp: str = "", lanes: int | None = None, for_s: float | None = None
) -> Estimate:
    """Each item takes half a second."""
    known = [Known(step, 0.5, step.items if lanes is None else lanes) for step in steps]
    levels = parse_ramp(ramp) if ramp else None
    return estimate(Plan(steps), known, slots=slots, levels=levels, duration_s=for_s)


def step(items: int, index: int = 0, **more: Any) -> StepPlan:
    return StepPlan(index, f"step{index}", items, **more)


def test_a_closed_run_takes_until_its_slots_are_through() -> None:
    assert estimated(step(100)).seconds == pytest.approx(5)
    assert estimated(step(100), lanes=2).seconds == pytest.approx(25), "two keys: two at a time"
    assert estimated(step(4)).seconds == pytest.approx(0.5), "more slots than items are of no use"
    assert estimated(step(100), step(60, 1)).seconds == pytest.approx(8)
    assert estimated(step(0)).seconds == 0


def test_who_thinks_keeps_its_slot_from_working() -> None:
    assert estimated(step(100, think=THINK)).seconds == pytest.approx(25)


def test_a_ramp_opens_slots_one_by_one() -> None:
    """50 slot-seconds, of which the first ten seconds bring (1 + 10) / 2 * 10."""
    assert estimated(step(110), ramp="10s").seconds == pytest.approx(10)
    assert estimated(step(130), ramp="10s").seconds == pytest.approx(11)
    assert estimated(step(100), ramp="0:2,1m:2").seconds == pytest.approx(25)


def test_a_run_with_a_rate_takes_as_long_as_its_schedule() -> None:
    even = Even(parse_rate("10/s"))
    assert estimated(step(101, pace=even)).seconds == pytest.approx(ANNOUNCED_S + 10.5)
    rising = Even(parse_stages("0:0/s,10s:20/s"))
    assert estimated(step(101, pace=rising)).seconds == pytest.approx(ANNOUNCED_S + 10.5)
    recorded = Trace((0, 2_000_000, 7_000_000))
    assert estimated(step(3, pace=recorded), step(0, 1, pace=even)).seconds == pytest.approx(
        2 * ANNOUNCED_S + 7.5
    )
    mixed = [step(101, pace=even, weight=1), step(51, 1, pace=even, weight=1)]
    assert estimated(*mixed).seconds == pytest.approx(ANNOUNCED_S + 10.5), "side by side"


def test_a_run_for_a_time_takes_that_and_does_as_much_as_fits() -> None:
    found = estimated(step(ENDLESS), for_s=60)
    assert (found.seconds, found.items) == (60, {0: 1200})
    assert estimated(step(ENDLESS, think=THINK), for_s=60).items == {0: 240}
    assert estimated(step(ENDLESS), ramp="60s", for_s=60).items == {0: 660}
    mixed = [step(ENDLESS, weight=3), step(ENDLESS, 1, weight=1), step(100, 2)]
    found = estimated(*mixed, for_s=60)
    assert found.seconds == pytest.approx(65), "the step beside the mix is done, too"
    assert found.items == {0: 900, 1: 300, 2: 100}


def test_a_mix_takes_as_long_as_its_longest_step() -> None:
    pair = [step(100, weight=1), step(100, 1, weight=1)]
    assert estimated(*pair).seconds == pytest.approx(10)
    keyed = [Known(pair[0], 0.5, 2), Known(pair[1], 0.5, 100)]
    found = estimate(Plan(tuple(pair)), keyed, slots=10, levels=None, duration_s=None)
    assert found.seconds == pytest.approx(25)


def test_a_step_that_failed_at_once_takes_no_time_and_breaks_nothing() -> None:
    plan = Plan((step(100), step(ENDLESS, 1)))
    known = [replace(Known(plan.steps[1], 0.0, 1), seconds=0.0)]
    assert estimate(plan, known, slots=1, levels=None, duration_s=10).seconds == 10
