"""What happens in a run, as events, as InfluxDB's lines and for a scrape by Prometheus."""

from __future__ import annotations

import dataclasses
import doctest
import json
from typing import Any

import fake_records
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadgen.columns import Samples
from loadgen.record import ItemCounts, StepFacts
from loadgen.reports import influx
from loadgen.reports.flow import BOUNDS_S, Flow, Moment
from loadgen.reports.prometheus import live
from loadgen.reports.pulse import Pulse
from loadgen.reports.schema import Verdict
from loadgen.reports.stream import Stream
from loadgen.view import QueueView, WorkerView

STEPS = [StepFacts(0, "make", 100, "verify"), StepFacts(1, "use", 10, "verify")]
NOW_US = fake_records.STARTED_US
WORKER = WorkerView("box-1", slots=4, items=7, calls=8, in_flight=2, cpu=0.5, here=True, lost=False)


def a_view(counts: ItemCounts, *workers: WorkerView, settled: bool = False) -> QueueView:
    return QueueView(counts, settled, 0, None, None, workers)


class Told:
    """A stream, and looks at it a second apart."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.pulse = Pulse(STEPS, NOW_US)
        self.stream = Stream(fake_records.some_facts(), STEPS, self.flow)
        self.now_us = NOW_US

    def look(self, step: int | None, view: QueueView, after_us: int = 1_000_000) -> list[dict[str, Any]]:
        self.now_us += after_us
        progress = self.pulse.progress(step, view, self.now_us)
        return self.stream.look(step, view, progress, self.now_us)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events if event["event"] != "progress"]


def some_calls(*total_us: int, label: str = "GET /", error: str = "") -> Samples:
    return Samples.of([fake_records.a_call(label=label, total_us=us, error=error) for us in total_us])


def test_workers_come_go_are_lost_and_come_back():
    told = Told()
    fresh = ItemCounts(planned=100)
    gone = dataclasses.replace(WORKER, here=False)
    lost = dataclasses.replace(gone, lost=True)
    assert kinds(told.look(None, a_view(ItemCounts()))) == []
    assert kinds(told.look(None, a_view(fresh, WORKER))) == ["joined"]
    assert kinds(told.look(0, a_view(fresh, WORKER))) == ["step-began"]
    assert kinds(told.look(0, a_view(fresh, lost))) == ["lost"]
    assert kinds(told.look(0, a_view(fresh, lost))) == []
    assert kinds(told.look(0, a_view(fresh, WORKER))) == ["joined"]
    (left,) = [event for event in told.look(0, a_view(fresh, gone)) if event["event"] == "left"]
    assert (left["worker"], left["items"], left["calls"]) == ("box-1", 7, 8)


def test_steps_begin_and_end_once():
    told = Told()
    began = told.look(0, a_view(ItemCounts(planned=100)))[0]
    assert (began["event"], began["step"], began["planned"]) == ("step-began", "make", 100)
    over = a_view(ItemCounts(planned=100, done=97, failed=3), settled=True)
    (ended,) = [event for event in told.look(0, over) if event["event"] == "step-ended"]
    assert (ended["done"], ended["failed"], ended["pending"]) == (97, 3, 0)
    assert kinds(told.look(0, over)) == []
    assert kinds(told.look(1, a_view(ItemCounts(planned=10)))) == ["step-began"]


def test_progress_comes_each_second_with_the_calls_of_that_second():
    told, view = Told(), a_view(ItemCounts(planned=100, done=40), WORKER)
    told.look(0, view)
    told.flow.record(some_calls(*range(1_000, 101_000, 1_000)))
    told.flow.record(some_calls(5_000, error="HTTP 500"))
    assert [event["event"] for event in told.look(0, view, 400_000)] == []
    (progress,) = told.look(0, view, 600_000)
    assert (progress["calls"], progress["errors"]) == (101, 1)
    assert [progress[name] for name in ("p50_ms", "p95_ms", "p99_ms")] == pytest.approx(
        [50, 95, 99], rel=1e-3
    )
    assert (progress["done"], progress["pending"], progress["planned"]) == (40, 70, 110)
    assert (progress["workers"], progress["in_flight"]) == (1, 2)
    (later,) = told.look(0, view)
    assert (later["calls"], later["p50_ms"]) == (0, None)


def test_an_open_run_tells_response_times():
    told, view = Told(), a_view(ItemCounts(planned=100, done=40), WORKER)
    told.flow.paced = True
    told.look(0, view)
    told.flow.record(Samples.of([fake_records.a_call(total_us=2_000, lag_us=30_000)] * 9))
    text = live(told.pulse.progress(0, view, NOW_US + 5_000_000), told.flow.so_far())
    (progress,) = told.look(0, view)
    assert (progress["p95_ms"], progress["response_p95_ms"]) == pytest.approx((2, 32), rel=1e-3)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    totals = {
        name: sample.value
        for name in ("service", "response")
        for sample in families[f"loadgen_call_{name}_time_seconds"].samples
        if sample.name.endswith("_sum")
    }
    assert totals == pytest.approx({"service": 0.018, "response": 0.288})
    (later,) = told.look(0, view)
    assert later["response_p50_ms"] is None
    told.flow.paced = False
    assert "response_p50_ms" not in told.look(0, view)[0]


def test_thresholds_and_notes_are_told_once():
    told, view = Told(), a_view(ItemCounts(planned=100))
    told.look(0, view)
    told.pulse.happened("p95<1ms: it is 7 ms")
    event = told.stream.happened(told.now_us, "threshold", "p95<1ms: it is 7 ms")
    assert (event["event"], event["text"]) == ("threshold", "p95<1ms: it is 7 ms")
    assert kinds(told.look(0, view)) == []
    told.pulse.happened("stopped by SIGINT")
    assert kinds(told.look(0, view)) == ["note"]
    assert kinds(told.look(0, view)) == []


def test_first_and_last():
    stream = Told().stream
    started = stream.started(NOW_US, resumed=False)
    assert started["at"] == "2023-11-14T22:13:20.123Z"
    assert started["steps"] == {"make": 100, "use": 10}
    verdict = Verdict(ok=False, exit_code=3, reasons=("1 of 110 items failed",))
    ended = stream.ended(verdict, ItemCounts(planned=110, done=109, failed=1), NOW_US)
    assert (ended["exit_code"], ended["reasons"], ended["failed"]) == (3, ["1 of 110 items failed"], 1)
    assert json.loads(json.dumps([started, ended])) == [started, ended]


def test_a_moment_without_calls():
    assert Flow().moment() == Moment()


def test_influx_lines_are_escaped():
    assert doctest.testmod(influx).failed == 0
    event = {
        "event": "step-ended",
        "at": "2023-11-14T22:13:20.123Z",
        "run": "r,1",
        "step": "a=b\\",
        "text": 'back\\slash "quote"\nline',
        "ok": True,
        "rate": 1.5,
        "none": None,
        "reasons": ["x", "y"],
        "steps": {"no": 1},
    }
    assert influx.line(event) == (
        r'loadgen_step_ended,run=r\,1,step=a\=b text="back\\slash \"quote\" line",ok=true,rate=1.5,'
        'reasons="x; y" 1700000000123000000\n'
    )
    assert influx.line({"event": "x", "at": "2023-11-14T22:13:20.123Z"}).split() == [
        "loadgen_x",
        "happened=true",
        "1700000000123000000",
    ]


def test_a_scrape_of_a_run_under_way():
    told = Told()
    view = a_view(ItemCounts(planned=100, done=40, failed=2), WORKER)
    for label in ("GET /a", 'odd "\\\n label'):
        told.flow.record(some_calls(900, 1_500, 90_000, 70_000_000, label=label))
    told.flow.record(some_calls(2_000, label="GET /a", error="HTTP 500"))
    text = live(told.pulse.progress(0, view, NOW_US + 5_000_000), told.flow.so_far())
    families = {family.name: family for family in text_string_to_metric_families(text)}
    items = {sample.labels["outcome"]: sample.value for sample in families["loadgen_items"].samples}
    assert (items["done"], items["failed"], families["loadgen_items_pending"].samples[0].value) == (40, 2, 68)
    assert families["loadgen_run_elapsed_seconds"].samples[0].value == 5
    assert families["loadgen_step"].samples[0].labels == {"step": "make", "number": "1"}
    times = families["loadgen_call_service_time_seconds"]
    assert times.type == "histogram"
    buckets = {
        sample.labels["le"]: sample.value
        for sample in times.samples
        if sample.name.endswith("_bucket") and sample.labels["call"] == "GET /a"
    }
    assert len(buckets) == len(BOUNDS_S) + 1
    assert [buckets[le] for le in ("0.001", "0.0025", "0.05", "0.1", "60.0", "+Inf")] == [1, 3, 3, 4, 4, 5]
    (total,) = [s.value for s in times.samples if s.name.endswith("_sum") and s.labels["call"] == "GET /a"]
    assert total == pytest.approx(70.0944)
    assert {s.labels["call"] for s in families["loadgen_call_errors"].samples} == {
        "GET /a",
        'odd "\\\n label',
    }
