"""Comparisons: the band is honest, the words are right, unlike runs are told."""

from __future__ import annotations

import dataclasses
import doctest
import random

import fake_records
import msgspec
import pytest

from loadgen.columns import Plain, pack
from loadgen.record import StepFacts, TryTable
from loadgen.reports import compare as compare_module
from loadgen.reports.bootstrap import Band, bands, spread
from loadgen.reports.compare import Comparison, Side, compare, said
from loadgen.reports.compare_verdict import headline, verdicts
from loadgen.reports.likeness import cautions, differences
from loadgen.reports.metrics import Timings
from loadgen.reports.schema import Generator, Verdict
from loadgen.reports.slices import Slices, sliced
from loadgen.reports.summary import summarize

OK = Verdict(ok=True, exit_code=0)
SIMULATIONS = 200
SEEN = ("p50", "mean", "rate")


def a_sample(dice: random.Random, slower: float = 1.0, *, drift: float = 0.0, failing: float = 0.0) -> Slices:
    """24 slices of some 30 times, lognormal; with `drift` their level wanders, as on a busy server."""
    level, parts = 0.0, []
    for _ in range(24):
        level = 0.6 * level + dice.gauss(0, drift)
        number = round(30 * dice.uniform(0.8, 1.2))
        scale = slower * 2.718281828**level
        parts.append([max(1, round(dice.lognormvariate(9.5, 0.5) * scale)) for _ in range(number)])
    failed = [sum(dice.random() < failing for _ in part) for part in parts]
    return Slices.of(1_000_000, parts, failed)


def test_the_band_is_honest():
    """Two of the same differ by noise only, in 90 % at least; what takes 20 % longer is found in 95 %."""
    same, found = [0, 0, 0], [0, 0]
    for seed in range(SIMULATIONS):
        dice = random.Random(seed)
        base = a_sample(dice)
        alike = bands(base, a_sample(dice), seed, 120, SEEN)
        slow = bands(base, a_sample(dice, 1.2), seed, 120, SEEN[:2])
        for place, name in enumerate(SEEN):
            same[place] += alike[name].is_noise
        for place, name in enumerate(SEEN[:2]):
            found[place] += slow[name].low > 0
            assert slow[name].low <= slow[name].change <= slow[name].high
    assert min(same) >= 0.9 * SIMULATIONS, same
    assert min(found) >= 0.95 * SIMULATIONS, found


def test_the_band_is_honest_of_a_server_that_has_moods():
    """Neighbouring slices are alike: to draw them one by one would take moods for a difference."""
    same = 0
    for seed in range(100):
        dice = random.Random(seed)
        band = bands(a_sample(dice, drift=0.1), a_sample(dice, drift=0.1), seed, 150, ("mean",))["mean"]
        same += band.is_noise
    assert same >= 85


def test_a_band_is_the_same_each_time():
    one, two = a_sample(random.Random(1)), a_sample(random.Random(2), 1.1)
    assert bands(one, two, 7) == bands(one, two, 7) != bands(one, two, 8)


def test_errors_are_told_in_points():
    dice = random.Random(3)
    band = bands(a_sample(dice), a_sample(dice, failing=0.1))["errors"]
    assert band.low > 5
    assert band.change == pytest.approx(10, abs=2)
    none = bands(a_sample(dice), a_sample(dice))["errors"]
    assert (none.low, none.change, none.high) == (0, 0, 0)
    assert none.is_noise


def test_of_too_little_nothing_is_said():
    few = Slices.of(1_000, [[5]] * 24, [0] * 24)
    assert bands(few, few) == {}
    lumped = Slices.of(1_000, [[5] * 100] * 3 + [[]] * 21, [0] * 24)
    assert bands(lumped, lumped) == {}
    middling = Slices.of(1_000, [[5, 6, 7]] * 24, [0] * 24)
    assert set(bands(middling, middling)) == {"mean", "p50", "rate", "errors"}


