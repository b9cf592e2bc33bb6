"""The end of a run."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from loadgen.cli.finish import finish, verdict_now
from loadgen.ledger.lock import RunLock
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.record import Event, Mark, RunFacts, StepFacts
from loadgen.reports.html import document
from loadgen.reports.schema import Verdict

QUIET = SimpleNamespace(json=None, quiet=True, verbose=False)


def a_run(directory: Path, items: int = 0) -> Path:
    facts = {
        "id": "r1",
        "scenario": "s",
        "title": "",
        "path": "s.py",
        "digest": "d",
        "target": "http://127.0.0.1",
    }
    ledger = Ledger(directory, started_us=1_700_000_000_000_000)
    ledger.begin(
        RunFacts(**facts, options={}, settings={}, versions={}), [StepFacts(0, "step", items, "verify")]
    )
    ledger.close()
    return directory


@pytest.mark.parametrize("broken", [False, True])
def test_a_page_that_cannot_be_made_spoils_nothing(tmp_path, monkeypatch, broken):
    screen = io.StringIO()
    if broken:
        monkeypatch.setattr(document, "page", lambda _: 1 / 0)
    verdict = finish(a_run(tmp_path), Console(file=screen, width=80), None, QUIET)
    assert verdict.ok
    assert (tmp_path / "summary.json").is_file()
    assert (tmp_path / document.FILE).is_file() is not broken
    assert ("cannot write report.html: division by zero" in screen.getvalue()) is broken
    assert screen.getvalue().endswith("r1: ok\n")


def note(directory: Path, *records: Event | Mark) -> None:
    ledger = Ledger(directory, started_us=1_700_000_000_000_000)
    ledger.submit(records).wait()
    ledger.close()


def verdict_on(directory: Path) -> Verdict:
    with Reader(directory) as reader:
        return verdict_now(reader)


def test_a_run_with_a_master_is_running_and_without_one_it_is_not(tmp_path):
    directory = a_run(tmp_path, items=3)
    assert not verdict_on(directory).running
    lock = RunLock(directory)
    assert verdict_on(directory).reasons == ("0 of 3 settled so far",)
    note(directory, Event(1, "paused", "by a threshold: failed<1%: it is 3%"), Event(2, "worker left", "one"))
    assert verdict_on(directory).reasons == ("0 of 3 settled so far, paused by a threshold",)
    note(directory, Event(3, "continued", "by hand"))
    assert verdict_on(directory).running
    assert "paused" not in verdict_on(directory).reasons[0]
    lock.release()
    assert verdict_on(directory).reasons == ("3 of 3 items are pending",)


def test_a_clean_holds_a_run_that_is_over(tmp_path):
    directory = a_run(tmp_path)
    note(directory, Mark("clean_started_us", 5))
    lock = RunLock(directory)
    assert verdict_on(directory).ok
    lock.release()


def test_a_summary_that_cannot_be_written_elsewhere_spoils_nothing(tmp_path):
    screen = io.StringIO()
    nowhere = tmp_path / "gone" / "x.json"
    verdict = finish(
        a_run(tmp_path),
        Console(file=screen, width=80),
        None,
        SimpleNamespace(**{**vars(QUIET), "json": nowhere}),
    )
    assert verdict.ok
    assert screen.getvalue() == f"--json {nowhere}: No such file or directory\nr1: ok\n"
