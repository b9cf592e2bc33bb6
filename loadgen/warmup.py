"""The warm-up of a run: what is done first like all else, and is not measured.

    10s            what begins in the first ten seconds, from the first lease on
    500 items      the first 500 items of the first step, by their index
    500            the same
    0              nothing: a scenario's warm-up is left out

    warm-up  = number ("ms" | "s" | "m" | "h") | count ["items" | "item"]

Connections are opened then, caches filled, code compiled, on both sides: times that a longer run would
hardly have.  (How many items a worker keeps in flight is found out in the same seconds: that is widening.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from loadgen.errors import WarmUpError, pointed
from loadgen.rates import SPANS_US, span

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
    at = len(text) - len(text.lstrip())
    number = _NUMBER.match(text, at)
    if not number:
        _fail(text, at, f"{where}: expected a time like 10s, or a number of items like 500")
    at = number.end() + len(text[number.end() :]) - len(text[number.end() :].lstrip())
    word = _WORD.match(text, at)
    unit = word.group() if word else ""
    if unit and unit not in (*SPANS_US, *_ITEMS):
        _fail(text, at, f"{where}: expected ms, s, m, h or items")
    end = word.end() if word else at
    if text[end:].strip():
        _fail(text, end + len(text[end:]) - len(text[end:].lstrip()), f"{where}: expected the end")
    if unit in SPANS_US:
        return WarmUp(us=round(float(number.group()) * SPANS_US[unit]), text=text)
    if "." in number.group():
        _fail(text, text.index("."), f"{where}: a number of items is whole; a time needs a unit")
    return WarmUp(items=int(number.group()), text=text)


def _fail(text: str, at: int, message: str) -> NoReturn:
    raise WarmUpError(pointed(message, text, at))
