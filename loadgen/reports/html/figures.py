"""From the numbers of a run to its charts.  Pure.

A chart has no number of its own: points are bands and percentiles that `detail` and `metrics` have counted.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from loadgen.record import Event
from loadgen.reports.bands import Band, Bands
from loadgen.reports.detail import Detail, StepDetail
from loadgen.reports.happened import weighty
from loadgen.reports.html.charts import LETTERS, Axis, Chart, Mark, Role, Series, Sign
from loadgen.reports.metrics import Timings

MARKS = 60
"""Events that are drawn: more would hide each other."""
LINES = len(LETTERS)
BINS = 48
WIDE = 25.0
"""When the slowest took so many times the middle, the axis is logarithmic."""
SHARES = (50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999)
"""Percentiles that have a tick."""
_PER_DECADE = 16
_THINNED = "the pale area reaches from the fastest to the slowest of them, so none is hidden."
_SIGNS: Mapping[str, Sign] = {
    "worker joined": "joined",
    "worker left": "left",
    "lease expired": "lost",
    "local worker": "lost",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """The unit of a time axis."""

    us: int
    name: str

    @classmethod
    def of(cls, detail: Detail) -> Clock:
        """That fits the run."""
        ends = [bands.bands[-1].at + bands.width for bands in (detail.calls, *_times(detail)) if bands.bands]
        last_us = max(ends, default=0)
        if last_us < 300_000_000:  # noqa: PLR2004 - five minutes
            return cls(1_000_000, "seconds")
        return cls(60_000_000, "minutes") if last_us < 4 * 3_600_000_000 else cls(3_600_000_000, "hours")

    def axis(self, bands: Bands | None = None) -> Axis:
        """Of time: from the run's start, or where bands begin."""
        low = bands.bands[0].at / self.us if bands is not None and bands.bands else None
        return Axis(f"{self.name} since the run's start", low=low)

    def middles(self, bands: Bands) -> list[float]:
        """Where points stand: in the middle of their bands."""
        return [round((band.at + bands.width / 2) / self.us, 4) for band in bands.bands]


def over_time(number: int, step: StepDetail, clock: Clock, marks: Sequence[Mark], what: str) -> Chart:
    """Times of a step's items: `what` names them, here and below."""
    bands = step.over_time
    title = f"{what.capitalize()}s of {step.name} over time: p50, p95, p99, fastest and slowest"
    return Chart(
        f"time-{number}",
        title,
        clock.axis(bands),
        _latency_axis(bands, what),
        _percentiles(clock.middles(bands), bands),
        tuple(marks),
    )


def over_items(number: int, step: StepDetail, what: str) -> Chart:
    """Times by the item's index."""
    bands = step.over_items
    title = f"{what.capitalize()}s of {step.name} by the item's index"
    return Chart(
        f"items-{number}",
        title,
        Axis("item index"),
        _latency_axis(bands, what),
        _percentiles(middles(bands), bands),
    )


def within_key(number: int, step: StepDetail, what: str) -> Chart:
    """Times by how many items of the same key came before."""
    bands = step.within_key
    title = f"{what.capitalize()}s of {step.name} by how many items of the same key came before"
    x = Axis("items of the same key before it")
    return Chart(f"key-{number}", title, x, _latency_axis(bands, what), _percentiles(middles(bands), bands))


def rates(detail: Detail, clock: Clock, marks: Sequence[Mark]) -> Chart:
    """Calls and items that ended a second."""
    lines = [("calls", detail.calls), *((f"items of {step.name}", step.ended) for step in detail.steps)]
    series = tuple(
        Series(name, role, "line", clock.middles(bands), [rate(band.count, bands) for band in bands.bands])
        for role, (name, bands) in zip(LETTERS, (line for line in lines if line[1].bands), strict=False)
    )
    return Chart(
        "rates", "Calls and items that ended a second", clock.axis(), Axis("per second"), series, tuple(marks)
    )


def failures(detail: Detail, clock: Clock) -> Chart:
    """Calls that failed a second."""
    bands = detail.calls
    edges = [round(band.at / clock.us, 4) for band in bands.bands]
    edges.append(round((bands.bands[-1].at + bands.width) / clock.us, 4))
    values = [rate(band.failed, bands) for band in bands.bands]
    series = Series("failed calls", "bad", "steps", edges, [*values, 0.0])
    return Chart("failures", "Failed calls a second", clock.axis(), Axis("per second"), (series,))


def labels(detail: Detail, clock: Clock, what: str) -> Chart:
    """The p95 of the times of the labels with the most calls."""
    names = sorted(detail.labels, key=lambda name: -detail.labels[name].count)
    chosen = [name for name in names if len(detail.labels[name].bands) > 1][:LINES]
    series = tuple(
        Series(name, role, "line", clock.middles(bands), [band.p95 for band in bands.bands])
        for role, name, bands in (
            (role, name, detail.labels[name]) for role, name in zip(LETTERS, chosen, strict=False)
        )
    )
    tops = [value for each in series for value in each.y if value is not None]
    return Chart(
        "labels",
        f"p95 of the {what} by label, over time",
        clock.axis(),
        scale(f"{what} p95, ms", tops, statistics.median(tops) if tops else 1.0),
        series,
    )


