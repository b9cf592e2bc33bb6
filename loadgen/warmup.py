"""The warm-up of a run: what is done first like all else, and is not measured.

    10s            what begins in the first ten seconds, from the first lease on
    500 items      the first 500 items of the first step, by their index
    500            the same
    0              nothing: a scenario's warm-up is left out

    warm-up  = number ("ms" | "s" | "m" | "h") | duration | count ["items" | "item"]

Connections are opened then, caches filled, code compiled, on both sides: times that a longer run would
hardly have.  (How many items a worker keeps in flight is found out in the same seconds: that is widening.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from loadgen.errors import WarmUpError, pointed
from loadgen.pace.rates import SPANS_US, read_span, span

_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6})?(?![\d.])")
_WORD = re.compile(r"[^\W\d]+")
_ITEMS = ("items", "item")


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How long a run warms up: by time, or by items."""

    us: int = 0
    """From the first lease on; 0: it is by items."""
    items: int = 0
    """Of the first step, from index 0 on; 0: it is by time."""
    text: str = field(default="", compare=False)
    """As it was written."""

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self.us or self.items)

    def __str__(self) -> str:
        """For people, and to be read again."""
        if not self.us:
            return f"{self.items} item" if self.items == 1 else f"{self.items} items"
        return span(self.us)


NO_WARM_UP = WarmUp()


def parse(text: str, where: str = "warm-up") -> WarmUp:
    """A warm-up from a line; `where` it stands, for the message.

    Raises WarmUpError, with the line and a caret below what is wrong in it.
    """

    def fail(at: int, message: str) -> NoReturn:
        raise WarmUpError(pointed(f"{where}: {message}", text, at))

    begin = _begin(text, 0)
    number = _NUMBER.match(text, begin)
    if not number:
        fail(begin, "expected a time like 10s, or a number of items like 500")
    at = _begin(text, number.end())
    word = _WORD.match(text, at)
    unit, end = (word.group(), word.end()) if word else ("", at)
    if unit and unit not in (*SPANS_US, *_ITEMS):
        fail(at, "expected ms, s, m, h or items")
    us = round(float(number.group()) * SPANS_US.get(unit, 0))
    if unit in SPANS_US and text[end : end + 1].isdecimal():
        us, end = read_span(text, begin, fail)
    if text[end:].strip():
        fail(_begin(text, end), "expected the end, as in 10s, 1m30s or 500 items")
    if unit in SPANS_US:
        return WarmUp(us=us, text=text)
    if "." in number.group():
        fail(text.index("."), "a number of items is whole; a time needs a unit")
    return WarmUp(items=int(number.group()), text=text)


def _begin(text: str, at: int) -> int:
    """Where the next word begins."""
    return at + len(text[at:]) - len(text[at:].lstrip())
