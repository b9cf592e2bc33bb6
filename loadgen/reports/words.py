"""Numbers and marks, written for people: short, aligned, three digits that matter.  Pure."""

from __future__ import annotations

import datetime
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The marks that a terminal may or may not have."""

    ellipsis: str
    levels: str
    """From nothing to full, for one character cell of a chart."""
    axis: str
    done: str
    todo: str
    turning: str
    """One after the other: something goes on."""
    steps: str
    """Before a step: over, under way, to come."""


BLOCKS = Glyphs("…", " ▁▂▃▄▅▆▇█", "│", done="█", todo="░", turning="◐◓◑◒", steps="✓▶·")
ASCII = Glyphs("...", " .:#", "|", done="#", todo=".", turning="|/-\\", steps="x>.")
_MINUTE, _HOUR = 60, 3600


def glyphs(encoding: str) -> Glyphs:
    """The marks that can be written in this encoding."""
    return BLOCKS if encoding.lower().replace("-", "").startswith("utf") else ASCII


def clean(text: str, encoding: str) -> str:
    """The text on one line, without what would move the cursor or cannot be written.

    Answers of the target end up in reports: an escape sequence in one must not reach the terminal.
    """
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.encode(encoding, "replace").decode(encoding).split())


def three(value: float | None) -> str:
    """Milliseconds or a rate, with three digits that matter.

    >>> three(None), three(0.1234), three(12.34), three(1234.5)
    ('-', '0.12', '12.3', '1234')
    """
    if value is None:
        return "-"
    for digits, below in ((2, 9.995), (1, 99.95)):
        if value < below:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def duration(seconds: float | None) -> str:
    """A length of time.

    >>> duration(None), duration(0.25), duration(75), duration(7500)
    ('-', '0.25 s', '1 min 15 s', '2 h 5 min')
    """
    if seconds is None:
        return "-"
    whole = round(seconds)
    minutes, hours = whole // _MINUTE, whole // _HOUR
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {whole % _MINUTE} s" if minutes else f"{seconds:.3g} s"


def iso(at_us: int) -> str:
    """A point in time, microseconds since 1970, as ISO 8601, UTC, to milliseconds.

    >>> iso(1_700_000_000_123_456)
    '2023-11-14T22:13:20.123Z'
    """
    # whole milliseconds first: as a float, a time of today in seconds is good to a few microseconds only
    at = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(milliseconds=at_us // 1000)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(at: str) -> str:
    """The time of day of a point in time in ISO 8601.

    >>> clock("2023-11-14T22:13:20.123Z")
    '22:13:20'
    """
    return at[11:19]


def percent(part: float, whole: float) -> str:
    """A share; 100 % only when it is all, 0 % only when it is nothing.

    >>> percent(1, 3), percent(9999, 10000), percent(1, 10000), percent(0, 0)
    ('33 %', '99 %', '1 %', '0 %')
    """
    if not whole or not part:
        return "0 %"
    if part >= whole:
        return f"{100 * part / whole:.0f} %"
    return f"{min(max(round(100 * part / whole), 1), 99)} %"


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "item"), count(2, "item")
    ('1 item', '2 items')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
