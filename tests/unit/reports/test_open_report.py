"""What is said of an open model: response, service and lag, the pace, what was dropped, and the clocks."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_records import STARTED_US, FakeRecord, a_call, a_run, an_attempt, some_facts
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from html_reader import Page
from pyarrow import parquet
from rich.console import Console
from test_terminal import flat, shown

from loadgen.columns import Plain, Samples, pack
from loadgen.dashboard.board import end_of
from loadgen.lag import Lag
from loadgen.record import AttemptRow, CallTable, ItemCounts, Phases, StepFacts, TryTable
from loadgen.reports.forms import export, gather, gather_all, render
from loadgen.reports.html import document
from loadgen.reports.metrics import Stats
from loadgen.reports.open import clocks, kept_pace
from loadgen.reports.schema import Generator, Items, StepSummary, Verdict
from loadgen.reports.summary import encode, summarize
from loadgen.reports.timeline import TimelineBuilder
from loadgen.reports.truth import judge_starts
from loadgen.sample import NO_ITEM, Outcome

OK = Verdict(ok=True, exit_code=0)
OPEN = {"pace": {"rate": "10/s"}}
SECOND = 1_000_000


def a_record(*, settings: dict[str, Any] | None = None, dropped: int = 0, tables: bool = False) -> FakeRecord:
    """Ten items, one each 100 ms, of 20 ms; item n started n ms late; then some that were dropped."""
    step = StepFacts(0, "put", 10 + dropped, "at_most_once")
    counts = ItemCounts(10 + dropped, 10, dropped=dropped)
    record = FakeRecord(
        some_facts(settings=OPEN if settings is None else settings),
        Phases(started_us=STARTED_US),
        [step],
        {0: counts},
    )
    starts, lags = [SECOND + 101_000 * n for n in range(10)], [1_000 * n for n in range(10)]
    if tables:
        begun = pack([STARTED_US + start for start in starts])
        plain = Plain(((0, 10),), begun, pack([20_000] * 10), pack(lags))
        record.try_tables = lambda: iter([TryTable(0, 1, plain)])  # type: ignore[method-assign]
    else:
        record.tries = [
            an_attempt(item=n, start_us=starts[n], duration_us=20_000, lag_us=lags[n]) for n in range(10)
        ]
    record.tries += [
        an_attempt(
            item=n, start_us=SECOND + 100_000 * n, duration_us=0, lag_us=SECOND, outcome=Outcome.DROPPED
        )
        for n in range(10, 10 + dropped)
    ]
    record.calls = [a_call(item=n, start_us=starts[n], total_us=19_000, lag_us=lags[n]) for n in range(10)]
    return record


def told(record: FakeRecord) -> dict[str, Any]:
    return dict(json.loads(encode(summarize(record, OK))))


@pytest.mark.parametrize("tables", [False, True])
def test_response_is_service_and_lag(tables: bool) -> None:
    summary = told(a_record(tables=tables))
    (step,), (call,) = summary["steps"], summary["calls"]
    for what, service_ms in ((step, 20), (call, 19)):
        lag, response = what["start_lag"], what["response_time"]
        assert (lag["min"], lag["max"], lag["mean"]) == pytest.approx((0, 9, 4.5), abs=0.01)
        assert (response["min"], response["max"]) == pytest.approx((service_ms, service_ms + 9), abs=0.01)
    assert (step["item_time"]["max"], call["service_time"]["max"]) == pytest.approx((20, 19), abs=0.01)
    assert step["target_rate_per_s"] == pytest.approx(10 / 0.9, abs=0.001), "ten in nine steps of 100 ms"
    assert step["rate_per_s"] == pytest.approx(10 / 0.929, abs=0.001)


def test_what_was_dropped_was_meant_but_has_no_times() -> None:
    (step,) = told(a_record(dropped=10))["steps"]
    assert step["items"]["dropped"] == 10
    assert step["target_rate_per_s"] == pytest.approx(20 / 1.9, abs=0.001)
    assert {step[name]["count"] for name in ("item_time", "response_time", "start_lag")} == {10}


def test_a_closed_model_has_service_times_only() -> None:
    summary = told(a_record(settings={}))
    for what in (*summary["steps"], *summary["calls"]):
        assert (what["response_time"], what["start_lag"]) == (None, None)
    assert summary["steps"][0]["target_rate_per_s"] is None


def test_what_is_no_item_s_has_no_response_time() -> None:
    """A login of the master's."""
    record = a_record()
    login = CallTable(-1, 0, Samples.of([a_call(item=NO_ITEM, label="login POST /")]))
    tables = [*record.call_tables(), login]
    record.call_tables = lambda: iter(tables)  # type: ignore[method-assign]
    calls = {call["name"]: call for call in told(record)["calls"]}
    assert calls["login POST /"]["response_time"] is None
    assert calls["step GET /"]["response_time"] is not None


