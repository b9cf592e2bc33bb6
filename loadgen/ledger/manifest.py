"""The manifest: what the steps returned, as JSON lines or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import msgspec

from loadgen.files import whole
from loadgen.record import ManifestRow

FILE = "manifest.jsonl"


def lines(rows: Iterable[ManifestRow]) -> Iterator[str]:
    """One line a row: {"step", "item", "value"}."""
    encoder = msgspec.json.Encoder()
    for row in rows:
        yield encoder.encode({"step": row.step, "item": row.item, "value": row.value}).decode() + "\n"


def csv_lines(rows: Iterable[ManifestRow]) -> Iterator[str]:
    """The same as CSV: a value that is a text stands as it is, any other as JSON."""
    row = io.StringIO()
    writer = csv.writer(row, lineterminator="\n")
    cells: tuple[object, ...] = ("step", "item", "value")
    for each in chain([None], rows):
        if each is not None:
            text = each.value if isinstance(each.value, str) else msgspec.json.encode(each.value).decode()
            cells = (each.step, each.item, text)
        writer.writerow(cells)
        yield row.getvalue()
        row.seek(0)
        row.truncate()


def write(directory: Path, rows: Iterable[ManifestRow]) -> Path:
    """Write the manifest into the run directory, whole or not at all."""
    path = directory / FILE
    with whole(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.writelines(lines(rows))
    return path
