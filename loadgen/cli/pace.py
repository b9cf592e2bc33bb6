"""When items are meant to start, as the command line, the configuration and the scenario say it."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias

from loadgen.cli.declare import option
from loadgen.cli.said import NONE
from loadgen.cli.spelled import check_words
from loadgen.errors import UsageError
from loadgen.pace.mixing import parts
from loadgen.pace.pacing import Even, Pace, Poisson, parse_duration, parse_rate, parse_stages, parse_trace
from loadgen.plan import Plan
from loadgen.reports.words import count
from loadgen.scenario import Scenario

PANEL = "When items start"
EVEN, POISSON = "even", "poisson"
MAX_LAG = "1s"

Rate: TypeAlias = Annotated[
    str | None,
    option(
        "rate",
        "So many items a second, however long they take.  [default: none, as fast as slots are free]",
        PANEL,
        metavar="N/s",
    ),
]
Stages: TypeAlias = Annotated[
    str | None,
    option(
        "stages",
        "A rate that changes, like 0:50/s,2m:200/s,10m:200/s: from point to point in a straight line.",
        PANEL,
        metavar="T:RATE,...",
    ),
]
Arrivals: TypeAlias = Annotated[
    str | None,
    option(
        "arrivals",
        "Evenly, at random as people come, or at the times of a file, a line each.  [default: even]",
        PANEL,
        metavar="even|poisson|FILE",
    ),
]
Seed: TypeAlias = Annotated[
    int | None,
    option(
        "seed",
        "Of what is at random: the same again.  [default: another each time; it is in the report]",
        PANEL,
        metavar="N",
        min=0,
    ),
]
MaxLag: TypeAlias = Annotated[
    str | None,
    option(
        "max-lag",
        f"An item that is due waits so long for a slot, then it is dropped.  [default: {MAX_LAG}]",
        PANEL,
        metavar="TIME",
    ),
]


@dataclass(frozen=True, slots=True)
class PaceOrder:
    """What was said; all None: as fast as slots are free (closed model)."""

    rate: str | None = None
    stages: str | None = None
    arrivals: str | None = None
    """`even`, `poisson`, or a file's path."""
    digest: str = ""
    """SHA-256 of that file."""
    seed: int | None = None
    max_lag: str = MAX_LAG

    @classmethod
    def settle(
        cls,
        scenario: Scenario,
        *,
        rate: str | None,
        stages: str | None,
        arrivals: str | None,
        seed: int | None,
        max_lag: str | None,
    ) -> Self:
        """What was said, else what the scenario says.  Raises UsageError."""
        check_words(scenario, arrivals=arrivals)
        closed = rate == NONE
        theirs = None if closed else scenario.arrivals
        rate = None if closed else rate
        if rate or stages:
            theirs = None if _is_file(theirs) else theirs  # a rate was said instead of the scenario's times
        elif not closed and not _is_file(arrivals):
            check_words(scenario, rate=rate, stages=stages)
            rate, stages = scenario.rate, scenario.stages
        arrivals = arrivals or (theirs if rate or stages or _is_file(theirs) else None)
        if rate and stages:
            raise UsageError("--rate and --stages: say one of them")
        if _is_file(arrivals) and (rate or stages):
            raise UsageError(
                f"--arrivals {arrivals}: a file has times of its own; leave --rate and --stages out"
            )
        if arrivals and not (rate or stages or _is_file(arrivals)):
            raise UsageError(f"--arrivals {arrivals}: needs --rate or --stages")
        check_words(scenario, max_lag=max_lag)
        lag = max_lag or scenario.max_lag or MAX_LAG
        if not parse_duration(lag, "--max-lag"):
            raise UsageError(
                "--max-lag: nothing starts at its time to the microsecond; allow it 10ms or more"
            )
        if arrivals != POISSON:
            seed = None  # nothing is at random
        elif seed is None:
            seed = secrets.randbelow(2**31)
        path = Path(arrivals).resolve() if arrivals and _is_file(arrivals) else None
        digest = "" if path is None else hashlib.sha256(_read(path)).hexdigest()
        return cls(rate, stages, str(path) if path else arrivals, digest, seed, lag)

    @classmethod
    def kept(cls, settings: Mapping[str, Any]) -> Self:
        """What a run that is resumed was told.  Raises UsageError when its file is another one now."""
        said = settings.get("pace")
        order = cls(**said) if said else cls()
        if order.digest and hashlib.sha256(_read(Path(order.arrivals or ""))).hexdigest() != order.digest:
            raise UsageError(f"{order.arrivals}: changed since the run began")
        return order

    @property
    def is_open(self) -> bool:
        """Whether items have times of their own."""
        return bool(self.rate or self.stages or self.arrivals)

    @property
    def brief(self) -> str:
        """For people: the rate or the file; empty in a closed model."""
        return self.rate or self.stages or self.arrivals or ""

    @property
    def steady_rate(self) -> float | None:
        """Items a second, where it is the same all the time; else None."""
        return parse_rate(self.rate, "--rate").points[0][1] if self.rate else None

    @property
    def max_lag_us(self) -> int | None:
        """How long an item waits for a slot; None: in a closed model, for ever."""
        return round(parse_duration(self.max_lag, "--max-lag") * 1_000_000) if self.is_open else None

    def lay(self, plan: Plan, duration_us: int | None = None) -> Plan:
        """The plan, with this pace for each step; those that go on for a time have a number of items then.

        Raises UsageError.
        """
        if not self.is_open:
            return plan
        steps = []
        weights = {step.index: step.weight for step in plan.steps if step.weight is not None}
        items = {step.index: math.inf if step.endless else step.items for step in plan.steps}
        shares = parts(weights, items)
        for step in plan.steps:
            pace = self._pace(step.index, shares.get(step.index))
            if step.endless and duration_us is not None:
                steps.append(replace(step, items=pace.due(duration_us - 1), pace=pace))
                continue
            if pace.total < step.items:
                more = "record more" if _is_file(self.arrivals) else "let the last rate go on"
                brought = f"brings {count(round(pace.total), 'item')}, step {step.name} has {step.items}"
                raise UsageError(f"{self.words}: {brought}; {more}, or have fewer items")
            steps.append(replace(step, pace=pace))
        return Plan(tuple(steps))

    @property
    def words(self) -> str:
        """For people, as it would be said on the command line."""
        said = [("--rate", self.rate), ("--stages", self.stages), ("--arrivals", self.arrivals)]
        return " ".join(f"{name} {value}" for name, value in said if value)

    def _pace(self, step: int, shares: Sequence[tuple[float, float]] | None) -> Pace:
        """That of a step; `shares`: of the rate, where several steps have it together: see `mixing.parts`."""
        if self.arrivals and _is_file(self.arrivals) and shares is not None:
            raise UsageError(f"--arrivals {self.arrivals}: recorded times cannot be shared by a mix of steps")
        if self.arrivals and _is_file(self.arrivals):
            return parse_trace(
                _read(Path(self.arrivals)).decode(errors="replace").splitlines(), self.arrivals
            )
        rates = parse_rate(self.rate, "--rate") if self.rate else parse_stages(self.stages or "", "--stages")
        if shares:
            rates = rates.shared(shares)
        if self.arrivals == POISSON:
            return Poisson(rates, (self.seed or 0) + step)
        return Even(rates)


def _is_file(arrivals: str | None) -> bool:
    return arrivals is not None and arrivals not in (EVEN, POISSON)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"--arrivals {path}: {error.strerror or error}") from error
