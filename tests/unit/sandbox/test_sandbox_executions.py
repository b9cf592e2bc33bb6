"""Executions on a clock that the test steps, without HTTP; and the course of a run."""

import random
from dataclasses import replace

import pytest

from loadgen.sandbox.azkaban.execution import Order
from loadgen.sandbox.azkaban.execution_json import flow_update, whole_flow
from loadgen.sandbox.azkaban.executions import Executions, Limits, Refused
from loadgen.sandbox.azkaban.flow_options import FlowOptions
from loadgen.sandbox.azkaban.flows import Flow, Job
from loadgen.sandbox.azkaban.profile import PROFILES
from loadgen.sandbox.azkaban.timeline import FailureAction

LIMITS = Limits(run_ms=100, poll_ms=10, kill_ms=5, flow_threads=2)
START = 1_000_000


def a_flow(*jobs: Job | str, name: str = "f") -> Flow:
    return Flow(name, tuple(Job(job, "noop") if isinstance(job, str) else job for job in jobs or (name,)))


def an_order(flow: Flow | None = None, *others: Flow, project_id: int = 1, **options) -> Order:
    flow = flow or a_flow()
    flows = {each.id: each for each in (flow, *others)}
    return Order(project_id, "p", 1, flow, flows, "u", FlowOptions(**options))


def command(name: str, text: str, *after: str) -> Job:
    return Job(name, "command", after, commands=(text,))


class Bench:
    """Executions, and the time since the start of the test."""

    def __init__(self, limits: Limits = LIMITS, profile: str = "4.0") -> None:
        self.executions = Executions(limits, profile=PROFILES[profile])

    def submit(self, at: int, *flows: Flow, **options) -> int:
        return self.executions.submit(an_order(*flows, **options), START + at).id

    def do(self, what: str, number: int, at: int) -> None:
        getattr(self.executions, what)(number, START + at)

    def status(self, number: int, at: int) -> str:
        self.executions.advance(START + at)
        return str(self.executions.get(number).status(START + at))

    def nodes(self, number: int, at: int) -> dict[str, str]:
        self.executions.advance(START + at)
        told = whole_flow(self.executions.get(number), START + at)
        return {node["id"]: str(node["status"]) for node in told["nodes"]}


@pytest.fixture
def bench():
    return Bench()


def test_edge_25_an_execution_prepares_runs_and_ends_in_its_time(bench):
    number = bench.submit(0)
    times = {
        0: "PREPARING",
        9: "PREPARING",
        10: "RUNNING",
        109: "RUNNING",
        110: "SUCCEEDED",
        9999: "SUCCEEDED",
    }
    assert {at: bench.status(number, at) for at in times} == times
    assert bench.executions.get(number).end_ms == START + 110


def test_how_it_stands_does_not_depend_on_who_looked_when(bench):
    looked = Bench()
    for each in (bench, looked):
        ids = [each.submit(at, concurrent="ignore") for at in (0, 1, 2, 50)]
        if each is looked:
            for at in range(51, 400):
                each.executions.advance(START + at)
        each.executions.advance(START + 400)
    found = [(bench.executions.get(number), looked.executions.get(number)) for number in ids]
    assert all(one == other for one, other in found)
    assert [one.start_ms - START for one, _ in found] == [10, 11, 110, 111]


def test_only_so_many_run_at_once_and_the_others_wait_in_order(bench):
    ids = [bench.submit(0, concurrent="ignore") for _ in range(5)]
    seen = {
        at: [bench.status(number, at) for number in ids].count("RUNNING")
        for at in (9, 10, 110, 210, 309, 310)
    }
    assert seen == {9: 0, 10: 2, 110: 2, 210: 1, 309: 1, 310: 0}
    assert [bench.executions.get(number).end_ms - START for number in ids] == [110, 110, 210, 210, 310]


