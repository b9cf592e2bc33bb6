"""The tables of report.html.  Pure: every number is the summary's, written as in the other forms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from loadgen.reports.detail import Parts
from loadgen.reports.html.findings import skews
from loadgen.reports.html.markup import Markup, join, tag
from loadgen.reports.metrics import Stats
from loadgen.reports.schema import (
    CallSummary,
    ErrorSummary,
    StepSummary,
    Summary,
    ThresholdSummary,
    WorkerSummary,
)
from loadgen.reports.words import percent, three

Row = TypeVar("Row")
TIMES = {
    **{name: name for name in ("min", "mean", "stdev", "p50", "p75", "p90", "p95", "p99")},
    "p999": "p99.9",
    "max": "max",
}
"""Columns of a table of times: field of Stats, heading."""
ENDS = ("done", "failed", "unknown", "dropped", "cancelled", "pending")
PARTS = (
    ("dns_us", "lookup", "c"),
    ("connect_us", "connect", "b"),
    ("tls_us", "TLS", "d"),
    ("first_byte_us", "first byte", "a"),
    ("transfer_us", "transfer", "e"),
)
"""Of a call: field of Parts, name, colour."""


@dataclass(frozen=True)  # without slots: a generic class with them cannot be made as Column[Row](...) in 3.11
class Column(Generic[Row]):
    """What stands in a column."""

    heading: str
    cell: Callable[[Row], str]
    words: bool = False
    """Aligned left, and wrapped."""
    wrong: Callable[[Row], bool] = lambda _: False
    """Whether a cell is bad news."""


def table(caption: str, columns: Sequence[Column[Row]], rows: Iterable[Row]) -> Markup:
    """One; the first column names its rows."""
    first, *rest = columns
    head = tag(
        "tr",
        *(tag("th", each.heading, scope="col", class_="words" if each.words else None) for each in columns),
    )
    body = (
        tag(
            "tr",
            tag("th", first.cell(row), scope="row", title=first.cell(row)),
            *(_cell(each, row) for each in rest),
        )
        for row in rows
    )
    whole = tag("table", tag("thead", head), tag("tbody", *body), aria_label=caption)
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def steps(rows: Sequence[StepSummary]) -> Markup:
    """Per step: items by how they ended, rate."""
    ends = [
        name
        for name in ENDS
        if name in ("done", "failed", "unknown") or any(getattr(row.items, name) for row in rows)
    ]
    return table(
        "Steps",
        [
            Column[StepSummary]("step", lambda row: row.name),
            Column("items", lambda row: f"{row.items.planned:,}"),
            *(_end(name) for name in ends),
            *_rates(rows),
        ],
        rows,
    )


def step_times(rows: Sequence[StepSummary]) -> Markup:
    """Per step: how long its items took."""
    return table(
        "Steps: item times" if all(row.response_time is None for row in rows) else "Steps: response times",
        [
            Column[StepSummary]("step", lambda row: row.name),
            Column("measured", lambda row: f"{row.times.count:,}"),
            *(_time(name, heading, lambda row: row.times) for name, heading in TIMES.items()),
        ],
        rows,
    )


def times(rows: Sequence[CallSummary]) -> Markup:
    """Per label: how many, how long."""
    return table(
        "Calls: service times" if all(row.response_time is None for row in rows) else "Calls: response times",
        [
            Column[CallSummary]("call", lambda row: row.name),
            Column("count", lambda row: f"{row.count:,}"),
            Column("errors", lambda row: f"{row.errors:,}", wrong=lambda row: row.errors > 0),
            Column("calls/s", lambda row: three(row.rate_per_s)),
            *(_time(name, heading, lambda row: row.times) for name, heading in TIMES.items()),
        ],
        rows,
    )


def made_of(rows: Sequence[StepSummary | CallSummary]) -> Markup:
    """Per step and label of an open model: response times, and the service and the lag in them."""

    def service(row: StepSummary | CallSummary) -> Stats:
        return row.item_time if isinstance(row, StepSummary) else row.service_time

    def lag(row: StepSummary | CallSummary) -> Stats:
        return row.start_lag or Stats()

    parts: Sequence[tuple[str, Callable[[StepSummary | CallSummary], Stats]]]
    parts = (("response", lambda row: row.times), ("service", service), ("lag", lag))
    return table(
        "What response times are made of",
        [
            Column[StepSummary | CallSummary]("step or call", lambda row: row.name),
            *(_time(name, f"{what} {name}", pick) for name in ("p50", "p99") for what, pick in parts),
        ],
        [row for row in rows if row.response_time is not None],
    )


def traffic(rows: Sequence[CallSummary]) -> Markup:
    """Per label: the medians of its phases, bytes, statuses."""
    secured = any(row.tls_time.count for row in rows)
    return table(
        "Calls: connections, bytes, answers",
        [
            Column[CallSummary]("call", lambda row: row.name),
            Column("1st byte p50, ms", lambda row: three(row.time_to_first_byte.p50)),
            Column("connections", lambda row: f"{row.connect_time.count:,}"),
            Column("connect p50, ms", lambda row: three(row.connect_time.p50)),
            *([Column[CallSummary]("TLS p50, ms", lambda row: three(row.tls_time.p50))] if secured else []),
            Column("sent", lambda row: size(row.bytes_out)),
            Column("received", lambda row: size(row.bytes_in)),
            Column("answers", _statuses),
        ],
        rows,
    )


def phases(parts: Sequence[tuple[str, Parts]]) -> Markup:
    """Per label: the mean of each phase of a call, and a bar of their shares."""
    shown = [each for each in PARTS if any(getattr(part, each[0]) for _, part in parts)]
    head = [
        tag("th", name, scope="col", class_=kind)
        for name, kind in (("call", None), ("share of the time", "words"), ("answered", None), ("mean", None))
    ]
    head += [tag("th", name, scope="col") for _, name, _ in shown]
    rows = [
        tag(
            "tr",
            tag("th", label, scope="row", title=label),
            tag("td", _bar(part, shown), class_="bar"),
            tag("td", f"{part.calls:,}"),
            tag("td", three(part.total_us / part.calls / 1000)),
            *(tag("td", three(getattr(part, field) / part.calls / 1000)) for field, _, _ in shown),
        )
        for label, part in parts
    ]
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *rows), aria_label="Phases of a call")
    keys = [
        tag(
            "li",
            tag(
                "svg",
                tag("path", d="M0 0h26v12H0z", class_=f"fill {role}"),
                viewBox="0 0 26 12",
                aria_hidden="true",
            ),
            name,
        )
        for _, name, role in shown
    ]
    return join(
        tag("ul", *keys, class_="legend"),
        tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label="Phases of a call"),
    )


def workers(summary: Summary) -> Markup:
    """Per worker: share, skew, probe, verdict."""
    items = sum(worker.items for worker in summary.workers)
    rows = sorted(
        zip(summary.workers, skews(summary), strict=True), key=lambda row: (not row[0].lost, -row[0].items)
    )
    return table(
        "Workers",
        [
            Column[tuple[WorkerSummary, float | None]]("worker", lambda row: row[0].name),
            Column("host", lambda row: row[0].host, words=True),
            Column("slots", lambda row: f"{row[0].slots:,}"),
            Column("items", lambda row: f"{row[0].items:,}"),
            Column("share", lambda row: percent(row[0].items, items)),
            Column("of its share", lambda row: "-" if row[1] is None else f"{row[1]:.2f}x"),
            Column("calls", lambda row: f"{row[0].calls:,}"),
            Column("CPU, of a core", lambda row: f"{100 * row[0].cpu:.0f} %"),
            Column("probe p99, ms", lambda row: three(row[0].probe_ms)),
            Column(
                "its times", lambda row: row[0].verdict or "-", wrong=lambda row: row[0].verdict == "invalid"
            ),
            Column("lost", lambda row: "LOST" if row[0].lost else "no", wrong=lambda row: row[0].lost),
        ],
        rows,
    )


def thresholds(rows: Sequence[ThresholdSummary]) -> Markup:
    """Per gate."""
    return table(
        "Thresholds",
        [
            Column[ThresholdSummary]("threshold", lambda row: row.expr),
            Column("value", lambda row: "-" if row.value is None else f"{row.value:.6g}{row.unit}"),
            Column("held", lambda row: "yes" if row.ok else "NO", wrong=lambda row: not row.ok),
            Column("why", lambda row: row.reason or "-", words=True),
        ],
        rows,
    )


def size(number: int) -> str:
    """Bytes.

    >>> size(999), size(1_500), size(25_300_000)
    ('999 B', '1.50 kB', '25.3 MB')
    """
    value = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:  # noqa: PLR2004 - else it would be written as 1000
            return f"{three(value)} {unit}" if unit != "B" else f"{number} B"
        value /= 1000
    return f"{three(value)} TB"


def _cell(column: Column[Row], row: Row) -> Markup:
    kind = "words" if column.words else "wrong" if column.wrong(row) else None
    return tag("td", column.cell(row), class_=kind)


def _end(name: str) -> Column[StepSummary]:
    def number(row: StepSummary) -> int:
        return int(getattr(row.items, name))

    return Column(name, lambda row: f"{number(row):,}", wrong=lambda row: name != "done" and number(row) > 0)


def _time(name: str, heading: str, pick: Callable[[Row], Stats]) -> Column[Row]:
    return Column(heading, lambda row: three(getattr(pick(row), name)))


def _rates(rows: Sequence[StepSummary]) -> list[Column[StepSummary]]:
    """What was made, and in an open model what was meant."""
    if all(row.response_time is None for row in rows):
        return [Column("items/s", lambda row: three(row.rate_per_s))]
    return [
        Column("target/s", lambda row: three(row.target_rate_per_s)),
        Column("made/s", lambda row: three(row.rate_per_s)),
    ]


def _statuses(row: CallSummary) -> str:
    return ", ".join(
        f"{number:,} x {'no answer' if status == '0' else status}" for status, number in row.statuses.items()
    )


def _bar(part: Parts, shown: Sequence[tuple[str, str, str]]) -> Markup:
    total = max(part.total_us, 1)
    shares = [(100 * getattr(part, field) / total, name, role) for field, name, role in shown]
    pieces = (
        tag("span", class_=f"fill {role}", style=f"flex:{share:.2f}", title=f"{name}: {share:.0f} %")
        for share, name, role in shares
        if share > 0
    )
    return tag("div", *pieces, class_="shares")


def errors(rows: Sequence[ErrorSummary]) -> Markup:
    """Per kind: how many, when, and the first of them as it was."""
    body = (
        tag(
            "tr",
            tag("td", f"{row.count:,}"),
            tag("td", row.first[11:19]),
            tag("td", row.last[11:19]),
            tag(
                "td",
                row.fingerprint,
                tag("p", f"e.g. {row.sample}", class_="sample") if row.sample != row.fingerprint else None,
                class_="words",
            ),
        )
        for row in rows
    )
    head = (
        tag("th", name, scope="col", class_="words" if name == "error" else None)
        for name in ("count", "first, UTC", "last, UTC", "error")
    )
    whole = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), aria_label="Errors")
    return tag("div", whole, class_="scroll", tabindex="0", role="region", aria_label="Errors")
