"""The forms of a report, by the name that `--format` takes.

A form is one function; the libraries that it needs are imported when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from loadgen.errors import RunDirectoryError, UsageError
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.summary import Record, encode, summarize, tell
from loadgen.reports.timeline import Timeline, TimelineBuilder, timeline

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
    calls = TimelineBuilder(record.phases().started_us, _room(console))
    summary = summarize(record, verdict, calls.add)
    return summary, calls.build()


def gather_all(
    record: Record, verdict: Verdict, console: Console
) -> tuple[Summary, Timeline, Callable[[], str]]:
    """The same, and what makes report.html of it: still one pass."""
    from loadgen.reports.html.document import page, story, watcher

    details = watcher(record)
    summary, distributions = tell(record, verdict, [details])
    calls = timeline(details.calls(_room(console)))
    return summary, calls, lambda: page(story(record, summary, distributions, details))


def _room(console: Console) -> int:
    """How wide the chart in a terminal is."""
    from loadgen.reports.chart import MARGIN

    return min(max(console.width - MARGIN, 20), 120)


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


def html(record: Record, verdict: Verdict, console: Console) -> None:
    """One self-contained page; on a terminal, which could not show it, as a file beside the ledger."""
    from loadgen.reports.html.document import FILE, report, write

    text = report(record, verdict)
    if not console.is_terminal:
        console.file.write(text)
        return
    path = record.directory / FILE
    try:
        write(text, path)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot write the report: {error.strerror}") from error
    console.print(str(path), soft_wrap=True, highlight=False, markup=False)


FORMS: Mapping[str, Form] = MappingProxyType({"terminal": terminal, "json": as_json, "html": html})
"""By name; the first is the default."""
