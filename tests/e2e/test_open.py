"""The open model, end to end: items start at their times, and what waits for whom is told."""

from __future__ import annotations

import contextlib
import sqlite3
from statistics import median

from harness import THINGS, Cli, Target, adds_up, each_once, until

DESCRIBED = (
    THINGS.replace("from loadgen import Scenario, Session", "from loadgen import Call, Scenario")
    .replace("put(http: Session, item: int, options: Options) -> int:", "put(item: int, options: Options):")
    .replace(
        '    http.post(f"/things/{item}")\n    return item', '    return Call("POST", f"/things/{item}")'
    )
)


def dropped(cli: Cli) -> int:
    """How many items were, by now."""
    with contextlib.closing(sqlite3.connect(f"file:{cli.directory()}/run.db?mode=ro", uri=True)) as ledger:
        (count,) = ledger.execute("SELECT count(*) FROM item WHERE outcome = 4").fetchone()
    return int(count)


def test_items_start_at_a_rate_whoever_starts_them(cli: Cli, target: Target) -> None:
    args = ("--target", target.url, "--rate", "100/s", "--set", "things=150", "--processes", 2)
    ended = cli.run(cli.scenario(), *args, "--threshold", "put.p50<10s")
    assert ended.code == 0, ended
    each_once(target, 150)
    late = sorted(
        seen.began - int(seen.path.rpartition("/")[2]) / 100
        for seen in target.seen
        if "/things/" in seen.path
    )
    assert median(late) - late[0] < 1.49 / 5, "spread over the time they were meant for, not sent as it goes"
    summary = cli.summary()
    (step,) = summary["steps"]
    (call,) = (call for call in summary["calls"] if call["name"].startswith("put "))
    assert round(step["target_rate_per_s"]) == round(150 / 1.49)
    for told, service in ((step, step["item_time"]), (call, call["service_time"])):
        lag, response = told["start_lag"], told["response_time"]
        assert lag["count"] == response["count"] == service["count"] == 150
        assert abs(response["mean"] - service["mean"] - lag["mean"]) < 0.01
    assert "response" in ended.out
    assert summary["run"]["seed"] is None


def test_what_finds_no_slot_is_dropped_counted_and_done_by_a_resume(cli: Cli, target: Target) -> None:
    """The target holds all answers; it is two items in flight."""
    target.gate.clear()
    args = ("--target", target.url, "--rate", "60/s", "--max-lag", "200ms", "--concurrency", 2)
    run = cli.start_run(cli.scenario(), *args, "--set", "things=80")
    until(lambda: len(target.seen) == 2, "two are in flight")
    until(lambda: dropped(cli) >= 15, "what is due is dropped though nobody is free to look at it")
    target.gate.set()
    ended = run.wait()
    assert ended.code == 3, ended
    summary = cli.summary()
    adds_up(summary)
    count = summary["items"]["dropped"]
    assert summary["items"]["done"] == 80 - count == len(target.count("/things/"))
    assert f"{count} of 80 items were dropped" in summary["verdict"]["reasons"]
    assert f"{count} dropped" in ended.out
    assert "--only dropped" in " ".join(ended.out.split())
    (step,) = summary["steps"]
    assert step["start_lag"]["count"] == summary["items"]["done"]
    assert step["target_rate_per_s"] > 55, "what was dropped was meant to start, too"
    again = cli("resume", "latest", "--out", cli.out, "--only", "dropped", "--listen", "127.0.0.1:0")
    assert again.code == 0, again
    each_once(target, 80)
    assert cli.summary()["items"] | {"done": 80, "dropped": 0} == cli.summary()["items"]


def test_a_burst_out_of_a_file_is_in_flight_at_once(cli: Cli, target: Target) -> None:
    """Of a described step: all that are due are started, though none was answered."""
    target.gate.clear()
    arrivals = cli.home / "arrivals.csv"
    arrivals.write_text("offset,what\n" + "0,burst\n" * 40 + "0.1,one\n0.2,one\n")
    args = ("--target", target.url, "--arrivals", arrivals, "--set", "things=42")
    run = cli.start_run(cli.scenario(DESCRIBED), *args)
    until(lambda: len(target.seen) == 42, "all are in flight")
    target.gate.set()
    ended = run.wait()
    assert ended.code == 0, ended
    each_once(target, 42)
    assert cli.summary()["steps"][0]["item_time"]["min"] > 0