def test_edge_14_skip_refuses_while_one_is_unfinished(bench):
    bench.submit(0, concurrent="skip")
    with pytest.raises(Refused, match=r"^Flow f is already running\. Skipping execution\.$"):
        bench.submit(109, concurrent="skip")
    assert bench.submit(109, project_id=2, concurrent="skip") == 2, "another project's flow is another flow"
    assert bench.submit(110, concurrent="skip") == 3


def test_edge_15_one_more_than_the_limit_is_taken_and_no_further_one(bench):
    for _ in range(31):
        bench.submit(0, concurrent="ignore")
    with pytest.raises(Refused, match=r"^Flow f has more than 30 concurrent runs\. Skipping$"):
        bench.submit(0, concurrent="ignore")


def test_edge_16_a_full_queue_takes_nothing_and_calls_it_no_error():
    bench = Bench(replace(LIMITS, queue_size=3), "3.90")
    assert [bench.submit(0, concurrent="ignore") for _ in range(4)] == [1, 2, 3, -1]
    receipt = bench.executions.submit(an_order(concurrent="ignore"), START)
    assert (
        receipt.message
        == "Failed to submit f for project p. Azkaban has overrun its webserver queue capacity"
    )
    assert bench.submit(10, concurrent="ignore") == 4, "two have been taken off the queue"
    polled = Bench(replace(LIMITS, queue_size=3))
    assert [polled.submit(0, concurrent="ignore") for _ in range(4)] == [1, 2, 3, 4]


def test_a_further_run_is_told_which_there_are(bench):
    messages = [bench.executions.submit(an_order(concurrent="queue"), START).message for _ in range(3)]
    done = "Execution queued successfully with exec id"
    assert messages == [
        f"{done} 1",
        f"Flow f is already running with exec id 1. Will execute concurrently. \n{done} 2",
        f"Flow f is already running with exec id 1,2. Will execute concurrently. \n{done} 3",
    ]


CHAIN = a_flow(Job("f", "noop", ("b",)), "a", Job("b", "noop", ("a",)))


@pytest.mark.parametrize(
    ("level", "starts"), [(1, {"a": 110, "b": 210, "f": 310}), (2, {"a": 210, "b": 310, "f": 410})]
)
def test_a_pipelined_run_keeps_behind_the_one_before(bench, level, starts):
    bench.submit(0, CHAIN)
    order = an_order(CHAIN, concurrent="pipeline", pipeline_level=level)
    receipt = bench.executions.submit(order, START)
    assert receipt.message.startswith(
        f"Flow f is already running with exec id 1. Pipelining level {level}. \n"
    )
    bench.executions.advance(START + 999)
    told = whole_flow(bench.executions.get(receipt.id), START + 999)
    assert {node["id"]: node["startTime"] - START for node in told["nodes"]} == starts


def test_jobs_run_when_those_before_them_have_ended(bench):
    flow = a_flow(Job("f", "noop", ("a", "b")), command("a", "sleep 0.3"), "b")
    number = bench.submit(0, flow)
    assert bench.nodes(number, 9) == {"f": "READY", "a": "READY", "b": "READY"}
    assert bench.nodes(number, 120) == {"f": "READY", "a": "RUNNING", "b": "SUCCEEDED"}
    assert bench.nodes(number, 310) == {"f": "RUNNING", "a": "SUCCEEDED", "b": "SUCCEEDED"}
    assert bench.status(number, 410) == "SUCCEEDED"


@pytest.mark.parametrize(
    "job",
    [
        command("f", "exit 1"),
        command("f", "sleep 0.1; exit 3"),
        Job("f", "pig"),
        Job("f", "command"),
        command("f", "false"),
    ],
)
def test_a_job_that_fails_fails_its_flow(bench, job):
    assert bench.status(bench.submit(0, a_flow(job)), 110) == "FAILED"


def test_exit_0_is_no_failure(bench):
    assert bench.status(bench.submit(0, a_flow(command("f", "exit 0"))), 110) == "SUCCEEDED"


