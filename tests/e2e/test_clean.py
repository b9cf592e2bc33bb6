"""`loadgen clean`: it says what it would do, asks, undoes what the ledger knows, and can be called again."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from harness import Cli, Target
from test_interrupt import Terminal

from loadgen.ledger.lock import RunLock

BUILT = '''"""Build sheds, and put things into them."""

from dataclasses import dataclass

from loadgen import Made, Scenario, Session, Verification


@dataclass(frozen=True)
class Options:
    things: int = 8


scenario = Scenario(options=Options)


@scenario.setup
def build(http: Session, options: Options) -> list[str]:
    http.post("/sheds/a")
    return ["a"]


@scenario.step(items=lambda options: options.things)
def put(http: Session, item: int, options: Options) -> object:
    return http.post(f"/things/{item}").json()["id"]


@scenario.verify
def all_there(http: Session, options: Options, made: Made) -> Verification:
    there = [str(value) for value in made("put")]
    return Verification.of([f"id{n}" for n in range(options.things) if n != 5], there)


@scenario.teardown
def remove(http: Session, options: Options, made: Made) -> None:
    for value in made("put"):
        http.delete(f"/things/{value}", expect=404)
    for item in made.failed("put"):
        http.delete(f"/maybe/{item}", expect=404)
    for shed in made.setup:
        http.delete(f"/sheds/{shed}", expect=404)
'''


@pytest.fixture(scope="module")
def built(shared_cli: Cli, shared_target: Target) -> Iterator[Cli]:
    """A run of which one item failed."""
    shared_target.answer = lambda seen: (
        500 if seen.path == "/things/5" else 200,
        json.dumps({"id": f"id{seen.path.rpartition('/')[2]}"}),
    )
    ended = shared_cli.run(shared_cli.scenario(BUILT), "--target", shared_target.url)
    assert ended.code == 3, ended
    assert "7 of 7 expected found" in ended.out, "verify was told what the step returned"
    shared_target.seen.clear()
    return shared_cli


def deleted(target: Target) -> list[str]:
    return [seen.path for seen in target.seen if seen.method == "DELETE"]


EVERYTHING = [*(f"/things/id{n}" for n in range(8) if n != 5), "/maybe/5", "/sheds/a"]


class TestOneAfterTheOther:
    """One run, from the first look to the second clean."""

    def test_a_dry_run_tells_and_sends_nothing(self, built: Cli, shared_target: Target) -> None:
        ended = built("clean", "latest", "--dry-run", "--out", built.out)
        assert (ended.code, ended.err) == (0, "")
        for words in (
            f"Target     {shared_target.url}",
            "put: 7 of 8 items done, 1 failed, 0 unknown, 0 open",
            '"value":"id0"',
            "loadgen manifest",
            "Teardown   there is one",
        ):
            assert words in ended.out
        assert shared_target.seen == []

    def test_without_a_terminal_it_wants_to_be_told(self, built: Cli, shared_target: Target) -> None:
        built.here("clean", "latest", "--out", built.out).complains(
            2, shared_target.url, "--dry-run", "--yes"
        )
        assert shared_target.seen == []

    def test_a_run_under_way_is_refused(self, built: Cli, shared_target: Target) -> None:
        lock = RunLock(built.directory())
        try:
            built.here("clean", "latest", "--out", built.out, "--yes").complains(
                2, "another master is running it"
            )
        finally:
            lock.release()
        assert shared_target.seen == []

    def test_on_a_terminal_it_asks_and_no_is_the_default(self, built: Cli, shared_target: Target) -> None:
        terminal = Terminal(built, "clean", "latest", "--out", built.out)
        try:
            terminal.press("\r")
            assert terminal.wait() == 2
            assert terminal.shows(r"Undo it on .*\[y/N\]")
            assert terminal.shows("7 of 8 items done")
            assert terminal.shows("nothing was undone")
        finally:
            terminal.close()
        assert shared_target.seen == []

    def test_one_that_breaks_can_be_called_again(self, built: Cli, shared_target: Target) -> None:
        shared_target.answer = lambda seen: (500 if "id3" in seen.path else 200, "{}")
        built("clean", "latest", "--out", built.out, "--yes").complains(4, "teardown failed", "id3")
        assert "did not come to its end" in built.here("clean", "latest", "--dry-run", "--out", built.out).out
        resumed = built.here("resume", "latest", "--out", built.out, "--listen", "127.0.0.1:0")
        resumed.complains(2, "was cleaned")
        shared_target.seen.clear()
        shared_target.answer = lambda _: (404, "{}")
        terminal = Terminal(built, "clean", "latest", "--out", built.out)
        try:
            terminal.press("y\r")
            assert terminal.wait() == 0
            assert terminal.shows("cleaned http://")
            assert terminal.shows(r"cleaning http://\S+: \d calls")
        finally:
            terminal.close()
        assert deleted(shared_target) == EVERYTHING

    def test_a_second_one_does_nothing_unless_told(self, built: Cli, shared_target: Target) -> None:
        shared_target.seen.clear()
        ended = built.here("clean", "latest", "--out", built.out)
        assert (ended.code, ended.err) == (0, "")
        assert "was cleaned at 20" in ended.out
        assert shared_target.seen == []
        assert built("clean", "latest", "--out", built.out, "--again", "--yes").code == 0
        assert deleted(shared_target) == EVERYTHING


def test_what_setup_returns_must_be_json(cli: Cli, target: Target) -> None:
    target.answer = lambda seen: (200, '{"id": 1}')
    ended = cli.run(cli.scenario(BUILT.replace('return ["a"]', "return {http}")), "--target", target.url)
    assert ended.code == 4
    assert "things.py:16: setup returned what is not JSON-able" in " ".join(ended.out.split())
    assert target.count("/things") == {}
