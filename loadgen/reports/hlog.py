"""All service times, and in an open model response times, as an HdrHistogram log, `.hlog`, version 1.2.

A tagged histogram for each call label and interval, in microseconds: HdrHistogram's own tools plot them and
add them up.

https://github.com/HdrHistogram/HdrHistogram, HistogramLogWriter: lines of `Tag=...,start,length,max,payload`.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import IO

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

from loadgen.record import CallTable
from loadgen.reports.metrics import DIGITS, HIGHEST_US, OTHER, rounded

_WIDTHS_S = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
_INTERVALS = 300
"""At most, unless a run takes more than twelve days: each histogram takes a millisecond to be written."""
_US_PER_MS = 1_000.0


class HistogramLog:
    """Accumulates calls.  Times are kept as counts, of what the histogram does not tell apart."""

    def __init__(self, started_us: int, labels: Collection[str], paced: Collection[str] = ()) -> None:
        """`labels`: those that summary.json tells apart; calls of others are those of "other".

        `paced`: those of them that have response times, which get a tag of their own: LABEL response.
        """
        self._started_us = started_us
        self._tags = tags([*labels, *map(_response, paced)])
        self._paced = {label: self._tags[_response(label)] for label in paced}
        self._width = 0
        self._counts: dict[tuple[int, str], Counter[int]] = {}

    def add(self, table: CallTable) -> None:
        """Count calls, each where it ended."""
        samples = table.samples
        columns = [samples.numbers(name) for name in ("start_us", "total_us", "lag_us")]
        width_us = _WIDTHS_S[self._width] * 1_000_000
        for start_us, total_us, lag_us, label in zip(*columns, samples.texts("label"), strict=True):
            place = (start_us + total_us - self._started_us) // width_us
            known = label if label in self._tags else OTHER
            self._count(place, self._tags[known], total_us)
            if known in self._paced:
                self._count(place, self._paced[known], total_us + lag_us)
        self._coarsen()

    def _count(self, place: int, tag: str, us: int) -> None:
        self._counts.setdefault((place, tag), Counter())[min(rounded(us), HIGHEST_US)] += 1

    def _coarsen(self) -> None:
        """Make intervals longer until there are not too many."""
        while self._counts and self._width + 1 < len(_WIDTHS_S):
            places = [place for place, _ in self._counts]
            if max(places) - min(places) < _INTERVALS:
                return
            factor = _WIDTHS_S[self._width + 1] / _WIDTHS_S[self._width]
            fine, self._counts = self._counts, {}
            self._width += 1
            for (place, tag), counts in fine.items():
                self._counts.setdefault((int(place // factor), tag), Counter()).update(counts)

    def write(self, file: IO[str], comments: Sequence[str] = ()) -> None:
        """Write the log, in the order of time."""
        writer = HistogramLogWriter(file)
        for comment in comments:
            writer.output_comment(comment)
        writer.output_log_format_version()
        # not output_start_time and output_base_time: they write what their own reader cannot read
        start_s = self._started_us / 1_000_000
        at = datetime.datetime.fromtimestamp(start_s, datetime.UTC)
        writer.output_comment(f"[StartTime: {start_s:.3f} (seconds since epoch), {at:%Y-%m-%d %H:%M:%S} UTC]")
        writer.output_comment(f"[BaseTime: {start_s:.3f} (seconds since epoch)]")
        writer.output_legend()
        width_s = _WIDTHS_S[self._width]
        for (place, tag), counts in sorted(self._counts.items()):
            histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
            for us, times in counts.items():
                histogram.record_value(us, times)
            file.write(f"Tag={tag},")
            # a start of 0 would mean that the histogram has one of its own
            histogram.set_start_time_stamp(place * width_s * 1_000)
            histogram.set_end_time_stamp((place + 1) * width_s * 1_000)
            writer.output_interval_histogram(histogram, max_value_unit_ratio=_US_PER_MS)


def _response(label: str) -> str:
    return f"{label} response"


def tags(labels: Collection[str]) -> dict[str, str]:
    """A tag for each label, which may hold neither space nor comma, and for "other"; no two alike.

    >>> tags(["GET /a b", "GET /a_b"])["GET /a_b"]
    'GET_/a_b.2'
    """
    found: dict[str, str] = {}
    for label in dict.fromkeys([*labels, OTHER]):
        plain = re.sub(r"[\s,]+", "_", label) or "_"
        tag, number = plain, 1
        while tag in found.values():
            number += 1
            tag = f"{plain}.{number}"
        found[label] = tag
    return found
