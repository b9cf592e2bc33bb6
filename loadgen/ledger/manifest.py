"""The manifest: what the steps returned, as JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from loadgen.record import ManifestRow

FILE = "manifest.jsonl"


def lines(rows: Iterable[ManifestRow]) -> Iterator[str]:
    """One line a row: {"step", "item", "value"}."""
    encoder = msgspec.json.Encoder()
    for row in rows:
        yield encoder.encode({"step": row.step, "item": row.item, "value": row.value}).decode() + "\n"


def write(directory: Path, rows: Iterable[ManifestRow]) -> Path:
    """Write the manifest into the run directory, whole or not at all."""
    path = directory / FILE
    draft = path.with_suffix(".tmp")
    with draft.open("w", encoding="utf-8") as file:
        file.writelines(lines(rows))
    return draft.replace(path)
