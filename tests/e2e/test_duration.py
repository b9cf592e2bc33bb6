"""Runs for a time: mixed steps, ramps, think times; ended by the clock, by people, by the worst."""

from __future__ import annotations

import contextlib
import os
import signal
from itertools import accumulate

import pytest
from harness import Cli, Target, adds_up, until

from loadgen.cli.finish import verdict_of
from loadgen.ledger.reader import Reader

SHOP = '''"""Browse and order."""

from loadgen import Scenario, Session, Call

scenario = Scenario(mix={"browse": 3, "order": 1}, duration="1500ms", timeout=0.5)


@scenario.step(items=1)
def before(http: Session, item: int, options: object) -> None:
    http.get("/before")


@scenario.step(items=["a", "b", "c"], delivery="at_least_once")
def browse(item: str, options: object) -> Call:
    return Call("GET", f"/browse/{item}")


@scenario.step(items=7, key=lambda item, options: item % 5, delivery="at_least_once")
def order(http: Session, item: int, options: object) -> int:
    http.post(f"/order/{item}")
    return item


@scenario.step(items=2)
def after(http: Session, item: int, options: object) -> None:
    http.get("/after")
'''


def seen(target: Target, prefix: str) -> int:
    return target.count(prefix).total()


def most_in_flight(target: Target) -> int:
    moves = [(each.began, 1) for each in target.seen if each.item >= 0]
    moves += [(each.ended, -1) for each in target.seen if each.item >= 0]
    return max(accumulate(move for _, move in sorted(moves)))


def test_a_mix_for_a_time_with_a_ramp_and_think_time(cli: Cli, target: Target) -> None:
    target.delay_s = 0.01
    words = ("--processes", 2, "--concurrency", 6, "--ramp", "0:1,1s:6", "--think-time", "1ms-20ms")
    ended = cli.run(cli.scenario(SHOP), "--target", target.url, *words)
    assert (ended.code, ended.err) == (0, "")
    summary = cli.summary()
    adds_up(summary)
    browsed, ordered = seen(target, "/browse"), seen(target, "/order")
    steps = {step["name"]: step["items"] for step in summary["steps"]}
    assert {name: items["done"] for name, items in steps.items()} == {
        "before": 1,
        "browse": browsed,
        "order": ordered,
        "after": 2,
    }
    assert summary["items"]["planned"] == summary["items"]["done"] == browsed + ordered + 3
    assert abs(browsed - 3 * ordered) <= 3 * 6, "within what was in flight at the end"
    assert set(target.count("/browse")) == {"/browse/a", "/browse/b", "/browse/c"}
    assert set(target.count("/order").values()) == {1}
    assert most_in_flight(target) <= 6
    run = summary["run"]
    assert (run["duration_s"], run["mix"], run["ramp"]) == (1.5, {"browse": 3, "order": 1}, "0:1,1s:6")
    assert run["seed"] is not None, "think times can be had again"
    assert "for 1.5 s, no fixed number of items" in " ".join(ended.out.split())
    order = [each.path.split("/")[1] for each in sorted(target.seen, key=lambda each: each.began)]
    assert (order[0], order[-2:]) == ("before", ["after", "after"])
    assert order.index("order") < 8, "side by side, not one after the other"


def test_an_interrupted_run_goes_on_for_what_is_left_of_its_time(cli: Cli, target: Target) -> None:
    """Its workers may be killed, and its master: what they had done counts, what was armed is done again."""
    target.delay_s = 0.005
    words = ("--target", target.url, "--concurrency", 2, "--lease-ttl", 1, "--duration", "4s")
    run = cli.start_run(cli.scenario(SHOP), *words)
    until(lambda: seen(target, "/order") > 10, "it is under way")
    os.kill(cli.pid_of("spawn_main"), signal.SIGKILL)  # a pool process: its worker starts another
    so_far = len(target.seen)
    until(lambda: len(target.seen) > so_far + 10, "it goes on")
    directory = cli.directory()

    def noted() -> bool:
        with Reader(directory) as reader:
            return (reader.phases().timed_us or 0) >= 1_000_000

    until(noted, "how long it has gone on is noted")
    for pid in (run.pid, *cli.processes()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.wait()
    with Reader(directory) as reader:
        assert "its time is not over" in verdict_of(reader).reasons
    again = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--lease-ttl", 1)
    resumed = cli.start("resume", "latest", *again)
    before = len(target.seen)
    until(lambda: len(target.seen) > before + 20, "it goes on again")
    resumed.interrupt()
    assert resumed.wait().code == 4
    adds_up(cli.summary())
    ended = cli("resume", "latest", *again)
    assert (ended.code, ended.err) == (0, "")
    summary = cli.summary()
    adds_up(summary)
    assert summary["items"]["done"] == summary["items"]["planned"]
    steps = {step["name"]: step["items"]["done"] for step in summary["steps"]}
    assert steps["browse"] == pytest.approx(3 * steps["order"], abs=60)
    assert len(target.count("/order")) == steps["order"]
    repeated = sum(times - 1 for times in target.count("/order").values())
    assert repeated <= 20, "what was in flight when something was killed, at most"
    assert most_in_flight(target) <= 2, "described and scripted steps share the slots"
    with Reader(directory) as reader:
        assert reader.phases().timed_us == pytest.approx(4_000_000, rel=0.3)


def test_several_steps_have_no_time_in_common_unless_they_are_mixed(cli: Cli) -> None:
    text = SHOP.replace('mix={"browse": 3, "order": 1}, ', "")
    ended = cli.run(cli.scenario(text), "--target", "http://127.0.0.1:1")
    ended.complains(2, "--duration 1500ms", "--step", "--mix before=1,browse=1,order=1,after=1")
