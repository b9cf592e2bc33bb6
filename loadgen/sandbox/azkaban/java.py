"""Numbers as Java reads them, and times as Azkaban writes them.  Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_NUMBER = re.compile(r"[+-]?[0-9]+")


def integer(text: str, bits: int = 32) -> int:
    """`Integer.parseInt`, with 64 bits `Long.parseLong`.  Raises ValueError with Java's words."""
    if not _NUMBER.fullmatch(text) or not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
        raise ValueError(f'For input string: "{text}"')
    return int(text)


def integer_or(text: str | None, default: int, bits: int = 32) -> int:
    """The same; the default, where there is none."""
    try:
        return default if text is None else integer(text, bits)
    except ValueError:
        return default


def date(time_ms: int) -> str:
    """A point in time, milliseconds since 1970, in UTC."""
    return datetime.fromtimestamp(time_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
