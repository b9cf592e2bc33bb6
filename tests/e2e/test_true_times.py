"""Whether times are the target's or the generator's own: what a run says, and what `selftest` finds."""

import json

import pytest
from harness import THINGS, Cli, Target

HOG = '''
import threading


def compute() -> None:
    while True:
        sum(range(1000))


def hold_the_interpreter() -> None:
    """In the pool's processes only, where the step runs; as many as it takes to be noticed anywhere."""
    if not any(thread.name == "hog" for thread in threading.enumerate()):
        for _ in range(4):
            threading.Thread(target=compute, name="hog", daemon=True).start()
'''
HOGGED = (
    THINGS.replace("\n\nfrom dataclasses", f"\n{HOG}\n\nfrom dataclasses").replace(
        "    http.post", "    hold_the_interpreter()\n    http.post"
    )
    # long enough for the probe to say something
    + "\n\nscenario.concurrency = 2\n"
)


@pytest.fixture(scope="module")
def hogged(shared_cli: Cli, shared_target: Target) -> Cli:
    """A folder with a strict run whose threads wait for one that computes all the time."""
    args = ("--target", shared_target.url, "--set", "things=600", "--strict")
    ended = shared_cli.run(shared_cli.scenario(HOGGED, "hogged.py"), *args)
    assert (ended.code, ended.err) == (1, "")
    assert shared_cli.summary()["items"]["done"] == 600, "the work is done all the same"
    return shared_cli


def test_strict_fails_when_the_times_are_not_true(hogged: Cli) -> None:
    summary = hogged.summary()
    generator, verdict = summary["generator"], summary["verdict"]
    assert generator["verdict"] == "invalid"
    assert (verdict["ok"], verdict["exit_code"]) == (False, 1)
    assert verdict["reasons"] == [
        f"the generator was too slow for its times to be true: {'; '.join(generator['reasons'])}"
    ]
    (worker,) = summary["workers"]
    assert worker["verdict"] == "invalid"
    assert worker["probe_ms"] > 1
    assert worker["name"] in generator["reasons"][0]


def test_the_report_says_so_and_says_it_again(hogged: Cli) -> None:
    first = (hogged.home / "1.out").read_text()
    assert "INVALID  the generator was too slow for its times to be true" in first
    assert first.count("the generator's own waiting") == 1, "once"
    again = hogged("report", "latest", "--out", hogged.out).out
    assert again.splitlines() == first[first.index("INVALID ") :].splitlines()
    told = json.loads(hogged("report", "latest", "--out", hogged.out, "--format", "json").out)
    assert told == hogged.summary()


def test_a_resume_is_as_strict_as_the_run_was(hogged: Cli) -> None:
    ended = hogged("resume", "latest", "--out", hogged.out, "--processes", 1, "--quiet")
    assert ended.code == 1
    assert "the generator was too slow" in ended.out


def test_a_short_run_claims_nothing(cli: Cli, target: Target) -> None:
    ended = cli.run(cli.scenario(), "--target", target.url, "--set", "things=3", "--strict")
    assert ended.code == 0
    summary = cli.summary()
    assert summary["generator"] == {"verdict": None, "reasons": []}
    assert [(worker["verdict"], worker["probe_ms"]) for worker in summary["workers"]] == [(None, None)]


@pytest.mark.parametrize(("most", "form"), [(3, ()), (1, ("--described",))])
def test_selftest_tells_what_the_machine_can_do(cli: Cli, most: int, form: tuple[str, ...]) -> None:
    ended = cli("selftest", "--seconds", 0.2, "--delay", 5, "--most", most, *form)
    assert (ended.code, ended.err) == (0, "")
    heading, *rows = ended.out.splitlines()
    assert heading.split()[:2] == ["in", "flight"]
    levels = [int(row.split()[0]) for row in rows if row.split()[0].isdigit()]
    assert levels == sorted({1, most})
    assert any(
        words in rows[len(levels)] for words in ("This machine drives", "Too little", "takes no times")
    )
    assert not list(cli.home.glob("runs*")), "it leaves nothing behind"
    assert not cli.processes()
