"""The generator's verdict: tables of what a probe read, beside how long calls took."""

import dataclasses

import pytest
from fake_records import a_run

from loadgen.lag import BUCKETS, NO_LAG, Lag, bucket, trimmed
from loadgen.record import WorkerFacts
from loadgen.reports.metrics import Stats
from loadgen.reports.schema import CallSummary, Generator, Verdict
from loadgen.reports.truth import LEAST_TICKS, Finding, hold, judge_generator, judge_worker, untrue


def lag(p50_ms: float = 0.1, p99_ms: float = 0.2, *, cpu: float = 0.3, waited_ms: float = 0.0) -> Lag:
    """Ten seconds; every fiftieth waking as late as the p99, half of the seconds have one."""
    late = [0] * BUCKETS
    late[bucket(round(p50_ms * 1000))] += 490
    late[bucket(round(p99_ms * 1000))] += 10
    worst = [0] * BUCKETS
    worst[bucket(round(p50_ms * 1000))] += 5
    worst[bucket(round(p99_ms * 1000))] += 5
    waited_us = round(waited_ms * 1000 * 1000)
    return Lag(trimmed(late), trimmed(worst), round(cpu * 1e7), 10_000_000, waited_us)


def a_worker(read: Lag, calls: int = 1000) -> WorkerFacts:
    return WorkerFacts(1, "box-1", "box", 16, calls, calls, 5.0, 10.0, lost=False, lag=read)


def some_calls(p50: float, p99: float, count: int = 1000, name: str = "GET /") -> CallSummary:
    times = Stats(count=count, min=p50, mean=p50, stdev=0.0, p50=p50, p75=p50, p90=p50, p95=p50, p99=p99)
    return CallSummary(
        name=name,
        count=count,
        errors=0,
        rate_per_s=100.0,
        service_time=times,
        time_to_first_byte=times,
        dns_time=Stats(),
        connect_time=Stats(),
        tls_time=Stats(),
        bytes_in=0,
        bytes_out=0,
        statuses={"200": count},
    )


@pytest.mark.parametrize(
    ("read", "p50", "p99", "verdict"),
    [
        pytest.param(lag(), 10, 12, "ok", id="idle"),
        pytest.param(lag(), 2, 2.5, "ok", id="idle, short calls"),
        pytest.param(lag(p99_ms=2), 500, 800, "ok", id="2 ms hardly matter for 500 ms"),
        pytest.param(lag(p99_ms=2), 1, 1.5, "invalid", id="and do for 1 ms"),
        pytest.param(lag(p99_ms=2), 10, 12, "suspect", id="an eighth at p99"),
        pytest.param(lag(p99_ms=7.6), 10, 15, "invalid", id="two fifths at p99"),
        pytest.param(lag(p50_ms=1.3, p99_ms=1.3), 10, 100, "suspect", id="an eighth in the middle"),
        pytest.param(lag(p50_ms=5, p99_ms=5), 15.5, 100, "invalid", id="somebody holds the interpreter"),
        pytest.param(lag(waited_ms=1.3), 10, 50, "suspect", id="an eighth without a core"),
        pytest.param(lag(waited_ms=3), 10, 50, "invalid", id="a third without a core"),
        pytest.param(lag(cpu=0.98), 10, 12, "suspect", id="all of its core"),
        pytest.param(lag(cpu=0.9), 10, 12, "ok", id="nearly all of its core"),
    ],
)
def test_the_probe_is_held_against_the_calls(read: Lag, p50: float, p99: float, verdict: str) -> None:
    finding = judge_worker(a_worker(read), [some_calls(p50, p99)])
    assert finding.verdict == verdict
    assert finding.probe_ms == pytest.approx(read.p99_us / 1000)
    assert bool(finding.reason) == (verdict != "ok")


@pytest.mark.parametrize(
    ("worker", "calls"),
    [
        pytest.param(a_worker(NO_LAG), [some_calls(1, 1)], id="no probe"),
        pytest.param(a_worker(Lag((LEAST_TICKS - 1,))), [some_calls(1, 1)], id="too short a run"),
        pytest.param(a_worker(lag(9, 9)), [], id="no calls"),
        pytest.param(a_worker(lag(9, 9), calls=0), [some_calls(1, 1)], id="none of its own"),
    ],
)
def test_nothing_is_claimed_where_too_little_was_seen(worker: WorkerFacts, calls: list[CallSummary]) -> None:
    assert judge_worker(worker, calls) == Finding(None, None, "")


