"""The JSON Schema of summary.json, as it is published: `summary.schema.json` beside this file.

After a change of `schema`: `python -c 'from loadgen.reports import published; published.publish()'`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from loadgen.reports.schema import SCHEMA, Summary

FILE = Path(__file__).with_name("summary.schema.json")


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12; it allows fields that it does not know: the summary may grow."""
    (root,), parts = msgspec.json.schema_components([Summary], ref_template="#/$defs/{name}")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"loadgen summary.json, schema {SCHEMA}",
        **root,
        "$defs": parts,
    }


def text() -> str:
    """The file's text."""
    return json.dumps(schema(), indent=2) + "\n"


def publish() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