def test_thresholds_are_on_response_times() -> None:
    record = a_record(settings={**OPEN, "thresholds": ["put.max<25ms", "calls.max<25ms", "put.min<25ms"]})
    values = [gate["value"] for gate in told(record)["thresholds"]]
    assert values == pytest.approx([29, 28, 20], abs=0.01)
    assert [gate["ok"] for gate in told(record)["thresholds"]] == [False, False, True]


def test_the_timeline_is_of_response_times() -> None:
    builder = TimelineBuilder(STARTED_US)
    late = a_call(start_us=0, total_us=5_000, lag_us=2 * SECOND)
    builder.add(CallTable(0, 1, Samples.of([late])))
    (bucket,) = builder.build().buckets
    assert bucket.p50 == pytest.approx(2005, rel=0.05)


# On the terminal


def test_the_headline_is_the_response_time_with_its_parts_beside_it() -> None:
    text = shown(a_record(dropped=3), 160)
    steps, calls = (
        next(line for line in text.split("\n") if line.startswith(word)) for word in ("Steps", "Calls")
    )
    for header in (steps, calls):
        assert "(response, ms)" in header
        for word in ("service p50", "lag p50", "service p99", "lag p99"):
            assert word in header
    rows = {line.split("  ")[0]: line for line in text.split("\n")}
    assert "29.0" in rows["put"], "the longest response, not the longest service"
    assert "28.0" in rows["step GET /"]
    assert "dropped" in steps
    assert "target/s" in steps
    assert "10.8 of 10.8 items a second" in text
    assert "3 items DROPPED, which are in none of these times" in flat(text)
    assert "response time = lag (until it started) + service time" in flat(text)


def late(ms: int = 100, **changes: Any) -> FakeRecord:
    """The same, of which each item and each call started by so much later still."""
    record = a_record(**changes)
    record.tries = [row if row.outcome is Outcome.DROPPED else later(row, ms) for row in record.tries]
    record.calls = [later(call, ms) for call in record.calls]
    return record


def later(row: Any, ms: int) -> Any:
    import msgspec

    lag_us = row.lag_us + ms * 1_000
    return (
        replace(row, lag_us=lag_us)
        if isinstance(row, AttemptRow)
        else msgspec.structs.replace(row, lag_us=lag_us)
    )


def test_the_page_says_the_response_time_everywhere() -> None:
    record = late(dropped=10)
    page = Page(document.report(record, OK))
    (row,) = page.tables["Steps"]
    assert (row["target/s"], row["made/s"]) == ("10.0", "10.8")
    (row,) = page.tables["Steps: response times"]
    assert (row["p95"], row["max"]) == ("129", "129")
    (call,) = page.tables["Calls: response times"]
    assert call["p95"] == "128"
    made = page.tables["What response times are made of"]
    assert [(row["response p99"], row["service p99"], row["lag p99"]) for row in made] == [
        ("129", "20.0", "109"),
        ("128", "19.0", "109"),
    ]
    tiles = dict(zip(page.texts[-2::-1], page.texts[:0:-1], strict=True))  # the first of each
    assert (tiles["put response time p95"], tiles["dropped"]) == ("129 ms", "10 (50 %)")
    assert tiles["meant a second"] == "10.0"
    assert "put: response time p95 129 ms" in page.text
    assert "put: response time: half took up to 124 ms, one in a hundred over 129 ms" in page.text
    assert "10.8 of 10.0 items/s, 10 items dropped" in page.text
    assert "Response times by percentile" in page.text
    assert "Item time" not in page.text
    for chart in page.island("charts").values():
        labels = [chart[axis]["label"] for axis in ("x", "y")]
        assert not any(label.startswith(("item time", "service time")) for label in labels), chart["id"]
        if chart["id"].startswith(("time-", "curve-")):
            assert min(y for y in chart["series"][-1]["y"] if y is not None) > 115, chart["id"]