def test_slices_measure_what_the_summary_measures():
    record = fake_records.bad()
    told, slices = summarize(record, OK), sliced(record)
    every = [(slice_, 1) for slice_ in range(24)]
    for call in told.calls:
        mine = slices["calls", call.name]
        assert mine.count(every) == call.count
        assert sum(mine.failed) == call.errors
        assert mine.mean(every) / 1000 == pytest.approx(call.service_time.mean, abs=0.001)
        assert mine.percentile(95, every) / 1000 == pytest.approx(call.service_time.p95, rel=2e-3)
        assert mine.rate(every) == pytest.approx(call.rate_per_s, rel=1e-3)
    for step in told.steps:
        mine = slices["items", step.name]
        assert (mine.count(every), sum(mine.failed)) == (step.item_time.count, step.items.failed)
        assert mine.mean(every) / 1000 == pytest.approx(step.item_time.mean, abs=0.001)
    flow = slices["calls", "create_flow POST /manager"]
    assert flow.filled == 24
    assert max(flow.counts) < 2 * min(flow.counts), "each slice takes as long as any other"


def test_tables_of_items_are_sliced_too():
    record = fake_records.single()
    starts = [fake_records.STARTED_US + n * 1_000 for n in range(100)]
    table = TryTable(0, 1, Plain(((0, 100),), pack(starts), pack([500] * 100)))
    record.try_tables = lambda: iter([table])
    record.tries = []
    assert sliced(record)["items", "ping"].counts[:3] == (4, 4, 4)


def test_percentiles_over_weights_are_those_of_the_values():
    dice = random.Random(5)
    sample = a_sample(dice)
    parts = [[dice.randrange(1, 3_000) for _ in range(40)] for _ in range(4)]
    sample = Slices.of(1_000, parts, [0] * 4)
    timings = Timings()
    timings.add(parts[0] * 2 + parts[3])
    assert sample.percentile(95, [(0, 2), (3, 1)]) == pytest.approx(timings.stats().p95 * 1000, rel=2e-3)
    assert sample.mean([(0, 2), (3, 1)]) == pytest.approx(timings.stats().mean * 1000, abs=1)


def test_words():
    assert doctest.testmod(compare_module).failed == 0
    assert said("p95", Band(-12, -15, -9)) == "faster by 12 % (9 to 15)"
    assert said("rate", Band(30, 20, 40)) == "higher by 30 % (20 to 40)"
    assert said("errors", Band(1.25, 0.5, 2)) == "more by 1.2 points (0.5 to 2)"
    assert said("p50", Band(1, -3, 4)) == "no difference beyond noise (-3 to 4 %)"
    assert said("p50", None) == "too little to tell"


def slowed(record: fake_records.FakeRecord, factor: float) -> fake_records.FakeRecord:
    record.calls = [
        msgspec.structs.replace(call, total_us=round(call.total_us * factor)) for call in record.calls
    ]
    return record


def compared(factor: float) -> Comparison:
    base, other = fake_records.bad(), slowed(fake_records.bad(), factor)
    sides = (Side(summarize(record, OK), sliced(record)) for record in (base, other))
    return compare(*sides)


@pytest.fixture(scope="module")
def slower() -> Comparison:
    return compared(1.5)


def test_a_comparison_of_two_runs(slower):
    lines = {(line.of, line.name, line.measure): line for line in slower.lines}
    p50 = lines["calls", "create_flow POST /manager", "p50"]
    assert p50.other / p50.base == pytest.approx(1.5, rel=0.01)
    assert (p50.finding, p50.unit) == ("worse", "ms")
    assert p50.text.startswith("slower by 50 % (")
    assert lines["items", "create_flow", "p50"].finding == "same", "the steps took as long as before"
    assert lines["calls", "login POST /", "p50"].finding == "unknown"
    assert lines["calls", "create_flow POST /manager", "rate"].finding == "same"
    assert lines["items", "create_flow", "errors"].base == pytest.approx(100 * 60 / 2960, abs=0.001)