def test_the_shortest_usual_call_decides() -> None:
    slow, quick = some_calls(500, 800, name="slow"), some_calls(1, 2, 300, name="quick")
    rare = some_calls(0.01, 0.02, 20, name="login")
    finding = judge_worker(a_worker(lag(p99_ms=2)), [slow, quick, rare])
    assert finding.verdict == "invalid"
    assert "quick" in finding.reason
    assert judge_worker(a_worker(lag(p99_ms=2)), [slow, rare]).verdict == "ok", "a rare one does not"


def test_the_reason_says_what_to_do() -> None:
    own = judge_worker(a_worker(lag(5, 20, cpu=0.98)), [some_calls(15, 40)]).reason
    assert own.startswith("box-1: about ")
    for words in ("of 15.0 ms (p50)", "of 40.0 ms (p99) of GET /", "in 10 of 10 s", "98% of a core"):
        assert words in own
    assert own.endswith("add processes or machines, or lower --concurrency")
    others = judge_worker(a_worker(lag(5, 20, cpu=0.2)), [some_calls(15, 40)]).reason
    assert "Others held the cores" in others
    assert "in 5 of 10 s" in judge_worker(a_worker(lag(0.1, 20)), [some_calls(15, 40)]).reason


def test_it_never_claims_more_than_a_call_took() -> None:
    reason = judge_worker(a_worker(lag(50, 90, waited_ms=99)), [some_calls(3, 4)]).reason
    assert "about 3.00 of 3.00 ms (p50) and 4.00 of 4.00 ms (p99)" in reason


def test_the_worst_worker_decides() -> None:
    ok, bad, worse = Finding("ok", 0.1), Finding("suspect", 1.0, "hm"), Finding("invalid", 9.0, "oh")
    assert judge_generator([Finding(), ok]) == Generator("ok", ())
    assert judge_generator([ok, bad]) == Generator("suspect", ("hm",))
    more = "so it was, or less so, with 1 more"
    assert judge_generator([bad, ok, worse]) == Generator("invalid", ("oh", more)), "its reason comes first"
    assert judge_generator([worse] * 4) == Generator("invalid", ("oh", "oh", "oh", more))
    assert judge_generator([Finding()]) == judge_generator([]) == Generator(None, ())


@pytest.mark.parametrize(
    ("before", "code"), [(Verdict(ok=True, exit_code=0), 1), (Verdict(False, 3, ("2 items failed",)), 3)]
)
def test_a_strict_run_is_not_well_when_its_times_are_invalid(before: Verdict, code: int) -> None:
    invalid = Generator("invalid", ("oh",))
    after = hold(before, invalid)
    assert (after.ok, after.exit_code, after.reasons) == (False, code, (*before.reasons, untrue(invalid)))
    assert after.reasons[-1] == "the generator was too slow for its times to be true: oh"
    for verdict in ("ok", "suspect", None):
        assert hold(before, Generator(verdict, ("hm",))) == before


def test_a_record_with_a_busy_worker() -> None:
    """All the way into the summary: a worker's own fields, and the run's."""
    from loadgen.reports.summary import summarize

    record = a_run({"ping": 300})
    record.crew[0] = dataclasses.replace(record.crew[0], lag=lag(50, 90))
    record.crew[1] = dataclasses.replace(record.crew[1], lag=lag())
    summary = summarize(record, Verdict(ok=True, exit_code=0))
    assert [worker.verdict for worker in summary.workers] == ["invalid", "ok"]
    assert [worker.probe_ms for worker in summary.workers] == [
        pytest.approx(90, rel=0.13),
        pytest.approx(0.2, rel=0.13),
    ]
    assert summary.generator.verdict == "invalid"
    assert len(summary.generator.reasons) == 1
    assert summary.verdict.ok, "it is not strict"
    record.run.settings["strict"] = True
    assert summarize(record, Verdict(ok=True, exit_code=0)).verdict.exit_code == 1
