"""The circuit breaker: when a run should stop burning items, and when it may go on.  Pure.

    50% over 10s            trips when half of the items that ended within 10 s failed, of at least 20
    50% over 10s for 2m     and gives up when the target is not well again after 2 minutes (else 1)

    rule = number "%" "over" duration ["for" duration]

    state    event                              next     what is to be done
    -------  ---------------------------------  -------  -----------------------------------
    closed   too many failed                    open     pause; probe in 1 s
    open     time to probe                      probing  probe
    open     patience is over                   open     stop
    probing  it failed                          open     probe again, after twice the time, at most 10 s
    probing  it worked                          half     go on with few items in flight
    half     too many of the next 20 failed     open     pause; probe after twice the time
    half     20 ended                           closed   go on with all
    any      people paused or continued the run closed   what was counted is forgotten

Time is handed in, in microseconds of a clock that never jumps.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from loadgen.pace import rates

ENOUGH = 20
"""Items that must have ended before their share of failures says anything."""
SLICES = 10
"""A window slides by a tenth of its width."""
FIRST_WAIT_US, LAST_WAIT_US = 1_000_000, 10_000_000
PATIENCE_US = 60_000_000

State: TypeAlias = Literal["closed", "open", "probing", "half"]
Action: TypeAlias = Literal["pause", "probe", "continue", "trust", "stop"]

_SHARE = re.compile(r"\s*(\d{1,3}(?:\.\d{1,3})?)\s*%")
_WORD = re.compile(r"\s*(\w+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """When to trip, and when to give up."""

    share: float
    """Of the items that ended, those that failed: above 0, at most 1."""
    window_us: int
    patience_us: int = PATIENCE_US
    text: str = field(default="", compare=False)
    """As it was written."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now."""

    action: Action
    text: str = ""
    """Why."""


class Breaker:
    """Counts what ended and says what to do about it."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.state: State = "closed"
        self._slices: deque[list[int]] = deque()  # [slice, ended, failed]
        self._wait_us = FIRST_WAIT_US
        self._tripped_us = 0
        self._probe_us = 0
        self._why = ""

    def record(self, ended: int, failed: int, now_us: int) -> None:
        """Items have ended.  While the run is paused, those that were in flight say nothing new."""
        if not ended or self.state in ("open", "probing"):
            return
        at = now_us // max(self._rule.window_us // SLICES, 1)
        if not self._slices or self._slices[-1][0] != at:
            self._slices.append([at, 0, 0])
        self._slices[-1][1] += ended
        self._slices[-1][2] += failed

    def look(self, now_us: int) -> Decision | None:
        """What is to be done now; None: nothing."""
        if self.state == "open":
            if now_us - self._tripped_us >= self._rule.patience_us:
                return Decision("stop", self._why)
            if now_us >= self._probe_us:
                self.state = "probing"
                return Decision("probe")
        if self.state == "closed":
            return self._look_at_window(now_us)
        if self.state == "half":
            return self._look_at_trial(now_us)
        return None

    def probed(self, why: str, now_us: int) -> Decision | None:
        """What the probe came to: why it failed; empty: it worked."""
        if self.state != "probing":
            return None  # people were faster
        self._slices.clear()
        if not why:
            self.state = "half"
            return Decision("continue", "the target answers again")
        self.state, self._why = "open", why
        self._wait(now_us)
        return None

    def reset(self) -> None:
        """People have taken over: begin anew."""
        self.state, self._wait_us, self._why = "closed", FIRST_WAIT_US, ""
        self._slices.clear()

    def _look_at_window(self, now_us: int) -> Decision | None:
        oldest = (now_us - self._rule.window_us) // max(self._rule.window_us // SLICES, 1)
        while self._slices and self._slices[0][0] <= oldest:
            self._slices.popleft()
        ended, failed = self._counts()
        if ended < ENOUGH or failed < self._rule.share * ended:
            return None
        self._tripped_us, self._probe_us, self.state = now_us, now_us + self._wait_us, "open"
        self._slices.clear()
        self._why = f"{failed} of {ended} items failed within {rates.span(self._rule.window_us)}"
        return Decision("pause", self._why)

    def _look_at_trial(self, now_us: int) -> Decision | None:
        """It is over as soon as it can only fail."""
        ended, failed = self._counts()
        if failed and failed >= self._rule.share * ENOUGH:
            self.state, self._why = "open", f"{failed} of {ended} items on trial failed"
            self._wait(now_us)
            self._slices.clear()
            return Decision("pause", self._why)
        if ended < ENOUGH:
            return None
        self.reset()
        return Decision("trust", f"{ended - failed} of {ended} items on trial were done")

    def _wait(self, now_us: int) -> None:
        self._wait_us = min(2 * self._wait_us, LAST_WAIT_US)
        self._probe_us = now_us + self._wait_us

    def _counts(self) -> tuple[int, int]:
        return sum(each[1] for each in self._slices), sum(each[2] for each in self._slices)


def parse_breaker(text: str, where: str = "breaker") -> Rule:
    """A rule from a line; `where` it stands, for the message.

    Raises UsageError, with a caret below what is wrong.
    """
    fail = rates.failing(text, where)

    def word(at: int, *wanted: str) -> int:
        found = _WORD.match(text, at)
        if found is None or found[1] not in wanted:
            fail(_begin(text, at), f"expected {' or '.join(wanted)}, as in 50% over 10s for 2m")
        return found.end()

    def span(at: int) -> tuple[int, int]:
        us, end = rates.read_span(text, _begin(text, at), fail)
        if not us:
            fail(_begin(text, at), "expected a duration above 0")
        return us, end

    share = _SHARE.match(text)
    if share is None or not 0 < float(share[1]) <= 100:  # noqa: PLR2004 - percent
        fail(_begin(text, 0), "expected a share of failures above 0 and up to 100, like 50%")
    window_us, at = span(word(share.end(), "over"))
    if window_us < rates.SPANS_US["s"]:
        fail(_begin(text, share.end()), "a window is 1s or longer")
    patience_us = PATIENCE_US
    if text[at:].strip():
        patience_us, at = span(word(at, "for"))
    if text[at:].strip():
        fail(_begin(text, at), "expected the end, as in 50% over 10s for 2m")
    return Rule(float(share[1]) / 100, window_us, patience_us, text)


def _begin(text: str, at: int) -> int:
    """Where the next word begins; where nothing follows, where that is missing."""
    rest = text[at:]
    return at + len(rest) - len(rest.lstrip()) if rest.strip() else at
