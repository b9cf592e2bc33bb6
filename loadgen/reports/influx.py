"""Events of a run in InfluxDB's line protocol: measurement `loadgen_EVENT`, tagged with run, step and worker.

https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

TAGS = ("run", "scenario", "step", "worker")
"""Fields that are tags: what one groups by."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def line(event: Mapping[str, Any]) -> str:
    """One line with its line break.

    >>> line({"event": "note", "at": "1970-01-01T00:00:01.500Z", "run": "r1", "text": "x", "n": 2}).rstrip()
    'loadgen_note,run=r1 text="x",n=2i 1500000000'
    """
    tags = "".join(f",{name}={_tag(event[name])}" for name in TAGS if event.get(name))
    fields = {
        name: value
        for name, value in event.items()
        if name not in (*TAGS, "event", "at") and value is not None and not isinstance(value, Mapping)
    }
    told = ",".join(f"{name}={_field(value)}" for name, value in fields.items()) or "happened=true"
    since = datetime.datetime.fromisoformat(event["at"]) - _EPOCH
    at_ns = (since // datetime.timedelta(microseconds=1)) * 1_000
    return f"loadgen_{event['event'].replace('-', '_')}{tags} {told} {at_ns}\n"


def _tag(value: Any) -> str:
    """A tag's value: neither line breaks nor a backslash at its end can be said in one."""
    plain = re.sub(r"\s", " ", str(value)).rstrip("\\")
    return re.sub(r"([,= ])", r"\\\1", plain)


def _field(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i"
    if isinstance(value, float):
        return repr(value)
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
