"""When each item is meant to start, as a pure function of the pace and the item's number.

A pace is even, random (Poisson) or recorded.  Whoever asks, in whatever ranges and in whatever process,
is told the same: so a run that is resumed keeps its schedule, and so does a slice that is leased again.
Offsets are whole microseconds after T0; of equal ones the smaller item comes first.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from random import Random
from typing import NoReturn, TypeAlias

from loadgen.errors import UsageError, pointed
from loadgen.pace.rates import Rates, parse_duration, parse_rate, parse_stages, plain

__all__ = [
    "Changed",
    "Even",
    "Pace",
    "Poisson",
    "Rates",
    "Trace",
    "parse_duration",
    "parse_rate",
    "parse_stages",
    "parse_trace",
]

WINDOW = 256
"""Arrivals expected in one window of the random process: what is drawn to know any one of them."""
_NONE_IN_WINDOW = 6.616261056709485e-112
"""exp(-WINDOW), written out: so no platform's exp decides."""

_SECONDS = re.compile(r"\d{1,9}(?:\.\d*)?|\.\d+", re.ASCII)
_FIRST_COLUMN = re.compile(r"\s*(\"[^\"]*\"|[^,;\t]*)")


@dataclass(frozen=True, slots=True)
class Even:
    """Item i comes when the integral of the rate is i: 1/rate after the one before it."""

    rates: Rates

    @property
    def text(self) -> str:
        """As it was written."""
        return self.rates.text

    @property
    def total(self) -> float:
        """Items that will ever come; may be infinite."""
        return _whole(self.rates.total)

    def offsets_us(self, start: int, stop: int) -> list[int]:
        """When the items start..stop-1 come; raises ValueError for one that never does."""
        return _offsets_us(self.rates, range(start, stop))

    def due(self, offset_us: int) -> int:
        """How many have come by then, that moment included."""
        near = math.ceil(self.rates.arrivals((offset_us + 0.5) / 1_000_000))
        return _due(self, offset_us, near)

    def changed(self, at_us: int, rate: float) -> Changed:
        """The same up to then; what is not due yet comes at the new rate."""
        return Changed(self, at_us, rate, Even(self.rates.changed(at_us / 1_000_000, rate)))


