"""How long a slot waits after an item before its next one: as long as a person reads, or thinks.

A pure function of seed, step and item: so a run can be repeated, whoever does the item.
"""

from __future__ import annotations

from random import Random

import msgspec

from loadgen.pace.rates import failing, read_span


class Think(msgspec.Struct, frozen=True, array_like=True):
    """From the shortest to the longest, all equally likely, in microseconds."""

    least_us: int
    most_us: int

    def after_us(self, seed: int, step: int, item: int) -> int:
        """How long it is after this item."""
        spread_us = self.most_us - self.least_us
        if not spread_us:
            return self.least_us
        chance = Random(f"{seed}/{step}/{item}").random()  # noqa: S311 - chance, not secrecy
        return self.least_us + round(spread_us * chance)


def parse_think(text: str, where: str = "think time") -> Think:
    """A think time, like 1s or 0.5s-2s; `where` it stands, for the message.

    Raises UsageError, with the line and a caret below what is wrong in it.
    """
    fail = failing(text, where)
    at = len(text) - len(text.lstrip())
    least_us, end = read_span(text, at, fail)
    most_us, written = least_us, text.rstrip()
    if written[end : end + 1] == "-":
        at = end + 1
        most_us, end = read_span(text, at, fail)
    if end < len(written):
        fail(end, "expected the end, or - and the longest: 0.5s-2s")
    if most_us < least_us:
        fail(at, "the longest is shorter than the shortest")
    return Think(least_us, most_us)
