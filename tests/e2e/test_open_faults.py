"""The open model under what happens to runs: workers that die, Ctrl-C, and what was said otherwise."""

from __future__ import annotations

import signal
from statistics import median

import pytest
from harness import THINGS, Cli, Running, Target, adds_up, until

from loadgen.ledger.reader import Reader
from loadgen.pace.pacing import Poisson, parse_rate

SHORT = THINGS.replace("Scenario(options=Options)", "Scenario(options=Options, timeout=1)")
"""Doubt about an item ends soon."""


def start_worker(cli: Cli) -> Running:
    where = ("--server", f"localhost:{cli.port()}")
    return cli.start("worker", *where, "--processes", 1, "--concurrency", 4)


def due_us(cli: Cli) -> dict[int, int]:
    """When each item was meant to start."""
    with Reader(cli.directory()) as reader:
        return {row.item: row.start_us - row.lag_us for row in reader.attempt_rows()}


def test_a_worker_killed_in_the_middle_takes_no_item_along(cli: Cli, target: Target) -> None:
    """What it had leased and not armed starts late, on the other one, and the lag tells."""
    args = ("--target", target.url, "--rate", "60/s", "--set", "things=150", "--lease-ttl", 2, "--verbose")
    run = cli.start_run(cli.scenario(SHORT), *args, "--processes", 0, "--wait-for-workers", 2)
    victim, heir = start_worker(cli), start_worker(cli)
    until(lambda: len(target.seen) > 20, "it is under way")
    victim.signal(signal.SIGKILL)
    victim.wait()
    ended = run.wait()
    heir.wait()
    summary = cli.summary()
    adds_up(summary)
    items, called = summary["items"], target.count("/things/")
    assert items["done"] + items["unknown"] == 150
    assert ended.code == (3 if items["unknown"] else 0), ended
    assert max(called.values()) == 1, "none twice: its delivery is at_most_once"
    assert items["done"] <= len(called) <= 150
    (step,) = summary["steps"]
    assert step["start_lag"]["max"] > 1000, "half a lease's life at least"
    assert "items back in the queue" in (said := " ".join(ended.out.split()))
    assert "they start late" in said


def test_a_resumed_run_goes_on_in_its_schedule(cli: Cli, target: Target) -> None:
    """Poisson arrivals are those of the seed, in both sessions."""
    args = ("--target", target.url, "--rate", "80/s", "--arrivals", "poisson", "--seed", 7)
    run = cli.start_run(cli.scenario(), *args, "--set", "things=160")
    until(lambda: len(target.seen) > 50, "it is under way")
    run.interrupt()
    assert run.wait().code == 4
    first = due_us(cli)
    assert 50 < len(first) < 160
    again = cli("resume", "latest", "--out", cli.out, "--listen", "127.0.0.1:0")
    assert again.code == 0, again
    assert sorted(target.count("/things/").values()) == [1] * 160
    wanted = Poisson(parse_rate("80/s"), 7).offsets_us(0, 160)
    every = due_us(cli)
    second = {item: at for item, at in every.items() if item not in first}
    for session in (first, second):
        shifts = [at - wanted[item] for item, at in session.items()]
        off = [abs(shift - median(shifts)) > 1_000 for shift in shifts]
        assert sum(off) <= len(off) / 10, "one T0 each; but two clocks are read, one after the other"
    assert {item: every[item] for item in first} == first
    assert cli.summary()["run"]["seed"] == 7


@pytest.mark.parametrize(
    ("words", "env", "complaint"),
    [
        (("--rate", "50"), {}, "a rate needs its time"),
        (("--rate", "5/s", "--stages", "0:5/s"), {}, "say one of them"),
        ((), {"LOADGEN_RATE": "7/x"}, "a rate needs its time"),
        (("--stages", "0:9/s,1s:0/s"), {}, "brings 5 items, step put has 20"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    cli: Cli, words: tuple[str, ...], env: dict[str, str], complaint: str
) -> None:
    ended = cli.here("run", cli.scenario(), "--target", "http://127.0.0.1:9", *words, env=env)
    assert ended.code == 2
    assert complaint in ended.err
    assert "Traceback" not in ended.err
    assert cli.directories() == []


def test_the_command_line_is_heard_before_environment_and_configuration(cli: Cli) -> None:
    """By whose mistake is told."""
    (cli.home / "loadgen.toml").write_text('[run]\nrate = "1/config"\n')
    path = cli.scenario(THINGS.replace("(options=Options)", '(options=Options, rate="1/scenario")'))
    said = ("run", path, "--target", "http://127.0.0.1:9")
    assert "1/config" in cli.here(*said).err
    assert "1/env" in cli.here(*said, env={"LOADGEN_RATE": "1/env"}).err
    assert "1/line" in cli.here(*said, "--rate", "1/line", env={"LOADGEN_RATE": "1/env"}).err
    (cli.home / "loadgen.toml").unlink()
    assert "1/scenario" in cli.here(*said).err