def test_a_regression_is_one_beyond_its_noise(slower):
    names = {line.measure for line in slower.regressions(10)}
    assert {"mean", "p50", "p95"} <= names
    assert slower.regressions(50) == [], "the band's lower end is below what changed"
    assert compared(1.0).regressions(0) == []


def test_a_lower_rate_is_a_regression():
    base, other = fake_records.a_run({"go": 3_000}), fake_records.a_run({"go": 3_000})
    other.calls = [
        msgspec.structs.replace(
            call, start_us=fake_records.STARTED_US + 2 * (call.start_us - fake_records.STARTED_US)
        )
        for call in other.calls
    ]
    sides = (Side(summarize(record, OK), sliced(record)) for record in (base, other))
    (lost,) = compare(*sides).regressions(20)
    assert (lost.measure, lost.finding) == ("rate", "worse")
    assert lost.text.startswith("lower by 50 %")


def an_open_run(lag_us: int) -> fake_records.FakeRecord:
    """Of which items and calls started by so much later than meant: it is in no service time."""
    record = fake_records.a_run({"go": 3_000})
    record.run = fake_records.some_facts(settings={"pace": {"rate": "300/s"}})
    record.calls = [msgspec.structs.replace(call, lag_us=lag_us) for call in record.calls]
    record.tries = [dataclasses.replace(row, lag_us=lag_us) for row in record.tries]
    return record


def test_open_runs_are_compared_by_response_times():
    records = [an_open_run(1_000), an_open_run(60_000)]
    base, other = (Side(summarize(record, OK), sliced(record)) for record in records)
    found = compare(base, other)
    lines = {(line.of, line.time, line.measure): line for line in found.lines}
    for of in ("items", "calls"):
        p50 = lines[of, "response time", "p50"]
        assert p50.other - p50.base == pytest.approx(59, abs=0.5)
        assert p50.finding == "worse"
        assert lines[of, "service time", "p50"].finding == "same"
        assert (of, "service time", "rate") not in lines, "told once"
    lost = found.regressions(10)
    assert {line.time for line in lost} == {"response time"}
    word, text = headline(found, lost)
    assert (word, text.startswith("go response time mean slower by")) == ("REGRESSION", True)
    (verdict,) = verdicts(found)
    assert verdict.finding == "worse"
    assert verdict.text == f"p95 {lines['items', 'response time', 'p95'].text}"


def test_an_open_run_and_a_closed_one_are_compared_by_what_both_have():
    records = [an_open_run(60_000), fake_records.a_run({"go": 3_000})]
    base, other = (Side(summarize(record, OK), sliced(record)) for record in records)
    found = compare(base, other)
    assert {line.time for line in found.lines} == {"item time", "service time"}
    assert found.regressions(0) == []


