"""Numbers as Java reads them.  Pure."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[+-]?[0-9]+")


def integer(text: str, bits: int = 32) -> int:
    """`Integer.parseInt`, with 64 bits `Long.parseLong`.  Raises ValueError with Java's words."""
    if not _NUMBER.fullmatch(text) or not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
        raise ValueError(f'For input string: "{text}"')
    return int(text)