@dataclass(frozen=True, slots=True)
class Poisson:
    """Items come independently of each other, at the rate on average.

    An inhomogeneous Poisson process by inversion (Cinlar, Introduction to Stochastic Processes, 1975,
    section 4.7): item i comes when the integral of the rate is S_i, and the S_i are a process of rate 1,
    thus with exponential gaps.  That one is drawn in windows of `WINDOW`, which are independent: how
    many fall into it (a Poisson number), and where, given how many (uniform, sorted).  Both are exact,
    and only comparisons, sums, products and `Random.random` take part, which are the same everywhere.

    To know item i, the numbers of all windows before it are drawn, one random number for each: 10 ms
    and 2 MB for 10**7 items, kept; then its own window, 50 us.
    """

    rates: Rates
    seed: int

    @property
    def text(self) -> str:
        """As it was written."""
        return f"{self.rates.text} (Poisson, seed {self.seed})"

    @property
    def total(self) -> float:
        """Items that will ever come; may be infinite."""
        total = self.rates.total
        return total if math.isinf(total) else self._before(total)

    def offsets_us(self, start: int, stop: int) -> list[int]:
        """When the items start..stop-1 come; raises ValueError for one that never does."""
        return _offsets_us(self.rates, self._sums(start, stop))

    def due(self, offset_us: int) -> int:
        """How many have come by then, that moment included."""
        return _due(self, offset_us, self._before(self.rates.arrivals((offset_us + 0.5) / 1_000_000)))

    def changed(self, at_us: int, rate: float) -> Changed:
        """The same up to then; what is not due yet comes at the new rate."""
        return Changed(self, at_us, rate, Poisson(self.rates.changed(at_us / 1_000_000, rate), self.seed))

    def _sums(self, start: int, stop: int) -> list[float]:
        """S_start..S_stop-1."""
        if start >= stop:
            return []
        windows = 1 << (stop // WINDOW).bit_length()
        while (firsts := _firsts(self.seed, windows))[-1] < stop:
            windows *= 2
        window = bisect_right(firsts, start) - 1
        skipped, found = start - firsts[window], list[float]()
        while firsts[window] < stop:
            found += _window(self.seed, window, firsts[window + 1] - firsts[window])
            window += 1
        return found[skipped : skipped + stop - start]

    def _before(self, arrivals: float) -> int:
        """How many S_i are below."""
        window = int(arrivals // WINDOW)
        firsts = _firsts(self.seed, 1 << (window + 1).bit_length())
        within = _window(self.seed, window, firsts[window + 1] - firsts[window])
        return firsts[window] + bisect_left(within, arrivals)


@dataclass(frozen=True, slots=True)
class Trace:
    """Items come when others once came."""

    recorded_us: tuple[int, ...] = field(repr=False)
    """By item, after T0; none before the one on its left."""
    text: str = ""
    """Where they were read."""

    def __post_init__(self) -> None:
        """Raise ValueError for offsets that go back."""
        if any(later < earlier for earlier, later in pairwise((0, *self.recorded_us))):
            raise ValueError("offsets are not negative, and do not go back")

    @property
    def total(self) -> float:
        """Items that will ever come."""
        return len(self.recorded_us)

    def offsets_us(self, start: int, stop: int) -> list[int]:
        """When the items start..stop-1 come; raises ValueError for one that never does."""
        if start < stop > len(self.recorded_us):
            _never(max(start, len(self.recorded_us)))
        return list(self.recorded_us[start:stop])

    def due(self, offset_us: int) -> int:
        """How many have come by then, that moment included."""
        return bisect_right(self.recorded_us, offset_us)

    def changed(self, at_us: int, rate: float) -> Changed:
        """The same up to then; what is not due yet comes evenly at the rate, the first of it at once."""
        at_s = max(at_us, 1) / 1_000_000
        past = Rates(((0.0, self.due(at_us) / at_s),))  # any past with so many arrivals: it is not asked
        return Changed(self, at_us, rate, Even(past.changed(at_s, rate)))


@dataclass(frozen=True, slots=True)
class Changed:
    """A pace whose rate was changed by hand: what was due by then came by the old one."""

    old: Pace
    at_us: int
    """Offset of the change."""
    rate: float
    """Arrivals a second since then."""
    new: Even | Poisson
    """Has the same past but for its microseconds, which the old one knows better."""

    @property
    def text(self) -> str:
        """As it was written, and what became of it."""
        return f"{self.old.text}; from {plain(self.at_us / 1_000_000)}s {plain(self.rate)}/s"

    @property
    def total(self) -> float:
        """Items that will ever come; may be infinite."""
        return max(self.old.due(self.at_us), self.new.total)

    def offsets_us(self, start: int, stop: int) -> list[int]:
        """When the items start..stop-1 come; raises ValueError for one that never does."""
        since = self.old.due(self.at_us)
        kept = self.old.offsets_us(start, min(stop, since)) if start < since else []
        late = self.new.offsets_us(max(start, since), stop) if stop > since else []
        return kept + [max(offset, self.at_us) for offset in late]

    def due(self, offset_us: int) -> int:
        """How many have come by then, that moment included."""
        kept = self.old.due(min(offset_us, self.at_us))
        return kept if offset_us < self.at_us else max(kept, self.new.due(offset_us))

    def changed(self, at_us: int, rate: float) -> Changed:
        """The same up to then; what is not due yet comes at the new rate."""
        if at_us < self.at_us:
            return self.old.changed(at_us, rate)
        return Changed(self, at_us, rate, self.new.changed(at_us, rate).new)


Pace: TypeAlias = Even | Poisson | Trace | Changed
"""When items come."""


def parse_trace(lines: Iterable[str], name: str) -> Trace:
    """Recorded arrivals: a line each, seconds after the start or ISO 8601 times (then after the first).

    Blank lines and those with # are passed over; of CSV the first column counts, a header may stand
    above it.  Raises UsageError, with the line and a caret, for one that is neither or goes back.
    """
    offsets: list[int] = []
    began: datetime | None = None
    headed = False
    for number, line in enumerate(lines, 1):
        row = line.rstrip("\r\n").removeprefix("\ufeff")
        column = _FIRST_COLUMN.match(row)
        word = column[1].strip().strip('"').strip() if column else ""
        if not row.strip() or word.startswith("#"):
            continue
        if not offsets and not headed and word[:1].isalpha():
            headed = True
            continue
        at = max(row.find(word), 0)
        try:
            began, offset = _arrival(word, began, first=not offsets)
        except ValueError as error:
            raise UsageError(pointed(f"{name}:{number}: {error}", row, at)) from None
        if offset < (offsets[-1] if offsets else 0):
            raise UsageError(pointed(f"{name}:{number}: earlier than the arrival before: sort them", row, at))
        offsets.append(offset)
    if not offsets:
        raise UsageError(f"{name}: no arrivals in it")
    return Trace(tuple(offsets), name)


def _arrival(word: str, began: datetime | None, *, first: bool) -> tuple[datetime | None, int]:
    """The time that offsets are counted from, if one is known, and the offset; raises ValueError."""
    if _SECONDS.fullmatch(word):
        if began is not None:
            raise ValueError("seconds, but the arrivals before are times")
        return None, round(float(word) * 1_000_000)
    try:
        time = datetime.fromisoformat(word)
    except ValueError:
        raise ValueError("expected seconds after the start, or an ISO 8601 time") from None
    if began is None and not first:
        raise ValueError("a time, but the arrivals before are seconds")
    began = began or time
    if (began.tzinfo is None) != (time.tzinfo is None):
        raise ValueError("times with and without a time zone")
    return began, (time - began) // timedelta(microseconds=1)


def _offsets_us(rates: Rates, sums: Sequence[float]) -> list[int]:
    """Where the integral of the rate has these values."""
    onward = rates.onward
    if sums and math.isinf(onward(sums[-1])):
        _never(sums[-1])
    return [round(onward(arrivals) * 1_000_000) for arrivals in sums]


def _due(pace: Even | Poisson, offset_us: int, near: int) -> int:
    """How many offsets are no later; `near` is right but for what rounding does."""
    count, total = near, pace.total
    while count < total and pace.offsets_us(count, count + 1)[0] <= offset_us:
        count += 1
    while count and pace.offsets_us(count - 1, count)[0] > offset_us:
        count -= 1
    return count


def _never(item: float) -> NoReturn:
    raise ValueError(f"arrival {item:.0f} never comes")


def _whole(arrivals: float) -> float:
    return arrivals if math.isinf(arrivals) else math.ceil(arrivals)


@lru_cache(maxsize=8)
def _firsts(seed: int, windows: int) -> tuple[int, ...]:
    """The first item of each window, and one past the last one's: of more windows these are the first."""
    draw = Random(f"{seed}/counts").random  # noqa: S311  (chance, not secrecy)
    upto = _chances()
    return tuple(accumulate((bisect_right(upto, draw()) for _ in range(windows)), initial=0))


def _window(seed: int, window: int, count: int) -> list[float]:
    """Where in the unit process its arrivals are."""
    draw = Random(f"{seed}/{window}").random  # noqa: S311  (chance, not secrecy)
    return sorted([(window + draw()) * WINDOW for _ in range(count)])


def _chances() -> list[float]:
    """The chance of at most k arrivals in a window, by k, as far as a float tells it from 1."""
    chance, upto = _NONE_IN_WINDOW, [_NONE_IN_WINDOW]
    while (following := upto[-1] + (chance := chance * WINDOW / len(upto))) > upto[-1] or len(upto) < WINDOW:
        upto.append(following)
    return upto
