"""Thresholds against the sorted raw durations, over runs and windows, at the end and while it runs."""

from __future__ import annotations

import random

import pytest
from fake_records import STARTED_US, FakeRecord, a_call, a_run, an_attempt, some_facts
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.columns import Harvest, Samples
from loadgen.record import CallTable, Event, ItemCounts, Phases, StepFacts
from loadgen.reports.gates import Gates
from loadgen.reports.metrics import Timings, rank
from loadgen.reports.schema import Verdict
from loadgen.reports.sessions import RESUMED
from loadgen.reports.summary import summarize
from loadgen.reports.tally import Series, Tally
from loadgen.reports.watch import Watch
from loadgen.sample import Outcome, Result
from loadgen.thresholds import parse

OK = Verdict(ok=True, exit_code=0)
SECOND = 1_000_000


def judged(record: FakeRecord, *texts: str):
    record.run = some_facts(settings={"thresholds": list(texts)})
    return summarize(record, OK).thresholds


def ended(ends_s: list[float], us: int = 1000) -> FakeRecord:
    """A run of items that took so long and ended at these seconds after its start."""
    count = len(ends_s)
    step = StepFacts(0, "put", count, "verify")
    record = FakeRecord(some_facts(), Phases(started_us=STARTED_US), [step], {0: ItemCounts(count, count)})
    record.tries = [
        an_attempt(item=item, start_us=round(end * SECOND) - us, duration_us=us)
        for item, end in enumerate(ends_s)
    ]
    return record


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3_600_000_000), min_size=1, max_size=60), st.integers(1, 99_999))
def test_percentiles_are_those_of_the_histogram_and_near_the_raw_ones(durations: list[int], thousandths: int):
    tally, timings, half = Tally(), Timings(), len(durations) // 2
    timings.add(durations)
    for part in (durations[:half], durations[half:]):
        other = Tally()
        if part:
            other.add(part, 0)
            other.rest()
        tally.merge(other)
    raw = sorted(durations)[rank(len(durations), thousandths / 1000) - 1]
    assert tally.percentile_us(thousandths / 1000) == pytest.approx(raw, rel=0.001)
    stats = timings.stats()
    assert (tally.count, tally.sum_us) == (len(durations), sum(durations))
    for name, percentile in (("p50", 50), ("p99", 99), ("p999", 99.9)):
        assert tally.percentile_us(percentile) / 1000 == pytest.approx(getattr(stats, name), abs=0.002)


def test_the_values_are_those_of_the_raw_durations():
    record = a_run({"one": 500, "two": 700}, outcomes={"two": ItemCounts(700, 650, 40, 10)})
    every = sorted(row.duration_us for row in record.tries)
    two = sorted(row.duration_us for row in record.tries if row.step == 1)
    calls = sorted(call.total_us for call in record.calls if call.label == "one POST /manager")
    told = judged(
        record,
        "p95<1us",
        "two.p99.9<1ms",
        "two.max<1s",
        "mean<1ms",
        "calls.one POST /manager.p50<1us",
        "failed<2%",
        "two.unknown==0",
        "calls.errors<=40",
        "calls.nobody.errors==0",
        "rate>0/s",
    )
    assert told[0].value == pytest.approx(every[rank(1190, 95) - 1], rel=0.001)
    assert told[1].value == pytest.approx(two[-1] / 1000, rel=0.001)
    assert told[2].value == two[-1] / SECOND
    assert told[3].value == pytest.approx(sum(every) / len(every) / 1000)
    assert told[4].value == pytest.approx(calls[249], rel=0.001)
    assert (told[5].value, told[5].ok) == (round(100 * 40 / 1200, 6), False)
    assert (told[6].value, told[6].ok) == (10, False)
    assert (told[7].value, told[7].ok) == (40, True)
    assert (told[8].value, told[8].ok, told[8].reason) == (None, False, "no such call was made")
    last = max(row.start_us + row.duration_us for row in record.tries)
    span_us = last - min(row.start_us for row in record.tries)
    assert told[9].value == pytest.approx(1190 * SECOND / span_us)


def test_the_worst_full_window_decides():
    dice = random.Random(4)
    ends = sorted(dice.uniform(0, 60) for _ in range(3000))
    record = ended(ends)
    for row, end in enumerate(ends):  # one bad stretch of five seconds
        if 30 <= end < 35:
            record.tries[row] = an_attempt(
                item=row, start_us=round(end * SECOND) - 90_000, duration_us=90_000
            )
    whole, wide, narrow = judged(record, "p95<50ms", "p50<50ms over 20s", "p50<50ms over 5s")
    assert (whole.ok, wide.ok, narrow.ok) == (False, True, False)
    (whole,) = judged(record, "p90<50ms")
    assert whole.ok
    assert narrow.value == pytest.approx(90, rel=0.001)
    assert "windows; worst in the one until 22:13:5" in narrow.reason


