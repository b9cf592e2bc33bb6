"""What there is to say about a run, as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import fake_records
import pytest
from fake_records import STARTED_US, a_call, an_attempt, some_facts
from hypothesis import given
from hypothesis import strategies as st

from loadgen.record import Attempts, ItemCounts, Phases, StepFacts, Verified, WorkerFacts
from loadgen.reports import collect
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.summary import encode, summarize, total, write
from loadgen.sample import NO_ITEM, Outcome

OK = Verdict(ok=True, exit_code=0)
STATS = ["count", "min", "mean", "stdev", "p50", "p75", "p90", "p95", "p99", "p999", "max"]
ITEMS = ["planned", "done", "failed", "unknown", "dropped", "cancelled", "pending"]


def a_record(**changes) -> fake_records.FakeRecord:
    """One step of four items, and what `changes` says."""
    record = fake_records.FakeRecord(
        run=some_facts(),
        marks=Phases(started_us=STARTED_US),
        plan=[StepFacts(0, "step", 4, "at_most_once")],
        outcomes={0: ItemCounts(planned=4, done=4)},
    )
    return replace(record, **changes)


def as_json(record, verdict=OK) -> dict:
    return json.loads(encode(summarize(record, verdict)))


@pytest.mark.parametrize("kind", ["good", "bad", "interrupted", "empty", "single"])
def test_the_keys_are_those_of_the_contract(kind):
    """design.md, section 6, in its order."""
    told = as_json(getattr(fake_records, kind)())
    assert list(told) == [
        *("schema", "run", "verdict", "items", "attempts", "steps", "calls", "verification", "workers"),
        *("errors", "generator", "thresholds"),
    ]
    assert told["schema"] == 1
    assert list(told["run"]) == [
        *("id", "scenario", "title", "digest", "target", "options", "started_at", "ended_at", "wait_s"),
        *("active_s", "drain_s", "verify_s", "seed", "undoable", "versions"),
        *("duration_s", "ramp", "think_time", "mix"),
        *("warm_up", "load"),
    ]
    assert list(told["verdict"]) == ["ok", "exit_code", "reasons", "resumable", "running"]
    assert list(told["items"]) == ITEMS
    tries = ["total", "retries", "duplicate_executions", "in_doubt_resolved", "found"]
    assert list(told["attempts"]) == tries
    for step in told["steps"]:
        assert list(step) == [
            *("name", "items", "rate_per_s", "item_time"),
            *("response_time", "start_lag", "target_rate_per_s"),
        ]
        assert list(step["items"]) == ITEMS
        assert list(step["item_time"]) == STATS
    for call in told["calls"]:
        assert list(call) == [
            *("name", "count", "errors", "rate_per_s", "service_time", "response_time", "start_lag"),
            *(
                "time_to_first_byte",
                "connect_time",
                "dns_time",
                "tls_time",
                "bytes_in",
                "bytes_out",
                "statuses",
            ),
        ]
        assert (call["response_time"], call["start_lag"]) == (None, None)
        assert all(
            list(call[time]) == STATS for time in ("service_time", "time_to_first_byte", "connect_time")
        )
    if told["verification"] is not None:
        assert list(told["verification"]) == ["expected", "found", "missing", "unexpected", "examples"]
    for worker in told["workers"]:
        assert list(worker) == [
            "name",
            "host",
            "items",
            "calls",
            "cpu",
            "probe_ms",
            "lost",
            "verdict",
            "slots",
            "clock_error_ms",
        ]
    for error in told["errors"]:
        assert list(error) == ["fingerprint", "count", "first", "last", "sample"]
    assert told["generator"] == {"verdict": None, "reasons": []}
    assert told["thresholds"] == []


ends = st.builds(
    lambda rest, *kinds: ItemCounts(sum(kinds) + rest, *kinds), *[st.integers(0, 10**6) for _ in range(6)]
)


@given(st.lists(ends, max_size=6))
def test_planned_is_the_sum_of_the_rest(counts):
    """In every step and in the run, also of an interrupted run."""
    plan = [StepFacts(index, f"step{index}", count.planned, "verify") for index, count in enumerate(counts)]
    told = as_json(a_record(plan=plan, outcomes=dict(enumerate(counts))))
    for items in (told["items"], *(step["items"] for step in told["steps"])):
        assert items["planned"] == sum(value for name, value in items.items() if name != "planned")
    for name in ITEMS:
        assert told["items"][name] == sum(step["items"][name] for step in told["steps"])


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([0, 200, 500]), st.booleans()), max_size=50))
def test_every_call_is_told_once(rows):
    calls = [
        a_call(label=label, status=status, error="bad" if bad else "", connect_us=7 if bad else 0)
        for label, status, bad in rows
    ]
    told = as_json(a_record(calls=calls))["calls"]
    assert {call["name"]: call["count"] for call in told} == {
        label: sum(row[0] == label for row in rows) for label in {row[0] for row in rows}
    }
    for call in told:
        assert call["count"] == call["service_time"]["count"] == sum(call["statuses"].values())
        assert call["errors"] == call["connect_time"]["count"]
        assert call["bytes_out"] == 100 * call["count"]
        assert call["bytes_in"] == 200 * call["count"]


def test_rates_count_over_the_active_span():
    """From the first start to the last end: waiting for workers does not dilute them."""
    calls = [a_call(start_us=us, total_us=500_000) for us in (61_500_000, 60_000_000, 60_500_000)]
    tries = [an_attempt(item=item, start_us=60_000_000, duration_us=4_000_000) for item in range(4)]
    told = as_json(a_record(calls=calls, tries=tries))
    assert told["calls"][0]["rate_per_s"] == 1.5
    assert told["steps"][0]["rate_per_s"] == 1.0


def test_a_rate_over_no_time_is_null():
    assert as_json(a_record(calls=[a_call(total_us=0)]))["calls"][0]["rate_per_s"] is None
    assert as_json(a_record())["steps"][0]["rate_per_s"] is None


def test_the_parts_of_opening_a_connection_follow_each_other():
    (told,) = as_json(a_record(calls=[a_call(dns_us=100, connect_us=400, tls_us=900)] * 2))["calls"]
    parts = [told[name] for name in ("dns_time", "connect_time", "tls_time")]
    assert [(part["count"], part["mean"]) for part in parts] == [(2, 0.1), (2, 0.4), (2, 0.5)]


def test_connect_time_is_of_calls_that_connected_and_first_byte_of_calls_that_were_answered():
    calls = [a_call(connect_us=400), *(a_call() for _ in range(8)), a_call(status=0, first_byte_us=0)]
    (told,) = as_json(a_record(calls=calls))["calls"]
    assert (told["connect_time"]["count"], told["connect_time"]["mean"]) == (1, 0.4)
    assert (told["dns_time"]["count"], told["tls_time"]["count"]) == (0, 0)
    assert told["time_to_first_byte"]["count"] == 9
    assert told["statuses"] == {"0": 1, "200": 9}


def test_item_time_is_of_attempts_that_settled():
    tries = [
        an_attempt(duration_us=9_000_000, outcome=Outcome.FAILED, counted=False),
        an_attempt(attempt=2, duration_us=1_000),
        an_attempt(item=1, duration_us=3_000, outcome=Outcome.FAILED, error="bad"),
        an_attempt(item=2, duration_us=9_000_000, outcome=Outcome.UNKNOWN),
    ]
    (step,) = as_json(a_record(tries=tries))["steps"]
    assert (step["item_time"]["count"], step["item_time"]["max"]) == (2, 3.0)


def test_errors_are_those_of_attempts_and_of_calls_outside_items():
    """The failed call of an item is told once, by the attempt."""
    record = a_record(
        tries=[an_attempt(outcome=Outcome.FAILED, error="GET /1 answered 500: no", start_us=0)],
        calls=[
            a_call(error="HTTP 500", status=500),
            a_call(item=NO_ITEM, label="login", error="HTTP 401", status=401, start_us=3_000_000),
        ],
    )
    first, second = sorted(as_json(record)["errors"], key=lambda error: error["first"])
    assert (first["fingerprint"], first["sample"]) == (
        "GET /<n> answered 500: no",
        "GET /1 answered 500: no",
    )
    assert (second["fingerprint"], second["count"]) == ("login: HTTP 401", 1)
    assert second["first"] == second["last"] == "2023-11-14T22:13:23.125Z"


def test_phases():
    marks = Phases(
        started_us=STARTED_US,
        first_lease_us=STARTED_US + 1_500_000,
        draining_us=STARTED_US + 11_500_000,
        settled_us=STARTED_US + 12_000_000,
        verified_us=STARTED_US + 12_000_400,
        ended_us=STARTED_US + 12_876_999,
    )
    run = as_json(a_record(marks=marks))["run"]
    assert [run[f"{name}_s"] for name in ("wait", "active", "drain", "verify")] == [1.5, 10.0, 0.5, 0.0]
    assert (run["started_at"], run["ended_at"]) == ("2023-11-14T22:13:20.123Z", "2023-11-14T22:13:33.000Z")


def test_phases_that_were_not_reached_are_null():
    """Marks of an earlier session of a resumed run do not count either."""
    run = as_json(a_record(marks=Phases(started_us=9, first_lease_us=20, draining_us=15, settled_us=None)))[
        "run"
    ]
    assert [run[f"{name}_s"] for name in ("active", "drain", "verify")] == [None, None, None]
    assert run["ended_at"] is None


def test_cpu_is_the_share_of_one_core():
    crew = [
        WorkerFacts(1, "a:1", "a", 8, 3, 5, cpu_s=15.0, alive_s=10.0, lost=True),
        WorkerFacts(2, "b:1", "b", 8, 0, 0, cpu_s=0.0, alive_s=0.0, lost=False),
    ]
    first, second = as_json(a_record(crew=crew))["workers"]
    assert first == {
        "name": "a:1",
        "host": "a",
        "items": 3,
        "calls": 5,
        "cpu": 1.5,
        "probe_ms": None,
        "lost": True,
        "verdict": None,
        "slots": 8,
        "clock_error_ms": None,
    }
    assert second["cpu"] == 0.0


def test_verification_attempts_and_verdict_are_passed_on(monkeypatch):
    record = a_record(check=Verified(5, 4, 1, 0, {"missing": ("x",)}))
    monkeypatch.setattr(record, "attempts", lambda: Attempts(9, 3, 2, 1, 4), raising=False)
    told = as_json(record, Verdict(ok=False, exit_code=5, reasons=("why",)))
    assert told["verification"] == {
        "expected": 5,
        "found": 4,
        "missing": 1,
        "unexpected": 0,
        "examples": {"missing": ["x"]},
    }
    assert told["attempts"] == {
        "total": 9,
        "retries": 3,
        "duplicate_executions": 2,
        "in_doubt_resolved": 1,
        "found": 4,
    }
    assert told["verdict"] == {
        "ok": False,
        "exit_code": 5,
        "reasons": ["why"],
        "resumable": False,
        "running": False,
    }


def test_labels_beyond_the_limit_are_counted_together(monkeypatch):
    monkeypatch.setattr(collect, "MAX_CALLS", 3)
    told = as_json(a_record(calls=[a_call(label=f"GET /{n % 8}") for n in range(16)]))["calls"]
    assert {call["name"]: call["count"] for call in told} == {
        "GET /0": 2,
        "GET /1": 2,
        "GET /2": 2,
        "other": 10,
    }


def test_the_rows_are_read_once_and_a_watcher_sees_them():
    record = fake_records.good()
    seen: list = []
    summarize(record, OK, seen.append)
    assert [sample for table in seen for sample in table.samples.rows()] == record.calls
    assert record.passes == 1


def test_total():
    counts = {0: ItemCounts(planned=3, done=2), 1: ItemCounts(planned=4, done=3, failed=1)}
    plan = [StepFacts(0, "a", 3, "verify"), StepFacts(1, "b", 4, "verify")]
    assert total(a_record(plan=plan, outcomes=counts)) == ItemCounts(planned=7, done=5, failed=1)


def test_the_file_can_be_read_back(tmp_path):
    import msgspec

    path = tmp_path / "summary.json"
    told = summarize(fake_records.bad(), OK)
    write(told, path)
    assert msgspec.json.decode(path.read_bytes(), type=Summary) == told
    assert path.read_text(encoding="utf-8").startswith('{\n  "schema": 1,\n')
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "summary.json"
    path.write_text("old")

    def full(_descriptor):
        raise OSError("disk full")

    monkeypatch.setattr("loadgen.reports.summary.os.fsync", full)
    with pytest.raises(OSError, match="disk full"):
        write(summarize(fake_records.empty(), OK), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
