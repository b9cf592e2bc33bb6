"""The one filter: what belongs to a warm-up is in the numbers, and in no time, rate or window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
from fake_records import STARTED_US, FakeRecord, a_call, a_run, some_facts
from hypothesis import given
from hypothesis import strategies as st

from loadgen.columns import Harvest, Plain, Samples, divide
from loadgen.lag import Lag
from loadgen.record import CallTable, Event, ItemCounts, StepFacts, TryTable, WorkerFacts
from loadgen.reports.measured import WARM_UP, Measured
from loadgen.reports.schema import Verdict
from loadgen.reports.summary import summarize
from loadgen.reports.timeline import TimelineBuilder
from loadgen.sample import NO_ITEM, Outcome, Result
from loadgen.warmup import WarmUp, parse

OK = Verdict(ok=True, exit_code=0)
SECOND = 1_000_000
UNTIL_US = STARTED_US + 3 * SECOND


class Stepped(FakeRecord):
    """Its calls are of the step that their label names."""

    def call_tables(self) -> Iterator[CallTable]:
        for step in self.plan:
            mine = [call for call in self.calls if call.label.startswith(step.name)]
            yield from (
                CallTable(step.index, 1, Samples.of(mine[at : at + 37])) for at in range(0, len(mine), 37)
            )


def warmed(spec: str, *thresholds: str) -> FakeRecord:
    """Two steps, 300 items a second; of the second one a tenth fails."""
    made = a_run({"one": 600, "two": 600}, outcomes={"two": ItemCounts(600, 540, 60)})
    record = Stepped(**{field.name: getattr(made, field.name) for field in fields(made)})
    record.run = some_facts(settings={"warm_up": spec, "thresholds": list(thresholds)})
    if spec.endswith("s") and "item" not in spec:
        record.log = [Event(UNTIL_US, WARM_UP, "")]
    return record


def test_by_time_what_began_before_is_out_of_times_and_rates_and_in_numbers():
    record = warmed(
        "3s", "p99<1ms", "failed<1%", "calls.errors==0", "calls.rate>0/s", "done>0 over 1s", "calls.mean<1s"
    )
    timeline = TimelineBuilder(STARTED_US)
    told, plain = summarize(record, OK, timeline.add), summarize(a_run({"x": 1}), OK)
    late = [row for row in record.tries if row.start_us >= 3 * SECOND]
    assert 200 < len(late) < 500
    assert sum(step.item_time.count for step in told.steps) == len(late)
    assert told.items.done == 1140
    assert told.run.warm_up is not None
    assert told.run.warm_up.items == told.run.warm_up.calls == 1200 - len(late)
    assert told.run.warm_up.until == "2023-11-14T22:13:23.123Z"
    assert told.run.warm_up.text.endswith("of the first 3s are not in these times")
    assert plain.run.warm_up is None
    assert any(call.error and call.start_us < UNTIL_US for call in record.calls)
    one, two = told.calls
    assert (one.count, two.count, two.errors, two.statuses) == (600, 600, 60, {"200": 540, "500": 60})
    assert one.service_time.count + two.service_time.count == len(late)
    span_us = max(call.start_us + call.total_us for call in record.calls if "two" in call.label) - min(
        call.start_us for call in record.calls if "two" in call.label and call.start_us >= UNTIL_US
    )
    assert two.rate_per_s == pytest.approx(two.service_time.count * SECOND / span_us, rel=1e-4)
    p99, failed, errors, rate, windows, mean = told.thresholds
    assert p99.value == pytest.approx(
        sorted(row.duration_us for row in late)[-len(late) // 100] / 1000, rel=0.15
    )
    assert (failed.value, errors.value) == (5.0, 60)
    assert rate.value == pytest.approx(300, rel=0.2)
    late_us = [call.total_us for call in record.calls if call.start_us >= UNTIL_US]
    assert mean.value == pytest.approx(sum(late_us) / len(late_us) / SECOND, rel=1e-4)
    assert windows.value is not None
    assert windows.value > 200  # not 0, for the first three seconds
    assert sum(bucket.calls for bucket in timeline.build().buckets) == len(late)
    assert timeline.build().buckets[0].at_s >= 3
    assert sum(error.count for error in told.errors) == 60  # why items failed is told of all


def test_by_items_they_are_those_of_the_first_step():
    told = summarize(warmed("500 items"), OK)
    assert [step.item_time.count for step in told.steps] == [100, 600]
    assert [call.service_time.count for call in told.calls] == [100, 600]
    assert told.run.warm_up is not None
    assert (told.run.warm_up.items, told.run.warm_up.until) == (500, None)
    more = summarize(warmed("700"), OK)
    assert [step.item_time.count for step in more.steps] == [0, 600]
    assert more.run.warm_up is not None
    assert "600 items and 600 calls of the first 600 items of the first step" in more.run.warm_up.text


def test_a_run_that_did_not_come_to_its_end_measured_nothing():
    record = warmed("2s")
    record.log = []
    told = summarize(record, OK)
    assert [step.item_time.p50 for step in told.steps] == [None, None]
    assert [call.rate_per_s for call in told.calls] == [None, None]
    assert told.items.done == 1140


rows = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 100), st.integers(0, 9)), max_size=40)


@given(rows, st.sampled_from([WarmUp(us=50), WarmUp(items=20)]), st.sampled_from([-1, 0, 1]))
def test_every_form_is_parted_alike(rows: list[tuple[int, int, int]], warm_up: WarmUp, step: int):
    measured = Measured(warm_up, 0, STARTED_US + 50)
    rows = list({row[0]: row for row in rows}.values())
    results = [Result(item, 1, Outcome.DONE, STARTED_US + at, us) for item, at, us in rows]
    calls = [a_call(item=item, start_us=at) for item, at, _ in rows]
    kept = [row for row in rows if measured.has(step, row[0], STARTED_US + row[1])]
    harvest = measured.harvest(step, Harvest.of(results, calls))
    assert list(harvest.plain.items()) == sorted(item for item, _, _ in kept)
    assert [call.item for call in harvest.samples.rows()] == [item for item, _, _ in kept]
    assert measured.items == measured.calls.total() == len(rows) - len(kept)
    harvest.plain.check()
    table = measured.tries(TryTable(step, 1, divide(results)[0]))
    assert [result.duration_us for result in table.plain.results()] == [us for _, _, us in sorted(kept)]
    again = measured.calls_of(CallTable(step, 1, Samples.of(calls)))
    assert again.samples == harvest.samples


def test_calls_outside_the_steps_belong_to_no_warm_up():
    assert Measured(parse("9h"), 0).has(-1, NO_ITEM, 0)
    assert Measured(parse("9"), 0).has(0, NO_ITEM, 0)
    assert not Measured(parse("9h"), 0).has(0, NO_ITEM, 0)


def test_it_is_over_by_the_clock_or_when_all_its_items_have_ended():
    by_time = Measured(parse("2s"))
    assert not by_time.is_over(10**18)
    by_time.until_us = 5
    assert (by_time.is_over(4), by_time.is_over(5)) == (False, True)
    by_items = Measured.of("9", [StepFacts(0, "put", 3, "verify")], [])
    for item in range(3):
        assert not by_items.is_over(10**18)
        by_items.harvest(0, Harvest(plain=Plain(((item, item + 1),), *divided(item))))
    assert by_items.is_over(0)


def divided(item: int) -> tuple[bytes, bytes]:
    plain, _ = divide([Result(item, 1, Outcome.DONE, 1, 1)])
    return plain.start_us, plain.duration_us


def test_what_the_probes_read_before_is_no_matter():
    worker = WorkerFacts(
        1, "a", "a", 4, 100, 100, 1.0, 9.0, lost=False, lag=Lag((10, 5, 1), (0, 3), 90, 900, 9)
    )
    measured = Measured(parse("2s"), 0)
    measured.calls[1] = 40
    rest = measured.load(worker, {1: Lag((4, 5), (0, 1), 50, 500, 4)})
    assert rest == replace(worker, calls=60, lag=Lag((6, 0, 1), (0, 2), 40, 400, 5))
    assert measured.load(replace(worker, worker=2), {1: worker.lag}).lag == worker.lag
    assert Lag((1,)).since(Lag((3, 3), (), 9)) == Lag()


@pytest.mark.parametrize("text", ["5s", "3 items"])
def test_a_step_without_a_number_of_items_warms_up_too(text: str):
    measured = Measured.of(text, [StepFacts(0, "browse", -1, "at_most_once")], [Event(9, WARM_UP, "over")])
    assert [measured.has(0, item, item) for item in (0, 2, 20)] == [False, False, True]
    assert not measured.is_over(0)
