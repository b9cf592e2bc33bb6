"""The end of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from loadgen.cli.finish import finish
from loadgen.ledger.store import Ledger
from loadgen.record import RunFacts, StepFacts
from loadgen.reports.html import document


def a_run(directory: Path) -> Path:
    facts = {
        "id": "r1",
        "scenario": "s",
        "title": "",
        "path": "s.py",
        "digest": "d",
        "target": "http://127.0.0.1",
    }
    ledger = Ledger(directory, started_us=1_700_000_000_000_000)
    ledger.begin(RunFacts(**facts, options={}, settings={}, versions={}), [StepFacts(0, "step", 0, "verify")])
    ledger.close()
    return directory


@pytest.mark.parametrize("broken", [False, True])
def test_a_page_that_cannot_be_made_spoils_nothing(tmp_path, monkeypatch, broken):
    screen = io.StringIO()
    if broken:
        monkeypatch.setattr(document, "page", lambda _: 1 / 0)
    verdict = finish(a_run(tmp_path), Console(file=screen, width=80), None, json=None, quiet=True)
    assert verdict.ok
    assert (tmp_path / "summary.json").is_file()
    assert (tmp_path / document.FILE).is_file() is not broken
    assert ("cannot write report.html: division by zero" in screen.getvalue()) is broken
    assert screen.getvalue().endswith("r1: ok\n")


def test_a_summary_that_cannot_be_written_elsewhere_spoils_nothing(tmp_path):
    screen = io.StringIO()
    nowhere = tmp_path / "gone" / "x.json"
    verdict = finish(a_run(tmp_path), Console(file=screen, width=80), None, json=nowhere, quiet=True)
    assert verdict.ok
    assert screen.getvalue() == f"--json {nowhere}: No such file or directory\nr1: ok\n"
