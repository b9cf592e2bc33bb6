"""What a key means to a run that goes on: the same orders as `loadgen pause|continue|stop|set`.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from loadgen.control import Continue, Pause, Request, Set, Stop
from loadgen.steering import MOST_IN_FLIGHT, MOST_SLOTS, Limits, rate_text

HELP: Final = "?"
MORE, LESS = "+=", "-_"
"""With and without shift, on most keyboards."""
STEP: Final = 1.1
"""More is so many times as much; less as much again takes it back."""
_KNOWN = frozenset("pPsS ?hH" + MORE + LESS)
_SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|.)?", re.DOTALL)
"""What cursor keys and the like send."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the run is, as far as keys have to do with it."""

    paused: bool = False
    stopping: bool = False
    asked: bool = False
    """Somebody stopped it: one more Ctrl-C leaves at once."""
    limits: Limits = field(default_factory=Limits)
    own_rate: float | None = None
    """Items a second that come by themselves; None: the model is closed."""
    slots: int = 0
    """Of all workers."""
    width: int | None = None
    """Slots of each process; None: nobody knows, as where several workers found out for themselves."""


@dataclass(frozen=True, slots=True)
class Lever:
    """What more and less change."""

    name: str
    """As `loadgen set` calls it."""
    value: float
    """As it is now."""
    most: float = float("inf")

    def text(self) -> str:
        """For people."""
        shown = rate_text(self.value) if self.name == "rate" else f"{self.value:.0f}"
        return f"{self.name} {shown}"

    def moved(self, up: bool) -> str:
        """The setting for more, or for less; a tenth, at least one."""
        if self.name == "rate":
            rate = self.value * STEP if up else self.value / STEP
            return f"rate={rate_text(float(f'{rate:.3g}'))}"
        now = round(self.value)
        then = max(round(now * STEP), now + 1) if up else max(min(round(now / STEP), now - 1), 1)
        return f"{self.name}={min(then, round(self.most))}"


def pressed(text: str) -> list[str]:
    """The keys in what came at once; none if some of it is no key of ours: it was pasted, or a mistake."""
    plain = _SEQUENCE.sub("", text).strip("\r\n\t")
    return list(plain) if set(plain) <= _KNOWN else []


def lever(standing: Standing) -> Lever | None:
    """What there is to be moved: the limit that is there, else the width; None: nothing yet."""
    limits = standing.limits
    rate = limits.rate or standing.own_rate
    if rate is not None:
        return Lever("rate", rate) if rate else None
    if limits.in_flight is not None:
        return Lever("max-in-flight", limits.in_flight, MOST_IN_FLIGHT)
    if standing.width:
        return Lever("concurrency", standing.width, MOST_SLOTS)
    return Lever("max-in-flight", standing.slots, MOST_IN_FLIGHT) if standing.slots else None


def order(key: str, standing: Standing) -> Request | None:
    """What the run is to be told; None: nothing."""
    if standing.stopping:
        return None
    if key in "pP ":
        return Continue() if standing.paused else Pause()
    if key in "sS":
        return Stop()
    moved = lever(standing)
    if key not in MORE + LESS or moved is None:
        return None
    if key in MORE and moved.name == "max-in-flight" and standing.limits.in_flight is None:
        return None  # all slots are in use: a limit above them would change nothing
    return Set((moved.moved(key in MORE),))


def footer(standing: Standing) -> str:
    """The keys that there are, in a line."""
    if standing.stopping:
        return "Ctrl-C leaves at once" if standing.asked else "Ctrl-C twice leaves at once"
    now = lever(standing)
    words = ["p continue" if standing.paused else "p pause", "s stop"]
    words += [f"+ - {now.text()}"] if now is not None else []
    return "   ".join([*words, "? keys"])


def explained(standing: Standing) -> list[str]:
    """What they do, a line each."""
    now = lever(standing)
    what = "nothing yet" if now is None else f"{now.moved(up=True)}, {now.moved(up=False)}"
    return [
        "p, space  pause; once more: go on",
        "s         stop: what is in flight settles, a resume does the rest",
        f"+, -      a tenth more or less: {what}",
        "?         these lines, on and off",
    ]
