"""What load a run was asked for, and that every report for people says so."""

from __future__ import annotations

import doctest
import io
from typing import Any

import fake_records
import pytest
from html_reader import Page
from rich.console import Console

from loadgen.reports import load as module
from loadgen.reports.forms import FORMS, render
from loadgen.reports.load import load
from loadgen.reports.schema import Verdict

OK = Verdict(ok=True, exit_code=0)
PACE = {"rate": None, "stages": None, "arrivals": None, "digest": "", "seed": None, "max_lag": "1s"}
COURSE = {"duration": None, "ramp": None, "think_time": None, "mix": None, "seed": None}


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "closed"),
        (
            {"pace": None, "course": COURSE, "processes": 1, "concurrency": None},
            "closed, 1 process, slots found out",
        ),
        ({"pace": {**PACE, "stages": "0:5/s,1m:9/s"}, "course": COURSE}, "open, 0:5/s,1m:9/s, max lag 1s"),
        (
            {"pace": {**PACE, "arrivals": "/x/trace.txt", "digest": "0123456789abcdef"}},
            "open, at the times of trace.txt (0123456789ab), max lag 1s",
        ),
        (
            {"max_rate": "none", "max_in_flight": 8, "breaker": "50%/10s"},
            "closed, at most 8 in flight, breaker 50%/10s",
        ),
        (
            {"course": {**COURSE, "think_time": "1s-2s", "seed": 3}},
            "closed, think time 1s-2s, seed 3",
        ),
    ],
)
def test_the_line(settings: dict[str, Any], line: str) -> None:
    assert load(settings) == line


@pytest.mark.parametrize("form", ["terminal", "md", "html", "json"])
def test_it_is_in_every_form_for_people(form: str) -> None:
    record = fake_records.a_run({"put": 20})
    record.run = fake_records.some_facts(
        settings={"pace": {**PACE, "rate": "50/s"}, "course": COURSE, "processes": 2, "concurrency": 64}
    )
    assert form in FORMS
    file = io.StringIO()
    render(form, record, OK, Console(file=file, width=100))
    text = Page(file.getvalue()).text if form == "html" else file.getvalue()
    assert "open, 50/s, max lag 1s; 2 processes x 64" in text
    assert "{'rate'" not in text
