"""Who said what of a run: options that exclude each other, and those that would be of no effect.

The command line goes before the environment, that before the configuration.  Of options that exclude each
other only those of the first of these are heard; two in one place are a mistake, which is told where they
are read.  On the command line an option without effect is a mistake as well; elsewhere it waits for a run
that it is good for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Self

from loadgen.errors import UsageError

if TYPE_CHECKING:
    import typer

    from loadgen.cli.pace import PaceOrder
    from loadgen.plan import Plan

_SHAPES = ("even", "poisson")
"""Of arrivals; anything else is a file, which has a pace of its own."""
NONE = "none"
"""Of a rate: items come as fast as slots are free, where the scenario has a pace."""


class Source(IntEnum):
    """Where a value comes from; the higher goes first."""

    NOBODY = 0
    CONFIGURATION = 1
    ENVIRONMENT = 2
    COMMAND_LINE = 3


_SOURCES = {
    "COMMANDLINE": Source.COMMAND_LINE,
    "ENVIRONMENT": Source.ENVIRONMENT,
    "DEFAULT_MAP": Source.CONFIGURATION,
}


@dataclass(frozen=True, slots=True)
class Said:
    """Options of a command, by the names of its parameters, and who said them."""

    values: Mapping[str, Any]
    sources: Mapping[str, Source]

    @classmethod
    def of(cls, context: typer.Context, **values: Any) -> Self:
        """Those that a command was called with."""
        sources = {name: getattr(context.get_parameter_source(name), "name", "") for name in values}
        return cls(values, {name: _SOURCES.get(source, Source.NOBODY) for name, source in sources.items()})

    def aloud(self, name: str) -> bool:
        """Whether it stands on the command line."""
        return self.sources.get(name) is Source.COMMAND_LINE

    def heard(self, *, paced: bool) -> Self:
        """Without what gives way; `paced`: the scenario has a pace."""
        shaped = self.values["arrivals"] in _SHAPES
        paces = ["rate", "stages", *(() if shaped else ("arrivals",))]
        first = max(map(self._source, paces))
        given_way = {name for name in paces if self._source(name) < first}
        closed = self.values["rate"] == NONE and "rate" not in given_way
        if first and not closed:
            given_way |= {name for name in ("ramp", "think_time") if self._source(name) < first}
        elif shaped and (closed or not paced) and not self.aloud("arrivals"):
            given_way.add("arrivals")
        return replace(self, values={**self.values, **dict.fromkeys(given_way)})

    def pick(self, *names: str) -> dict[str, Any]:
        """Some of the values."""
        return {name: self.values[name] for name in names}

    def check(self, pace: PaceOrder, plan: Plan) -> None:
        """Raises UsageError for an option of the command line that changes nothing in this run.

        A seed and a chunk size may always be said: so one command line serves runs with and without a pace.
        """
        if self.aloud("max_lag") and not pace.is_open:
            raise UsageError(
                f"--max-lag {self.values['max_lag']}: nothing is due at a time of its own in this run; it "
                "goes with --rate, --stages or --arrivals"
            )
        if self.aloud("mix") and not any(step.weight is not None for step in plan.steps):
            raise UsageError(f"--mix {self.values['mix']}: a mix has two steps or more of those that run")

    @property
    def no_dashboard(self) -> bool:
        """Whether there is to be none.  Raises UsageError where the command line says both."""
        if self.aloud("dashboard") and self.aloud("no_dashboard"):
            raise UsageError("--dashboard and --no-dashboard: say one of them")
        return bool(self.values["no_dashboard"]) and self._source("no_dashboard") >= self._source("dashboard")

    def _source(self, name: str) -> Source:
        """Who said it; what is no value was said by nobody."""
        return Source.NOBODY if self.values[name] is None else self.sources[name]
