"""What pictures need beyond the summary."""

from __future__ import annotations

from fake_records import STARTED_US, a_call, an_attempt

from loadgen.columns import Samples, divide
from loadgen.record import CallTable, StepFacts, TryTable
from loadgen.reports.detail import DetailBuilder, Parts
from loadgen.sample import Outcome, Result

STEP = StepFacts(0, "step", 6, "verify")


def detail(*, tries=(), plain=(), calls=(), lanes=()):
    builder = DetailBuilder([STEP], {0: lanes}, STARTED_US)
    if plain:
        results = [Result(item, 1, Outcome.DONE, STARTED_US + start_us, us) for item, start_us, us in plain]
        builder.add_tries(TryTable(0, 1, divide(results)[0]))
    for row in tries:
        builder.add_try(row, STARTED_US + row.start_us)
    for call in calls:
        builder.add_calls(CallTable(0, 1, Samples.of([call])))
    return builder.build()


def test_items_count_however_they_are_kept():
    """As a column, or as rows by themselves; only the attempts that settled them."""
    made = detail(
        plain=[(0, 0, 1_000), (1, 10_000, 2_000)],
        tries=[
            an_attempt(item=2, start_us=20_000, duration_us=3_000),
            an_attempt(item=3, duration_us=9_000, outcome=Outcome.FAILED, counted=False),
            an_attempt(item=3, start_us=30_000, duration_us=4_000, outcome=Outcome.FAILED, attempt=2),
            an_attempt(item=4, duration_us=9_000, found=True),
        ],
    )
    (step,) = made.steps
    assert [(band.at, band.count, band.failed, band.max) for band in step.over_items.bands] == [
        (0, 1, 0, 1.0),
        (1, 1, 0, 2.0),
        (2, 1, 0, 3.0),
        (3, 1, 1, 4.0),
    ]
    assert [(band.at, band.count) for band in step.over_time.bands] == [
        (at, 1) for at in (0, 10_000, 20_000, 30_000)
    ]
    assert [band.at for band in made.retries.bands] == [30_000]


def test_places_within_keys():
    """The third item of each key stands beside the third of the others."""
    made = detail(plain=[(item, 0, 1_000 * (item + 1)) for item in range(6)], lanes=[0, 0, 1, 0, 1, 1])
    bands = made.steps[0].within_key.bands
    assert [(band.at, band.count, band.min, band.max) for band in bands] == [
        (0, 2, 1.0, 3.0),
        (1, 2, 2.0, 5.0),
        (2, 2, 4.0, 6.0),
    ]


def test_keys_of_one_item_each_have_no_picture():
    made = detail(plain=[(item, 0, 1_000) for item in range(6)], lanes=range(6))
    assert made.steps[0].within_key.bands == ()


def test_phases_add_up():
    """And calls without an answer are left out: nobody knows what they waited for."""
    times = {"dns_us": 100, "connect_us": 400, "tls_us": 900, "first_byte_us": 3_000, "total_us": 3_500}
    unanswered = a_call(first_byte_us=0, total_us=9_000, connect_us=50, status=0, error="gone")
    made = detail(calls=[a_call(**times), a_call(first_byte_us=2_000, total_us=2_100), unanswered])
    (parts,) = made.parts.values()
    assert parts == Parts(2, 100, 300, 500, 2_100 + 2_000, 500 + 100)
    assert parts.total_us == 3_500 + 2_100
    assert (made.calls.count, made.calls.failed) == (3, 1)
