"""Quartz's cron expressions: what they are, and when they fire next.  Pure.

`second minute hour day-of-month month day-of-week [year]`: six or seven fields, unlike Unix' five, and
exactly one of the two kinds of day must be `?`.  Days of the week count from 1, which is Sunday.  As in
CronExpression.java, which takes lists, ranges (also round the end: `22-2`), steps, names, `L`, `LW`,
`L-3`, `15W`, `6L` and `6#3`.  Where Quartz lets nonsense pass (an eighth field, `15W` or `6#3` in a list
and then only in part, letters after a name), this refuses.  All times are UTC.
"""

from __future__ import annotations

import calendar
import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_NAMES_OF_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTHS = {name: number for number, name in enumerate(_NAMES_OF_MONTHS, 1)}
DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
MAX_YEAR = 2199
"""Where an open range of years ends; Quartz says a hundred years from now."""
AHEAD = 100
"""Years in which a fire time is looked for."""
_NUMBER = re.compile(r"(\d+)(?:-(\d+))?(?:/(\d+))?")
_STEP = re.compile(r"\*?/(\d+)")
_NAME = re.compile(r"([A-Z]{3})(?:-([A-Z]{3}))?")
_LAST_DAY = re.compile(r"L(?:-(\d+))?(W)?")
_NEAREST = re.compile(r"(\d+)W")
_LAST_WEEKDAY = re.compile(r"([1-7]|[A-Z]{3})L")
_NTH = re.compile(r"([1-7]|[A-Z]{3})#([1-5])")


class CronError(ValueError):
    """This is no Quartz cron expression."""


