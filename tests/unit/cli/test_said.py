"""Who is heard, and what is told of an option that would be of no effect."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from loadgen.cli.pace import PaceOrder
from loadgen.cli.said import Said, Source
from loadgen.errors import UsageError
from loadgen.plan import Plan, StepPlan

NAMES = ("chunk", "rate", "stages", "arrivals", "ramp", "think_time", "seed", "max_lag", "mix", "dashboard")
FILE, ENVIRONMENT, LINE = Source.CONFIGURATION, Source.ENVIRONMENT, Source.COMMAND_LINE
ONE = Plan((StepPlan(0, "browse", 1),))


def said(**told: tuple[Any, Source]) -> Said:
    values: dict[str, Any] = dict.fromkeys(NAMES) | {"no_dashboard": False}
    sources = dict.fromkeys(values, Source.NOBODY)
    for name, (value, source) in told.items():
        values[name], sources[name] = value, source
    return Said(values, sources)


def heard(*, paced: bool = False, **told: tuple[Any, Source]) -> dict[str, Any]:
    values = said(**told).heard(paced=paced).values
    return {name: value for name, value in values.items() if value not in (None, False)}


def test_of_what_excludes_each_other_the_first_is_heard() -> None:
    assert heard(rate=("5/s", ENVIRONMENT), stages=("0:1/s", LINE)) == {"stages": "0:1/s"}
    assert heard(rate=("5/s", LINE), arrivals=("times.csv", FILE)) == {"rate": "5/s"}
    assert heard(rate=("5/s", FILE), arrivals=("poisson", LINE)) == {"rate": "5/s", "arrivals": "poisson"}
    assert heard(rate=("5/s", LINE), ramp=("9s", ENVIRONMENT), think_time=("1s", FILE)) == {"rate": "5/s"}
    both = {"rate": "5/s", "ramp": "9s"}
    assert heard(rate=("5/s", FILE), ramp=("9s", FILE)) == both, "it is a mistake, to be told"
    assert heard(rate=("5/s", FILE), ramp=("9s", LINE)) == both


def test_no_rate_leaves_what_is_for_slots() -> None:
    slots = {"ramp": ("9s", ENVIRONMENT), "think_time": ("1s", FILE), "arrivals": ("poisson", FILE)}
    assert heard(paced=True, rate=("none", LINE), **slots) == {
        "rate": "none",
        "ramp": "9s",
        "think_time": "1s",
    }
    assert heard(rate=("none", ENVIRONMENT), stages=("0:1/s", LINE)) == {"stages": "0:1/s"}


def test_arrivals_without_a_pace_wait_for_one() -> None:
    assert heard(arrivals=("poisson", ENVIRONMENT)) == {}
    assert heard(arrivals=("poisson", ENVIRONMENT), paced=True) == {"arrivals": "poisson"}
    assert heard(arrivals=("poisson", LINE)) == {"arrivals": "poisson"}, "to be told that it needs a rate"
    assert heard(arrivals=("times.csv", FILE)) == {"arrivals": "times.csv"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("max_lag", "2s", "--max-lag 2s: nothing is due"),
        ("mix", "browse=1", "--mix browse=1: a mix has two steps or more"),
    ],
)
def test_what_has_no_effect_is_told_of_the_command_line_only(name: str, value: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        said(**{name: (value, LINE)}).check(PaceOrder(), ONE)
    for source in (ENVIRONMENT, FILE):
        said(**{name: (value, source)}).check(PaceOrder(), ONE)


def test_a_seed_and_a_chunk_size_may_always_be_said() -> None:
    for pace in (PaceOrder(), PaceOrder(rate="5/s")):
        said(seed=(5, LINE), chunk=("7", LINE)).check(pace, ONE)


def test_what_has_one_is_fine() -> None:
    said(max_lag=("2s", LINE)).check(PaceOrder(rate="5/s"), ONE)
    mixed = Plan((StepPlan(0, "browse", 1, weight=1), StepPlan(1, "order", 1, weight=2)))
    said(mix=("browse=1,order=2", LINE)).check(PaceOrder(), mixed)


def test_who_wants_a_dashboard_and_who_does_not() -> None:
    assert not said(dashboard=("h:1", LINE), no_dashboard=(True, ENVIRONMENT)).no_dashboard
    assert said(dashboard=("h:1", FILE), no_dashboard=(True, ENVIRONMENT)).no_dashboard
    assert said(no_dashboard=(True, ENVIRONMENT)).no_dashboard
    with pytest.raises(UsageError, match="say one of them"):
        assert said(dashboard=("h:1", LINE), no_dashboard=(True, LINE)).no_dashboard


def test_sources_are_those_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    app, seen = typer.Typer(), []

    @app.command()
    def run(
        context: typer.Context,
        rate: str = typer.Option(None, envvar="SIX_RATE"),
        seed: int = typer.Option(None),
        mix: str = typer.Option(None),
        ramp: str = typer.Option(None),
    ) -> None:
        seen.append(Said.of(context, rate=rate, seed=seed, mix=mix, ramp=ramp).sources)

    monkeypatch.setenv("SIX_RATE", "5/s")
    result = CliRunner().invoke(app, ["--seed", "5"], default_map={"mix": "a=1"})
    assert result.exit_code == 0
    assert seen == [{"rate": ENVIRONMENT, "seed": LINE, "mix": FILE, "ramp": Source.NOBODY}]
