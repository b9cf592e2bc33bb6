"""Thresholds and --fail-fast on the real command line: what they say, what they end, and the exit code."""

import pytest
from harness import THINGS, Cli, Seen, Target, adds_up, each_once

from loadgen.ledger.reader import Reader

QUIET = ("--concurrency", 2, "--lease-ttl", 1)


def fails(*items: int):
    """The target answers 500 for these things."""

    def answer(seen: Seen) -> tuple[int, str]:
        return (500 if int(seen.path.rpartition("/")[2]) in items else 200), "{}"

    return answer


@pytest.fixture(scope="module")
def gated(shared_cli: Cli, shared_target: Target):
    """A run of twenty things with these thresholds; the first item fails if told so."""

    def run(*thresholds: str, failing: bool = False):
        shared_target.answer = fails(0) if failing else fails()
        said = [word for text in thresholds for word in ("--threshold", text)]
        ended = shared_cli.run(shared_cli.scenario(), "--target", shared_target.url, *QUIET, *said)
        return ended, shared_cli.summary(shared_cli.directories()[-1])

    return run


def test_all_hold(gated):
    ended, summary = gated("failed<1%", "put.p95<30s", "calls.put POST /things/#.errors==0", "done==20")
    assert (ended.code, ended.err) == (0, "")
    assert [gate["ok"] for gate in summary["thresholds"]] == [True] * 4
    assert summary["thresholds"][0] == {
        "expr": "failed<1%",
        "value": 0,
        "ok": True,
        "unit": "%",
        "reason": "",
    }
    assert summary["thresholds"][1]["value"] == pytest.approx(summary["steps"][0]["item_time"]["p95"] / 1000)
    assert "failed<1%" in ended.out


def test_a_crossed_one_is_99_also_when_items_failed(gated):
    ended, summary = gated("failed<1%", "calls.nobody.p95<1s", failing=True)
    assert (ended.code, ended.err) == (99, "")
    assert "THRESHOLD  1 of 20 items failed (exit code 99)" in ended.out
    assert "threshold crossed: failed<1%: it was 5%" in ended.out
    assert [(gate["value"], gate["ok"]) for gate in summary["thresholds"]] == [(5.0, False), (None, False)]
    assert summary["thresholds"][1]["reason"] == "no such call was made"
    assert "--only failed" in ended.out


def test_abort_winds_down_and_resume_goes_on(cli: Cli, target: Target):
    target.answer, target.delay_s = fails(*range(150)), 0.01
    scenario = cli.scenario(THINGS.replace("things: int = 20", "things: int = 150"))
    args = ("--target", target.url, *QUIET, "--threshold", "failed<10% abort", "--chunk", 5)
    ended = cli.run(scenario, *args)
    assert (ended.code, ended.err) == (99, "")
    assert "THRESHOLD  stopped by a threshold: failed<10% abort: it is 100%" in ended.out
    assert f"loadgen resume {cli.directory().name}" in ended.out
    summary = cli.summary()
    adds_up(summary)
    assert summary["verdict"]["resumable"]
    assert list((cli.state / "runs").glob("*.identity"))  # workers that are still there know the master again
    assert 0 < summary["items"]["failed"] < 150
    target.answer, target.delay_s = fails(), 0.0
    common = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--lease-ttl", 1)
    again = cli("resume", "latest", *common, "--only", "failed")
    assert (again.code, again.err) == (0, "")  # the same threshold: its failed items are done now
    assert cli.summary()["items"]["done"] == 150
    with Reader(cli.directory()) as reader:
        assert [event.kind for event in reader.events()].count("resumed") == 1


def test_fail_fast(cli: Cli, target: Target):
    target.answer, target.delay_s = fails(3), 0.01
    args = ("--target", target.url, *QUIET, "--set", "things=120", "--chunk", 5)
    ended = cli.run(cli.scenario(), *args, "--fail-fast", "--threshold", "failed<50%")
    assert (ended.code, ended.err) == (3, "")
    assert "stopped by --fail-fast: put, item 3: POST /things/3 answered 500" in ended.out
    assert cli.summary()["items"]["failed"] == 1
    assert cli.summary()["items"]["pending"] > 0
    target.delay_s = 0.0
    common = ("--out", cli.out, "--listen", "127.0.0.1:0", "--processes", 1, "--lease-ttl", 1)
    again = cli("resume", "latest", *common)  # that item stays as it is
    assert again.code == 3  # a threshold that holds forgives nothing
    assert cli.summary()["thresholds"][0]["ok"]
    assert cli.summary()["items"] | {"pending": 0} == cli.summary()["items"]
    each_once(target, 120)


def test_what_cannot_be_is_refused_before_the_start(cli: Cli, target: Target):
    for text, words in {
        "p95<800": ("needs a unit", "\n  p95<800\n         ^\n"),
        "putt.p95<1s": ("no step putt; did you mean put?", "\n  putt.p95<1s\n  ^\n"),
    }.items():
        ended = cli.here("run", cli.scenario(), "--target", target.url, "--threshold", text)
        assert ended.code == 2
        assert ended.err.startswith("loadgen: --threshold: ")
        assert all(word in ended.err for word in words), ended.err
    assert not target.seen


def test_scenario_and_configuration_have_them_too(cli: Cli, target: Target):
    broken = cli.scenario(THINGS.replace("options=Options)", 'options=Options, thresholds=["done=<20"])'))
    ended = cli.here("run", broken, "--target", target.url)
    assert ended.code == 2
    assert f"{broken}:" in ended.err
    assert "\n  done=<20\n" in ended.err
    (cli.home / "loadgen.toml").write_text('[run]\nthresholds = ["done==20", "doen==20"]\n')
    ended = cli.here("run", cli.scenario(), "--target", target.url)
    assert ended.code == 2
    assert "did you mean done?\n  doen==20\n  ^\n" in ended.err
    (cli.home / "loadgen.toml").write_text('thresholds = "done==20"\n')
    cli.here("run", cli.scenario(), "--target", target.url).complains(2, "thresholds: expected a list")
    assert not target.seen
