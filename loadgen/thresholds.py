"""Gates: what a run promises of its times, rates and failures, in a line each.

    failed<1%                            items of the run
    create_flow.p95<800ms                item times of a step
    calls.POST /manager.p99.9<2s         service times of the calls of a label
    calls.errors==0                      all calls
    p95<800ms over 30s                   in each window of 30 s, not only in the whole
    failed<5% over 10s abort after 20s   and the run is wound down when it is crossed for so long
    failed<50% over 10s pause after 10s  or paused, until somebody lets it go on

    threshold  = measure comparison number [unit] ["over" duration] [("abort" | "pause") ["after" duration]]
    measure    = [STEP "."] of-items | "calls." [LABEL "."] of-calls
    of-items   = time | "rate" | "done" | "failed" | "unknown" | "dropped" | "cancelled"
    of-calls   = time | "rate" | "errors"
    time       = "p" PERCENTILE | "min" | "mean" | "max"
    comparison = "<" | "<=" | ">" | ">=" | "==" | "!="
    unit       = "us" | "ms" | "s" of a time; "/s" of a rate; "%" or none of a number
    duration   = [number "h"] [number "m"] [number "s"] [number "ms"]

A label may hold anything, comparisons included: the last comparison of a line is the threshold's own.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NoReturn, TypeAlias

from loadgen.errors import ThresholdError, pointed
from loadgen.pace.rates import plain, read_span, span

Of: TypeAlias = Literal["items", "calls"]
Kind: TypeAlias = Literal["time", "rate", "number"]
Action: TypeAlias = Literal["", "abort", "pause"]

SHORTEST_WINDOW_US = 1_000_000
"""A second: the results of less come in one report."""

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    }
)
_COMPARISON = re.compile(r"<=|>=|==|!=|<|>")
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")
_OTHERS: Mapping[Of, tuple[str, ...]] = MappingProxyType(
    {
        "items": ("min", "mean", "max", "rate", "done", "failed", "unknown", "dropped", "cancelled"),
        "calls": ("min", "mean", "max", "rate", "errors"),
    }
)
_TIMELESS = ("unknown", "dropped", "cancelled")
"""Nobody can say when an item ended so: it did not."""
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{1,6})?(?![\d.])")
_UNIT = re.compile(r"(?:us|ms|s)(?!\w)|%|/s(?!\w)")
_WORD = re.compile(r"\w+")
_UNITS: Mapping[Kind, tuple[str, ...]] = MappingProxyType(
    {"time": ("us", "ms", "s"), "rate": ("/s",), "number": ("", "%")}
)
_MEANT: Mapping[Kind, str] = MappingProxyType(
    {
        "time": "{} is a time: its limit needs a unit, us, ms or s",
        "rate": "{} is so many a second: its limit ends in /s",
        "number": "{} is a number or a share: its limit has no unit, or %",
    }
)


@dataclass(frozen=True, slots=True)
class Threshold:
    """One gate."""

    of: Of
    name: str
    """The step, or the label; empty: all of them."""
    measure: str
    """`p95`, `rate`, `failed`, ..."""
    comparison: str
    limit: float
    """In `unit`."""
    unit: str
    """us, ms, s; /s; %; empty for a number."""
    window_us: int | None = None
    """The width of the windows that are judged; None: the whole run is."""
    action: Action = ""
    """Wind the run down when it is crossed, or pause it; empty: do nothing."""
    grace_us: int = 0
    """For how long it has to be crossed, without a break, before that."""
    text: str = field(default="", compare=False)
    """As it was written."""

    @property
    def kind(self) -> Kind:
        """What is measured."""
        return _kind(self.measure)

    @property
    def percentile(self) -> float | None:
        """Which one; None: it is none."""
        found = _PERCENTILE.fullmatch(self.measure)
        return float(found[1]) if found else None

    def holds(self, value: float) -> bool:
        """Whether a value, in the limit's unit, is on the right side."""
        return _COMPARISONS[self.comparison](value, self.limit)

    def worse(self, value: float, other: float) -> bool:
        """Whether a value is further on the wrong side than the other one."""
        if self.comparison in ("<", "<="):
            return value > other
        if self.comparison in (">", ">="):
            return value < other
        return self.holds(other) and not self.holds(value)

    def __str__(self) -> str:
        """The same again, without spaces that mean nothing."""
        place = "calls." if self.of == "calls" else ""
        place += f"{self.name}." if self.name else ""
        text = f"{place}{self.measure}{self.comparison}{plain(self.limit)}{self.unit}"
        text += "" if self.window_us is None else f" over {span(self.window_us)}"
        text += f" {self.action}" if self.action else ""
        return text + (f" after {span(self.grace_us)}" if self.grace_us else "")


def parse(text: str, where: str = "threshold") -> Threshold:
    """A threshold from a line; `where` it stands, for the message.

    Raises ThresholdError, with the line and a caret below what is wrong in it.
    """
    return _Parser(text, where).parse()


def check_steps(thresholds: Sequence[Threshold], steps: Collection[str], where: str = "threshold") -> None:
    """Raise ThresholdError for one of a step that is none of these."""
    for threshold in thresholds:
        if threshold.of == "items" and threshold.name and threshold.name not in steps:
            _fail(
                threshold.text,
                threshold.text.index(threshold.name),
                f"{where}: no step {threshold.name}{_instead(threshold.name, list(steps))}",
            )