FAILING = a_flow(
    Job("f", "noop", ("after_bad", "after_slow")),
    command("bad", "exit 1"),
    Job("after_bad", "noop", ("bad",)),
    command("slow", "sleep 0.2"),
    Job("after_slow", "noop", ("slow",)),
)


@pytest.mark.parametrize(
    ("action", "at_150", "ends", "final", "jobs"),
    [
        (
            FailureAction.FINISH_CURRENT,
            "FAILED_FINISHING",
            210,
            "FAILED",
            {"slow": "SUCCEEDED", "after_slow": "CANCELLED", "after_bad": "CANCELLED"},
        ),
        (
            FailureAction.CANCEL_ALL,
            "KILLED",
            110,
            "KILLED",
            {"slow": "KILLED", "after_slow": "CANCELLED", "after_bad": "CANCELLED"},
        ),
        (
            FailureAction.FINISH_POSSIBLE,
            "FAILED_FINISHING",
            310,
            "FAILED",
            {"slow": "SUCCEEDED", "after_slow": "SUCCEEDED", "after_bad": "CANCELLED"},
        ),
    ],
)
def test_the_failure_action_decides_over_the_rest(bench, action, at_150, ends, final, jobs):
    number = bench.submit(0, FAILING, failure_action=action)
    assert bench.status(number, 109) == "RUNNING"
    assert bench.status(number, 150) == at_150
    assert bench.status(number, ends) == final
    assert bench.executions.get(number).end_ms == START + ends
    assert bench.nodes(number, ends) == {"bad": "FAILED", "f": "CANCELLED"} | jobs


def test_disabled_jobs_are_skipped_also_in_an_embedded_flow(bench):
    inner = a_flow("x", Job("y", "noop", ("x",)), name="inner")
    flow = a_flow(Job("f", "flow", ("a",), "inner"), "a")
    number = bench.submit(0, flow, inner, disabled=("a", {"id": "f", "children": ["x"]}))
    assert bench.nodes(number, 5) == {"f": "READY", "a": "DISABLED"}
    assert bench.nodes(number, 10) == {"f": "RUNNING", "a": "SKIPPED"}
    (told,) = [
        each for each in whole_flow(bench.executions.get(number), START + 50)["nodes"] if each["id"] == "f"
    ]
    assert (told["flowId"], told["type"]) == ("inner", "flow")
    assert [(each["nestedId"], each["status"]) for each in told["nodes"]] == [
        ("f:x", "SKIPPED"),
        ("f:y", "RUNNING"),
    ]
    assert bench.status(number, 110) == "SUCCEEDED"


def test_a_failure_in_an_embedded_flow_is_one_of_the_flow(bench):
    inner = a_flow(command("inner", "exit 1"), name="inner")
    number = bench.submit(0, a_flow(Job("f", "flow", (), "inner")), inner)
    assert bench.status(number, 110) == "FAILED"


def test_a_cancelled_execution_is_killed_and_then_over(bench):
    number = bench.submit(0, CHAIN)
    bench.do("cancel", number, 150)
    bench.do("cancel", number, 151)
    assert bench.status(number, 154) == "KILLING"
    assert bench.status(number, 155) == "KILLED"
    assert bench.nodes(number, 155) == {"a": "SUCCEEDED", "b": "KILLED", "f": "CANCELLED"}
    assert bench.submit(155, CHAIN, concurrent="skip") == 2


def test_edge_22_what_is_over_cannot_be_cancelled_paused_or_resumed(bench):
    number = bench.submit(0)
    for what in ("cancel", "pause", "resume"):
        with pytest.raises(Refused, match=r"^Execution 1 of flow f isn't running\.$"):
            bench.do(what, number, 110)


