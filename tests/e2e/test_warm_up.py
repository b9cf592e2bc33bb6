"""A warm-up on the real command line: all is done and counted, and its times are nowhere."""

from harness import THINGS, Cli, Seen, Target, adds_up, each_once

from loadgen.ledger.reader import Reader
from loadgen.reports.measured import WARM_UP

SLOW_S, SLOW = 0.8, 8
"""So slow, and so many at least: no busy machine is."""
HUNDRED = THINGS.replace("things: int = 20", "things: int = 100")


def test_a_target_that_is_slow_at_first(cli: Cli, target: Target):
    def answer(seen: Seen) -> tuple[int, str]:
        target.delay_s = SLOW_S if len(target.seen) < SLOW else 0.0  # of those that come next
        return (500 if seen.path == "/things/3" else 200), "{}"

    target.answer, target.delay_s = answer, SLOW_S
    gates = (
        "put.max<700ms abort",
        "failed<=1",
        "failed==0 abort",
    )  # that failure aborts nothing: it was early
    args = ("--target", target.url, "--concurrency", 4, "--chunk", 10, "--warm-up", "20 items")
    ended = cli.run(cli.scenario(HUNDRED), *args, *(word for gate in gates for word in ("--threshold", gate)))
    assert (ended.code, ended.err) == (99, "")
    each_once(target, 100)
    summary = cli.summary()
    adds_up(summary)
    assert (summary["items"]["done"], summary["items"]["failed"]) == (99, 1)
    (call,), (step,) = summary["calls"], summary["steps"]
    assert (call["count"], call["errors"], call["statuses"]) == (100, 1, {"200": 99, "500": 1})
    assert step["item_time"]["count"] == call["service_time"]["count"] == 80
    assert step["item_time"]["max"] < 1000 * SLOW_S
    with Reader(cli.directory()) as reader:  # without a warm-up it would be one of the slow ones
        assert sorted(row.duration_us for row in reader.attempt_rows())[94] > 1_000_000 * SLOW_S
    assert [gate["ok"] for gate in summary["thresholds"]] == [True, True, False]  # a number counts all
    text = "warm-up: 20 items and 20 calls of the first 20 items of the first step are not in these times"
    warm_up = summary["run"]["warm_up"]
    assert warm_up == {"spec": "20 items", "items": 20, "calls": 20, "until": None, "text": text}
    assert text in " ".join(ended.out.split())


def test_by_time_once_in_a_run_of_two_sessions(cli: Cli, target: Target):
    (cli.home / "loadgen.toml").write_text('[run]\nwarm_up = "10m"\n')
    target.answer = lambda seen: ((500 if seen.path == "/things/5" else 200), "{}")
    target.delay_s = 0.01
    args = ("--target", target.url, "--concurrency", 2, "--lease-ttl", 1, "--chunk", 5)
    ended = cli.run(cli.scenario(), *args, "--set", "things=120", "--fail-fast")
    assert ended.code == 3
    first = cli.summary()["run"]["warm_up"]
    assert 0 < first["items"] < 120
    assert (
        cli.summary()["steps"][0]["item_time"] | {"count": 0, "p95": None}
        == cli.summary()["steps"][0]["item_time"]
    )
    target.delay_s = 0.0
    common = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--no-fail-fast")
    cli("resume", "latest", *common)
    again = cli.summary()["run"]["warm_up"]
    assert (again["until"], again["items"]) == (first["until"], 120)
    with Reader(cli.directory()) as reader:
        assert [event.kind for event in reader.events()].count(WARM_UP) == 1


def test_a_mistake_is_pointed_at(cli: Cli, target: Target):
    words = ("--target", target.url)
    ended = cli.here("run", cli.scenario(), *words, env={"LOADGEN_WARM_UP": "10 second"})
    assert ended.code == 2
    assert ended.err == ("loadgen: --warm-up: expected ms, s, m, h or items\n  10 second\n     ^\n")
    broken = cli.scenario(THINGS.replace("options=Options)", 'options=Options, warm_up="1.5 items")'))
    ended = cli.here("run", broken, *words)
    assert ended.code == 2
    assert f"{broken}:13: a number of items is whole" in ended.err
    assert not target.seen