def test_a_step_has_its_verdict_in_a_sentence(slower):
    same = {each.step: (each.finding, each.text) for each in verdicts(slower)}
    assert same["create_flow"] == ("same", "no difference beyond noise")
    assert headline(slower, [])[0] == "DIFFERENT"
    assert headline(compared(1.0), []) == ("SAME", "no difference beyond noise")
    steps = {"go": 3_000, "rest": 3, "nothing": 0}
    base, other = fake_records.a_run(steps), fake_records.a_run(steps)
    other.tries = [dataclasses.replace(row, duration_us=row.duration_us * 2 // 3) for row in other.tries]
    told = compare(*(Side(summarize(record, OK), sliced(record)) for record in (base, other)))
    go, rest = verdicts(told)
    assert go.finding == "better"
    assert go.text.startswith("p95 faster by 33 % (")
    assert (rest.finding, rest.text) == ("unknown", "too little to tell")
    assert headline(told, [])[1] == "none of 12 figures is worse, 4 better"


def test_what_a_run_may_measure_another_time():
    """The spread of a percentile holds what the same distribution gives in other draws, and little more."""
    shares, held, every = [50, 90, 95], 0, [(slice_, 1) for slice_ in range(24)]
    for seed in range(12):
        ends = spread(a_sample(random.Random(seed)), shares)
        again = a_sample(random.Random(1_000 + seed))
        held += sum(
            low <= again.percentile(share, every) <= high
            for share, (low, high) in zip(shares, ends, strict=True)
        )
        assert all(low < high < 1.7 * low for low, high in ends)
    assert held >= 27, "of 36; both of them have noise"
    assert len(spread(a_sample(random.Random(1)), [50, 90, 98, 99.9])) == 3, "one in 720 is beyond the last"
    assert spread(Slices.of(1_000, [[5]] * 24, [0] * 24), [50]) == []


def test_alike_runs():
    facts = fake_records.some_facts(
        options={"flows": 3, "tag": "a1"}, settings={"listen": "x:1", "processes": 2}
    )
    again = fake_records.some_facts(
        options={"flows": 3, "tag": "b2"},
        settings={"listen": "x:2", "processes": 2, "thresholds": ["p95<1s"]},
        versions={**facts.versions, "python": "3.13.0"},
    )
    steps = [StepFacts(0, "go", 3, "verify")]
    assert differences(facts, again, steps, steps) == ()
    one = fake_records.some_facts(sandbox="azkaban", target="http://127.0.0.1:1")
    two = fake_records.some_facts(sandbox="azkaban", target="http://127.0.0.1:2")
    assert differences(one, two, steps, steps) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenario": "other"}, "scenario: azkaban_flows and other"),
        ({"digest": "f00"}, "scenario's text: 9f86d081884c and f00"),
        ({"target": "http://x"}, "target: http://127.0.0.1:8081 and http://x"),
        ({"sandbox": "azkaban"}, "target: http://127.0.0.1:8081 and sandbox:azkaban"),
        ({"options": {"flows": 9, "projects": 100, "password": "***"}}, "option flows: 10000 and 9"),
        ({"settings": {"processes": 2, "concurrency": 64}}, "concurrency: 32 and 64"),
        ({"settings": {"processes": 2, "concurrency": 32, "rate": "5/s"}}, "rate: none and 5/s"),
        (
            {"settings": {"processes": 2, "concurrency": 32, "steps": ["a", "b"]}},
            "steps: none and a + b",
        ),
        ({"versions": {"loadgen": "0.1.0", "platform": "Linux x86_64", "cpus": "8"}}, "cpus: none and 8"),
    ],
)
def test_unlike_runs_are_told_by_what_differs(changes, words):
    steps = [StepFacts(0, "go", 3, "verify")]
    base, other = fake_records.some_facts(), fake_records.some_facts(**changes)
    assert differences(base, other, steps, steps) == (words,)


def test_another_load_is_told_in_full():
    steps, pace = [StepFacts(0, "go", 3, "verify")], {"rate": "50/s", "max_lag": "1s"}
    settings = [
        {"pace": {**pace, "arrivals": "poisson", "seed": seed}, "processes": 2, "concurrency": 64}
        for seed in (7, 8)
    ]
    base, other = (fake_records.some_facts(settings=each) for each in settings)
    one, two = (f"open, 50/s poisson, seed {seed}, max lag 1s; 2 processes x 64" for seed in (7, 8))
    assert differences(base, other, steps, steps) == (f"load: {one} and {two}",)


def test_other_steps_are_unlike():
    facts = fake_records.some_facts()
    one, two = (
        [StepFacts(0, "go", 3, "verify")],
        [StepFacts(0, "go", 4, "verify"), StepFacts(1, "stay", 1, "verify")],
    )
    assert differences(facts, facts, one, two) == (
        "step go: 3 items and 4 items",
        "step stay: none and 1 items",
    )


def test_doubtful_times_are_told():
    told = summarize(fake_records.interrupted(), OK)
    assert list(cautions(told)) == [
        "20231114-221320-azkaban is not complete: 8000 of 11100 items are pending"
    ]
    bad = msgspec.structs.replace(
        summarize(fake_records.single(), OK), generator=Generator("invalid", ("too slow",))
    )
    assert list(cautions(bad)) == ["the times of 20231114-221320-azkaban are invalid: too slow"]