def test_edge_22_a_waiting_execution_is_cancelled_although_azkaban_says_that_it_is_unreachable(bench):
    number = bench.submit(0)
    with pytest.raises(Refused, match=r"the flow is unreachable\. Finalizing the flow\.$"):
        bench.do("cancel", number, 5)
    assert bench.status(number, 5) == "FAILED"
    assert bench.executions.waiting() == bench.executions.running() == []
    assert bench.executions.unfinished_of(1, "f") == []
    assert bench.status(number, 500) == "FAILED"
    assert bench.nodes(number, 500) == {"f": "CANCELLED"}


def test_a_paused_execution_ends_what_runs_and_starts_nothing(bench):
    number = bench.submit(0, CHAIN)
    bench.do("pause", number, 150)
    bench.do("pause", number, 160)
    assert bench.status(number, 5000) == "PAUSED"
    assert bench.nodes(number, 5000) == {"a": "SUCCEEDED", "b": "SUCCEEDED", "f": "READY"}
    bench.do("resume", number, 5000)
    bench.do("resume", number, 5001)
    assert bench.status(number, 5059) == "RUNNING"
    assert bench.executions.get(number).end_ms == START + 310 + 4850
    assert bench.status(number, 310 + 4850) == "SUCCEEDED"


def test_a_paused_execution_can_be_cancelled(bench):
    number = bench.submit(0, CHAIN)
    bench.do("pause", number, 150)
    bench.do("cancel", number, 300)
    bench.do("resume", number, 302)
    assert bench.status(number, 305) == "KILLED"
    assert bench.nodes(number, 305) == {"a": "SUCCEEDED", "b": "SUCCEEDED", "f": "CANCELLED"}


def test_a_pause_reaches_the_jobs_of_an_embedded_flow(bench):
    inner = a_flow("x", Job("y", "noop", ("x",)), name="inner")
    number = bench.submit(0, a_flow(Job("f", "flow", (), "inner")), inner)
    bench.do("pause", number, 50)
    assert bench.status(number, 900) == "PAUSED"
    bench.do("resume", number, 1050)
    assert bench.status(number, 1209) == "RUNNING"
    assert bench.status(number, 1210) == "SUCCEEDED"


def test_an_update_tells_only_what_happened_since(bench):
    number = bench.submit(0, CHAIN)
    bench.executions.advance(START + 150)
    execution = bench.executions.get(number)
    told = flow_update(execution, START + 50, START + 150)
    assert [node["id"] for node in told["nodes"]] == ["a", "b"]
    assert (told["status"], told["updateTime"]) == ("RUNNING", START + 110)
    assert "nodes" not in flow_update(execution, START + 110, START + 150)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_changes_again_give_the_same_executions(seed, monkeypatch):
    """What a journal has to keep is the changes, and nothing else; and the books balance."""
    dice = random.Random(seed)
    bench, kept = Bench(), []
    apply = bench.executions.apply
    monkeypatch.setattr(bench.executions, "apply", lambda change: (kept.append(change), apply(change)))
    at = 0
    for _ in range(60):
        at += dice.randrange(40)
        try:
            if dice.random() < 0.5:
                bench.submit(at, dice.choice([CHAIN, FAILING, a_flow()]), concurrent="ignore")
            else:
                bench.do(dice.choice(["cancel", "pause", "resume"]), dice.randrange(1, 5), at)
        except (Refused, KeyError):
            continue
    again = Executions(LIMITS)
    for change in kept:
        again.apply(change)
    for executions in (bench.executions, again):
        executions.advance(START + at + 77)
    assert list(again.newest_first()) == list(bench.executions.newest_first())
    assert (again.waiting(), again.running()) == (bench.executions.waiting(), bench.executions.running())
    unfinished = {each.id for each in again.newest_first() if each.end_ms > START + at + 77}
    assert unfinished == {*again.waiting(), *again.running()} == set(again.unfinished_of(1, "f"))
    assert len(again.running()) <= LIMITS.flow_threads
