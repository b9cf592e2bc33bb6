"""When items start, from words: who is heard, what is a mistake, and what a resume keeps."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from loadgen import Scenario
from loadgen.cli.pace import MAX_LAG, PaceOrder
from loadgen.errors import UsageError
from loadgen.pace.pacing import Even, Poisson, Trace
from loadgen.plan import Plan, StepPlan

NOTHING_SAID = {"rate": None, "stages": None, "arrivals": None, "seed": None, "max_lag": None}


def settled(scenario: Scenario | None = None, **said: Any) -> PaceOrder:
    return PaceOrder.settle(scenario or Scenario(), **{**NOTHING_SAID, **said})


@pytest.fixture
def trace(tmp_path: Path) -> str:
    path = tmp_path / "arrivals.txt"
    path.write_text("0\n0.5\n2\n")
    return str(path)


def plan(*items: int) -> Plan:
    return Plan(tuple(StepPlan(index, f"step{index}", count) for index, count in enumerate(items)))


def paces(order: PaceOrder, *items: int) -> list[Any]:
    return [step.pace for step in order.lay(plan(*items)).steps]


def test_nothing_said_is_a_closed_model() -> None:
    order = settled()
    assert (order.is_open, order.max_lag_us, order.words) == (False, None, "")
    assert paces(order, 5) == [None]


def test_a_rate_is_even_and_allows_a_second() -> None:
    order = settled(rate="50/s")
    assert (order.is_open, order.max_lag_us, order.words) == (True, 1_000_000, "--rate 50/s")
    (pace,) = paces(order, 3)
    assert isinstance(pace, Even)
    assert pace.offsets_us(0, 3) == [0, 20_000, 40_000]


def test_people_come_at_random_with_a_seed_of_their_own_each_step() -> None:
    one, two = paces(settled(rate="50/s", arrivals="poisson", seed=7), 9, 9)
    assert isinstance(one, Poisson)
    assert (one.seed, two.seed) == (7, 8)
    unsaid = settled(stages="0:1/s,1m:9/s", arrivals="poisson").seed
    assert unsaid is not None
    assert settled(rate="1/s").seed is None, "nothing is at random"


def test_a_file_s_times(trace: str) -> None:
    order = settled(arrivals=trace, max_lag="250ms")
    assert order.max_lag_us == 250_000
    (pace,) = paces(order, 3)
    assert isinstance(pace, Trace)
    assert pace.offsets_us(0, 3) == [0, 500_000, 2_000_000]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"rate": "50"}, "--rate: a rate needs its time"),
        ({"rate": "0/s"}, "nothing would ever arrive"),
        ({"rate": "1/s", "stages": "0:1/s"}, "--rate and --stages: say one of them"),
        ({"stages": "1s:1/s"}, "the first stage is at 0"),
        ({"arrivals": "poisson"}, "--arrivals poisson: needs --rate or --stages"),
        ({"arrivals": "even"}, "--arrivals even: needs --rate or --stages"),
        ({"rate": "1/s", "max_lag": "1"}, "--max-lag: expected a duration"),
        ({"rate": "1/s", "max_lag": "0s"}, "allow it 10ms or more"),
        ({"arrivals": "no/such/file"}, "no/such/file: No such file or directory"),
    ],
)
def test_mistakes(said: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settled(**said).lay(plan(1))


def test_a_file_has_times_of_its_own(trace: str) -> None:
    with pytest.raises(UsageError, match="a file has times of its own"):
        settled(rate="1/s", arrivals=trace)


def test_a_mistake_in_the_file_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("1\n0.5\n")
    with pytest.raises(UsageError, match=r"t:2: earlier than the arrival before"):
        settled(arrivals=str(tmp_path / "t")).lay(plan(1))


def test_a_pace_must_bring_all_items(trace: str) -> None:
    with pytest.raises(UsageError, match=r"brings 3 items, step step1 has 4"):
        settled(arrivals=trace).lay(plan(3, 4))
    with pytest.raises(UsageError, match="brings 10 items, step step0 has 11"):
        settled(stages="0:10/s,1s:10/s,1s:0/s").lay(plan(11))


# Who is heard


def test_the_scenario_s_holds_unless_another_is_said(trace: str) -> None:
    mine = Scenario(rate="5/s", arrivals="poisson", max_lag="3s")
    assert settled(mine, seed=1) == PaceOrder("5/s", None, "poisson", "", 1, "3s")
    assert settled(mine, rate="9/s", seed=1) == PaceOrder("9/s", None, "poisson", "", 1, "3s")
    assert settled(mine, stages="0:1/s", arrivals="even").stages == "0:1/s"
    assert settled(mine, stages="0:1/s", arrivals="even").rate is None
    assert settled(mine, max_lag="4s").max_lag == "4s"
    said = settled(mine, arrivals=trace)
    assert (said.rate, said.arrivals) == (None, trace)


def test_a_rate_that_is_said_holds_against_the_scenario_s_file(trace: str) -> None:
    mine = Scenario(arrivals=trace)
    assert settled(mine).arrivals == trace
    assert settled(mine, rate="5/s") == PaceOrder("5/s", None, None, "", None, MAX_LAG)
    assert settled(mine, stages="0:5/s", arrivals="poisson", seed=2).arrivals == "poisson"


# Resume


def test_a_resume_keeps_what_was_said(trace: str) -> None:
    for order in (
        settled(rate="50/s", arrivals="poisson", seed=3, max_lag="2s"),
        settled(arrivals=trace),
    ):
        assert PaceOrder.kept({"pace": asdict(order)}) == order
    assert PaceOrder.kept({"pace": None}) == PaceOrder.kept({}) == PaceOrder()


@pytest.mark.parametrize("change", ["other", "gone"])
def test_a_resume_refuses_a_file_that_has_changed(trace: str, change: str) -> None:
    order = settled(arrivals=trace)
    if change == "gone":
        Path(trace).unlink()
    else:
        Path(trace).write_text("0\n0.5\n3\n")
    with pytest.raises(UsageError, match=r"changed since the run began|No such file"):
        PaceOrder.kept({"pace": asdict(order)})


def test_the_scenario_s_pace_can_be_left_out(trace: str) -> None:
    for mine in ({"rate": "5/s", "arrivals": "poisson"}, {"stages": "0:5/s"}, {"arrivals": trace}):
        assert not settled(Scenario(**mine), rate="none").is_open
    assert settled(Scenario(rate="5/s"), rate="none", stages="0:1/s").words == "--stages 0:1/s"
    with pytest.raises(UsageError, match="--arrivals poisson: needs --rate or --stages"):
        settled(Scenario(rate="5/s"), rate="none", arrivals="poisson")


def test_a_seed_of_nothing_at_random_is_not_kept() -> None:
    assert settled(rate="5/s", seed=3).seed is None
    assert settled(rate="5/s", arrivals="poisson", seed=3).seed == 3


@pytest.mark.parametrize(
    ("mine", "words"),
    [
        ({"rate": "50"}, r"test_pace.py:\d+: rate: a rate needs its time.*\n  50\n    \^"),
        ({"stages": "1s:5/s"}, r"test_pace.py:\d+: stages: the first stage is at 0"),
        ({"max_lag": "1"}, r"test_pace.py:\d+: max_lag: expected a duration"),
        ({"rate": 50}, r"test_pace.py:\d+: rate: expected a text, not 50"),
        ({"arrivals": 7}, r"test_pace.py:\d+: arrivals: expected a text, not 7"),
    ],
)
def test_what_the_scenario_says_wrong_is_told_where_it_stands(mine: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        settled(Scenario(**mine))


def test_a_file_that_is_too_short_has_to_be_longer(trace: str) -> None:
    with pytest.raises(UsageError, match="has 4; record more, or have fewer items"):
        settled(arrivals=trace).lay(plan(4))
    with pytest.raises(UsageError, match="brings 1 item, step step0 has 4; let the last rate go on"):
        settled(stages="0:1/s,1s:1/s,1s:0/s").lay(plan(4))


def test_what_is_not_asked_for_may_be_wrong() -> None:
    """The command line's mistakes are told before those of the scenario, and instead of them."""
    mine = Scenario(rate="1/scenario", max_lag="long")
    assert settled(mine, rate="5/s", max_lag="1s").is_open
    with pytest.raises(UsageError, match="--max-lag: expected a duration"):
        settled(mine, rate="5/s", max_lag="short")
