"""Charts of several runs on the same axes: a colour and a dash for each, and the first one's noise.  Pure.

A step's charts over time begin where its first items ended, in each run: else what is slow before it would
tear its lines apart.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from loadgen.reports.bands import Bands
from loadgen.reports.bootstrap import CONFIDENCE, spread
from loadgen.reports.detail import StepDetail
from loadgen.reports.html import figures
from loadgen.reports.html.charts import LETTERS, Axis, Chart, Role, Series
from loadgen.reports.html.figures import Clock
from loadgen.reports.side_by_side import SideBySide
from loadgen.reports.slices import Slices
from loadgen.reports.wobble import SHARE, Points, wobble

FEW = 5
"""Points of a line: fewer show nothing that the tables do not."""
KINDS: Mapping[str, str] = {"p50": "p50", "p95": "p95", "p99": "p99", "max": "slowest", "min": "fastest"}
"""Which of the times within a band can be chosen: the field of Band, its name."""
_PER_DECADE = 4
"""Places of a percentile curve's noise."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one of the runs has of a step."""

    name: str
    role: Role
    step: StepDetail
    slices: Slices | None

    @property
    def letter(self) -> str:
        """Its short name."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A step in all runs that have it."""

    number: int
    step: str
    lines: tuple[Line, ...]
    what: str
    """The name of its times."""
    clock: Clock

    @property
    def measured(self) -> int:
        """In how many of the runs any of its items is."""
        return sum(bool(line.step.over_time.bands) for line in self.lines)

    def along(self, pick: Callable[[StepDetail], Bands]) -> list[tuple[Line, Bands]]:
        """The runs that have enough of something to be drawn; none of them, when there is only one."""
        pairs = ((line, pick(line.step)) for line in self.lines)
        drawn = [(line, bands) for line, bands in pairs if len(bands.bands) >= FEW]
        return drawn if len(drawn) > 1 else []


def overlays(told: SideBySide) -> list[Overlay]:
    """All steps, in the order of the first run that has them; no more runs than there are colours."""
    runs = list(zip(LETTERS, told.runs, strict=False))
    names = dict.fromkeys(step.name for _, run in runs for step in run.detail.steps)
    clock = max((Clock.of(run.detail) for _, run in runs), key=lambda clock: clock.us)
    made = []
    for number, name in enumerate(names):
        lines = tuple(
            Line(run.name, role, step, told.slices(run, ("items", name)))
            for role, run in runs
            for step in run.detail.steps
            if step.name == name
        )
        made.append(Overlay(number, name, lines, told.item_time, clock))
    return made


def over_time(overlay: Overlay, kind: str) -> Chart:
    """Times over time: the `kind` of each band."""
    title = f"{KINDS[kind]} {overlay.what} of {overlay.step} over time, all runs"
    drawn = [
        (line, overlay.clock.middles(bands), _values(bands, kind))
        for line, bands in ((line, begun(bands)) for line, bands in overlay.along(in_time))
    ]
    return _times(f"time-{overlay.number}-{kind}", title, _since(overlay), overlay.what, drawn)


def over_items(overlay: Overlay, kind: str) -> Chart:
    """Times by the item's index."""
    title = f"{KINDS[kind]} {overlay.what} of {overlay.step} by the item's index, all runs"
    drawn = [(line, figures.middles(bands), _values(bands, kind)) for line, bands in overlay.along(in_items)]
    return _times(f"items-{overlay.number}-{kind}", title, Axis("item index"), overlay.what, drawn)


def rates(overlay: Overlay) -> Chart:
    """Items that ended a second."""
    drawn = [
        (line, overlay.clock.middles(bands), [figures.rate(band.count, bands) for band in bands.bands])
        for line, bands in ((line, begun(bands)) for line, bands in overlay.along(in_time))
    ]
    title = f"Items of {overlay.step} that ended a second, all runs"
    series = _series(drawn)
    return Chart(f"rate-{overlay.number}", title, _since(overlay), Axis("items per second"), series)


def curve(overlay: Overlay) -> Chart | None:
    """Percentiles; None: not two of the runs measured any."""
    sliced = {line.name: line.slices for line in overlay.lines if line.slices is not None}
    if len(sliced) < 2:  # noqa: PLR2004
        return None
    title = f"{overlay.what.capitalize()}s of {overlay.step} by percentile, all runs"
    times = {name: _Sliced(slices) for name, slices in sliced.items()}
    chart = figures.curve(f"curve-{overlay.number}", title, times, overlay.what)
    roles = {line.name: line.role for line in overlay.lines}
    series = [replace(each, role=roles[each.name]) for each in chart.series]
    first = overlay.lines[0]
    if first.slices is not None:
        series = [*_curve_noise(first, first.slices), *series]
    return replace(chart, series=tuple(series))


def begun(bands: Bands) -> Bands:
    """The same, from where they begin."""
    first = bands.bands[0].at
    return Bands(bands.width, tuple(replace(band, at=band.at - first) for band in bands.bands))


@dataclass(frozen=True, slots=True)
class _Sliced:
    """Slices of a run as times of which percentiles are known."""

    slices: Slices

    @property
    def count(self) -> int:
        return self.slices.total

    def percentiles(self, wanted: Sequence[float]) -> list[float]:
        every = [(slice_, 1) for slice_ in range(len(self.slices.counts))]
        return [round(self.slices.percentile(each, every) / 1000, 3) for each in wanted]


_Drawn = Sequence[tuple[Line, Sequence[float], Sequence[float | None]]]


def _times(name: str, title: str, x: Axis, what: str, drawn: _Drawn) -> Chart:
    values = [value for _, _, values in drawn for value in values if value is not None]
    y = figures.scale(f"{what}, ms", values, statistics.median(values) if values else 1.0)
    return Chart(name, title, x, y, _series(drawn))


def _series(drawn: _Drawn) -> tuple[Series, ...]:
    """A line for each run, over the noise of the first."""
    lines = (Series(line.name, line.role, "line", x, values) for line, x, values in drawn)
    return (*chain.from_iterable(_noise(*each) for each in drawn[:1]), *lines)


def _noise(line: Line, x: Sequence[float], values: Sequence[float | None]) -> list[Series]:
    low, high = wobble(values)
    return [_band(line, SHARE, x, (high, low))] if low else []


def _curve_noise(line: Line, slices: Slices) -> list[Series]:
    places = [10 ** (number / _PER_DECADE) for number in range(9 * _PER_DECADE)]
    ends = spread(slices, [100 * (1 - 1 / place) for place in places])
    if not ends:
        return []
    low, high = ([round(us / 1000, 3) for us in edge] for edge in zip(*ends, strict=True))
    return [_band(line, round(100 * CONFIDENCE), [round(x, 4) for x in places[: len(low)]], (high, low))]


def _band(line: Line, percent: int, x: Sequence[float], edges: tuple[Points, Points]) -> Series:
    return Series(f"noise of {line.letter} ({percent} %)", line.role, "band", x, *edges)


def _since(overlay: Overlay) -> Axis:
    return Axis(f"{overlay.clock.name} since the first items of the step ended", low=0.0)


def _values(bands: Bands, kind: str) -> list[float | None]:
    return [getattr(band, kind) for band in bands.bands]


def in_time(step: StepDetail) -> Bands:
    """Its times over time."""
    return step.over_time


def in_items(step: StepDetail) -> Bands:
    """Its times over its items."""
    return step.over_items