def test_the_end_of_a_run_and_a_report_of_it_tell_one_timeline() -> None:
    for record in (late(), a_record(settings={})):
        console = Console(file=io.StringIO(), width=100)
        assert gather(record, OK, console)[1] == gather_all(record, OK, console)[1]
    assert gather_all(late(), OK, console)[1].buckets[0].p50 == pytest.approx(119, rel=0.01)
    details = document.watcher(late())
    summarize(late(), OK, details.add_calls)
    (label,) = details.build().labels.values()
    assert min(band.min or 0 for band in label.bands if band.count) >= 119


def test_forms_for_machines_have_response_times(tmp_path: Path) -> None:
    def text(form: str, record: FakeRecord) -> str:
        file = io.StringIO()
        render(form, record, OK, Console(file=file, width=100))
        return file.getvalue()

    prometheus = text("prom", late()).splitlines()
    assert 'loadgen_item_response_time_seconds{step="put",quantile="1"} 0.129' in prometheus
    assert 'loadgen_item_start_lag_seconds{step="put",quantile="0"} 0.1' in prometheus
    assert any(line.startswith('loadgen_items_target_per_second{step="put"} ') for line in prometheus)
    assert "response" not in text("prom", a_record(settings={}))
    (tmp_path / "x.hlog").write_text(text("hdr", late()))
    reader = HistogramLogReader(str(tmp_path / "x.hlog"), HdrHistogram(1, 3_600_000_000, 3))
    parts = iter(reader.get_next_interval_histogram, None)
    longest = {part.get_tag(): part.get_max_value() / 1000 for part in parts}
    reader.input_file.close()
    assert longest == pytest.approx({"step_GET_/": 19, "step_GET_/_response": 128}, rel=1e-3)
    assert "response" not in text("hdr", a_record(settings={}))
    export("parquet", late(), OK, tmp_path / "x.parquet")
    assert parquet.read_table(tmp_path / "x.parquet")["lag_us"].to_pylist()[:2] == [100_000, 101_000]


def test_the_dashboard_ends_with_the_times_that_a_run_is_judged_by() -> None:
    for record, names, slowest_ms in (
        (late(), ("response time", "response time"), (129, 128)),
        (a_record(settings={}), ("item time", "service time"), (20, 19)),
    ):
        end = end_of(OK, summarize(record, OK)).summary
        assert end is not None
        assert (end["item_time"], end["call_time"]) == names
        found = [end[name][0]["times"]["max"] for name in ("steps", "calls")]
        assert found == pytest.approx(slowest_ms, rel=1e-3)


@pytest.mark.parametrize("width", [80, 100, 120])
def test_what_goes_first_where_it_is_tight(width: int) -> None:
    record = a_record(dropped=12_345)
    record.tries = [later(row, 9_000) for row in record.tries if row.outcome is not Outcome.DROPPED]
    record.calls = [later(call, 9_000) for call in record.calls]
    for line in shown(record, width).split("\n"):
        if line.startswith(("Steps", "Calls")):
            assert line.startswith(("Steps (response, ms)  ", "Calls (response, ms)  ")), "a heading in full"
            assert line.split("(response, ms)")[1].split().count("p99") >= 1
            assert {"p50", "p95", "p99", "max"} <= set(line.split())
            assert width == 80 or "lag p99" in line
    assert "12345 items DROPPED" in flat(shown(record, width))


def test_the_headings_of_a_closed_run_are_not_cut_either() -> None:
    record = a_run({"put": 50})
    for width in range(70, 120):
        text = shown(record, width)
        assert "Calls (service time, ms)  " in text
        assert "Steps (item time, ms)  " in text


