"""The summary as flat tables, and those as CSV: what spreadsheets and data frames read.

A table has a row for the run, or for each step, call, worker, error and threshold; its columns are the
fields of summary.json, joined by dots where they are nested: `service_time.p95`, `statuses.200`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from loadgen.reports.schema import Summary

Row: TypeAlias = "dict[str, Any]"
HEADINGS = ("table", "row", "name", "field", "value")
"""Of all tables in one."""
_ONE = ("run", "verdict", "items", "attempts", "verification", "generator")
"""Parts of a summary that there is one of: together they are the run's row."""
_MANY = ("steps", "calls", "workers", "errors", "thresholds")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


def tables(summary: Summary) -> dict[str, list[Row]]:
    """All of the summary, by the name of the table."""
    told = msgspec.to_builtins(summary)
    run = {"schema": told["schema"]}
    for part in _ONE:
        run |= _flat(told[part], f"{part}.")
    return {"run": [run], **{part: [_flat(row) for row in told[part]] for part in _MANY}}


def long(summary: Summary) -> str:
    """All tables in one CSV, a line for each value: `calls,2,login,service_time.p95,4.92`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADINGS)
    for name, rows in tables(summary).items():
        for number, row in enumerate(rows):
            named = _cell(row.get(_NAMES.get(name, "name"), ""))
            writer.writerows((name, number, named, field, _cell(value)) for field, value in row.items())
    return text.getvalue()


_NAMES = {"run": "run.id", "errors": "fingerprint", "thresholds": "expr"}
"""What a table's rows are called by, where it is not `name`."""


def write(summary: Summary, folder: Path) -> None:
    """One CSV file for each table, in a folder that is made when it is not there.  Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables(summary).items():
        (folder / f"{name}.csv").write_text(_wide(rows), encoding="utf-8")


def _wide(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each row; a column for whatever one of them has."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def plain(value: Any) -> str:
    """A leaf of the summary as in its JSON, without quotes; nothing for null."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flat(value: Any, prefix: str = "") -> Row:
    return dict(_leaves(value, prefix))


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{prefix}{name}.")
    elif isinstance(value, list | tuple):
        yield prefix[:-1], "; ".join(map(str, value))
    else:
        yield prefix[:-1], value


def _cell(value: Any) -> str:
    """A number as in summary.json; a text that no spreadsheet takes for a formula.

    Answers of the target get into reports: https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = plain(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULAS) else text
