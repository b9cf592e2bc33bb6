"""What report.html is made of: the story's numbers, and the parts of the page.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadgen.record import Event
from loadgen.reports.detail import Detail, StepDetail
from loadgen.reports.html.charts import AREAS, Chart, Role, Series, Shape
from loadgen.reports.html.figures import Clock
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.html.svg import SIGNS, draw
from loadgen.reports.metrics import Distributions
from loadgen.reports.schema import StepSummary, Summary


@dataclass(frozen=True, slots=True)
class Story:
    """All that a report is made of."""

    summary: Summary
    detail: Detail
    distributions: Distributions
    events: Sequence[Event]
    started_us: int
    settings: Mapping[str, Any]
    directory: Path

    @property
    def clock(self) -> Clock:
        """The unit of its time axes."""
        return Clock.of(self.detail)

    @property
    def measured(self) -> list[tuple[StepSummary, StepDetail]]:
        """The steps of which items were measured."""
        pairs = zip(self.summary.steps, self.detail.steps, strict=True)
        return [(step, detail) for step, detail in pairs if step.times.count]


@dataclass(frozen=True, slots=True)
class Section:
    """One part."""

    id: str
    label: str
    finding: str
    body: Markup
    charts: tuple[Chart, ...] = ()
    """Those in the body."""


def figure(chart: Chart, note: str = "") -> Markup:
    """A chart with its legend: a still picture, and a place for the live one."""
    signs = dict.fromkeys(mark.sign for mark in chart.marks)
    keys = [*(_key(each) for each in chart.series), *(_sign(sign) for sign in signs)]
    return tag(
        "figure",
        tag("ul", *keys, class_="legend") if len(keys) > 1 else None,
        draw(chart),
        tag("div", class_="live", role="img", aria_label=chart.title),
        tag("figcaption", note) if note else None,
        id=chart.id,
    )


def cell(heading: str, *inside: Markup) -> Markup:
    """One of several pictures, side by side where there is room."""
    return tag("div", tag("h3", heading), *inside, class_="cell")


def note(text: str) -> Markup:
    """Small print."""
    return tag("p", text, class_="note")


def pairs(rows: Sequence[tuple[str, str]]) -> Markup:
    """Names and values."""
    return tag(
        "dl", *(join(tag("dt", name), tag("dd", value or "-")) for name, value in rows), class_="pairs"
    )


def swatch(role: Role, shape: Shape) -> Markup:
    """How a series looks, in small."""
    d, kind = (
        ("M0 6h26", "line") if shape == "line" else ("M0 0h26v12H0z", "area" if shape in AREAS else "fill")
    )
    return tag("svg", tag("path", d=d, class_=f"{kind} {role}"), viewBox="0 0 26 12", aria_hidden="true")


def _key(series: Series) -> Markup:
    return tag("li", swatch(series.role, series.shape), series.name)


def _sign(sign: str) -> Markup:
    words = {
        "joined": "worker joined",
        "left": "worker left",
        "lost": "lost",
        "retries": "retries",
        "event": "event",
    }
    return tag("li", tag("span", SIGNS[sign], class_=f"sign {sign}"), words[sign])
