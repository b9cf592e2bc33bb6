"""What a scenario says of times and rates: a mistake is told with the place where it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from loadgen.errors import ScenarioError
from loadgen.pace.levels import parse_ramp
from loadgen.pace.rates import parse_duration, parse_rate, parse_stages
from loadgen.pace.thinking import parse_think
from loadgen.scenario import Scenario, where

READERS: Mapping[str, Callable[[str, str], object]] = MappingProxyType(
    {
        "rate": parse_rate,
        "stages": parse_stages,
        "arrivals": lambda _text, _place: None,  # read with the file
        "max_lag": parse_duration,
        "duration": parse_duration,
        "ramp": parse_ramp,
        "think_time": parse_think,
    }
)


def check_words(scenario: Scenario, **said: str | None) -> None:
    """Look at what is not `said` elsewhere, by the names of what is.

    Raises UsageError (ScenarioError), with the place and, in a text, a caret.
    """
    for name in (name for name, text in said.items() if not text):
        _read(READERS[name], getattr(scenario, name), f"{scenario.location}: {name}")
        for step in scenario.steps if name == "think_time" else ():
            _read(parse_think, step.think_time, f"{where(step.function)}: think_time of {step.name}")


def _read(read: Callable[[str, str], object], text: object, place: str) -> None:
    if text is None:
        return
    if not isinstance(text, str):
        raise ScenarioError(f"{place}: expected a text, not {text!r}")
    read(text, place)
