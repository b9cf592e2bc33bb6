"""Whose thresholds hold, and which of them are about a run that has only some of the steps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from loadgen.cli.gates import Gatekeeper, settle_thresholds
from loadgen.cli.prepare import Prepared, prepare
from loadgen.errors import ScenarioError, ThresholdError
from loadgen.ledger.store import Ledger
from loadgen.loader import load
from loadgen.record import Event, ItemCounts, RunFacts, StepFacts
from loadgen.reports.measured import Measured
from loadgen.thresholds import parse
from loadgen.view import QueueView
from loadgen.warmup import parse as parse_warm_up

SCENARIO = """
from loadgen import Scenario
scenario = Scenario(target="http://127.0.0.1:9", thresholds={thresholds})
@scenario.step(items=1)
def put(http, item, options): ...
@scenario.step(items=1)
def get(http, item, options): ...
"""
MINE = ["put.p95<1s", "get.p95<1s", "calls.x.p95<1s", "failed<1%"]


def prepared(folder: Path, thresholds: object, *steps: str) -> Prepared:
    path = folder / "gated.py"
    path.write_text(SCENARIO.format(thresholds=repr(thresholds)))
    loaded = load(path)
    return prepare(loaded, loaded.scenario.options(), None, steps=steps)


def test_the_scenario_s_hold_unless_others_are_said(tmp_path: Path) -> None:
    run = prepared(tmp_path, MINE)
    assert [each.text for each in settle_thresholds(None, run)] == MINE
    assert [each.text for each in settle_thresholds(["get.max<1s"], run)] == ["get.max<1s"]


def test_a_step_that_is_left_out_takes_the_scenario_s_along_but_not_those_that_were_said(
    tmp_path: Path,
) -> None:
    run = prepared(tmp_path, MINE, "get")
    assert [each.text for each in settle_thresholds((), run)] == MINE[1:]
    with pytest.raises(ThresholdError, match="--threshold: no step put"):
        settle_thresholds(["put.p95<1s"], run)


def test_mistakes_in_the_scenario_have_a_place(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match=r"gated\.py:3: no step putt"):
        settle_thresholds(None, prepared(tmp_path, ["putt.p95<1s"]))
    with pytest.raises(ScenarioError, match=r"gated\.py:3: p95 is a time(.*\n)+  p95<1\n       \^$"):
        prepared(tmp_path, ["p95<1"])
    with pytest.raises(ScenarioError, match=r"gated\.py:3: thresholds='p95<1s' is no list"):
        prepared(tmp_path, "p95<1s")


def test_a_pause_makes_a_warm_up_by_time_end_later() -> None:
    """Else it would be over before the target was asked anything."""
    noted: list[Event] = []
    gates = Gatekeeper.__new__(Gatekeeper)
    gates._measured, gates._held_us, gates._note = Measured(parse_warm_up("10s")), None, noted.append

    def look(second: int, paused: str = "") -> None:
        view = QueueView(ItemCounts(), False, 0, None, None, (), begun_us=5_000_000, paused=paused)
        gates._time_warm_up(view, second * 1_000_000)

    look(6)
    look(8, "by hand")
    look(60, "by hand")
    look(68)
    look(80, "by hand")
    look(90)
    assert [event.at_us for event in noted] == [15_000_000, 75_000_000], "it was over when the second began"
    assert Measured.of("10s", [StepFacts(0, "put", 1, "verify")], noted).until_us == 75_000_000


def test_who_goes_on_before_the_gates_look_again_is_not_paused_for_the_same(tmp_path: Path) -> None:
    order = SimpleNamespace(
        thresholds=(parse("failed<20 pause"),), fail_fast=False, warm_up=parse_warm_up("0s"), dashboard=None
    )
    paused: list[str] = []
    steps = [StepFacts(0, "put", 500, "verify")]
    words = dict.fromkeys(("id", "scenario", "title", "path", "digest", "target"), "x")
    ledger = Ledger(tmp_path, started_us=0)
    ledger.begin(RunFacts(**words, options={}, settings={}, versions={}), steps)
    ledger.close()
    gates = Gatekeeper(
        order,  # type: ignore[arg-type]
        steps,
        tmp_path,
        lambda _event: None,
        lambda _reason: None,
        lambda _by, why: paused.append(why),
    )

    def look(second: int, failed: int) -> None:
        counts = ItemCounts(planned=500, failed=failed)
        gates.look(0, QueueView(counts, False, 0, None, None, ()), second * 1_000_000)

    look(1, 19)
    look(2, 25)
    assert len(paused) == 1
    look(3, 25)
    look(4, 44)
    assert len(paused) == 1, "somebody let it go on meanwhile: it has begun anew"
    look(5, 46)
    assert len(paused) == 2
