"""Runs side by side, in every form: the same numbers, all runs in the same charts."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import io
import json
import math
from pathlib import Path

import fake_records
import msgspec
import pytest
from fake_records import EVIL, some_facts
from html_reader import Page
from rich.console import Console

from loadgen.errors import RunDirectoryError, UsageError
from loadgen.record import ItemCounts
from loadgen.reports.compare_forms import FORMS, export, render
from loadgen.reports.html import document
from loadgen.reports.html.comparison import page
from loadgen.reports.overlay import MARKS, Quantity, legend, overlaid
from loadgen.reports.schema import Verdict
from loadgen.reports.side_by_side import SideBySide, lay
from loadgen.reports.timeline import Bucket, Timeline
from loadgen.reports.wobble import wobble
from loadgen.reports.words import ASCII, three

OK = Verdict(ok=True, exit_code=0)
P95 = Quantity("p95", "ms", "p95")
NOWHERE = Path("nowhere")


def laid(*records: fake_records.FakeRecord, limit: float | None = None) -> SideBySide:
    return lay([(record, OK) for record in records], limit)


def slowed(factor: float, name: str, **changes) -> fake_records.FakeRecord:
    """The same run again under another name, its items and calls so much slower."""
    record = fake_records.a_run({"make": 1_500, "look": 10})
    record.run = some_facts(id=name, **changes)
    record.calls = [
        msgspec.structs.replace(call, total_us=round(call.total_us * factor)) for call in record.calls
    ]
    record.tries = [
        dataclasses.replace(row, duration_us=round(row.duration_us * factor)) for row in record.tries
    ]
    return record


@pytest.fixture(scope="module")
def told() -> SideBySide:
    """A base, one that is no different, and one that is slower."""
    return laid(slowed(1, "run-1"), slowed(1, "run-2"), slowed(1.6, "run-3"), limit=10)


@pytest.fixture(scope="module")
def read(told) -> Page:
    return Page(page(told))


@pytest.fixture(autouse=True)
def _light(monkeypatch):
    """Pages without plotly, which takes longest of all to pack; but `read` is one with it."""
    monkeypatch.setattr(document, "_plotly", lambda: None)


def text_of(told: SideBySide, form: str, width: int = 100) -> str:
    file = io.StringIO()
    render(form, told, Console(file=file, width=width), NOWHERE)
    return file.getvalue()


def test_json_has_every_line_and_what_they_come_to(told):
    found = json.loads(text_of(told, "json"))
    assert found == json.loads(json.dumps(told.builtins()))
    same, slower = found["comparisons"]
    assert (found["schema"], same["base"], same["other"], slower["other"]) == (1, "run-1", "run-2", "run-3")
    assert same["regressions"] == []
    assert {line["finding"] for line in same["lines"]} == {"same", "unknown"}
    assert [(each["step"], each["finding"]) for each in slower["verdicts"]] == [
        ("make", "worse"),
        ("look", "unknown"),
    ]
    assert {line["measure"] for line in slower["regressions"]} == {"mean", "p50", "p95", "p99"}


@pytest.mark.parametrize("width", [80, 200])
def test_the_terminal_shows_sentences_tables_and_all_runs_in_one_plot(told, width):
    text = text_of(told, "terminal", width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert lines[0] == "SAME  no difference beyond noise"
    assert any(line.startswith("REGRESSION  make mean slower by 60 % (") for line in lines)
    assert any(line.startswith("  make: p95 slower by 60 % (") for line in lines)
    assert "too little to tell: look" in text
    at = lines.index("Over time, each from its own start: p95 service time and rate of all calls")
    assert lines[at + 1 : at + 5] == ["  o A run-1", "  x B run-2", "  + C run-3", "  * several of them"]
    plot = lines[at + 5 :]
    assert [line.split()[0] for line in plot if line.startswith(("  p", "  c"))] == [
        "p95",
        "calls",
    ]
    assert {"*", "+"} <= set("".join(plot)), "A and B are the same, C is another"


def test_markdown_is_the_same_page(told):
    text = text_of(told, "md")
    assert text.startswith("## SAME")
    assert "### make (item time)" in text
    assert "- make: p95 slower by 60 % (" in text
    assert "- o A run-1\n- x B run-2\n" in text
    assert "```text\n  p95 " in text


def a_line(p95s, width_s: float = 1.0) -> Timeline:
    made = (Bucket(n * width_s, 10, 0, 10.0, 1.0, p95, 1.0, 9.0) for n, p95 in enumerate(p95s))
    return Timeline(width_s, tuple(made))


def test_a_plot_has_one_scale_and_a_mark_for_each_run():
    lines = overlaid([("A", a_line([4.0] * 10)), ("B", a_line([8.0] * 5))], P95, 59, ASCII)
    assert len(lines) == 10
    assert lines[0] == "  p95     8.00 ms |" + "x" * 20, "half as long"
    assert lines[4] == "             4.00 |" + "o" * 40, "half as high"
    assert lines[8].endswith("0 |")
    assert lines[9].split() == ["0", "s", "5", "s", "10", "s"]
    both = overlaid([("A", a_line([8.0])), ("B", a_line([8.0, None, 1.0]))], P95, 49, ASCII)
    assert both[0].endswith("|" + "*" * 10), "each column is somebody's, or shared"
    assert both[7].endswith("|" + " " * 20 + "x" * 10), "a gap stays one"


def test_nothing_to_plot_and_too_much():
    assert overlaid([("A", Timeline())], P95, 80, ASCII) == []
    assert overlaid([], P95, 80, ASCII) == []
    assert legend(["A one"]) == ["o A one"]
    many = [(f"R{n}", a_line([float(n)])) for n in range(1, 9)]
    assert legend([name for name, _ in many])[-1] == "and 2 more, not drawn"
    assert set("".join(overlaid(many, P95, 80, ASCII)[:-1])) & set("RST") == set()
    assert overlaid(many, P95, 80, ASCII)[0].startswith("  p95     6.00 ms")
    assert len(set(MARKS)) == len(MARKS)


def test_the_page_says_first_what_differs(told, read):
    verdicts = [read.texts.index(text) for text in read.texts if text.startswith(("B SAME", "C REGRESSION"))]
    (nav,) = [
        n for n, text in enumerate(read.texts) if text == "Runs" and read.texts[n + 1].startswith("Lat")
    ]
    assert len(verdicts) == 2
    assert max(verdicts) < nav
    assert ": no difference beyond noise" in read.texts
    assert any(text.startswith(": p95 slower by 60 % (") for text in read.texts[:nav])
    assert read.island("comparison") == json.loads(text_of(told, "json"))


def test_each_chart_of_the_page_has_all_runs_and_the_first_ones_noise(told, read):
    charts = read.island("charts")
    names = [run.name for run in told.runs]
    kinds = {"time-0-p50", "time-0-p95", "time-0-p99", "time-0-max", "time-0-min", "items-0-p95", "rate-0"}
    assert kinds | {"curve-0", "curve-1"} <= set(charts)
    for name, chart in charts.items():
        lines = [each for each in chart["series"] if each["shape"] == "line"]
        assert [each["name"] for each in lines] == names, name
        assert [each["role"] for each in lines] == ["a", "b", "c"], "a colour and a dash for each"
        noise = [each for each in chart["series"] if each["shape"] == "band"]
        assert [(each["name"], each["role"]) for each in noise] == [
            (f"noise of A ({95 if 'curve' in name else 90} %)", "a")
        ] * len(noise)
        assert len(noise) == ("-0" in name), "of ten items nobody knows it"
    ids = [value for tag, attribute, value in read.attributes if (tag, attribute) == ("figure", "id")]
    assert sorted(ids) == sorted(charts)
    assert read.pictures == len(ids), "each has a still one, too"


def test_what_is_drawn_is_what_was_measured(told, read):
    """Thinned, but no extreme is lost; curves are the summaries' percentiles; noise holds its run."""
    charts = read.island("charts")
    for place, run in enumerate(told.runs):
        times = run.side.summary.steps[0].item_time

        def drawn(name: str, place: int = place) -> tuple[list, list]:
            series = [each for each in charts[name]["series"] if each["shape"] == "line"][place]
            return series["x"], [y for y in series["y"] if y is not None]

        for axis in ("time", "items"):
            assert max(drawn(f"{axis}-0-max")[1]) == times.max
            assert min(drawn(f"{axis}-0-min")[1]) == times.min
        x, y = drawn("curve-0")
        curve = dict(zip(x, y, strict=True))
        assert curve[10] == pytest.approx(times.p90, rel=2e-3)
        assert curve[100] == pytest.approx(times.p99, rel=2e-3)
        width_s = run.detail.steps[0].over_time.width / 1e6
        assert sum(drawn("rate-0")[1]) * width_s == pytest.approx(times.count, rel=0.01)
        assert drawn("time-0-p95")[0][0] == pytest.approx(width_s / 2), "from where the step begins"
    band, line = charts["time-0-p95"]["series"][:2]
    within = [low <= y <= high for low, y, high in zip(band["y0"], line["y"], band["y"], strict=True)]
    assert 0.85 * len(within) <= within.count(True) < len(within)


