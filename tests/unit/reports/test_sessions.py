"""Time in which a run was paused, or had no master, is in no rate."""

from __future__ import annotations

import pytest
from fake_records import STARTED_US, FakeRecord, a_call, a_run, an_attempt, some_facts

from loadgen.columns import Harvest
from loadgen.record import Event, ItemCounts, StepFacts
from loadgen.reports.pulse import Pulse
from loadgen.reports.schema import Verdict
from loadgen.reports.sessions import RESUMED, Stretches, begins
from loadgen.reports.slices import sliced
from loadgen.reports.summary import summarize
from loadgen.reports.watch import Watch
from loadgen.sample import Outcome, Result
from loadgen.steering import CONTINUED, PAUSED
from loadgen.thresholds import parse
from loadgen.view import QueueView

OK = Verdict(ok=True, exit_code=0)
SECOND = 1_000_000
PER_S = 50


def paused(*, pace: str = "") -> FakeRecord:
    """50 items a second for 10 s; paused from 5 to 65 s."""
    record = a_run({"put": 10 * PER_S})
    at_us = [n * SECOND // PER_S + (60 * SECOND if n >= 5 * PER_S else 0) for n in range(10 * PER_S)]
    record.tries = [an_attempt(item=n, start_us=us, duration_us=20_000) for n, us in enumerate(at_us)]
    record.calls = [a_call(item=n, start_us=us, total_us=20_000) for n, us in enumerate(at_us)]
    record.log = [
        Event(STARTED_US + 5 * SECOND, PAUSED, "by hand"),
        Event(STARTED_US + 65 * SECOND, CONTINUED, "by hand"),
    ]
    settings = {
        "thresholds": ["rate>=49/s", "calls.rate>=49/s"],
        **({"pace": {"rate": pace}} if pace else {}),
    }
    record.run = some_facts(settings=settings)
    return record


def test_a_session_begins_at_a_resume_and_in_the_middle_of_a_pause():
    events = [
        Event(10, PAUSED, "by the breaker: x"),
        Event(15, PAUSED, "by hand"),
        Event(30, CONTINUED, "by hand"),
        Event(40, RESUMED, ""),
        Event(50, PAUSED, "by hand"),
        Event(70, RESUMED, ""),
        Event(80, "changed", "rate"),
    ]
    assert begins(events) == [20, 40, 60]


def test_stretches_do_not_reach_over_a_begin():
    stretches = Stretches([100])
    stretches.add([10, 20], [5, 30])
    stretches.add([40, 120], [70, 10])  # the first one was in flight over the begin
    assert stretches.all == [(10, 50), (100, 130)]
    assert (stretches.covered_us, stretches.first_us) == (70, 10)
    assert [stretches.passed_us(at) for at in (0, 30, 60, 110, 500)] == [0, 20, 40, 50, 70]
    assert stretches.until_us(150) == 90
    stretches.part(160)
    assert (stretches.until_us(150), stretches.until_us(165)) == (70, 75)


def test_rates_are_of_the_time_in_which_it_ran():
    told = summarize(paused(), OK)
    assert told.steps[0].rate_per_s == pytest.approx(PER_S, rel=0.01)
    assert told.calls[0].rate_per_s == pytest.approx(PER_S, rel=0.01)
    assert [gate.value for gate in told.thresholds] == pytest.approx([PER_S, PER_S], rel=0.01)
    record = paused()
    record.log = []
    assert summarize(record, OK).steps[0].rate_per_s < 10, "without those events it was slow"
    assert summarize(paused(pace="50/s"), OK).steps[0].target_rate_per_s == pytest.approx(PER_S, rel=0.02)


def test_slices_of_a_comparison_are_cut_from_the_same_time():
    slices = sliced(paused())["items", "put"]
    assert slices.filled == len(slices.counts)
    assert slices.rate([(n, 1) for n in range(len(slices.counts))]) == pytest.approx(PER_S, rel=0.01)


def test_slices_hold_nothing_of_the_warm_up():
    record = paused()
    record.run = some_facts(settings={"warm_up": "100 items"})
    told, slices = summarize(record, OK), sliced(record)
    assert slices["items", "put"].total == told.steps[0].item_time.count == 400
    assert slices["calls", "step GET /"].total == told.calls[0].service_time.count == 400
    every = [(n, 1) for n in range(len(slices["items", "put"].counts))]
    assert slices["items", "put"].rate(every) == pytest.approx(told.steps[0].rate_per_s, rel=1e-3)


def a_view(paused: str) -> QueueView:
    counts = ItemCounts(planned=100, done=50)
    return QueueView(
        counts, settled=False, leased=0, first_lease_us=1, last_lease_us=1, workers=(), paused=paused
    )


def test_what_is_shown_meanwhile_stands_still_in_a_pause():
    watch = Watch([parse("rate>=5/s")], {0: "put"}, {"put": ItemCounts()})
    pulse = Pulse([StepFacts(0, "put", 100, "verify")], 0)

    def rates(second: int) -> tuple[float, float]:
        (standing,) = watch.standings((0,), second * SECOND)
        return standing.value, pulse.progress(0, a_view(""), second * SECOND).rate_mean

    def more(second: int) -> None:
        results = [Result(n, 1, Outcome.DONE, 0, 1) for n in range(10)]
        watch.record(0, Harvest.of(results), second * SECOND)
        pulse.record(10, [], second * SECOND)

    for second in range(11):
        more(second)
    before = rates(10)
    assert before == pytest.approx((11, 11), rel=0.01)
    watch.hold(10 * SECOND)
    held = pulse.progress(0, a_view("by hand"), 10 * SECOND)
    assert held.eta_s is None, "nobody knows how long a pause takes"
    assert watch.standings((0,), 90 * SECOND)[0].value == pytest.approx(11, rel=0.01)
    assert pulse.progress(0, a_view("by hand"), 90 * SECOND).rate_mean == pytest.approx(11)
    watch.begin_anew(0, ItemCounts(planned=100, done=50), 100 * SECOND)
    pulse.progress(0, a_view(""), 100 * SECOND)
    for second in range(101, 111):
        more(second)
    assert rates(110) == pytest.approx((10.5, 10.5), rel=0.1)
