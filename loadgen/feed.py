"""Rows from files, each handed out once: `items=feed.csv("users.csv")`.

The file is read on the master only; a row travels to the worker with its chunk.  Relative paths are
relative to the scenario file.
"""

from __future__ import annotations

import csv as _csv
import json as _json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from loadgen.errors import FeedError

Row: TypeAlias = Mapping[str, Any]
_Reader: TypeAlias = Callable[[Path], Iterator[Row]]


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows of a file; one item a row."""

    path: Path
    """The file, absolute or relative to the scenario file."""
    reader: _Reader
    """Turns the file into rows."""
    count: int | None = None
    """How many rows to use; None: all of them."""

    def take(self, count: int) -> Feed:
        """Use the first `count` rows; fewer in the file is an error before the run starts."""
        if count < 0:
            raise FeedError(f"{self.path}: take({count}): 0 or more is needed")
        return replace(self, count=count)

    def rows(self, folder: Path) -> Sequence[Row]:
        """The rows, with relative paths taken from `folder`.

        Raises FeedError when the file cannot be read or holds fewer rows than asked for.
        """
        path = folder / self.path.expanduser()
        try:
            rows = list(self.reader(path))
        except OSError as error:
            raise FeedError(f"{path}: cannot read rows: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise FeedError(f"{path}: not UTF-8 text: {error.reason}") from error
        if self.count is None:
            return rows
        if self.count > len(rows):
            raise FeedError(f"{path}: {self.count} items need as many rows, but the file has {len(rows)}")
        return rows[: self.count]


def csv(path: str | Path, *, delimiter: str = ",") -> Feed:
    """Rows of a CSV file with a header line, as dicts of strings."""

    def read(file: Path) -> Iterator[Row]:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = _csv.DictReader(lines, delimiter=delimiter)
            try:
                for row in reader:
                    if None in row or None in row.values():
                        raise FeedError(f"{file}:{reader.line_num}: not as many fields as the header has")
                    yield row
            except _csv.Error as error:
                raise FeedError(f"{file}:{reader.reader.line_num}: not CSV: {error}") from error

    return Feed(Path(path), read)


def jsonl(path: str | Path) -> Feed:
    """Rows of a JSON lines file: one object a line; empty lines are skipped."""

    def read(file: Path) -> Iterator[Row]:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    row = _json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise FeedError(f"{file}:{number}: not JSON: {error}") from error
                if not isinstance(row, dict):
                    raise FeedError(f"{file}:{number}: a row must be an object, not {line.strip()[:40]}")
                yield row

    return Feed(Path(path), read)
