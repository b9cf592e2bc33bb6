"""report.html: its numbers are the summary's, nothing breaks out of it, it needs nothing else."""

from __future__ import annotations

import base64
import dataclasses
import doctest
import gzip
import hashlib
import importlib
import importlib.util
import io
import json
import subprocess
import sys
from itertools import pairwise

import fake_records
import pytest
from fake_records import EVIL, some_facts
from html_reader import Page
from rich.console import Console

from loadgen.record import ItemCounts, WorkerFacts
from loadgen.reports.bands import Band, Bands
from loadgen.reports.forms import render
from loadgen.reports.html import document, findings
from loadgen.reports.schema import Verdict
from loadgen.reports.summary import encode, summarize, total
from loadgen.reports.verdict import judge
from loadgen.reports.words import three

KINDS = ["good", "bad", "interrupted", "empty", "single"]
LIMIT = 6_000_000
MODULES = [
    "charts",
    "document",
    "figures",
    "findings",
    "markup",
    "parts",
    "pictures",
    "sections",
    "svg",
    "tables",
]


def read(record) -> tuple[Page, dict]:
    """The page, and the summary it must agree with."""
    verdict = judge(total(record), record.verified())
    return Page(document.report(record, verdict)), json.loads(encode(summarize(record, verdict)))


@pytest.fixture(scope="module", params=KINDS)
def told(request) -> tuple[Page, dict]:
    return read(getattr(fake_records, request.param)())


@pytest.fixture(scope="module")
def good() -> tuple[Page, dict]:
    return read(fake_records.good())


def test_the_summary_is_in_it(told):
    page, summary = told
    assert page.island("summary") == summary


def test_the_tables_say_what_the_summary_says(told):
    page, summary = told
    headings = {"p99.9": "p999"}
    for name, rows, times in (
        ("Steps", "steps", "item_time"),
        ("Steps: item times", "steps", "item_time"),
        ("Calls: service times", "calls", "service_time"),
    ):
        table = page.tables.get(name, [])
        assert len(table) == len(summary[rows])
        known = {row["name"]: row for row in summary[rows]}
        for cells in table:
            row = known[next(iter(cells.values()))]
            for heading, cell in cells.items():
                field = headings.get(heading, heading)
                if field in row[times] and heading != "count":
                    assert cell == three(row[times][field]), heading
                elif heading == "measured":
                    assert cell == f"{row[times]['count']:,}"
                elif field in row.get("items", {}):
                    assert cell == f"{row['items'][field]:,}", heading
                elif heading in ("count", "errors"):
                    assert cell == f"{row[heading]:,}"
                elif heading in ("items/s", "calls/s"):
                    assert cell == three(row["rate_per_s"])


def test_tiles_workers_and_errors_say_what_the_summary_says(told):
    page, summary = told
    for name in ("planned", "done", "failed", "unknown", "dropped"):
        at = page.texts.index(name)
        assert page.texts[at + 1] == f"{summary['items'][name]:,}", name
    workers = {worker["name"]: worker for worker in summary["workers"]}
    for cells in page.tables.get("Workers", []):
        worker = workers.pop(cells["worker"])
        assert (cells["items"], cells["calls"]) == (f"{worker['items']:,}", f"{worker['calls']:,}")
        assert cells["lost"] == ("LOST" if worker["lost"] else "no")
    assert not workers
    counts = [f"{kind['count']:,}" for kind in summary["errors"][:20]]
    assert [cells["count"] for cells in page.tables.get("Errors", [])] == counts


def test_the_charts_say_what_the_summary_says(good):
    """Their points are the histograms of its percentiles, and bands that hide no extremes."""
    page, summary = good
    charts = page.island("charts")
    for number, step in enumerate(summary["steps"]):
        times = step["item_time"]
        (curve,) = [each for each in charts["curve-items"]["series"] if each["name"] == step["name"]]
        assert (curve["x"][-1], curve["y"][-1]) == (times["count"], times["max"])
        assert all(before <= after for before, after in pairwise(curve["y"]))
        nineties = dict(zip(curve["x"], curve["y"], strict=True))
        assert nineties[10] == times["p90"]
        assert times["count"] == 100 or nineties[100] == times["p99"]
        (bins,) = charts[f"histogram-{number}"]["series"]
        assert sum(bins["y"]) == times["count"]
        assert bins["x"][0] == times["min"]
        for chart in (charts[f"time-{number}"], charts[f"items-{number}"]):
            (area,) = [each for each in chart["series"] if each["role"] == "range"]
            assert min(low for low in area["y0"] if low is not None) == times["min"]
            assert max(high for high in area["y"] if high is not None) == times["max"]


def test_every_chart_has_a_still_picture(told):
    page, _ = told
    ids = [value for tag, name, value in page.attributes if (tag, name) == ("figure", "id")]
    assert sorted(page.island("charts")) == sorted(ids)
    assert page.pictures == len(ids)