def test_a_closed_model_says_service_time() -> None:
    text = shown(a_record(settings={}), 160)
    assert "Calls (service time, ms)" in text
    assert "Steps (item time, ms)" in text
    assert not any(word in text for word in ("lag", "response", "target/s"))


def test_what_was_dropped_can_be_done_again() -> None:
    for dropped, failed, flags in ((2, 0, "--only dropped"), (2, 1, "--only failed --only dropped")):
        record = a_record(dropped=dropped)
        record.outcomes = {0: ItemCounts(10 + dropped, 10 - failed, failed=failed, dropped=dropped)}
        assert f"--out runs {flags}" in flat(shown(record)) or f"azkaban {flags}" in flat(shown(record))


def test_clocks_are_told_when_there_are_several_machines() -> None:
    one, two = summarize(a_run({"put": 5}), OK).workers
    assert clocks([one, two]) == []
    known = [replace_struct(one, 0.31), replace_struct(two, 4.2)]
    (column,) = clocks(known)
    assert column.cells == ("0.31 ms", "4.20 ms")
    here = [replace_struct(one, 0.1, "box"), replace_struct(two, 0.1, "box")]
    assert clocks(here) == [], "one machine has one clock"
    record = a_run({"put": 5})
    record.crew = [replace(worker, clock_error_us=200) for worker in record.crew]
    assert "clock +-" in shown(record, 120)


def replace_struct(worker: Any, error_ms: float, host: str | None = None) -> Any:
    import msgspec

    return msgspec.structs.replace(worker, clock_error_ms=error_ms, host=host or worker.host)


def test_one_item_is_told_as_one() -> None:
    items = Items(planned=1, done=0, failed=0, unknown=0, dropped=1, cancelled=0, pending=0)
    step = StepSummary("put", items, None, Stats(), Stats(), Stats(), 1.0)
    assert kept_pace(step).endswith("1 item DROPPED, which is in none of these times")


# The verdict on the generator


def a_step(lag_p99_ms: float, dropped: int = 0) -> StepSummary:
    items = Items(planned=9, done=9 - dropped, failed=0, unknown=0, dropped=dropped, cancelled=0, pending=0)
    return StepSummary("put", items, 1.0, Stats(), Stats(), Stats(count=9, p99=lag_p99_ms), 1.0)


@pytest.mark.parametrize(
    ("lag_ms", "dropped", "cpu", "before", "verdict", "words"),
    [
        (9.9, 0, 0.9, "ok", "ok", ""),
        (9.9, 0, 0.9, None, None, ""),
        (10.1, 0, 0.1, "ok", "suspect", "put: one of a hundred items started 10.1 ms late"),
        (10.1, 0, 0.1, None, "suspect", "(p99 of the lag)"),
        (10.1, 0, 0.1, "invalid", "invalid", "10.1 ms late"),
        (1.0, 3, 0.69, "ok", "ok", ""),
        (1.0, 3, 0.71, "ok", "invalid", "3 items were dropped while a process was at 71% of a core"),
        (99.0, 3, 0.71, "suspect", "invalid", "99.0 ms late"),
    ],
)
def test_whether_items_started_when_they_were_meant_to(
    lag_ms: float, dropped: int, cpu: float, before: Any, verdict: Any, words: str
) -> None:
    (worker,) = a_run({"put": 1}, workers=1).crew
    worker = replace(worker, lag=Lag(cpu_us=round(cpu * SECOND), wall_us=SECOND))
    earlier = ("its probe was late",) if before == "invalid" else ()
    found = judge_starts(Generator(before, earlier), [a_step(lag_ms, dropped)], [worker])
    assert found.verdict == verdict
    assert words in " ".join(found.reasons)
    assert bool(found.reasons) is bool(words or earlier)
    assert found.reasons[: len(earlier)] == earlier


def test_a_closed_model_is_not_late() -> None:
    step = replace_step(a_step(99.0, 1))
    assert judge_starts(Generator("ok"), [step], []) == Generator("ok")


def replace_step(step: StepSummary) -> StepSummary:
    return StepSummary(step.name, step.items, 1.0, Stats())
