"""How long a run will take, and how many items it will do, as one item of each step tells.  Pure.

As if the target were as fast with many items at a time as it was with one.  A run with a rate takes as long
as its schedule, one for a time as long as that; a closed one until its slots, as many as its ramp opens,
have got through all items and the thinking after each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadgen.pace.levels import Levels
from loadgen.pace.rates import Rates
from loadgen.plan import Plan, StepPlan
from loadgen.queues.schedule import ANNOUNCED_S

_LEAST_S = 1e-6
"""What an item takes at least: something has to be divided by."""


@dataclass(frozen=True, slots=True)
class Known:
    """A step, and what its first item told."""

    plan: StepPlan
    seconds: float
    """How long it took."""
    lanes: int
    """Items of the step that may be in flight at the same time."""

    @property
    def busy_s(self) -> float:
        """How long a slot has to do with an item, the thinking after it included."""
        think = self.plan.think
        thinks_s = 0.0 if think is None else (think.least_us + think.most_us) / 2_000_000
        return max(self.seconds, _LEAST_S) + thinks_s

    @property
    def work_s(self) -> float:
        """The same for all of its items."""
        return self.plan.items * self.busy_s


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run comes to."""

    seconds: float
    items: Mapping[int, int]
    """By step; those of a step that has no fixed number are an estimate."""


def estimate(
    plan: Plan, known: Sequence[Known], *, slots: int, levels: Levels | None, duration_s: float | None
) -> Estimate:
    """Of a run with so many slots; a step that is not `known` takes no time.

    `levels`: how many of them are open, over time; `duration_s`: of the steps without a number of items.
    """
    by_step = {each.plan.index: each for each in known}
    seconds, items = 0.0, {each.plan.index: max(each.plan.items, 0) for each in known}
    for phase in plan.phases:
        steps = [by_step[step.index] for step in phase if step.index in by_step]
        if any(step.plan.endless for step in steps):
            items |= _within(steps, _opened(levels, slots).arrivals(duration_s or 0.0))
            seconds += duration_s or 0.0
        elif any(step.plan.pace is not None for step in steps):
            seconds += ANNOUNCED_S + max(map(_last_s, steps))
        else:
            seconds += _closed_s(steps, slots, levels)
    return Estimate(seconds, items)


def _within(steps: Sequence[Known], slot_s: float) -> dict[int, int]:
    """How many items of each are done in so many seconds of a slot."""
    weights = {step.plan.index: step.plan.weight or 1.0 for step in steps}
    turns = slot_s / sum(weights[step.plan.index] * step.busy_s for step in steps)
    return {index: round(turns * weight) for index, weight in weights.items()}


def _last_s(step: Known) -> float:
    """When the last item of a step with a pace ends."""
    pace, items = step.plan.pace, step.plan.items
    if pace is None or not items:
        return 0.0
    return pace.offsets_us(items - 1, items)[0] / 1_000_000 + step.seconds


def _closed_s(steps: Sequence[Known], slots: int, levels: Levels | None) -> float:
    """All slots are busy with all of it, and those that a step may have with that step."""
    each_s = [_opened(levels, min(slots, step.lanes)).seconds(step.work_s) for step in steps if step.lanes]
    return max([*each_s, _opened(levels, slots).seconds(sum(step.work_s for step in steps))])


def _opened(levels: Levels | None, slots: int) -> Rates:
    """Open slots over time: what a rate is to arrivals, they are to seconds of a slot."""
    points = levels.points if levels is not None else ((0.0, None),)
    most = float(max(slots, 1))
    return Rates(tuple((at, most if number is None else min(number, most)) for at, number in points))