def test_the_tables_of_the_page_say_what_the_comparison_says(told, read):
    rows = {row["measure"]: row for row in read.tables["make (item time)"]}
    assert list(rows) == ["mean, ms", "p50, ms", "p95, ms", "p99, ms", "rate, /s"]
    lines = {
        (number, line.measure): line
        for number, comparison in enumerate(told.comparisons)
        for line in comparison.lines
        if (line.of, line.name) == ("items", "make")
    }
    for number, letter in enumerate("BC"):
        for row in rows.values():
            line = lines[number, row["measure"].partition(",")[0]]
            assert row["A"] == three(line.base)
            assert row[letter] == three(line.other)
            assert row[f"{letter}: change (95 % band)"] == line.text
    runs = {row[""]: row for row in read.tables["Runs"]}
    assert [runs["run"][letter] for letter in "ABC"] == ["run-1", "run-2", "run-3"]
    assert "Too little to tell: look." in read.text


def test_what_differs_between_runs_is_named(read):
    other = slowed(1, "two", settings={"processes": 3, "concurrency": 32, "chunk": 7})
    other.tries = [dataclasses.replace(row, start_us=4 * row.start_us) for row in other.tries]
    found = laid(slowed(1, "one"), other)
    assert len(found.comparisons[0].differences) == 2
    told = Page(page(found))
    runs = {row[""]: row for row in told.tables["Runs"]}
    assert (runs["setting chunk"]["A"], runs["setting chunk"]["B"]) == ("none", "7")
    assert "Unlike in 2 things, accepted by --anyway" in told.text
    assert "chunk: none and 7" in told.text
    assert "Each point stands for what ended within 0.1 s; choose" in read.text, "in all"
    assert "Each point stands for 20 items in a row; choose" in read.text
    assert "what ended within 0.1 s (A), 0.5 s (B); choose" in told.text
    assert "the mean over 0.1 s (A), 0.5 s (B); the first" in told.text


