"""The forms of a report, by the name that `--format` takes.

A form is one function; the libraries that it needs are imported when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from loadgen.errors import RunDirectoryError, UsageError
from loadgen.files import whole
from loadgen.reports.schema import Summary, Verdict
from loadgen.reports.summary import Record, encode, summarize, tell
from loadgen.reports.timeline import Timeline, TimelineBuilder, timeline

if TYPE_CHECKING:
    from rich.console import Console

Form: TypeAlias = "Callable[[Record, Verdict, Console], None]"
"""Explains a run on a console."""
FileForm: TypeAlias = "Callable[[Record, Verdict, Path], None]"
"""Explains a run in a file, or a folder, that a console is no place for."""


_WIDTH = 120
"""Of a report for people that goes into a file."""


def render(form: str, record: Record, verdict: Verdict, console: Console) -> None:
    """Explain a run on a console.  Raises UsageError when there is no such form, or it needs a file."""
    if form in FILES:
        raise UsageError(f"--format {form} is no text for a terminal: say --output FILE")
    FORMS[_known(form)](record, verdict, console)


def export(form: str, record: Record, verdict: Verdict, path: Path) -> None:
    """Explain a run in a file, whole or not at all, or in a folder.

    Raises UsageError when there is no such form, or the file cannot be written.
    """
    single = path.suffix or path.is_fifo() or path.is_char_device()
    folder = FOLDERS.get(form) if path.is_dir() or not single else None
    write = folder or FILES.get(_known(form)) or partial(_print, form)
    try:
        with nullcontext(path) if folder else whole(path) as place:
            write(record, verdict, place)
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror}") from error


def _print(form: str, record: Record, verdict: Verdict, path: Path) -> None:
    from rich.console import Console

    with path.open("w", encoding="utf-8", newline="\n") as file:
        FORMS[form](record, verdict, Console(file=file, width=_WIDTH, color_system=None))


def _known(form: str) -> str:
    if form not in FORMS and form not in FILES:
        raise UsageError(f"no report format {form!r}: choose one of {', '.join([*FORMS, *FILES])}")
    return form


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
    """The end report for people, on one screen."""
    from loadgen.reports.brief import report

    report(console, summarize(record, verdict), record.events(), record.directory)


def verbose(record: Record, verdict: Verdict, console: Console) -> None:
    """The same with all that there is to say."""
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


def as_csv(record: Record, verdict: Verdict, console: Console) -> None:
    """All numbers in one table, a line each."""
    from loadgen.reports.tables import long

    _put(long(summarize(record, verdict)), console)


def csv_folder(record: Record, verdict: Verdict, path: Path) -> None:
    """A table in a file for steps, calls, workers, errors, thresholds and the run."""
    from loadgen.reports.tables import write

    write(summarize(record, verdict), path)


def as_junit(record: Record, verdict: Verdict, console: Console) -> None:
    """JUnit's XML."""
    from loadgen.reports.junit import junit

    _put(junit(summarize(record, verdict)), console, "xmlcharrefreplace")


def as_markdown(record: Record, verdict: Verdict, console: Console) -> None:
    """The terminal's report, for a pull request."""
    from loadgen.reports.markdown import MarkdownPage
    from loadgen.reports.terminal import compose

    page = MarkdownPage()
    compose(page, *gather(record, verdict, page.console), record.events(), record.directory)
    _put(page.text(), console)


def as_prometheus(record: Record, verdict: Verdict, console: Console) -> None:
    """Prometheus' text format."""
    from loadgen.reports.prometheus import prometheus

    _put(prometheus(summarize(record, verdict)), console)


def as_hlog(record: Record, verdict: Verdict, console: Console) -> None:
    """An HdrHistogram log."""
    from loadgen.reports.hlog import HistogramLog

    summary = summarize(record, verdict)
    paced = [call.name for call in summary.calls if call.response_time is not None]
    log = HistogramLog(record.phases().started_us, [call.name for call in summary.calls], paced)
    for table in record.call_tables():
        log.add(table)
    what = "service and response times" if paced else "service times"
    log.write(console.file, [f"loadgen {summary.run.id}: {what} in microseconds, by call"])


def parquet_file(record: Record, verdict: Verdict, path: Path) -> None:
    """Every call, in a Parquet file."""
    from loadgen.reports.parquet import write

    steps = {step.index: step.name for step in record.steps()}
    workers = {worker.worker: worker.name for worker in record.workers()}
    summary = encode(summarize(record, verdict))
    write(record.call_tables(), path, steps=steps, workers=workers, summary=summary)


def _put(text: str, console: Console, errors: str = "backslashreplace") -> None:
    """Text for machines: as it is, except for what the console's encoding cannot say."""
    encoding = console.encoding
    console.file.write(text.encode(encoding, errors).decode(encoding))


FORMS: Mapping[str, Form] = MappingProxyType(
    {
        "terminal": terminal,
        "json": as_json,
        "html": html,
        "csv": as_csv,
        "junit": as_junit,
        "md": as_markdown,
        "prom": as_prometheus,
        "hdr": as_hlog,
        "verbose": verbose,
    }
)
"""By name; the first is the default."""
FILES: Mapping[str, FileForm] = MappingProxyType({"parquet": parquet_file})
"""Those that need a file."""
FOLDERS: Mapping[str, FileForm] = MappingProxyType({"csv": csv_folder})
"""Those that can be a folder of files."""
