"""A run is steered from another terminal, by its breaker, by a threshold: real processes, real sockets."""

from __future__ import annotations

import os
import time

import pytest
from harness import THINGS, Cli, Finished, Running, Target, adds_up, each_once, free_port, until

from loadgen.errors import LoadgenError
from loadgen.ledger.reader import Reader

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Unix sockets")

DESCRIBED = (
    THINGS.replace("import Scenario, Session", "import Call, Scenario")
    .replace(
        "put(http: Session, item: int, options: Options) -> int", "put(item: int, options: Options) -> Call"
    )
    .replace('http.post(f"/things/{item}")\n    return item', 'return Call("POST", f"/things/{item}")')
)
QUIET_S = 0.4
"""Longer than a report, an armed window and a beat: whoever has not heard would have called by then."""


def steer(cli: Cli, word: str, *settings: str) -> Finished:
    return cli.here(word, "latest", *settings, "--out", cli.out)


def start(cli: Cli, target: Target, *args: object, text: str = THINGS, workers: int = 1) -> Running:
    """A run with `workers` workers, and work for long."""
    common = ("--target", target.url, "--processes", 2, "--wait-for-workers", workers, "--lease-ttl", 1)
    run = cli.start_run(cli.scenario(text), *common, *args)
    if workers > 1:
        server = f"127.0.0.1:{cli.port()}"
        cli.start("worker", "--server", server, "--processes", 2, "--concurrency", 3)
    return run


def calls(target: Target, seconds: float) -> int:
    """How many came within a while."""
    before = len(target.seen)
    time.sleep(seconds)  # not waiting for something: counting over a time
    return len(target.seen) - before


def rate(target: Target) -> float:
    """How many came a second, just now."""
    since = time.monotonic()
    return calls(target, 0.7) / (time.monotonic() - since)


def most_at_once(target: Target, since: float) -> int:
    """Requests that were being served at the same time, of those that began since then."""
    seen = [each for each in list(target.seen) if each.began >= since]
    marks = [(each.began, 1) for each in seen] + [(each.ended or time.monotonic(), -1) for each in seen]
    most = now = 0
    for _, step in sorted(marks):
        now += step
        most = max(most, now)
    return most


def kinds(cli: Cli) -> list[str]:
    """What happened so far, without who came and went."""
    try:
        with Reader(cli.directory()) as reader:
            events = [event for event in reader.events() if not event.kind.startswith("worker")]
    except (ValueError, LoadgenError):  # the run is only about to begin
        return []
    return [f"{event.kind}: {event.text}" for event in events]


@pytest.mark.parametrize("text", [THINGS, DESCRIBED], ids=["scripted", "described"])
def test_a_pause_stops_all_workers_and_nothing_is_lost(cli: Cli, target: Target, text: str) -> None:
    target.delay_s = 0.02
    run = start(cli, target, "--set", "things=900", "--concurrency", 3, text=text, workers=2)
    until(lambda: len(target.seen) > 100, "it is under way")
    paused = steer(cli, "pause")
    assert (paused.code, paused.err) == (0, "")
    assert paused.out.startswith("paused by hand: ")
    assert f"of 900 items settled; loadgen continue {cli.directory().name} --out {cli.out}\n" in paused.out
    assert calls(target, QUIET_S) == 0, "it said that all workers keep to it"
    time.sleep(1.2 if text is THINGS else 0)  # longer than a lease lives
    assert "no limits" in cli("continue", "latest", "--out", cli.out).out, "said in another process"
    ended = run.wait()
    assert (ended.code, ended.err) == (0, "")
    each_once(target, 900)
    assert kinds(cli) == ["paused: by hand", "continued: by hand"]


def test_limits_hold_on_all_workers_together(cli: Cli, target: Target) -> None:
    target.delay_s = 0.02
    run = start(cli, target, "--set", "things=100000", "--concurrency", 3, "--max-in-flight", 5, workers=2)
    until(lambda: len(target.seen) > 60, "it is under way")
    assert most_at_once(target, 0) == 5
    answer = steer(cli, "set", "max-in-flight=1")
    assert "; max-in-flight 1\n" in answer.out
    since = time.monotonic()
    before = len(target.seen)
    until(lambda: len(target.seen) > before + 10, "it goes on")
    assert most_at_once(target, since) == 1
    steer(cli, "set", "max-in-flight=none", "concurrency=2")
    since, before = time.monotonic(), len(target.seen)
    until(lambda: len(target.seen) > before + 60, "it goes on")
    assert most_at_once(target, since) == 8, "2 slots in each of 4 processes"
    assert "stopping" in steer(cli, "stop").out
    ended = run.wait()
    assert ended.code == 4
    assert "stopped by hand" in ended.out
    adds_up(cli.summary())
    for complaint in (steer(cli, "pause"), steer(cli, "stop")):
        complaint.complains(2, "no master of it is at work on this machine")