class Percentiled(Protocol):
    """Times of which any percentile is known."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def percentiles(self, wanted: Sequence[float]) -> list[float]:
        """In milliseconds."""
        ...


def curve(name: str, title: str, times: Mapping[str, Percentiled], what: str) -> Chart:
    """Percentiles, on an axis that gives each further nine the same room."""
    series = tuple(
        Series(label, role, "line", *_curve(timings))
        for role, (label, timings) in zip(LETTERS, times.items(), strict=False)
    )
    most = max(timings.count for timings in times.values())
    places = tuple((100 / (100 - share), f"{share:g} %") for share in SHARES if 100 / (100 - share) <= most)
    values = [value for each in series for value in each.y if value is not None]
    middle = (
        statistics.median(value for each in series if (value := each.y[0]) is not None) if series else 1.0
    )
    y = scale(f"{what}, ms", values, max(middle, 0.001))
    return Chart(
        name,
        title,
        Axis("share of them that took at most this long", log=True, ticks=places, low=1.0),
        y,
        series,
    )


def histogram(number: int, name: str, timings: Timings, what: str) -> Chart:
    """How many took how long."""
    bins = timings.bins(BINS)
    edges = [low for low, _, _ in bins] + [bins[-1][1]]
    series = Series("items", "a", "steps", edges, [*(number for _, _, number in bins), 0])
    x = Axis(f"{what}, ms (logarithmic)", log=True, low=edges[0])
    return Chart(
        f"histogram-{number}", f"How many items of {name} took how long", x, Axis("items"), (series,)
    )


def moments(events: Sequence[Event], started_us: int, clock: Clock) -> list[Mark]:
    """Events as marks: the weighty ones, when there are very many."""
    return [
        Mark(
            round((event.at_us - started_us) / clock.us, 4),
            _SIGNS.get(event.kind, "event"),
            f"{event.kind}: {event.text}",
        )
        for event in weighty(events, MARKS)
    ]


def retries(detail: Detail, clock: Clock) -> list[Mark]:
    """Where attempts were repeated."""
    bands = detail.retries
    middles = clock.middles(bands)
    return [
        Mark(x, "retries", "1 retry" if band.count == 1 else f"{band.count} retries")
        for x, band in zip(middles, bands.bands, strict=True)
        if band.count
    ]


def _times(detail: Detail) -> Iterator[Bands]:
    return (step.over_time for step in detail.steps)


def rate(number: int, bands: Bands) -> float:
    """So many in one of these bands, a second."""
    return round(number * 1_000_000 / bands.width, 3)


def middles(bands: Bands) -> list[float]:
    """Of bands of whole numbers: where their points stand."""
    return [band.at + (bands.width - 1) / 2 for band in bands.bands]


def _percentiles(x: Sequence[float], bands: Bands) -> tuple[Series, ...]:
    def line(name: Role, values: list[float | None]) -> Series:
        return Series(name, name, "line", x, values)

    def values(pick: str) -> list[float | None]:
        return [getattr(band, pick) for band in bands.bands]

    return (
        Series("fastest to slowest", "range", "range", x, values("max"), values("min")),
        line("p50", values("p50")),
        line("p95", values("p95")),
        line("p99", values("p99")),
    )


def _latency_axis(bands: Bands, what: str) -> Axis:
    there = [band for band in bands.bands if band.count]
    values = [value for band in there for value in _extremes(band)]
    return scale(
        f"{what}, ms", values, statistics.median(band.p50 or 0.0 for band in there) if there else 1.0
    )


def _extremes(band: Band) -> tuple[float, float]:
    return band.min or 0.0, band.max or 0.0


def scale(label: str, values: Sequence[float], middle: float) -> Axis:
    """Of times: logarithmic where the slowest took very much longer than the middle."""
    if max(values, default=0.0) > WIDE * middle > 0:
        low = min((value for value in values if value > 0), default=1.0)
        return Axis(f"{label} (logarithmic)", log=True, low=max(low, middle / 1000) * 0.9)
    return Axis(label)


def _curve(timings: Percentiled) -> tuple[list[float], list[float]]:
    decades = math.log10(max(timings.count, 1))
    places = [10 ** (number / _PER_DECADE) for number in range(math.ceil(decades * _PER_DECADE))]
    values = timings.percentiles([100 * (1 - 1 / place) for place in places])
    return [round(place, 4) for place in places] + [float(timings.count)], [
        *values,
        *timings.percentiles([100.0]),
    ]


def in_time(bands: Bands) -> str:
    """What a point of a chart over time stands for, honestly."""
    return f"Each point stands for what ended within {bands.width / 1_000_000:g} s; {_THINNED}"


def in_items(bands: Bands) -> str:
    """The same over items."""
    each = "is one item" if bands.width == 1 else f"stands for {bands.width:,} items in a row"
    return f"Each point {each}; {_THINNED}"


def in_keys(bands: Bands) -> str:
    """The same within keys."""
    each = "this item" if bands.width == 1 else f"these {bands.width:,} items"
    return f"Each point stands for {each} of all keys; {_THINNED}"


def unseen(events: Sequence[Event]) -> str:
    """Which events are not drawn; empty: all are."""
    if len(events) <= MARKS:
        return ""
    return f"Marks: {MARKS} of {len(events)} events; the others are of workers that came and went, or later."