def test_nothing_is_loaded_from_elsewhere(good):
    page, _ = good
    for tag, name, value in page.attributes:
        assert name != "src", tag
        if name == "href":
            assert value.startswith("#")
            assert value[1:] in {found for _, attribute, found in page.attributes if attribute == "id"}
    assert "@import" not in page.source
    assert "url(" not in page.source[: page.source.index('id="plotly"')]


def test_it_is_small_plain_and_holds_plotly(good):
    page, _ = good
    assert len(page.source) < LIMIT
    assert page.source.isascii()
    (packed,) = [text for attributes, text in page.scripts if attributes.get("id") == "plotly"]
    assert gzip.decompress(base64.b64decode(packed)).lstrip().startswith(b"/**\n* plotly.js")


def test_the_policy_lets_only_its_own_scripts_run(good):
    page, _ = good
    (policy,) = [
        value
        for tag, name, value in page.attributes
        if (tag, name) == ("meta", "content") and "script-src" in value
    ]
    (packed,) = [text for attributes, text in page.scripts if attributes.get("id") == "plotly"]
    for code in (*map(str.encode, page.code), gzip.decompress(base64.b64decode(packed))):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(code).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'")
    assert policy.count("sha256-") == 2


def test_what_others_say_is_text():
    page, summary = read(fake_records.evil())
    assert len(page.code) == 1
    assert len(page.scripts) == 4
    assert not [name for _, name, _ in page.attributes if name.startswith(("on", "alert"))]
    assert page.island("summary") == summary
    assert EVIL in page.text
    assert "alert(3)" in page.text
    assert not {"\x1b", "\u202e"} & set(page.text)


def test_it_is_written_whatever_is_missing(monkeypatch):
    """Where plotly is not installed, the still pictures are all there is."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    page, _ = read(fake_records.bad())
    assert "plotly" not in {attributes.get("id") for attributes, _ in page.scripts}
    assert page.pictures > 0


def test_headings_say_what_was_found(good):
    page, summary = good
    step = summary["steps"][1]
    assert f"{step['name']}: p95 {three(step['item_time']['p95'])} ms, rising (last third" in page.text
    assert "create_flow gets slower" in page.text
    assert "The target holds all 10,000, and nothing else" in page.text
    bad, _ = read(fake_records.bad())
    assert "2,950 of 3,000 found: 50 missing, 2 unexpected" in bad.text
    assert "1 lost" in bad.text
    assert "#errors" in {value for _, _, value in bad.attributes}


def test_a_trend_is_claimed_of_enough_only():
    few, _ = read(fake_records.a_run({"step": 150}))
    assert "no clear trend" in few.text
    assert "steady" not in few.text


def bands(*p95s) -> Bands:
    return Bands(1, tuple(Band(at, 100, 0, p95, p95, p95, p95, p95) for at, p95 in enumerate(p95s)))


def test_a_trend_is_claimed_where_it_stands_out_of_the_noise():
    assert findings.trend(bands(*[10.0] * 10, *[20.0] * 10, *[30.0] * 10)) == 3.0
    assert findings.trend(bands(*[10.0, 11.0] * 15)) == pytest.approx(1.0)
    assert findings.trend(bands(*[1.0, 9.0, 2.0] * 5, *[2.0, 3.0, 9.0, 4.0] * 5)) is None
    assert findings.trend(bands(*[10.0] * 8)) is None


def test_thresholds_are_told():
    record = fake_records.single()
    record.run = some_facts(settings={"thresholds": ["p95<0.001ms"]})
    page, summary = read(record)
    (row,) = page.tables["Thresholds"]
    assert row["threshold"] == summary["thresholds"][0]["expr"]
    assert row["held"] == "NO"


def test_on_a_terminal_it_is_a_file(tmp_path):
    record, screen = dataclasses.replace(fake_records.single(), directory=tmp_path), io.StringIO()
    render("html", record, Verdict(ok=True, exit_code=0), Console(file=screen, force_terminal=True, width=40))
    assert screen.getvalue().strip() == str(tmp_path / "report.html")
    piped = io.StringIO()
    render("html", record, Verdict(ok=True, exit_code=0), Console(file=piped))
    assert piped.getvalue() == (tmp_path / "report.html").read_text()


def test_skew_is_against_the_share_of_the_slots():
    record = fake_records.a_run({"step": 300})
    record.outcomes[0] = ItemCounts(300, 300)
    record.crew = [
        WorkerFacts(1, "a", "a", 30, 150, 150, 1.0, 2.0, lost=False),
        WorkerFacts(2, "b", "b", 10, 150, 150, 1.0, 2.0, lost=False),
    ]
    summary = summarize(record, Verdict(ok=True, exit_code=0))
    assert findings.skews(summary) == [pytest.approx(2 / 3), 2.0]
    assert "one did 2.0 times its share" in findings.workers(summary)


def test_plotly_itself_is_never_imported():
    program = (
        "import sys, loadgen.cli.finish, loadgen.reports.html.document as it; it._plotly();"
        "sys.exit('plotly' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(f"loadgen.reports.html.{module}")).failed == 0
