"""How long a run goes on, how many items are in flight and how its steps are mixed, as users say it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self, TypeAlias

from loadgen.cli import words
from loadgen.cli.declare import option
from loadgen.cli.pace import PaceOrder
from loadgen.cli.spelled import check_words
from loadgen.errors import UsageError, pointed
from loadgen.loader import Loaded
from loadgen.pace.levels import Levels, parse_ramp
from loadgen.pace.mixing import parse_mix
from loadgen.pace.pacing import parse_duration
from loadgen.pace.thinking import Think, parse_think
from loadgen.plan import ENDLESS, Plan, StepPlan
from loadgen.reports.words import count
from loadgen.scenario import Scenario, Step
from loadgen.warmup import WarmUp

FAR_MORE = 2
"""So many times more slots than items are told."""

Duration: TypeAlias = Annotated[
    str | None,
    option(
        "duration",
        "Go on for so long, like 10m, however many items that is; rows come again and again.",
        words.AT_A_TIME,
        metavar="TIME",
    ),
]
Ramp: TypeAlias = Annotated[
    str | None,
    option(
        "ramp",
        "From one item in flight to all slots in so long, like 30s; or points, like 0:1,30s:64,5m:64.",
        words.AT_A_TIME,
        metavar="TIME|T:N,...",
    ),
]
ThinkTime: TypeAlias = Annotated[
    str | None,
    option(
        "think-time",
        "A slot waits so long after each item, like 1s, or at random within 0.5s-2s.",
        words.AT_A_TIME,
        metavar="TIME[-TIME]",
    ),
]
Mix: TypeAlias = Annotated[
    str | None,
    option(
        "mix",
        "These steps run side by side, so many items of one to so many of the other.",
        words.AT_A_TIME,
        metavar="STEP=WEIGHT,...",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseOrder:
    """What was said; all None: each step by itself, once through its items, with all slots."""

    duration: str | None = None
    ramp: str | None = None
    think_time: str | None = None
    """That of the command line: it holds for all steps."""
    mix: Mapping[str, float] | None = None
    seed: int | None = None
    """Of think times that are at random."""

    @classmethod
    def settle(
        cls,
        scenario: Scenario,
        pace: PaceOrder,
        *,
        duration: str | None,
        ramp: str | None,
        think_time: str | None,
        mix: str | None,
        seed: int | None,
    ) -> Self:
        """What was said, else what the scenario says.  Raises UsageError."""
        check_words(scenario, duration=duration, ramp=ramp, think_time=think_time)
        duration, ramp = duration or scenario.duration, ramp or scenario.ramp
        weights = parse_mix(mix) if mix else scenario.mix
        _check_names(scenario, weights or {}, mix)
        if duration is not None and not parse_duration(duration, "--duration"):
            raise UsageError(f"--duration {duration}: nothing would ever be done")
        thinks = [each for step in scenario.steps if (each := _think_of(think_time, scenario, step))]
        if pace.is_open and thinks:
            raise UsageError(
                f"{pace.words}: items start at times of their own, so nobody thinks between them; "
                "--think-time 0s leaves the scenario's out"
            )
        levels = parse_ramp(ramp, "--ramp") if ramp else None
        if levels is not None and levels.all_at_once:
            ramp = levels = None
        if pace.is_open and ramp:
            raise UsageError(
                f"{pace.words}: a rate that rises is --stages; --ramp {ramp} is for slots, and "
                "--ramp 0s leaves the scenario's out"
            )
        if levels is not None and levels.ends_at_none and not duration:
            raise UsageError(f"--ramp {ramp}: in the end nothing is in flight, so the run needs a --duration")
        if not any(think.least_us < think.most_us for think in thinks):
            seed = None  # nothing is at random
        elif seed is None:
            seed = secrets.randbelow(2**31)
        return cls(duration=duration, ramp=ramp, think_time=think_time, mix=weights, seed=seed)

    @classmethod
    def kept(cls, settings: Mapping[str, Any]) -> Self:
        """What a run that is resumed was told."""
        return cls(**(settings.get("course") or {}))

    def check_warm_up(self, warm_up: WarmUp) -> None:
        """Raises UsageError where nothing would be measured."""
        if self.duration_us is not None and warm_up.us >= self.duration_us:
            raise UsageError(
                f"--warm-up {warm_up.text}: the run ends after {self.duration}, nothing would be measured"
            )

    @property
    def duration_us(self) -> int | None:
        """How long to go on; None: until all items are settled."""
        return None if self.duration is None else round(parse_duration(self.duration, "--duration") * 1e6)

    @property
    def levels(self) -> Levels | None:
        """How many items may be in flight, over time; None: as many as there are slots."""
        return None if self.ramp is None else parse_ramp(self.ramp, "--ramp")

    def lay(self, plan: Plan, loaded: Loaded) -> Plan:
        """The plan, with what this says of each step.  Raises UsageError."""
        scenario = loaded.scenario
        mixed = [step.name for step in plan.steps if step.name in (self.mix or {})]
        timed = mixed or [step.name for step in plan.steps]
        if self.duration and len(timed) > 1 and not mixed:
            raise UsageError(
                f"--duration {self.duration}: there are the steps {', '.join(timed)}; choose one with "
                f"--step, or mix them: --mix {','.join(f'{name}=1' for name in timed)}"
            )
        return Plan(
            tuple(
                replace(
                    step,
                    items=ENDLESS if self.duration and step.name in timed else step.items,
                    weight=self.mix[step.name] if self.mix and mixed[1:] and step.name in mixed else None,
                    think=_think_of(self.think_time, scenario, loaded.step(step.name)),
                )
                for step in plan.steps
            )
        )

    def width(self, steps: Sequence[StepPlan], width: int, widest: int, processes: int) -> tuple[int, int]:
        """Items in flight a process to begin with, and at most; the same where nobody is to find out.

        With think times more slots always bring more, and a ramp says itself how many there are to be.
        """
        levels = self.levels
        if width == widest or (levels is None and not any(step.think for step in steps)):
            return width, widest
        if levels is not None and levels.most is not None:
            width = max(width, -(-levels.most // max(processes, 1)))
        return width, width


def cautions(course: CourseOrder, plan: Plan, slots: int, *, settled: bool) -> Iterator[str]:
    """What of a ramp will not be as it looks, in a line each.

    `slots`: of this machine's workers; `settled`: the user has said how many these are.
    """
    levels = course.levels
    if levels is None:
        return
    most = levels.most or slots
    if settled and slots < most:
        yield f"--ramp {course.ramp}: there are {slots} slots here; only workers that join bring {most}"
    opened, phases = min(most, slots), plan.phases
    if any(step.endless for phase in phases for step in phase):
        return
    items, longest = max(
        ((sum(step.items for step in phase), phase) for phase in phases), key=lambda each: each[0]
    )
    if 0 < FAR_MORE * items < opened:  # where one phase needs the slots, the others may be short
        names = " and ".join(step.name for step in longest)
        yield (
            f"--ramp {course.ramp}: opens {opened} slots, most of them for nothing: "
            f"{names} has {count(items, 'item')}"
        )


def _check_names(scenario: Scenario, mix: Mapping[str, float], said: str | None) -> None:
    names = [step.name for step in scenario.steps]
    for name in mix:
        if name not in names:
            message = f"no step {name}; expected {' or '.join(names)}"
            if said is None:
                raise UsageError(f"{scenario.location}: mix: {message}")
            raise UsageError(pointed(f"--mix: {message}", said, said.index(name)))


def _think_of(said: str | None, scenario: Scenario, step: Step[..., Any]) -> Think | None:
    """A step's think time; None: it has none."""
    text = said or step.think_time or scenario.think_time
    think = parse_think(text, "--think-time" if said else f"think_time of {step.name}") if text else None
    return think if think and think.most_us else None
