"""`loadgen runs`, `runs rm`, `runs prune`, `manifest`: on real ledgers, in this process."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadgen.cli import tidy
from loadgen.cli.app import run_app
from loadgen.cli.order import identity_file
from loadgen.cli.runs import HEADINGS, lines
from loadgen.cli.shelf import look, size
from loadgen.columns import divide
from loadgen.control import socket_path
from loadgen.ledger.lock import RunLock
from loadgen.ledger.store import Ledger
from loadgen.record import Ended, Joined, Mark, Reported, RunFacts, StepFacts
from loadgen.sample import Outcome, Result

ENDS = ("planned", "done", "failed", "unknown", "dropped", "cancelled", "pending")
DAY_US = 86_400_000_000


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs, in which commands are run."""
    monkeypatch.setenv("LOADGEN_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def a_run(shelf: Path, name: str, *, ago_days: float = 0, **how: Any) -> Path:
    """A run of two items; `done`: how many are; `undoable`, `cleaned`, `values`."""
    started_us = time.time_ns() // 1000 - round(ago_days * DAY_US)
    path = shelf / name
    path.mkdir(parents=True)
    facts = RunFacts(
        id=name,
        scenario="s",
        title="",
        path="s.py",
        digest="d",
        target="http://azkaban.test",
        options=how.get("options", {}),
        undoable=how.get("undoable", False),
        settings={},
        versions={},
    )
    ledger = Ledger(path, started_us=started_us)
    ledger.begin(facts, [StepFacts(0, "make", 2, "verify")])
    values = how.get("values", ["x", {"id": 7}])
    results = [
        Result(n, 1, Outcome.DONE, started_us, 1_000, value=msgspec.Raw(msgspec.msgpack.encode(values[n])))
        for n in range(how.get("done", 2))
    ]
    results += [
        Result(how.get("done", 2) + n, 1, Outcome.DROPPED, started_us, 0)
        for n in range(how.get("dropped", 0))
    ]
    plain, others = divide(results)
    pairs = frozenset((result.item, 1) for result in others)
    ledger.submit(
        [
            Joined(1, "s", "box:1", "box", 4),
            Reported(step=0, worker=1, results=others, plain=plain, counted=pairs),
            Mark("first_lease_us", started_us),
            Mark("settled_us", started_us + 500_000),
            *([Mark("cleaned_us", started_us + 1)] if how.get("cleaned") else []),
            Ended(started_us + 600_000, ""),
        ]
    ).wait()
    ledger.close()
    return path


def a_reported_run(shelf: Path) -> Path:
    """One item done, one dropped; with the rates that its report has."""
    path = a_run(shelf, "2026-a", ago_days=2, dropped=1, done=1)
    steps = [
        {"name": name, "items": {**dict.fromkeys(ENDS, 0), "planned": planned}, "rate_per_s": rate}
        for name, planned, rate in (("few", 1, 9.0), ("make", 2, 70.5))
    ]
    (path / "summary.json").write_text(json.dumps({"verdict": {"ok": True, "exit_code": 0}, "steps": steps}))
    return path


def test_the_table_and_its_json(shelf, capsys):
    a_reported_run(shelf)
    half = a_run(shelf, "2026-b", done=1)
    (half / "summary.json").write_text("{}")
    (shelf / "broken").mkdir()
    (shelf / "broken" / "run.db").write_text("no database")
    assert run_app(["runs"]) == 0
    heading, first, second, broken = capsys.readouterr().out.splitlines()
    assert heading.split()[-9:] == [
        "verdict",
        "size",
        "rate/s",
        *["planned", "done", "failed", "unknown", "dropped", "pending"],
    ]
    assert first.split()[3:5] == ["http://azkaban.test", "OK"]
    assert first.split()[-7:] == ["70.5", "2", "1", "0", "0", "1", "0"]
    assert second.split()[4] == "INCOMPLETE"
    assert second.split()[-7:] == ["-", "2", "1", "0", "0", "0", "1"]
    assert broken.startswith("broken")
    assert run_app(["runs", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["id"] for run in told] == ["2026-a", "2026-b", "broken"]
    assert told[0]["items"]["dropped"] == 1
    assert told[0]["rate_per_s"] == 70.5, "as in the report"
    assert told[0]["bytes"] == sum(file.stat().st_size for file in (shelf / "2026-a").iterdir())
    assert told[1]["verdict"]["resumable"]
    assert "cannot read" in told[2]["error"]


def test_the_verdict_is_that_of_the_summary(shelf):
    path = a_run(shelf, "r")
    (path / "summary.json").write_text('{"verdict": {"ok": false, "exit_code": 99}}')
    assert look(path).word == "THRESHOLD"


def test_a_running_one_is_told_and_never_removed(shelf, capsys):
    path = a_run(shelf, "r")
    lock = RunLock(path)
    assert look(path).word == "running"
    assert run_app(["runs", "rm", "r", "--yes", "--force"]) == 2
    assert "it is running" in capsys.readouterr().err
    lock.release()
    assert look(path).word == "OK"
    assert run_app(["runs", "rm", "r", "--yes"]) == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"done": 1}, "it can be resumed (1 items pending): loadgen resume r"),
        ({"undoable": True}, "what it made on http://azkaban.test is still there: loadgen clean r"),
    ],
)
def test_what_would_be_lost_stays_unless_forced(shelf, capsys, how, words):
    path, other = a_run(shelf, "r", **how), a_run(shelf, "other")
    assert run_app(["runs", "rm", "other", "r", "--yes"]) == 2
    assert words in capsys.readouterr().err
    assert look(path.resolve()).objection == f"{words} --out {path.parent.resolve()}", "it can be pasted"
    assert path.is_dir()
    assert other.is_dir(), "all or nothing"
    assert run_app(["runs", "rm", "r", "--yes", "--force"]) == 0
    assert not path.exists()
    assert capsys.readouterr().out == "removed r\n"


