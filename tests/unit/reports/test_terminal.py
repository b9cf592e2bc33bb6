"""The end report in detail: what it says, and that it fits."""

from __future__ import annotations

import io
from dataclasses import replace

import fake_records
import pytest
from fake_records import STARTED_US, a_call, a_run
from rich.cells import cell_len
from rich.console import Console

from loadgen.lag import BUCKETS, Lag, bucket
from loadgen.record import Event, ItemCounts, WorkerFacts
from loadgen.reports.chart import chart
from loadgen.reports.forms import render
from loadgen.reports.grid import Column, cut, grid
from loadgen.reports.summary import total
from loadgen.reports.timeline import Bucket, Timeline
from loadgen.reports.verdict import judge, under_way
from loadgen.reports.words import ASCII, BLOCKS

KINDS = ["good", "bad", "interrupted", "empty", "single"]


def shown(record, width=80, *, form="verbose", encoding="utf-8", incomplete=None, **options) -> str:
    """The report, as it comes out."""
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="") as file:
        console = Console(file=file, width=width, **options)
        render(form, record, judge(total(record), record.verified(), incomplete), console)
        file.flush()
        return raw.getvalue().decode(encoding)


def flat(text: str) -> str:
    """The report in one line, for words that may be wrapped."""
    return " ".join(text.split())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [40, 50, 80, 100, 120, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(kind, width, encoding):
    lines = shown(getattr(fake_records, kind)(), width, encoding=encoding).split("\n")
    assert max(map(cell_len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_a_run_that_went_well_fits_one_screen():
    assert len(shown(fake_records.good()).splitlines()) <= 45


def test_the_facts_are_there():
    text = shown(fake_records.good())
    assert text.startswith("OK  11100 of 11100 items done in 37.2 s (exit code 0)\n")
    for fact in (
        "loadgen report 20231114-221320-azkaban",
        "loadgen clean 20231114-221320-azkaban",
        "runs/20231114-221320-azkaban",
        "20231114-221320-azkaban, 2023-11-14 22:13:20 UTC",
        "azkaban_flows (9f86d081884c): Create flows in Azkaban, schedule them, run them.",
        "http://127.0.0.1:8081",
        "flows=10000, projects=100, password=***, seed 4711",
        "loadgen 0.1.0, python 3.11.9, libcurl 8.14.1",
        "11100 planned: 11100 done, 0 failed, 0 unknown",
        "11100: 0 retries, 0 duplicate executions, 0 doubts resolved",
        "wait 0.2 s, active 37.1 s, drain 0.15 s, verify 0.75 s",
        "10000 of 10000 expected found, 0 missing, 0 unexpected",
    ):
        assert fact in flat(text)
    assert "resume" not in text
    assert "Errors" not in text
    assert "Events" not in text


def test_a_generator_that_was_too_slow_is_named_before_the_times():
    record = fake_records.good()
    late = [0] * BUCKETS
    late[bucket(80_000)] = 500
    record.crew[0] = replace(record.crew[0], lag=Lag(tuple(late)))
    text = shown(record)
    assert flat(text).index("Generator INVALID: loader-1:4001: about") < text.index("Steps")
    assert columns(text, "Workers")[-2:] == ["times", "lost"]
    rows = {line.split()[0]: line.split()[-2:] for line in text.splitlines() if line.startswith("loader-")}
    assert rows == {"loader-1:4001": ["INVALID", "no"], "loader-2:4002": ["-", "no"]}
    assert "Generator" not in shown(fake_records.good())
    record.run.settings["strict"] = True
    strict = flat(shown(record))
    assert strict.startswith(
        "INVALID the generator was too slow for its times to be true: loader-1:4001: about"
    )
    assert strict.count("the generator's own waiting") == 1, "said once"


def columns(text: str, first: str) -> list[str]:
    """The headers of the table whose first header this is."""
    (header,) = (line for line in text.splitlines() if line.startswith(first))
    return header.removeprefix(first).split()


def test_narrow_tables_leave_out_the_least_important():
    text = shown(fake_records.good(), 80)
    steps = ["items", "done", "failed", "rate/s", "p50", "p95", "p99", "max"]
    calls = ["count", "errors", "rate/s", "mean", "p50", "p95", "p99", "max"]
    assert columns(text, "Steps (item time, ms)") == steps
    assert columns(text, "Calls (service time, ms)") == calls


def test_wide_tables_have_everything():
    text = shown(fake_records.good(), 140)
    steps = ["items", "done", "failed", "rate/s", "p50", "p90", "p95", "p99", "max"]
    assert columns(text, "Steps (item time, ms)") == steps
    assert " ".join(columns(text, "Calls (service time, ms)")) == (
        "count errors rate/s min mean p50 p90 p95 p99 p99.9 max 1st byte connect"
    )


def test_a_run_that_went_badly_says_why():
    text = shown(fake_records.bad())
    assert text.startswith("FAILED  60 of 3100 items failed (exit code 3)\n")
    for fact in (
        "40 of 3100 items have an unknown outcome",
        "the target does not hold what it should",
        "2950 of 3000 expected found, 50 missing, 2 unexpected missing: f17, f18 unexpected: x1, x2",
        "create_flow POST /manager: 2900 x 200, 60 x 500",
        "login POST /: 3 x no answer",
        "Errors (63)",
        "60 x POST /manager answered 500: project <name> is locked by <n>",
        "e.g. POST /manager answered 500: project 'p66' is locked by 66",
        "22:13:24 lease expired: loader-2:4002 was not heard of for 15 s",
    ):
        assert fact in flat(text)
    assert columns(text, "Steps (item time, ms)")[:4] == ["items", "done", "failed", "unknown"]
    assert "LOST" in text


def test_an_interrupted_run_says_how_to_go_on():
    text = shown(fake_records.interrupted(), incomplete="stopped by Ctrl-C")
    assert text.startswith("INCOMPLETE  stopped by Ctrl-C (exit code 4)\n")
    assert "loadgen resume 20231114-221320-azkaban" in text
    assert "3100 done, 0 failed, 0 unknown, 8000 pending" in flat(text)
    assert "stopping: Ctrl-C" in text


def test_a_run_that_goes_on_says_how_far_it_is():
    record, file = fake_records.interrupted(), io.StringIO()
    render("terminal", record, under_way(total(record)), Console(file=file, width=80))
    text = file.getvalue()
    assert text.startswith("RUNNING  3,100 of 11,100 settled so far\n")
    assert "loadgen stop 20231114-221320-azkaban" in text
    assert "exit code" not in text
    assert "resume" not in text


def test_a_threshold_on_what_is_still_to_come_is_open():
    record, file = fake_records.interrupted(), io.StringIO()
    record.run = fake_records.some_facts(settings={"thresholds": ["calls.nobody.p95<1ms", "failed<0%"]})
    render("terminal", record, under_way(total(record)), Console(file=file, width=80))
    rows = [line.split() for line in file.getvalue().splitlines() if "<" in line]
    assert ["calls.nobody.p95<1ms", "-", "-"] in rows
    assert ["failed<0%", "0%", "NO"] in rows


def test_the_verdict_does_not_say_threshold_twice():
    record = fake_records.good()
    record.run = fake_records.some_facts(settings={"thresholds": ["max<1ms", "failed<1%"]})
    text = shown(record)
    assert text.startswith("THRESHOLD  max<1ms: it was ")
    stopped = judge(total(record), None, "stopped by a threshold: max<1ms abort: it is 2ms", 99)
    file = io.StringIO()
    render("terminal", record, stopped, Console(file=file, width=80))
    assert file.getvalue().startswith("THRESHOLD  stopped: max<1ms abort: it is 2ms (exit code 99)")


def test_an_empty_run():
    text = shown(fake_records.empty())
    assert text.startswith("OK  there was nothing to do (exit code 0)\n")
    assert "clean" not in text
    assert "Calls" not in text


def test_a_run_of_one_call_has_no_chart():
    text = shown(fake_records.single())
    assert "1 of 1 item done" in text
    assert "Over time" not in text


def test_the_chart():
    """p50 and p95 on one scale, two lines each; empty where nothing was; marks where calls failed."""
    buckets = tuple(
        Bucket(float(at), calls, errors, float(calls), p50, p95, p50, p95)
        for at, (calls, errors, p50, p95) in enumerate(
            [(10, 0, 1.0, 50.0), (20, 1, 25.0, 100.0), (0, 0, None, None), (80, 0, 50.0, 100.0)]
        )
    )
    assert chart(Timeline(1.0, buckets), 40, BLOCKS) == [
        "  p95      100 ms │     █████     █████",
        "                0 │██████████     █████",
        "  p50      100 ms │",
        "                0 │▁▁▁▁▁▄▄▄▄▄     █████",
        "  calls    80.0/s │▁▁▁▁▁▂▂▂▂▂     █████",
        "  errors        1 │     xxxxx",
        "                   0 s     2 s      4 s",
    ]
    assert chart(Timeline(1.0, buckets), 40, ASCII)[3] == "                0 |.....:::::     #####"


def test_the_chart_is_drawn_in_what_the_terminal_has():
    for encoding, full in (("utf-8", "█"), ("ascii", "#")):
        lines = shown(fake_records.good(), encoding=encoding).splitlines()
        (place,) = (number for number, line in enumerate(lines) if line.startswith("Over time"))
        assert lines[place + 1].split()[:3] == ["p95", "60.0", "ms"]
        assert full * 30 in lines[place + 2]
        assert lines[place + 6].split() == ["0", "s", "19", "s", "38", "s"]


def test_what_cannot_be_written_does_not_break_the_report():
    record = a_run({"créer": 20})
    assert "cr?er" in shown(record, encoding="ascii")
    assert "créer" in shown(record)


def test_escape_sequences_of_the_target_do_not_reach_the_terminal():
    record = a_run({"step": 1})
    record.log = [Event(STARTED_US, "worker lost", "bad \x1b[2J\x07 news")]
    text = shown(record)
    assert "worker lost: bad [2J news" in text
    assert "\x1b" not in text


def test_markup_is_not_interpreted():
    record = a_run({"step": 1})
    record.calls.append(a_call(label="GET /[bold]x[/bold]"))
    assert "GET /[bold]x[/bold]" in shown(record, 120)


def test_colour_only_where_it_is_wanted(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;38;2;0;135;255mOK" in shown(
        fake_records.good(), force_terminal=True, color_system="truecolor"
    )
    monkeypatch.setenv("NO_COLOR", "1")
    assert "38;" not in shown(fake_records.good(), force_terminal=True)


def test_long_lists_are_cut_and_say_so():
    record = a_run({"step": 300}, outcomes={"step": ItemCounts(planned=300, done=290, failed=10)}, workers=30)
    record.calls += [a_call(label=f"GET /{chr(97 + n)}") for n in range(20)]
    record.tries = [
        replace(row, error=f"kind {chr(97 + n % 9)}") if row.error else row
        for n, row in enumerate(record.tries)
    ]
    record.log = [Event(STARTED_US, "lease expired", f"number {n}") for n in range(7)]
    record.crew[29] = WorkerFacts(30, "unlucky:1", "unlucky", 8, 0, 0, 0.0, 1.0, lost=True)
    text = flat(shown(record))
    assert "and 9 labels more, in summary.json" in text
    assert "and 22 workers more:" in text
    assert "unlucky:1" in text  # the lost come first
    assert "the last 5 of 7" in text
    assert "number 6" in text
    assert "number 1" not in text


def test_a_label_is_cut_in_the_middle():
    assert cut("create_project POST /manager", 20, "…") == "create_project…anager"[:13] + "…" + "anager"
    assert cut("short", 20, "…") == "short"
    assert cell_len(cut("日本語日本語日本語", 8, "…")) == 8


def test_a_grid_drops_the_most_spare_column_first_and_never_numbers():
    table = [
        Column("name", ("a" * 40,), left=True),
        Column("a", ("1234567890",)),
        Column("b", ("2234567890",), spare=2),
        Column("c", ("3234567890",), spare=1),
    ]
    assert grid(table, 80, "…")[0].split() == ["name", "a", "b", "c"]
    assert grid(table, 50, "…")[0].split() == ["name", "a", "c"]
    assert grid(table, 40, "…")[0].split() == ["name", "a"]
    assert grid(table, 20, "…")[1].endswith("  1234567890")


def test_what_is_left_out_and_what_is_put_together_is_said():
    record = a_run({"put": 300}, outcomes={"put": ItemCounts(300, 100, 200)})
    record.run = fake_records.some_facts(settings={"warm_up": "20 items"})
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(300)]
    record.tries = [replace(row, error=row.error and f"no {words[row.item]}") for row in record.tries]
    text = flat(shown(record))
    assert "warm-up: 20 items and 20 calls of the first 20 items of the first step are not in these" in text
    assert "Errors (200, the first 5 of 101 kinds)" in text
    assert "100 kinds are told apart; what came beyond is counted as 'other'" in text
    assert "warm-up" not in shown(fake_records.bad())
    assert "told apart" not in shown(fake_records.bad())


def test_what_steered_the_run_is_always_told():
    record = fake_records.a_run({"put": 5})
    at_us = fake_records.STARTED_US
    kinds = ["paused", "continued", "changed", "threshold", "resumed"]
    record.log = [Event(at_us + n, kind, f"steered {n}") for n, kind in enumerate(kinds)]
    record.log += [Event(at_us + 100 + n, "lease expired", f"other {n}") for n in range(20)]
    text = shown(record)
    assert [n for n in range(5) if f"steered {n}" in text] == [0, 1, 2, 3, 4]
    assert [n for n in range(20) if f"other {n}\n" in text] == [15, 16, 17, 18, 19]
    assert "Events (UTC, the last 10 of 25; more in report.html)" in text
    record.log = [Event(at_us + n, "changed", f"change {n}.") for n in range(40)]
    text = shown(record)
    assert [n for n in range(40) if f"change {n}." in text] == list(range(10, 40))
    assert "Events (UTC, the last 30 of 40; more in report.html)" in text
