"""docs/azkaban.md is walked through: each of its commands, in order, and each does what the text says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import REPO, Cli, Finished, Running, fenced, taught, until

from loadgen.sandbox import SandboxOptions, running

PAGE = REPO / "docs" / "azkaban.md"
TEXT = PAGE.read_text(encoding="utf-8")
SECRET = "not the default"  # who forgets it is not let in


class Walker:
    """Types what the page says, at targets that are here."""

    def __init__(self, cli: Cli) -> None:
        self.cli = cli
        self.url = ""
        self.real = ""
        self.typed: list[str] = []
        (cli.home / "scenarios").symlink_to(REPO / "scenarios")
        self._runs = cli.home / "runs"

    def start(self, line: list[str], name: str) -> Running:
        """Only places and secrets are other ones."""
        self.typed.append(name)
        at = line.index("loadgen")
        given = dict(word.replace("...", SECRET).split("=") for word in line[:at])
        elsewhere = {"http://127.0.0.1:8081": self.url, "http://azkaban.test:8081": self.real, "8081": "0"}
        if "RUN" in line:
            elsewhere["RUN"] = self.runs()[-2]
        words = [elsewhere.get(word, word) for word in line[at + 1 :]]
        return self.cli.start(*words, env={**given, "LOADGEN_LISTEN": "127.0.0.1:0"})

    def type(self, name: str, code: int = 0) -> Finished:
        """A command of the page, or several, to their end; returns the last."""
        for line in taught(PAGE, name):
            ended = self.start(line, name).wait()
            assert (ended.code, ended.err) == (code, ""), ended
        return ended

    def runs(self) -> list[str]:
        return sorted(path.parent.name for path in self._runs.glob("*/run.db"))

    def summary(self) -> dict[str, dict[str, int]]:
        return dict(json.loads((self._runs / self.runs()[-1] / "summary.json").read_text()))


@pytest.fixture
def walker(cli: Cli) -> Iterator[Walker]:
    return Walker(cli)


@pytest.mark.timeout(120)
def test_the_walk(walker: Walker) -> None:
    home = walker.cli.home
    ended = walker.type("try")
    assert "Verified 420 of 420 expected found" in " ".join(ended.out.split())
    assert "Verified 420 of 420 expected found" in TEXT

    (line,) = taught(PAGE, "sandbox")
    sandbox = walker.start(line, "sandbox")
    walker.url = until(lambda: re.findall(r"http\S+\n", sandbox.out), "it listens")[0].strip()

    walker.type("fill")
    assert walker.summary()["items"]["done"] == 200

    (line,) = taught(PAGE, "whole, stopped")
    under_way = walker.start(line, "whole, stopped")
    until(lambda: '"executeFlow"' in (home / "azkaban.jsonl").read_text(), "flows are run")
    under_way.interrupt()
    stopped = under_way.wait()
    assert stopped.code == 4, stopped
    walker.type("resume")
    summary = walker.summary()
    assert summary["items"]["done"] == 240 + 240 + 100 + 100
    assert summary["verification"]["found"] == 240 + 240 + 100
    assert summary["attempts"]["found"] >= 200, "more, where an answer was lost and the item looked for again"
    assert "Verified" in walker.type("report").out
    assert '"execution":' in walker.type("manifest").out

    assert "executions: 100 of 100 items done" in walker.type("dry run").out
    walker.type("clean")
    walker.type("clean the first")

    (file,) = (block for before, block in fenced(TEXT) if before == "<!-- file: loadgen.toml -->")
    (home / "loadgen.toml").write_text(file)
    log = home / "real.jsonl"
    with running(SandboxOptions(user="tester", password=SECRET, access_log=log)) as walker.real:
        walker.type("real")
        assert walker.summary()["verification"]["found"] == 200
        walker.type("clean the real one")
    assert holds_nothing(log)
    assert holds_nothing(home / "azkaban.jsonl")
    assert walker.typed == marked(), "every command of the page, in its order"


def marked() -> list[str]:
    """The names of the page's commands, each as often as there are lines under it."""
    names = re.findall(r"^<!-- command: (.*) -->$", TEXT, re.MULTILINE)
    return [name for name in names for _ in taught(PAGE, name)]


def holds_nothing(access_log: Path) -> bool:
    """As many projects were deleted as were created."""
    lines = [json.loads(line) for line in access_log.read_text().splitlines()]
    created = {line["project"] for line in lines if line["action"] == "create" and line["status"] == 200}
    deleted = {line["project"] for line in lines if line["action"] == "delete"}
    return bool(created) and created == deleted


def test_no_command_is_left_out() -> None:
    unmarked = [block for before, block in fenced(TEXT) if not before.startswith("<!-- ")]
    assert not [block for block in unmarked if "loadgen" in block]
