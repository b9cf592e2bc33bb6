"""Executions and schedules in a journal: what is read back is what was there."""

import random
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from loadgen.clock import SteppedClock
from loadgen.errors import UsageError
from loadgen.sandbox import SandboxOptions
from loadgen.sandbox.azkaban import execution as executing
from loadgen.sandbox.azkaban import schedules as scheduling
from loadgen.sandbox.azkaban.app import Azkaban
from loadgen.sandbox.azkaban.execution import Order
from loadgen.sandbox.azkaban.executions import Executions, Limits, Refused
from loadgen.sandbox.azkaban.flow_options import parse_options
from loadgen.sandbox.azkaban.flows import Flow, Job, with_embedded
from loadgen.sandbox.azkaban.schedules import Schedules, Terms
from loadgen.sandbox.connections import Threads
from loadgen.sandbox.journal import Journal

LIMITS = Limits(run_ms=100, poll_ms=10, kill_ms=5, flow_threads=3)
START = 1_767_225_600_000
INNER = Flow("inner", (Job("i", "command", commands=("sleep 0.05",)),), embedded=True)
OUTER = Flow("outer", (Job("e", "flow", embeds="inner"), Job("outer", "noop", ("e",))))
FLOWS = {flow.id: flow for flow in (OUTER, INNER, Flow("other", (Job("other", "noop"),)))}
OPTIONS = parse_options(
    {
        "concurrentOption": "pipeline",
        "pipelineLevel": "2",
        "disabled": '["a", {"id": "e", "children": ["i"]}]',
        "failureAction": "cancelImmediately",
        "flowOverride[token]": "t 1",
        "successEmails": "a@b, c@d",
    }
)