def test_what_a_run_left_in_the_state_directory_goes_with_it(shelf, tmp_path, monkeypatch):
    monkeypatch.setenv("LOADGEN_STATE_DIR", str(tmp_path / "state"))
    path = a_run(shelf, "r")
    left = [
        identity_file("r"),
        socket_path(path, os.environ),
        tmp_path / "state" / "spool" / "r" / "1.spool",
        tmp_path / "state" / "spool" / "other" / "1.spool",
    ]
    for file in left:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert run_app(["runs", "rm", "r", "--yes"]) == 0
    assert [file.exists() for file in left] == [False, False, False, True]


def test_what_was_cleaned_may_go(shelf):
    a_run(shelf, "r", undoable=True, cleaned=True)
    a_run(shelf, "stopped", done=1, undoable=True, cleaned=True)
    assert run_app(["runs", "rm", "r", "stopped", "--yes"]) == 0, "it cannot be resumed either"


def test_without_a_terminal_it_wants_a_yes(shelf, capsys):
    path = a_run(shelf, "r")
    assert run_app(["runs", "rm", "r"]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert path.is_dir()


def test_on_a_terminal_it_asks(shelf, capsys, monkeypatch):
    path = a_run(shelf, "r")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr(tidy.typer, "confirm", lambda text: "1 run" not in text)
    assert run_app(["runs", "rm", "r"]) == 2
    assert path.is_dir()
    monkeypatch.setattr(tidy.typer, "confirm", lambda text: "1 run (" in text)
    assert run_app(["runs", "rm", "r"]) == 0
    assert not path.exists()


def test_only_what_lies_on_the_shelf_is_removed(shelf, tmp_path, capsys):
    path = a_run(tmp_path / "elsewhere", "r")
    assert run_app(["runs", "rm", str(path), "--yes"]) == 2
    assert "only runs there are removed" in capsys.readouterr().err
    assert path.is_dir()
    assert run_app(["runs", "--out", "elsewhere", "rm", "r", "--yes"]) == 0
    assert not path.exists()


def test_prune_keeps_the_newest_and_what_would_be_lost(shelf, capsys):
    paths = [a_run(shelf, f"2026-{n}", ago_days=40 - 10 * n, done=1 if n == 1 else 2) for n in range(5)]
    for path in paths:
        path.touch()
    assert run_app(["runs", "prune", "--keep", "2", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "stays: 2026-1: it can be resumed" in out
    assert [line.split()[2] for line in out.splitlines() if line.startswith("would")] == ["2026-0", "2026-2"]
    assert all(path.is_dir() for path in paths)
    assert run_app(["runs", "prune", "--keep", "2", "--older", "35d", "--yes"]) == 0
    assert [path.is_dir() for path in paths] == [False, True, True, True, True]
    assert run_app(["runs", "prune", "--older", "15d", "--yes", "--out", str(shelf)]) == 0
    assert [path.is_dir() for path in paths] == [False, True, False, True, True]
    assert run_app(["runs", "prune", "--older", "900w", "--yes"]) == 0
    assert capsys.readouterr().out.endswith("nothing to remove in runs\n")


def test_prune_wants_to_know_what_is_old(shelf, capsys):
    assert run_app(["runs", "prune"]) == 2
    assert "--keep N" in capsys.readouterr().err
    assert run_app(["runs", "prune", "--older", "soon"]) == 2
    assert "like 30d" in capsys.readouterr().err


def test_sizes():
    told = [size(number) for number in (0, 17, 999, 999.5, 1_234, 9_960, 34_567_890, 5e13)]
    assert told == ["0 B", "17 B", "999 B", "1.0 kB", "1.2 kB", "10 kB", "35 MB", "50 TB"]


def test_the_manifest_in_both_forms(shelf, capsys):
    a_run(shelf, "r", values=['a,"b"\nc', {"id": 7}])
    assert run_app(["manifest", "r", "--format", "csv"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [["step", "item", "value"], ["make", "0", 'a,"b"\nc'], ["make", "1", '{"id":7}']]
    assert run_app(["manifest", "r"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == {"step": "make", "item": 1, "value": {"id": 7}}
    assert run_app(["manifest", "r", "--format", "xml"]) == 2
    assert "jsonl, csv" in capsys.readouterr().err


def test_compare_refuses_unlike_runs_and_compares_them_anyway(shelf, capsys):
    a_run(shelf, "one")
    a_run(shelf, "two", options={"flows": 3})
    a_run(shelf, "three")
    assert run_app(["compare", "one", "two", "three"]) == 2
    error = capsys.readouterr().err
    assert "two: option flows: none and 3" in error
    assert "three" not in error
    assert run_app(["compare", "one", "three", "--fail-on-regression", "10%"]) == 0
    assert capsys.readouterr().out.startswith("UNKNOWN  there is too little"), "two items are no measurement"
    assert run_app(["compare", "one", "two", "three", "--anyway", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)["comparisons"]
    assert [part["other"] for part in told] == ["two", "three"]
    assert told[0]["differences"] == ["option flows: none and 3"]
    assert told[0]["lines"][0]["finding"] == "unknown"
    for form, begins in (("html", "<!DOCTYPE html>"), ("md", "## UNKNOWN"), ("json", "{")):
        assert run_app(["compare", "one", "three", "--format", form, "--output", f"told.{form}"]) == 0
        assert capsys.readouterr() == ("", "")
        assert Path(f"told.{form}").read_text().startswith(begins)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["one"], "name two runs"),
        (["one", "one", "--fail-on-regression", "10"], "like 10%"),
        (["one", "one", "--format", "pdf"], "terminal, json"),
    ],
)
def test_compare_says_what_it_wants(shelf, capsys, words, complaint):
    a_run(shelf, "one")
    assert run_app(["compare", *words]) == 2
    assert complaint in capsys.readouterr().err


def test_a_regression_is_exit_code_1(shelf, capsys, monkeypatch):
    a_run(shelf, "one")
    monkeypatch.setattr(
        "loadgen.reports.compare.Comparison.regressions", lambda self, percent: self.lines[:1]
    )
    assert run_app(["compare", "one", "one", "--fail-on-regression", "10%"]) == 1
    assert capsys.readouterr().out.startswith("REGRESSION")
    assert run_app(["compare", "one", "one"]) == 0


def test_the_forms_that_the_documents_show(shelf, tmp_path, capsys):
    """Each command of docs/formats.md, as it stands there; and the same to standard output."""
    a_run(shelf, "2026-a")
    text = (Path(__file__).parents[3] / "docs" / "formats.md").read_text(encoding="utf-8")
    block = text.partition("<!-- command: formats -->\n```\n")[2].partition("```")[0]
    lines = [line.split() for line in block.splitlines()]
    assert len(lines) >= 7
    for _, *words in lines:
        assert run_app(words) == 0
        assert capsys.readouterr() == ("", "")
        assert (tmp_path / words[-1]).exists()
        code = run_app(words[:4])
        out, error = capsys.readouterr()
        assert (code == 0 and out and not error) or ("--output FILE" in error and words[3] == "parquet")


ROW = ("20261120-221833123-azkaban_flows-3f2a", "2026-11-20 22:18:33", "http://127.0.0.1:8081", "INCOMPLETE")
ROW = (*ROW, "1.2 MB", "312", "10000", "9000", "12", "0", "0", "988")


def test_a_table_as_narrow_as_the_terminal():
    broken = ("20261120-221833123-azkaban_flows-3f2b", "cannot read the ledger: file is not a database" * 3)
    whole = lines([ROW, broken], None)
    assert [part.split() for part in whole[:2]] == [" ".join(HEADINGS).split(), " ".join(ROW).split()]
    assert whole[2].endswith(broken[1])
    for width in (200, 136, 100, 80, 60):
        table = lines([ROW, broken], width)
        assert max(map(len, table)) <= width
        assert table[1].split()[0] == ROW[0], "a name is there to be copied"
        assert "INCOMPLETE" in table[1]
    assert lines([ROW], 80)[0].split() == ["run", "verdict", "done", "failed", "pending"]
    assert "unknown" not in lines([ROW], 120)[0], "nothing is unknown: that goes first"
    assert lines([(*ROW[:9], "3", "0", "0")], 80)[0].split()[-1] == "unknown"
    assert lines([ROW], 10)[0].split() == ["run", "verdict"]
