"""How long a run goes on and how its steps are mixed: from words to a plan."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from loadgen.cli.course import CourseOrder, cautions
from loadgen.cli.pace import PaceOrder
from loadgen.cli.prepare import Prepared, prepare
from loadgen.errors import ScenarioError, UsageError
from loadgen.loader import load
from loadgen.pace.thinking import Think
from loadgen.plan import ENDLESS

SHOP = '''"""Browse and order."""

from loadgen import Scenario

scenario = Scenario(target="http://127.0.0.1:1", {more})


@scenario.step(items=1)
def before(item, options):
    pass


@scenario.step(items=["a", "b", "c"], key=lambda item, options: item)
def browse(item, options):
    pass


@scenario.step(items=7, key=lambda item, options: item % 5, think_time="2s")
def order(item, options):
    pass


@scenario.step(items=[])
def nothing(item, options):
    pass
'''
MIX = 'mix={"browse": 3, "order": 1}'


class Shop:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.py"

    def prepare(self, more: str = "", *, steps: tuple[str, ...] = (), **said: Any) -> Prepared:
        self.path.write_text(SHOP.replace("{more}", more))
        loaded = load(self.path)
        pace = PaceOrder.settle(
            loaded.scenario,
            rate=said.pop("rate", None),
            stages=None,
            arrivals=said.pop("arrivals", None),
            seed=None,
            max_lag=None,
        )
        words: dict[str, Any] = dict.fromkeys(("duration", "ramp", "think_time", "mix", "seed"))
        course = CourseOrder.settle(loaded.scenario, pace, **(words | said))
        return prepare(loaded, loaded.scenario.options(), None, steps=steps, pace=pace, course=course)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_mix_is_a_phase_where_its_first_step_stands(shop: Shop) -> None:
    plan = shop.prepare(MIX).work.plan
    assert [[step.name for step in phase] for phase in plan.phases] == [
        ["before"],
        ["browse", "order"],
        ["nothing"],
    ]
    assert [step.weight for step in plan.steps] == [None, 3, 1, None]
    assert plan.items == 11


def test_with_a_time_the_mixed_steps_have_no_number(shop: Shop) -> None:
    work = shop.prepare(MIX, duration="10m").work
    assert [step.items for step in work.plan.steps] == [1, ENDLESS, ENDLESS, 0]
    assert work.plan.items is None
    browse, order = work.key_of[1], work.key_of[2]
    assert browse
    assert order
    assert [browse(item) for item in range(5)] == ["a", "b", "c", "a", "b"]
    assert order(1234) == 4


def test_the_command_line_goes_first_and_is_kept(shop: Shop) -> None:
    more = f'{MIX}, duration="1m", ramp="5s", think_time="1s"'
    course = shop.prepare(more, duration="2m", mix="browse=1,order=2").course
    assert (course.duration, course.ramp, course.mix) == ("2m", "5s", {"browse": 1, "order": 2})
    kept = CourseOrder.kept({"course": {"duration": "2m", "mix": {"browse": 1}, "seed": 7}})
    assert (kept.duration_us, kept.mix, kept.seed) == (120_000_000, {"browse": 1}, 7)


def test_think_times(shop: Shop) -> None:
    """Of the command line, else of the step, else of the scenario; drawn from a seed that is told."""
    said = shop.prepare('think_time="1s-2s"')
    assert [step.think for step in said.work.plan.steps[:3]] == [
        Think(1_000_000, 2_000_000),
        Think(1_000_000, 2_000_000),
        Think(2_000_000, 2_000_000),
    ]
    assert said.course.seed is not None
    none = shop.prepare('think_time="1s"', think_time="0s")
    assert {step.think for step in none.work.plan.steps} == {None}
    assert none.course.seed is None


def test_one_step_alone_may_go_on_for_a_time(shop: Shop) -> None:
    plan = shop.prepare(MIX, steps=("order",), duration="1m").work.plan
    assert [(step.name, step.items, step.weight) for step in plan.steps] == [("order", ENDLESS, None)]


def test_a_rate_for_a_time_is_a_number_of_items(shop: Shop) -> None:
    """Each mixed step has its share of the rate; rows and keys go round."""
    prepared = shop.prepare(MIX, steps=("browse", "order"), rate="40/s", duration="10s", think_time="0s")
    assert [step.items for step in prepared.work.plan.steps] == [300, 100]
    keys = prepared.work.keys[0]
    assert keys
    assert (len(keys), keys[:4]) == (300, ["a", "b", "c", "a"])
    assert prepared.work.plan.items == 400


def test_when_one_step_has_no_more_the_others_keep_the_rate(shop: Shop) -> None:
    """3 items of browse and 7 of order at 4/s: browse ends after 1 s."""
    plan = shop.prepare(MIX, steps=("browse", "order"), rate="4/s", think_time="0s").work.plan
    offsets = sorted(us for step in plan.steps for us in step.pace.offsets_us(0, step.items))
    assert len(offsets) == 10
    assert offsets[-1] == 2_250_000
    assert {later - earlier for earlier, later in pairwise(offsets[5:])} == {250_000}


def test_slots_of_a_ramp(shop: Shop) -> None:
    """Nobody tries out how many pay where the ramp says how many there are, or slots mostly think."""
    steps = shop.prepare(think_time="0s").work.plan.steps
    assert CourseOrder().width(steps, 16, 64, 2) == (16, 64)
    assert CourseOrder(ramp="30s").width(steps, 16, 64, 2) == (16, 16)
    assert CourseOrder(ramp="0:1,30s:101").width(steps, 16, 64, 2) == (51, 51)
    assert CourseOrder(ramp="0:1,30s:101").width(steps, 8, 8, 2) == (8, 8), "it was said"
    thinking = shop.prepare(think_time="1s").work.plan.steps
    assert CourseOrder().width(thinking, 16, 64, 2) == (16, 16)


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ({"mix": "browse=1,buy=2"}, ["no step buy", "before or browse or order or nothing"]),
        ({"mix": "browse=1,order=0"}, ["above 0"]),
        ({"duration": "ten"}, ["--duration", "expected a duration"]),
        ({"duration": "0s"}, ["nothing would ever be done"]),
        ({"duration": "5s"}, ["--step", "--mix before=1,browse=1,order=1,nothing=1"]),
        ({"duration": "5s", "steps": ("nothing",)}, ["nothing has no rows"]),
        ({"rate": "5/s"}, ["--rate 5/s", "nobody thinks", "--think-time 0s"]),
        ({"rate": "5/s", "ramp": "10s", "think_time": "0s"}, ["--stages", "--ramp 10s"]),
        ({"ramp": "0:x"}, ["whole number"]),
        ({"ramp": "0:4,10s:0"}, ["needs a --duration"]),
        ({"think_time": "2s-1s"}, ["shorter"]),
    ],
)
def test_mistakes(shop: Shop, said: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        shop.prepare(**said)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_recorded_times_cannot_be_shared(shop: Shop, tmp_path: Path) -> None:
    times = tmp_path / "times"
    times.write_text("0\n1\n")
    with pytest.raises(UsageError, match="cannot be shared by a mix"):
        shop.prepare(MIX, arrivals=str(times), think_time="0s")


@pytest.mark.parametrize("mix", ['"browse"', '{"browse": 0}', '{"browse": "3"}', '{"browse": float("inf")}'])
def test_a_mix_that_is_none(shop: Shop, mix: str) -> None:
    with pytest.raises(ScenarioError, match=r"shop.py:5: mix"):
        shop.prepare(f"mix={mix}")


def test_a_ramp_of_no_time_leaves_the_scenario_s_out(shop: Shop) -> None:
    prepared = shop.prepare('ramp="10s"', ramp="0s", rate="5/s", think_time="0s")
    assert prepared.course.ramp is None
    with pytest.raises(UsageError, match="--ramp 0s leaves the scenario's out"):
        shop.prepare('ramp="10s"', rate="5/s", think_time="0s")


def test_a_seed_of_nothing_at_random_is_not_kept(shop: Shop) -> None:
    assert shop.prepare(seed=3).course.seed is None
    assert shop.prepare(seed=3, think_time="1s-2s").course.seed == 3


def test_a_ramp_that_is_not_what_it_looks_like_is_told(shop: Shop) -> None:
    """The steps have 1, 3 and 7 items."""

    def told(ramp: str | None, slots: int, *, settled: bool = False, **said: Any) -> list[str]:
        prepared = shop.prepare(steps=("order",), ramp=ramp, think_time="0s", **said)
        return list(cautions(prepared.course, prepared.work.plan, slots, settled=settled))

    assert told("0:1,9s:64", 64) == [
        "--ramp 0:1,9s:64: opens 64 slots, most of them for nothing: order has 7 items"
    ]
    assert told("9s", 15) == ["--ramp 9s: opens 15 slots, most of them for nothing: order has 7 items"]
    assert told("0:1,9s:14", 64) == told("9s", 14) == told(None, 999) == []
    assert told("0:1,9s:64", 64, duration="1m") == []
    assert told("0:1,9s:64", 8, settled=True) == [
        "--ramp 0:1,9s:64: there are 8 slots here; only workers that join bring 64"
    ]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('duration="ten"', r"shop.py:5: duration: expected a duration"),
        ('ramp="9s:1"', r"shop.py:5: ramp: the first point is at 0"),
        ('think_time="2s-1s"', r"shop.py:5: think_time: the longest is shorter"),
        ("ramp=9", r"shop.py:5: ramp: expected a text, not 9"),
    ],
)
def test_what_the_scenario_says_wrong_is_told_where_it_stands(shop: Shop, more: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        shop.prepare(more)