def test_a_step_of_one_run_only_is_named_and_not_drawn():
    one, two = fake_records.a_run({"make": 1_500}), fake_records.a_run({"make": 1_500, "look": 300})
    one.run, two.run = some_facts(id="one", settings={"steps": ["make"]}), some_facts(id="two", settings={})
    told = Page(page(laid(one, two)))
    assert not [name for name in told.island("charts") if name.endswith("-1")]
    assert "Measured in one of the runs only, and not drawn: look." in told.text
    runs = {row[""]: row for row in told.tables["Runs"]}
    assert (runs["setting steps"]["A"], runs["setting steps"]["B"]) == ("make", "none")


def test_a_band_is_explained_where_there_is_one():
    def told(items: int) -> str:
        return Page(page(laid(*(fake_records.a_run({"make": items}) for _ in range(2))))).text

    assert "where the first run's curve may lie" in told(1_500)
    assert "where the first run's curve may lie" not in told(10)


def an_open_run(name: str) -> fake_records.FakeRecord:
    """All of it 60 ms later than meant."""
    record = slowed(1, name, settings={"pace": {"rate": "300/s"}})
    record.calls = [msgspec.structs.replace(call, lag_us=60_000) for call in record.calls]
    record.tries = [dataclasses.replace(row, lag_us=60_000) for row in record.tries]
    return record


def test_open_runs_are_drawn_by_response_times_and_beside_a_closed_one_by_what_both_have():
    both = laid(an_open_run("one"), an_open_run("two"))
    one = both.runs[0]
    assert both.item_time == both.call_time == "response time"
    low = one.side.summary.steps[0].response_time.min
    assert min(band.min for band in one.detail.steps[0].over_time.bands) == low >= 60
    charts = Page(page(both)).island("charts")
    assert charts["curve-0"]["series"][-1]["y"][0] == pytest.approx(low, rel=0.02)
    assert charts["time-0-p95"]["y"]["label"].startswith("response time, ms")
    mixed = laid(an_open_run("one"), slowed(1, "two"))
    assert (mixed.item_time, mixed.call_time) == ("item time", "service time")
    for told in mixed.runs:
        service = told.side.summary.steps[0].item_time
        assert min(band.min for band in told.detail.steps[0].over_time.bands) == service.min < 60
        assert min(band.min for band in told.calls(50).bands) == told.side.summary.calls[0].service_time.min
    curve = Page(page(mixed)).island("charts")["curve-0"]["series"]
    assert curve[-1]["y"] == curve[-2]["y"], "but for the lag they are the same"


