"""Quartz's cron expressions: those of its tutorial, and the ones that it refuses."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.sandbox.azkaban.quartz import CronError, parse

TUESDAY_NOON = datetime(2026, 2, 10, 12, 0, 0, tzinfo=UTC)


def fire_times(expression: str, count: int = 3) -> list[str]:
    cron, time, found = parse(expression), TUESDAY_NOON, []
    for _ in range(count):
        time = cron.next_after(time)
        found.append(f"{time:%a %Y-%m-%d %H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 12 * * ?", ["Wed 2026-02-11 12:00:00", "Thu 2026-02-12 12:00:00"]),
        ("0 0/15 * * * ?", ["Tue 2026-02-10 12:15:00", "Tue 2026-02-10 12:30:00"]),
        ("0 0 22-1 ? * *", ["Tue 2026-02-10 22:00:00", "Tue 2026-02-10 23:00:00", "Wed 2026-02-11 00:00:00"]),
        ("30 10,44 14 ? MAR wed", ["Wed 2026-03-04 14:10:30", "Wed 2026-03-04 14:44:30"]),
        ("0 15 10 ? * MON-FRI", ["Wed 2026-02-11 10:15:00", "Thu 2026-02-12 10:15:00"]),
        (
            "0 0 0 ? * FRI-SUN",
            ["Fri 2026-02-13 00:00:00", "Sat 2026-02-14 00:00:00", "Sun 2026-02-15 00:00:00"],
        ),
        ("0 5/0 */0 ? * *", ["Tue 2026-02-10 12:05:00", "Tue 2026-02-10 13:05:00"]),
        ("0 0 0 ? * 1", ["Sun 2026-02-15 00:00:00"]),
        ("0 0 0 L * ?", ["Sat 2026-02-28 00:00:00", "Tue 2026-03-31 00:00:00"]),
        ("0 0 0 LW * ?", ["Fri 2026-02-27 00:00:00", "Tue 2026-03-31 00:00:00"]),
        ("0 0 0 L-3 * ?", ["Wed 2026-02-25 00:00:00", "Sat 2026-03-28 00:00:00"]),
        ("0 0 0 15W * ?", ["Mon 2026-02-16 00:00:00", "Mon 2026-03-16 00:00:00"]),
        ("0 0 0 1W 8 ?", ["Mon 2026-08-03 00:00:00", "Mon 2027-08-02 00:00:00"]),
        ("0 0 0 31W * ?", ["Tue 2026-03-31 00:00:00", "Fri 2026-05-29 00:00:00"]),
        ("0 0 0 ? * 6L", ["Fri 2026-02-27 00:00:00", "Fri 2026-03-27 00:00:00"]),
        ("0 0 0 ? * FRIL", ["Fri 2026-02-27 00:00:00"]),
        ("0 0 0 ? * L", ["Sat 2026-02-14 00:00:00", "Sat 2026-02-21 00:00:00"]),
        ("0 0 0 ? * 6#3", ["Fri 2026-02-20 00:00:00", "Fri 2026-03-20 00:00:00"]),
        ("0 0 0 ? * MON#5", ["Mon 2026-03-30 00:00:00", "Mon 2026-06-29 00:00:00"]),
        ("0 0 0 29 2 ?", ["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00"]),
        ("0 0 0 1 1 ? 2030/2", ["Tue 2030-01-01 00:00:00", "Thu 2032-01-01 00:00:00"]),
        ("59 59 23 31 12 ? 2099", ["Thu 2099-12-31 23:59:59"]),
    ],
)
def test_it_fires(expression, expected):
    assert fire_times(expression, len(expected)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "* * * * *",
        "0 3 * * *",
        "0 0 3 * * *",
        "0 0 3 ? * ?",
        "0 0 3 ? * * * *",
        "60 0 0 ? * *",
        "0 0 24 ? * *",
        "0 0 0 32 * ?",
        "0 0 0 0 * ?",
        "0 0 0 ? 13 *",
        "0 0 0 ? * 8",
        "0 0 0 ? * 0",
        "0 0 0 ? FOO *",
        "0 0 0 ? * MO",
        "0 0 0 L,3 * ?",
        "0 0 0 L-31 * ?",
        "0 0 0 32W * ?",
        "0 0 0 ? * 6#6",
        "0 0 0 ? * 2,6#3",
        "0 */60 * ? * *",
        "0 0 0/24 ? * *",
        "0 - * ? * *",
        "? * * ? * *",
        "0 0 0 ? * * 2040-2030",
    ],
)
def test_it_is_refused(expression):
    with pytest.raises(CronError):
        parse(expression)


@pytest.mark.parametrize("expression", ["0 0 0 30 2 ?", "0 0 3 ? * * 2020", "0 0 0 ? 2 2#5 2026-2030"])
def test_what_never_comes_has_no_next_time(expression):
    assert parse(expression).next_after(TUESDAY_NOON) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)), st.integers(1, 100_000))  # noqa: DTZ001
def test_nothing_is_left_out_between_two_fire_times(time, seconds):
    """What fires every second fires at any time; the next time is after, and no other lies between."""
    time = time.replace(microsecond=0, tzinfo=UTC)
    assert parse("* * * * * ?").next_after(time) == time + timedelta(seconds=1)
    cron = parse("7,40 */11 2-20/3 ? * TUE,FRI")
    next_time = cron.next_after(time)
    assert next_time > time
    between = time + timedelta(seconds=min(seconds, (next_time - time).total_seconds() - 1))
    assert cron.next_after(between) == next_time