class _Parser:
    """Reads one line from left to right; `_at` is where."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0

    def parse(self) -> Threshold:
        found = list(_COMPARISON.finditer(self._text))
        if not found:
            self._no_comparison()
        of, name, measure = self._measured(found[-1].start())
        self._at = found[-1].end()
        limit, unit = self._limit(measure)
        window_us = self._window(measure)
        action = self._action()
        grace_us = self._span() if action and self._next("after") else 0
        self._skip()
        if self._at < len(self._text):
            self._fail(self._at, f"expected {'after' if action else 'over, abort, pause'} or the end")
        return Threshold(
            of, name, measure, found[-1].group(), limit, unit, window_us, action, grace_us, self._text
        )

    def _no_comparison(self) -> NoReturn:
        sign = self._text.find("=")
        at = sign if sign >= 0 else len(self._text.rstrip())
        self._fail(at, f"expected a comparison: {', '.join(_COMPARISONS)}")

    def _measured(self, end: int) -> tuple[Of, str, str]:
        """What stands before the comparison."""
        self._skip()
        start, words = self._at, self._text[self._at : end].rstrip()
        if not words:
            self._fail(start, "expected what is measured, like failed, STEP.p95 or calls.LABEL.p95")
        of: Of = "calls" if words.startswith("calls.") else "items"
        if of == "calls":
            start, words = start + len("calls."), words.removeprefix("calls.")
        name, measure = _last(words)
        if of == "items" and len(measure) < len(words) and not name.isidentifier():
            self._fail(start, f"{name!r} is no step's name; calls are named as calls.LABEL.{measure}")
        place = start + len(words) - len(measure)
        return of, name.strip(), self._known(of, measure.strip(), place)

    def _known(self, of: Of, measure: str, at: int) -> str:
        if found := _PERCENTILE.fullmatch(measure):
            if not float(found[1]):
                self._fail(at, "a percentile is above 0; min is the least")
            return f"p{float(found[1]):g}"
        if measure not in _OTHERS[of]:
            choices = ["p95", "p99.9", *_OTHERS[of]]
            self._fail(at, f"{of} have no {measure or 'such measure'}{_instead(measure, choices)}")
        return measure

    def _limit(self, measure: str) -> tuple[float, str]:
        self._skip()
        found = _NUMBER.match(self._text, self._at)
        if not found:
            self._fail(self._at, "expected a number, of at most nine digits and six decimals")
        self._at = found.end()
        at = self._skip()
        unit = _UNIT.match(self._text, self._at)
        kind = _kind(measure)
        if (unit.group() if unit else "") not in _UNITS[kind]:
            self._fail(at, _MEANT[kind].format(measure))
        if unit and unit.group() == "%" and float(found.group()) > 100:  # noqa: PLR2004 - percent
            self._fail(found.start(), "a share is at most 100%")
        if unit:
            self._at = unit.end()
        return float(found.group()), unit.group() if unit else ""

    def _window(self, measure: str) -> int | None:
        start = self._skip()
        if not self._next("over"):
            return None
        if measure in _TIMELESS:
            self._fail(start, f"nobody can say when an item ended as {measure}: it has no windows")
        at = self._skip()
        width_us = self._span()
        if width_us < SHORTEST_WINDOW_US:
            self._fail(at, "a window is 1s or longer")
        return width_us

    def _action(self) -> Action:
        if self._next("pause"):
            return "pause"
        return "abort" if self._next("abort") else ""

    def _span(self) -> int:
        self._skip()
        us, self._at = read_span(self._text, self._at, self._fail)
        return us

    def _next(self, word: str) -> bool:
        """Whether the next word is this one; it is passed then."""
        self._skip()
        found = _WORD.match(self._text, self._at)
        if found is None or found.group() != word:
            return False
        self._at = found.end()
        return True

    def _skip(self) -> int:
        """Pass spaces; returns where that was before them, for what is missing there."""
        before = self._at
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
        return self._at if self._at < len(self._text) else before

    def _fail(self, at: int, message: str) -> NoReturn:
        _fail(self._text, at, f"{self._where}: {message}")


def _last(words: str) -> tuple[str, str]:
    """Label and measure: the last dot parts them, unless it is that of a percentile like 99.9."""
    if _PERCENTILE.fullmatch(words):
        return "", words
    found = re.fullmatch(rf"(.+)\.({_PERCENTILE.pattern})", words, re.DOTALL)
    if found:
        return found[1], found[2]
    name, _, measure = words.rpartition(".")
    return name, measure


def _kind(measure: str) -> Kind:
    if measure in ("min", "mean", "max") or _PERCENTILE.fullmatch(measure):
        return "time"
    return "rate" if measure == "rate" else "number"


def _fail(text: str, at: int, message: str) -> NoReturn:
    raise ThresholdError(pointed(message, text, at))


def _instead(word: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, choices, n=1)
    return f"; did you mean {near[0]}?" if near else f"; expected {' or '.join(choices)}"