def test_whatever_there_is_little_of_there_is_a_page():
    for records in (
        (fake_records.empty(), fake_records.empty()),
        (fake_records.single(), fake_records.single()),
        (fake_records.single(), fake_records.a_run({"ping": 300, "pong": 30})),
        (fake_records.a_run({"pong": 30}), fake_records.empty()),
    ):
        found = laid(*records)
        read = Page(page(found))
        assert read.island("comparison") == json.loads(json.dumps(found.builtins()))
        for form in FORMS:
            assert text_of(found, form)


def test_what_others_say_is_text():
    found = laid(fake_records.evil(), fake_records.evil())
    assert not {"\x1b", "\u202e"} & set(text_of(found, "terminal") + text_of(found, "md"))
    read = Page(page(found))
    assert len(read.code) == 1
    assert not [name for _, name, _ in read.attributes if name.startswith(("on", "alert"))]
    assert EVIL in read.text
    assert not {"\x1b", "\u202e"} & set(read.text)
    assert "img" not in {tag for tag, _, _ in read.attributes}


def test_it_is_as_self_contained_as_the_report(read):
    assert read.source.isascii()
    assert len(read.source) < 6_000_000
    assert {name for _, name, _ in read.attributes} & {"src", "srcset"} == set()
    assert all(value.startswith("#") for _, name, value in read.attributes if name == "href")
    checked = [name for tag, name, _ in read.attributes if tag == "input" and name == "checked"]
    assert len(checked) == 2, "a choice for each of two sections"


def test_on_a_terminal_a_page_is_a_file(told, tmp_path):
    screen = io.StringIO()
    render("html", told, Console(file=screen, force_terminal=True, width=40), tmp_path)
    path = tmp_path / "compare-run-1.html"
    assert screen.getvalue().strip() == str(path)
    assert path.read_text() == text_of(told, "html")
    with pytest.raises(RunDirectoryError, match="cannot write the comparison: No such file"):
        render("html", told, Console(file=screen, force_terminal=True), tmp_path / "gone")


def test_a_file_is_there_whole_or_not_at_all(told, tmp_path):
    export("md", told, tmp_path / "told.md")
    assert (tmp_path / "told.md").read_text() == text_of(told, "md")
    with pytest.raises(UsageError, match=r"--output .*gone.*: No such file"):
        export("md", told, tmp_path / "gone" / "told.md")
    assert [path.name for path in tmp_path.iterdir()] == ["told.md"]


def test_wobble_follows_the_course_and_holds_the_points():
    grown = [10.0 * 1.03**n * (1.1 if n % 2 else 0.9) for n in range(100)]
    low, high = wobble(grown)
    within = sum(one <= value <= two for one, value, two in zip(low, grown, high, strict=True))
    assert within >= 90
    assert high[90] > 5 * high[5], "up and up"
    assert high[50] / low[50] < 1.6
    gaps = wobble([*grown[:20], None, *grown[20:]])[0]
    assert [place for place, edge in enumerate(gaps) if edge is None] == [20]
    flat = wobble([0.0] * 30)
    assert flat == ([], []), "nothing has no noise"
    assert not any(math.isnan(edge) for edge in high)


@pytest.mark.parametrize("module", ["wobble", "overlay", "compare_verdict", "html.overlays"])
def test_examples_in_docstrings(module):
    assert doctest.testmod(importlib.import_module(f"loadgen.reports.{module}")).failed == 0


def test_a_caution_about_the_base_is_said_once():
    base = fake_records.a_run({"ping": 30}, outcomes={"ping": ItemCounts(planned=30, done=20)})
    found = laid(base, fake_records.a_run({"ping": 30}), fake_records.a_run({"ping": 30}))
    caution = "is not complete: 10 of 30 items are pending"
    assert all(caution in each.cautions[0] for each in found.comparisons)
    assert " ".join(text_of(found, "terminal").split()).count(caution) == 1
    assert Page(page(found)).text.count(caution) == 1