def test_a_rate_is_shared(cli: Cli, target: Target) -> None:
    run = start(cli, target, "--set", "things=100000", "--concurrency", 3, "--max-rate", "40/s", workers=2)
    until(lambda: len(target.seen) > 20, "it is under way")
    slow = rate(target)
    assert slow < 60, "each of the two at all of it would be 80"
    assert steer(cli, "set", "rate=120/s").out.endswith("rate 120/s\n")
    fast = rate(target)
    assert 2 < fast / slow < 4.5, (slow, fast)
    assert steer(cli, "pause").code == 0
    run.interrupt()
    assert run.wait(20).code == 4, "a first Ctrl-C ends a pause at once"


def test_the_breaker_pauses_and_goes_on_when_the_target_is_back(cli: Cli, target: Target) -> None:
    """Few items are burnt; the trial is small; what failed is all that is left to be done."""
    target.delay_s = 0.005
    ill = [True]
    target.answer = lambda seen: (503 if ill[0] and len(target.seen) > 50 else 200, "{}")
    login = '@scenario.login\ndef login(http: Session, options: Options) -> None:\n    http.get("/in")\n'
    text = THINGS.replace("@scenario.step", f"{login}\n\n@scenario.step")
    run = start(cli, target, "--set", "things=400", "--concurrency", 4, "--breaker", "50% over 2s", text=text)
    until(lambda: any("paused: by the breaker" in kind for kind in kinds(cli)), "it trips")
    until(lambda: sum(target.count("/in").values()) > 9, "it is probed by logging in, and again")
    ill[0] = False
    ended = run.wait()
    assert (ended.code, ended.err) == (3, "")
    items = cli.summary()["items"]
    assert items["done"] + items["failed"] == 400
    assert items["failed"] < 150
    said = kinds(cli)
    assert said[1] == "continued: by the breaker: the target answers again, with 1 in flight at first"
    assert said[2].startswith("changed: in flight on trial from 1 to all, by the breaker: ")


def test_the_breaker_gives_up_and_resume_does_the_rest(cli: Cli) -> None:
    port = free_port()
    with Target(port) as target:
        target.delay_s = 0.01
        breaker = ("--concurrency", 2, "--breaker", "50% over 2s for 1500ms")
        run = start(cli, target, "--set", "things=1000", *breaker)
        until(lambda: len(target.seen) > 30, "it is under way")
        target.answer = fall_down
    ended = run.wait()
    assert (ended.code, ended.err) == (4, "")
    assert "stopped by the breaker: nothing answers at" in ended.out
    assert 20 <= cli.summary()["items"]["failed"] < 500
    with Target(port) as target:
        args = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--only", "failed")
        again = cli("resume", "latest", *args)
        assert (again.code, cli.summary()["items"]["done"]) == (0, 1000), again


def fall_down(_: object) -> tuple[int, str]:
    """Drop the connection."""
    raise ConnectionError


def test_a_threshold_pauses_until_people_decide(cli: Cli, target: Target) -> None:
    ill = [True]
    target.delay_s = 0.02
    target.answer = lambda _: (503 if ill[0] else 200, "{}")
    run = start(cli, target, "--set", "things=1500", "--concurrency", 2, "--threshold", "failed<20 pause")
    until(lambda: any(kind.startswith("paused: by a threshold: failed<20") for kind in kinds(cli)), "paused")
    ill[0] = False
    assert "running" in steer(cli, "continue").out
    before = len(target.seen)
    until(lambda: len(target.seen) > before + 50, "it goes on, and is not paused for the same again")
    steer(cli, "stop")
    assert run.wait().code in (4, 99)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("set", "latest", "rat=5"), "rat cannot be set"),
        (("set", "latest", "rate=5"), "write 5/s"),
        (("pause", "latest"), "no such run"),
        (
            ("run", "things.py", "--target", "http://localhost:1", "--max-rate", "5"),
            "--max-rate: a rate needs its time",
        ),
        (
            ("run", "things.py", "--target", "http://localhost:1", "--breaker", "5 over"),
            "--breaker: expected a share",
        ),
    ],
)
def test_mistakes_are_pointed_at(cli: Cli, args: tuple[str, ...], words: str) -> None:
    cli.scenario()
    ended = cli.here(*args)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