@dataclass(frozen=True, slots=True)
class _Field:
    """What one place of an expression may hold."""

    low: int
    high: int
    names: dict[str, int]
    step: int
    """The largest step."""


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression, read."""

    seconds: Sequence[int]
    minutes: Sequence[int]
    hours: Sequence[int]
    days: str
    """The field for days of the month, in capitals."""
    months: Sequence[int]
    weekdays: str
    """The field for days of the week, in capitals."""
    years: Sequence[int]

    def next_after(self, time: datetime) -> datetime | None:
        """The first fire time after a time, both in UTC; None if the next hundred years have none."""
        start = time.replace(microsecond=0) + timedelta(seconds=1)
        today = (start.year, start.month, start.day)
        still = _clock_at_or_after(self, (start.hour, start.minute, start.second))
        first = (self.hours[0], self.minutes[0], self.seconds[0])
        for date in self._dates(start.year, start.month):
            if date == today and still is not None:
                return datetime(*date, *still, tzinfo=UTC)
            if date > today:
                return datetime(*date, *first, tzinfo=UTC)
        return None

    def _dates(self, year: int, month: int) -> Iterator[tuple[int, int, int]]:
        """Year, month and day of those on which it fires, from the beginning of a month on."""
        for each in self.years[bisect_left(self.years, year) : bisect_left(self.years, year + AHEAD + 1)]:
            for number in self.months:
                if (each, number) >= (year, month):
                    yield from ((each, number, day) for day in self._days_of(each, number))

    def _days_of(self, year: int, month: int) -> list[int]:
        """The days of a month on which it fires, in order."""
        last = calendar.monthrange(year, month)[1]
        if self.weekdays == "?":
            return sorted(day for day in _days_of_month(self.days, year, month) if 1 <= day <= last)
        return sorted(day for day in _days_of_week(self.weekdays, year, month) if 1 <= day <= last)


_SECOND = _Field(0, 59, {}, 59)
_HOUR = _Field(0, 23, {}, 23)
_DAY = _Field(1, 31, {}, 31)
_MONTH = _Field(1, 12, MONTHS, 12)
_WEEKDAY = _Field(1, 7, DAYS, 7)
_YEAR = _Field(1970, MAX_YEAR, {}, MAX_YEAR)


def parse(expression: str) -> Cron:
    """Read an expression.  Raises CronError."""
    fields = expression.upper().split()
    if len(fields) not in (6, 7):
        raise CronError(f"{len(fields)} fields instead of 6 or 7")
    second, minute, hour, day, month, weekday = fields[:6]
    if (day == "?") == (weekday == "?"):
        raise CronError("exactly one of day-of-month and day-of-week must be ?")
    if day != "?":
        _check_days(day)
    if weekday != "?":
        _check_weekdays(weekday)
    return Cron(
        _numbers(second, _SECOND),
        _numbers(minute, _SECOND),
        _numbers(hour, _HOUR),
        day,
        _numbers(month, _MONTH),
        weekday,
        _numbers(fields[6] if fields[6:] else "*", _YEAR),
    )


def _numbers(text: str, place: _Field) -> Sequence[int]:
    """All numbers that a field without special characters stands for, in order.  Raises CronError."""
    if text == "*":  # stays a range, which is small
        return range(place.low, place.high + 1)
    found: set[int] = set()
    for part in text.split(","):
        found.update(_range(part, place))
    return tuple(sorted(found))


def _range(part: str, place: _Field) -> Iterable[int]:
    if part == "*":
        return range(place.low, place.high + 1)
    if step := _STEP.fullmatch(part):
        return range(place.low, place.high + 1, _step(step[1], place) or 1)
    if name := _NAME.fullmatch(part):
        low, high = name[1], name[2] or name[1]
        if low not in place.names or high not in place.names:
            raise CronError(f"no such name: {part}")
        return _span(place.names[low], place.names[high], 1, place)
    number = _NUMBER.fullmatch(part)
    if number is None:
        raise CronError(f"cannot be read: {part}")
    start, end, by = number.groups()
    low = int(start)
    high = int(end) if end else (place.high if by else low)
    if not (place.low <= low <= place.high and place.low <= high <= place.high):
        raise CronError(f"out of range: {part}")
    step_by = _step(by, place) if by else 1
    return _span(low, high, step_by, place) if step_by else (low,)


def _step(text: str, place: _Field) -> int:
    if int(text) > place.step:
        raise CronError(f"the step is too large: {text}")
    return int(text)


def _span(low: int, high: int, step: int, place: _Field) -> Iterable[int]:
    """From low to high, round the end if need be."""
    if low <= high:
        return range(low, high + 1, step)
    if place is _YEAR:
        raise CronError("years do not come again")
    count = place.high - place.low + 1
    return ((number - place.low) % count + place.low for number in range(low, high + count + 1, step))


def _check_days(text: str) -> None:
    """Raises CronError."""
    if last := _LAST_DAY.fullmatch(text):
        if last[1] and int(last[1]) > 30:  # noqa: PLR2004  (the longest month has one more)
            raise CronError(f"the offset is too large: {text}")
    elif nearest := _NEAREST.fullmatch(text):
        _numbers(nearest[1], _DAY)
    else:
        _numbers(text, _DAY)


def _check_weekdays(text: str) -> None:
    """Raises CronError."""
    if special := (_LAST_WEEKDAY.fullmatch(text) or _NTH.fullmatch(text)):
        _numbers(special[1], _WEEKDAY)
    elif text != "L":
        _numbers(text, _WEEKDAY)


def _days_of_month(text: str, year: int, month: int) -> Iterable[int]:
    last = calendar.monthrange(year, month)[1]
    if found := _LAST_DAY.fullmatch(text):
        day = last - int(found[1] or 0)
        return (_nearest_weekday(day, year, month) if found[2] and day > 0 else day,)
    if found := _NEAREST.fullmatch(text):
        day = int(found[1])
        return (_nearest_weekday(day, year, month),) if day <= last else ()
    return _numbers(text, _DAY)


def _nearest_weekday(day: int, year: int, month: int) -> int:
    """Monday to Friday, in the same month."""
    last = calendar.monthrange(year, month)[1]
    match calendar.weekday(year, month, day):
        case calendar.SATURDAY:
            return day - 1 if day > 1 else day + 2
        case calendar.SUNDAY:
            return day + 1 if day < last else day - 2
        case _:
            return day


def _days_of_week(text: str, year: int, month: int) -> Iterable[int]:
    first, last = calendar.monthrange(year, month)
    if text == "L":
        text = "7"
    if found := _LAST_WEEKDAY.fullmatch(text):
        return (max(_every(_numbers(found[1], _WEEKDAY)[0], first, last)),)
    if found := _NTH.fullmatch(text):
        nth = int(found[2]) - 1
        return _every(_numbers(found[1], _WEEKDAY)[0], first, last)[nth : nth + 1]
    return (day for number in _numbers(text, _WEEKDAY) for day in _every(number, first, last))


def _every(weekday: int, first: int, last: int) -> range:
    """All days of a month with that weekday; Quartz counts from Sunday, `first` from Monday."""
    return range((weekday - 2 - first) % 7 + 1, last + 1, 7)


def _clock_at_or_after(cron: Cron, time: tuple[int, int, int]) -> tuple[int, int, int] | None:
    """The first time of day at or after another; None when there is none on that day."""
    hour, minute, second = time
    late = cron.seconds[bisect_left(cron.seconds, second) :]
    if hour in cron.hours and minute in cron.minutes and late:
        return hour, minute, late[0]
    late = cron.minutes[bisect_left(cron.minutes, minute + 1) :]
    if hour in cron.hours and late:
        return hour, late[0], cron.seconds[0]
    late = cron.hours[bisect_left(cron.hours, hour + 1) :]
    return (late[0], cron.minutes[0], cron.seconds[0]) if late else None
