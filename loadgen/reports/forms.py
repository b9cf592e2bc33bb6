"""The forms of a report, by the name that `--format` takes.

A form is one function; the libraries that it needs are imported when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from loadgen.errors import UsageError
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.summary import Record, encode, summarize
from loadgen.reports.timeline import Timeline, TimelineBuilder

if TYPE_CHECKING:
    from rich.console import Console

Form: TypeAlias = "Callable[[Record, Verdict, Console], None]"
"""Explains a run on a console."""


def render(form: str, record: Record, verdict: Verdict, console: Console) -> None:
    """Explain a run.  Raises UsageError when there is no such form."""
    if form not in FORMS:
        raise UsageError(f"no report format {form!r}: choose one of {', '.join(FORMS)}")
    FORMS[form](record, verdict, console)


def gather(record: Record, verdict: Verdict, console: Console) -> tuple[Summary, Timeline]:
    """What the end report shows: one pass over the calls for both."""
    from loadgen.reports.chart import MARGIN

    room = min(max(console.width - MARGIN, 20), 120)
    timeline = TimelineBuilder(record.phases().started_us, room)
    summary = summarize(record, verdict, timeline.add)
    return summary, timeline.build()


def terminal(record: Record, verdict: Verdict, console: Console) -> None:
    """The end report for people."""
    from loadgen.reports.terminal import report

    report(console, *gather(record, verdict, console), record.events(), record.directory)


def as_json(record: Record, verdict: Verdict, console: Console) -> None:
    """What summary.json holds."""
    text = encode(summarize(record, verdict)).decode()
    if not console.encoding.lower().replace("-", "").startswith("utf"):
        text = json.dumps(json.loads(text), indent=2) + "\n"
    # not through rich's layout: lines of a file for machines are never wrapped, marked up or coloured
    console.file.write(text)


FORMS: Mapping[str, Form] = MappingProxyType({"terminal": terminal, "json": as_json})
"""By name; the first is the default."""