class Kept:
    """Executions and schedules over a journal, opened once more each time."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self.executions = Executions(LIMITS, self.journal.record)
        self.schedules = Schedules(self.journal.record)
        appliers = {
            **dict.fromkeys(executing.EVENTS, self.executions.apply),
            **dict.fromkeys(scheduling.EVENTS, self.schedules.apply),
        }
        try:
            self.journal.restore(appliers, self.executions.stand)
        except UsageError:
            self.close()
            raise

    def close(self) -> None:
        self.journal.close()


def an_order(**changes) -> Order:
    return replace(Order(1, "p", 4, OUTER, with_embedded(OUTER, FLOWS), "u", OPTIONS), **changes)


def test_a_flow_takes_along_what_is_embedded_in_it_and_nothing_else():
    assert with_embedded(OUTER, FLOWS) == {"outer": OUTER, "inner": INNER}
    loop = {"a": Flow("a", (Job("x", "flow", embeds="a"), Job("y", "flow", embeds="gone")))}
    assert with_embedded(loop["a"], loop) == loop


def test_executions_come_back_as_they_were(tmp_path):
    path = tmp_path / "state.jsonl"
    with closing(Kept(path)) as kept:
        executions = kept.executions
        for _ in range(6):
            executions.submit(an_order(), START)
        executions.pause(1, START + 20)
        executions.resume(1, START + 50)
        executions.cancel(2, START + 60)
        executions.pause(3, START + 60)
        with pytest.raises(Refused):
            executions.cancel(6, START + 60)
    for _ in range(2):
        with closing(Kept(path)) as again:
            for each in (executions, again.executions):
                each.advance(START + 90)
            assert list(again.executions.newest_first()) == list(executions.newest_first())
            assert again.executions.running() == executions.running()
            assert again.executions.waiting() == executions.waiting() != []
    with closing(Kept(path)) as last:
        assert last.executions.submit(an_order(), START + 100).id == 7


@pytest.mark.parametrize("seed", range(10))
def test_what_a_journal_is_summed_up_to_goes_on_as_it_would_have(tmp_path, seed):
    """One line an execution, however much happened to it; opened anew in between, or not."""
    dice, path, at = random.Random(seed), tmp_path / "state.jsonl", START
    through = Executions(LIMITS)
    for _ in range(6):
        with closing(Kept(path)) as kept:
            for _ in range(12):
                at += dice.randrange(60)
                what, number = dice.choice(["submit", "cancel", "pause", "resume"]), dice.randrange(1, 9)
                for executions in (through, kept.executions):
                    act(executions, what, number, at)
    with closing(Kept(path)) as kept:
        for now in (at, at + 90, at + 9000):
            for executions in (through, kept.executions):
                executions.advance(now)
            assert list(kept.executions.newest_first()) == list(through.newest_first())
            assert kept.executions.waiting() == through.waiting()
            assert kept.executions.running() == through.running()
            assert kept.executions.unfinished_of(1, "outer") == through.unfinished_of(1, "outer")
        count = len(kept.executions.of_flow(1, "outer"))
    assert count > 8
    assert path.read_text().count("\n") == 1 + count


def act(executions: Executions, what: str, number: int, at: int) -> None:
    try:
        if what == "submit":
            executions.submit(an_order(), at)
        elif executions.get(number):
            getattr(executions, what)(number, at)
    except Refused:
        pass


def test_schedules_come_back_as_they_were(tmp_path):
    path = tmp_path / "state.jsonl"
    terms = {name: Terms(1, "p", name, "0 * * ? * *", "u", OPTIONS) for name in "abcd"}
    with closing(Kept(path)) as kept:
        schedules = kept.schedules
        for each in terms.values():
            schedules.schedule(each, START)
        schedules.remove(4)
        for due in schedules.due(START + 60_000):
            schedules.fire(due.id, START + 61_000)
        schedules.schedule(replace(terms["a"], cron="0 0 3 ? * *"), START + 62_000)
        schedules.schedule(replace(terms["c"], cron="0 0 0 1 1 ? 2027", end_ms=START + 5), START)
    for _ in range(2):
        with closing(Kept(path)) as again:
            assert list(again.schedules.all()) == list(schedules.all())
            assert [each.id for each in again.schedules.all()] == [1, 2, 3]
            assert again.schedules.next_due_ms() == schedules.next_due_ms()
    assert path.read_text().count("\n") == 1 + 4, "one line a schedule, and the removed one's"
    with closing(Kept(path)) as last:
        assert last.schedules.schedule(terms["d"], START).id == 5, "no id is given twice"


def test_an_execution_that_nobody_submitted_is_damage(tmp_path):
    path = tmp_path / "state.jsonl"
    with closing(Kept(path)) as kept:
        kept.executions.submit(an_order(), START)
    header, _ = path.read_text().splitlines()
    path.write_text(f'{header}\n{{"type":"Cancelled","id":3,"at_ms":{START}}}\n')
    with pytest.raises(UsageError, match=":2: "), closing(Kept(path)):
        pass


def test_what_cannot_be_recorded_stays_due(tmp_path):
    """A full disk: nothing fires, nothing is lost."""
    state = tmp_path / "state.jsonl"
    clock, journal = SteppedClock(START * 1000), Journal(state)
    with closing(journal):
        target = Azkaban(SandboxOptions(scan_interval_s=60), clock, journal, Threads())
        engine, projects = target._engine, target._engine._projects
        project = projects.create("p", "d", "azkaban", START)
        projects.install(project.id, FLOWS, "azkaban")
        for flow in ("outer", "other"):
            engine.schedules.schedule(Terms(project.id, "p", flow, "0 * * ? * *", "azkaban", OPTIONS), START)
        before = list(engine.schedules.all())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine.schedules, "_record", full_disk)
            clock.step(61)
            target.tick()
            assert list(engine.schedules.all()) == before
        target.tick()
        assert [each.order.flow.id for each in engine.executions.newest_first()] == ["other", "outer"]


def full_disk(_event: object) -> None:
    raise OSError("no space left")
