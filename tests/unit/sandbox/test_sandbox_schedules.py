"""Schedules and the scanner that fires them, on a clock that the test steps."""

from dataclasses import replace

import pytest

from loadgen.clock import SteppedClock
from loadgen.sandbox.azkaban.engine import Engine
from loadgen.sandbox.azkaban.executions import Limits
from loadgen.sandbox.azkaban.flow_options import FlowOptions
from loadgen.sandbox.azkaban.flows import Flow, Job
from loadgen.sandbox.azkaban.projects import Projects
from loadgen.sandbox.azkaban.quartz import CronError
from loadgen.sandbox.azkaban.schedules import Schedules, Terms

MIDNIGHT_MS = 1_767_225_600_000
"""2026-01-01."""
EVERY_MINUTE = "0 * * ? * *"
DAILY = "0 0 3 ? * *"


def some_terms(flow: str = "f", cron: str = DAILY, **changes) -> Terms:
    return replace(Terms(1, "p", flow, cron, "u", FlowOptions(concurrent="skip")), **changes)


def test_edge_18_a_flow_has_one_schedule_and_it_keeps_its_id():
    schedules = Schedules()
    first = schedules.schedule(some_terms(), MIDNIGHT_MS)
    other = schedules.schedule(some_terms("g"), MIDNIGHT_MS)
    again = schedules.schedule(some_terms(cron="0 0 4 ? * *"), MIDNIGHT_MS + 1)
    assert (first.id, other.id, again.id) == (1, 2, 1)
    assert again.next_ms == MIDNIGHT_MS + 4 * 3_600_000
    assert len(schedules) == 2
    schedules.remove(1)
    assert schedules.find(1, "f") is None
    assert schedules.schedule(some_terms(), MIDNIGHT_MS).id == 3


@pytest.mark.parametrize("cron", ["* * * * *", "0 0 3 ? * * 2020"])
def test_edge_19_what_cannot_fire_is_refused_and_the_old_one_stays(cron):
    schedules = Schedules()
    old = schedules.schedule(some_terms(), MIDNIGHT_MS)
    with pytest.raises(CronError):
        schedules.schedule(some_terms(cron=cron), MIDNIGHT_MS)
    assert schedules.find(1, "f") == old


def test_the_same_changes_again_give_the_same_schedules(monkeypatch):
    schedules, kept = Schedules(), []
    apply = schedules.apply
    monkeypatch.setattr(schedules, "apply", lambda change: (kept.append(change), apply(change)))
    for name in "abcd":
        schedules.schedule(some_terms(name, EVERY_MINUTE), MIDNIGHT_MS)
    schedules.schedule(some_terms("b"), MIDNIGHT_MS)
    schedules.keep_only(1, {"a", "b", "c"})
    for due in schedules.due(MIDNIGHT_MS + 60_000):
        schedules.fire(due.id, MIDNIGHT_MS + 61_000)
    again = Schedules()
    for change in kept:
        again.apply(change)
    assert list(again.all()) == list(schedules.all())
    assert again.next_due_ms() == schedules.next_due_ms() == MIDNIGHT_MS + 120_000
    assert again.schedule(some_terms("e"), MIDNIGHT_MS).id == 5


class World:
    """One project, an engine, and the seconds since midnight."""

    def __init__(self, scan_ms: int = 60_000, **limits) -> None:
        self.clock = SteppedClock(MIDNIGHT_MS * 1000)
        self.projects = Projects()
        self.project = self.projects.create("p", "d", "u", 0)
        self.install("f", "g")
        self.engine = Engine(self.projects, Limits(**{"run_ms": 1000, **limits}), scan_ms, self.clock)

    def install(self, *names: str) -> None:
        flows = {name: Flow(name, (Job(name, "noop"),)) for name in names}
        self.project = self.projects.install(self.project.id, flows, "u")

    def schedule(self, **changes) -> int:
        terms = some_terms(**{"cron": EVERY_MINUTE, **changes})
        return self.engine.schedules.schedule(terms, self.engine.advance()).id

    def runs(self, flow: str = "f") -> list[float]:
        """When executions of a flow were submitted, seconds since midnight."""
        self.engine.advance()
        executions = self.engine.executions
        found = [executions.get(number) for number in executions.of_flow(self.project.id, flow)]
        return [(each.submit_ms - MIDNIGHT_MS) / 1000 for each in found]


