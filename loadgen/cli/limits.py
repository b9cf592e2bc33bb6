"""What a run is kept to from its start: the command line's word, else the scenario's."""

from __future__ import annotations

from typing import Any

from loadgen.breaker import Rule, parse_breaker
from loadgen.errors import UsageError
from loadgen.scenario import Scenario
from loadgen.steering import Limits, parse_rate, rate_text

NONE = "none"
"""Says that there is to be no limit, where the scenario has one."""


def settle_limits(
    scenario: Scenario, max_rate: str | None, max_in_flight: int | None, *, paced: bool
) -> Limits:
    """The limits.  Raises UsageError, also where two rates are said."""
    theirs = scenario.limits
    rate = theirs.rate
    if max_rate:
        rate = None if max_rate == NONE else parse_rate(max_rate, "--max-rate")
    if paced and rate is not None:
        raise UsageError(
            f"--max-rate {rate_text(rate)}: items of this run start at times of their own "
            "(--rate, --stages, --arrivals): leave one of the two out"
        )
    return Limits(rate=rate, in_flight=max_in_flight or theirs.in_flight)


def settle_breaker(scenario: Scenario, text: str | None) -> Rule | None:
    """The breaker's rule; None: there is no breaker.  Raises UsageError."""
    if not text:
        return scenario.breaker
    return None if text == NONE else parse_breaker(text, "--breaker")


def kept(limits: Limits, breaker: Rule | None) -> dict[str, Any]:
    """The same for the ledger: what a resume goes by."""
    return {
        "max_rate": NONE if limits.rate is None else rate_text(limits.rate),
        "max_in_flight": limits.in_flight,
        "breaker": NONE if breaker is None else breaker.text,
    }
