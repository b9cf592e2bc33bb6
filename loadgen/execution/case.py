"""Whose calls a session makes: an attempt at an item, or nobody's in particular."""

from __future__ import annotations

import msgspec

from loadgen.sample import NO_ITEM, Sample


class Case(msgspec.Struct):
    """An attempt at an item, as far as its calls tell."""

    step: str = ""
    item: int = NO_ITEM
    attempt: int = 1
    run: str = ""
    """For the headers by which the item is found in the target's logs; empty: they are not sent."""
    samples: list[Sample] = []
    """One for each HTTP request."""
    failure: str | None = None
    """The first answer that was not expected, in words."""
    retry_after: str | None = None
    """The first Retry-After of such an answer."""