def test_schedules_fire_at_the_scanners_rounds():
    world = World(scan_ms=25_000)
    world.schedule()
    world.clock.step(74)
    assert world.runs() == []
    world.clock.step(1)
    assert world.runs() == [75]
    world.clock.step(225)
    assert world.runs() == [75, 125, 200, 250, 300]


def test_rounds_that_nobody_waited_for_are_made_up_for():
    looked, away = World(), World()
    for world in (looked, away):
        world.schedule()
        world.schedule(flow="g", cron="30 0/2 * ? * *")
    for _ in range(600):
        looked.clock.step(1)
        looked.engine.advance()
    away.clock.step(600)
    assert [away.runs(flow) for flow in "fg"] == [looked.runs(flow) for flow in "fg"]
    assert away.runs("f") == [60 * number for number in range(1, 11)]
    assert away.runs("g") == [60, 180, 300, 420, 540]


def test_what_was_missed_between_two_rounds_fires_once():
    world = World(scan_ms=600_000)
    world.schedule()
    world.clock.step(1200)
    assert world.runs() == [600, 1200]


def test_a_flow_that_still_runs_is_skipped():
    world = World(run_ms=90_000)
    world.schedule()
    world.clock.step(300)
    assert world.runs() == [60, 180, 300]


def test_a_schedule_without_options_of_its_own_runs_beside_what_runs():
    world = World(run_ms=90_000)
    world.schedule(options=FlowOptions())
    world.clock.step(180)
    assert world.runs() == [60, 120, 180]


def test_a_locked_flow_is_not_started_until_it_is_unlocked():
    world = World()
    world.schedule()
    world.projects.lock(1, "f", locked=True)
    world.clock.step(60)
    assert world.runs() == []
    world.projects.lock(1, "f", locked=False)
    world.clock.step(60)
    assert world.runs() == [120]


def test_edge_01_schedules_go_with_their_flow_and_with_their_project():
    world = World()
    world.schedule()
    kept = world.schedule(flow="g")
    world.install("g", "h")
    world.engine.uploaded(world.project)
    assert [schedule.id for schedule in world.engine.schedules.all()] == [kept]
    world.engine.deleted(world.project)
    world.clock.step(120)
    assert len(world.engine.schedules) == 0
    assert world.runs("f") == world.runs("g") == []


def test_a_schedule_ends_when_it_was_told_to():
    world = World()
    world.schedule(end_ms=MIDNIGHT_MS + 130_000)
    world.schedule(flow="g", end_ms=MIDNIGHT_MS - 1)
    world.clock.step(600)
    assert (world.runs("f"), world.runs("g")) == ([60, 120], [])
    assert len(world.engine.schedules) == 0


def test_a_schedule_for_one_time_is_gone_after_it():
    world = World()
    world.schedule(cron="0 2 0 1 1 ? 2026")
    world.clock.step(600)
    assert world.runs() == [120]
    assert len(world.engine.schedules) == 0


def test_edge_25_a_run_has_the_version_of_the_time_when_it_was_submitted():
    world = World(flow_threads=1)
    first = world.engine.submit(world.project, world.project.flows["f"], "u", FlowOptions())
    second = world.engine.submit(world.project, world.project.flows["f"], "u", FlowOptions())
    world.install("other")
    world.clock.step(10)
    world.engine.advance()
    for receipt in (first, second):
        execution = world.engine.executions.get(receipt.id)
        assert (execution.order.version, execution.order.flow.id) == (1, "f")
        assert execution.status(world.engine.advance()) == "SUCCEEDED"
