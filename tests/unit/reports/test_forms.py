"""Reports by the name of their form."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import fake_records
import pytest
from rich.console import Console

from loadgen.columns import Samples
from loadgen.errors import UsageError
from loadgen.ledger.reader import Reader
from loadgen.ledger.store import Ledger
from loadgen.record import Joined, Reported, StepFacts, Verified
from loadgen.reports.forms import FORMS, render
from loadgen.reports.schema import Verdict
from loadgen.reports.summary import encode, summarize, total
from loadgen.reports.verdict import judge
from loadgen.sample import Outcome, Result, Sample

OK = Verdict(ok=True, exit_code=0)


def test_json_is_the_summary_whatever_the_terminal():
    file = io.StringIO()
    record = fake_records.bad()
    render("json", record, OK, Console(file=file, width=20, force_terminal=True))
    assert file.getvalue() == encode(summarize(record, OK)).decode()


def test_json_can_be_written_in_ascii():
    raw = io.BytesIO()
    record = fake_records.a_run({"créer": 1})
    with io.TextIOWrapper(raw, encoding="ascii") as file:
        render("json", record, OK, Console(file=file))
        file.flush()
        told = json.loads(raw.getvalue())
    assert told == json.loads(encode(summarize(record, OK)))


def test_terminal_reads_the_calls_once():
    record = fake_records.good()
    render("terminal", record, OK, Console(file=io.StringIO(), width=80))
    assert record.passes == 1


def test_an_unknown_form_is_a_usage_error():
    with pytest.raises(UsageError, match=r"'pdf'.*terminal, json"):
        render("pdf", fake_records.empty(), OK, Console(file=io.StringIO()))


def test_a_real_ledger_is_a_record(tmp_path):
    """What the ledger wrote and reads is what the reports ask for."""
    ledger = Ledger(tmp_path, started_us=fake_records.STARTED_US)
    at_us = fake_records.STARTED_US + 1_000
    ledger.begin(fake_records.some_facts(), [StepFacts(0, "create", 2, "verify")])
    ledger.submit(
        [
            Joined(1, "s", "host-1:17", "host-1", 8),
            Reported(
                step=0,
                worker=1,
                results=[Result(0, 1, Outcome.FAILED, at_us, 5_000, "GET /17 answered 500")],
                samples=Samples.of(
                    [Sample(0, 1, "create GET /", at_us, 4_000, status=500, error="HTTP 500")]
                ),
                counted=frozenset({(0, 1)}),
            ),
            Verified(2, 1, 1, 0, {"missing": ["1"]}),
        ]
    ).wait()
    ledger.close()
    with Reader(tmp_path) as record:
        verdict = judge(total(record), record.verified())
        told = summarize(record, verdict)
        render("terminal", record, verdict, Console(file=io.StringIO()))
    assert told.verdict.reasons[:2] == ("1 of 2 items is pending", "1 of 2 items failed")
    assert (told.items.failed, told.items.pending) == (1, 1)
    assert told.calls[0].service_time.p50 == told.calls[0].service_time.max == 4.0
    assert told.steps[0].item_time.max == 5.0
    assert told.errors[0].first == "2023-11-14T22:13:20.129Z"
    assert told.workers[0].items == told.workers[0].calls == 1


def test_forms():
    assert list(FORMS)[:2] == ["terminal", "json"]


@pytest.mark.parametrize("module", ["loadgen.reports", "loadgen.reports.summary", "loadgen.reports.forms"])
def test_rich_is_imported_only_for_a_terminal(module):
    program = f"import sys, {module}; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
