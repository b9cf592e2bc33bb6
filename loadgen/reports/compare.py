"""Two runs side by side: what changed, by how much, and whether that is more than noise.

Values are those of the summaries; changes and their bands come from `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from loadgen.reports.bootstrap import MEASURES, Band, bands
from loadgen.reports.metrics import Stats
from loadgen.reports.schema import Summary
from loadgen.reports.slices import Key, Slices, response

Values: TypeAlias = "Mapping[str, float | None]"
"""By measure."""
Finding: TypeAlias = Literal["better", "worse", "same", "unknown"]
TIMES = ("mean", "p50", "p95", "p99")
_WORDS = {"rate": ("higher", "lower"), "errors": ("more", "fewer")}
"""Of what is more, and less; times are slower and faster."""
_WHOLE = 5
"""From where on no digits are told after the point."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of a step's items or a label's calls."""

    of: str
    """`items` or `calls`."""
    name: str
    time: str
    """Of which times: `item time` or `service time`; when both runs are open, `response time` as well."""
    measure: str
    unit: str
    """ms, /s, or % for the share of errors."""
    base: float | None
    other: float | None
    change: float | None
    """In percent of the base; of errors in points.  None: there is too little to tell."""
    low: float | None
    """The band's ends: the change is between them with 95 %."""
    high: float | None
    finding: Finding
    text: str
    """For people."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A run against the base."""

    base: str
    other: str
    differences: tuple[str, ...]
    """In which they are unlike; empty unless that was accepted."""
    cautions: tuple[str, ...]
    lines: tuple[Line, ...]

    def regressions(self, percent: float) -> list[Line]:
        """Times and rates that are worse by more than that, even at the better end of their band."""
        return [
            line
            for line in self.lines
            if line.measure != "errors" and (loss := _loss(line)) is not None and loss > percent
        ]


class Side(msgspec.Struct, frozen=True):
    """A run: its summary, and its slices."""

    summary: Summary
    slices: Mapping[Key, Slices]


def compare(
    base: Side, other: Side, differences: Sequence[str] = (), cautions: Sequence[str] = ()
) -> Comparison:
    """All that both have."""
    lines = [*_steps(base, other), *_calls(base, other)]
    return Comparison(
        base=base.summary.run.id,
        other=other.summary.run.id,
        differences=tuple(differences),
        cautions=tuple(cautions),
        lines=tuple(lines),
    )


def _steps(base: Side, other: Side) -> Iterator[Line]:
    theirs = {step.name: step for step in other.summary.steps}
    for step in base.summary.steps:
        if step.name in theirs:
            pair = step, theirs[step.name]
            values = [
                {
                    "rate": one.rate_per_s,
                    "errors": _share(one.items.failed, one.items.done + one.items.failed),
                }
                for one in pair
            ]
            services, responses = [one.item_time for one in pair], [one.response_time for one in pair]
            yield from _row(("items", step.name), services, responses, values, (base, other))


def _calls(base: Side, other: Side) -> Iterator[Line]:
    theirs = {call.name: call for call in other.summary.calls}
    for call in base.summary.calls:
        if call.name in theirs:
            pair = call, theirs[call.name]
            values = [{"rate": one.rate_per_s, "errors": _share(one.errors, one.count)} for one in pair]
            services, responses = [one.service_time for one in pair], [one.response_time for one in pair]
            yield from _row(("calls", call.name), services, responses, values, (base, other))


def _row(
    key: Key,
    services: Sequence[Stats],
    responses: Sequence[Stats | None],
    values: Sequence[Values],
    sides: Sequence[Side],
) -> Iterator[Line]:
    """A step, or a label: by its response times first, where both runs have them."""
    what = "item time" if key[0] == "items" else "service time"
    known = [times for times in responses if times is not None]
    plain = [side.slices.get(key) for side in sides]
    if len(known) < len(responses):
        yield from _lines(key, what, _told(services, values), plain)
        return
    yield from _lines(
        key, "response time", _told(known, values), [side.slices.get(response(key)) for side in sides]
    )
    yield from _lines(key, "service time", list(map(_times, services)), plain)


def _told(times: Sequence[Stats], values: Sequence[Values]) -> list[Values]:
    return [{**_times(one), **each} for one, each in zip(times, values, strict=True)]


def _times(stats: Stats) -> dict[str, float | None]:
    return {name: getattr(stats, name) for name in TIMES}


def _share(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 3) if whole else None


def _lines(key: Key, time: str, values: Sequence[Values], slices: Sequence[Slices | None]) -> Iterator[Line]:
    """A line for each of the values."""
    (base, other), (one, two) = values, slices
    measures = [measure for measure in MEASURES if measure in base]
    found = bands(one, two, measures=measures) if one is not None and two is not None else {}
    for measure in measures:
        band = found.get(measure)
        yield Line(
            of=key[0],
            name=key[1],
            time=time,
            measure=measure,
            unit={"rate": "/s", "errors": "%"}.get(measure, "ms"),
            base=base[measure],
            other=other[measure],
            change=None if band is None else round(band.change, 2),
            low=None if band is None else round(band.low, 2),
            high=None if band is None else round(band.high, 2),
            finding=_finding(measure, band),
            text=said(measure, band),
        )


def _finding(measure: str, band: Band | None) -> Finding:
    if band is None:
        return "unknown"
    if band.is_noise:
        return "same"
    return "better" if (band.low > 0) == (measure == "rate") else "worse"


def said(measure: str, band: Band | None) -> str:
    """The change in words.

    >>> said("p95", Band(12.1, 9.2, 15.0)), said("rate", Band(-20.0, -25.0, -15.0))
    ('slower by 12 % (9 to 15)', 'lower by 20 % (15 to 25)')
    """
    if band is None:
        return "too little to tell"
    unit = "points" if measure == "errors" else "%"
    if band.is_noise:
        return f"no difference beyond noise ({_number(band.low)} to {_number(band.high)} {unit})"
    more, less = _WORDS.get(measure, ("slower", "faster"))
    word = more if band.low > 0 else less
    low, high = sorted((abs(band.low), abs(band.high)))
    return f"{word} by {_number(abs(band.change))} {unit} ({_number(low)} to {_number(high)})"


def _number(value: float) -> str:
    """A whole number, or two digits that matter; no minus before nothing."""
    text = f"{value:.0f}" if abs(value) >= _WHOLE else f"{value:.2g}"
    return "0" if float(text) == 0 else text


def _loss(line: Line) -> float | None:
    """By how much it is worse at the better end of its band, in percent; None: nobody knows."""
    if line.low is None or line.high is None:
        return None
    return -line.high if line.measure == "rate" else line.low