def test_windows_are_full_and_slide_by_a_tenth():
    record = ended([n / 10 for n in range(1, 101)])  # ten a second, for ten seconds
    rate, longer, number = judged(record, "rate>=9/s over 2s", "rate>=9/s over 11s", "done>=18 over 2s")
    assert (rate.ok, number.ok) == (True, True)
    assert (longer.value, longer.ok, longer.reason) == (None, True, "there was no full window")
    gap = ended([*(n / 10 for n in range(1, 51)), *(n / 10 for n in range(80, 131))])
    assert [gate.value for gate in judged(gap, "rate>=9/s over 2s")] == [0.0]
    gap.log = [Event(STARTED_US + 7 * SECOND, RESUMED, "")]  # nobody ran between the sessions
    assert judged(gap, "rate>=9/s over 2s")[0].ok
    assert judged(gap, "rate>=9/s")[0].ok


def test_old_slices_are_packed_and_take_late_results():
    series = Series(10 * SECOND)
    for second in range(200):
        series.add([second * SECOND], [5], [False])
    series.add([3 * SECOND], [7], [True])
    assert (series.total().count, series.total().failed) == (201, 1)
    assert series.window(0).max_us == 7


def test_nothing_measured_holds_nothing():
    record = ended([])
    assert [(gate.value, gate.ok) for gate in judged(record, "p95<1s", "failed<1%", "failed==0")] == [
        (None, False),
        (None, False),
        (0, True),
    ]


def test_only_attempts_that_settled_an_item_count():
    record = ended([1, 2])
    record.tries += [
        an_attempt(item=0, duration_us=SECOND, counted=False),
        an_attempt(item=1, duration_us=SECOND, found=True),
        an_attempt(item=1, duration_us=SECOND, outcome=Outcome.UNKNOWN),
    ]
    assert judged(record, "max<1s")[0].value == 0.001


def test_calls_outside_the_steps_have_labels_only():
    gates = Gates([parse("calls.max<1s"), parse("calls.setup.max<1s")], [StepFacts(0, "put", 1, "verify")])
    for step, label, us in ((-1, "setup", 3000), (0, "put", 2000)):
        table = CallTable(step, 1, Samples.of([a_call(label=label, total_us=us)]))
        gates.add_calls(table, table)
    assert [gate.value for gate in gates.judge({})] == [0.002, 0.003]


# while it runs


def watch(*texts: str, before: int = 0) -> Watch:
    return Watch(
        [parse(text) for text in texts],
        {0: "put", 1: "get"},
        {"put": ItemCounts(9, failed=before), "get": ItemCounts()},
    )


def harvest(count: int, us: int = 1000, outcome: Outcome = Outcome.DONE) -> Harvest:
    return Harvest.of([Result(item, 1, outcome, STARTED_US, us) for item in range(count)])


def test_it_is_told_once_and_aborts_after_its_grace():
    it, counts = watch("p95<2ms over 1s abort after 2s"), ItemCounts(100)
    told = []
    for tenth in range(60):
        now_us = STARTED_US + tenth * SECOND // 10
        it.record(0, harvest(3, 5000 if tenth >= 20 else 1000), now_us)
        told += [(tenth, crossing.acts) for crossing in it.look(0, counts, now_us)]
    assert [aborts for _, aborts in told][:2] == [False, True]
    assert 20 <= told[0][0] <= 24
    assert told[1][0] - told[0][0] == pytest.approx(20, abs=3)


def test_grace_begins_anew_when_it_recovers():
    it = watch("failed<5 abort after 2s")
    looks = [(0, 9), (1, 9), (2, 1), (3, 9), (4, 9)]
    told = [it.look(0, ItemCounts(100, failed=failed), at * SECOND) for at, failed in looks]
    assert not any(crossing.acts for crossings in told for crossing in crossings)
    assert [crossing.acts for crossing in it.look(0, ItemCounts(100, failed=9), 5 * SECOND)] == [True]


def test_what_an_earlier_session_did_does_not_end_this_one():
    it = watch("failed<5 abort", before=7)
    assert not it.look(0, ItemCounts(100, failed=8), SECOND)
    assert it.look(0, ItemCounts(100, failed=12), 2 * SECOND)


def test_a_step_that_is_over_is_not_slow():
    it = watch("put.rate>=1/s over 1s abort")
    for second in range(5):
        it.record(0, harvest(3), second * SECOND)
        assert not it.look(0, ItemCounts(15), second * SECOND)
    assert not it.look(1, ItemCounts(15), 20 * SECOND)
    assert it.look(0, ItemCounts(15), 30 * SECOND)


def test_a_retry_has_not_ended():
    it = watch("max<1ms abort")
    it.record(0, Harvest.of([Result(0, 1, Outcome.FAILED, STARTED_US, 9000, "x", retry_ms=5)]), SECOND)
    assert not it.look(0, ItemCounts(9), 2 * SECOND)
    it.record(0, harvest(1, 9000), 3 * SECOND)
    assert it.look(0, ItemCounts(9), 4 * SECOND)
