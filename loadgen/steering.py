"""What a run is told while it goes on: to pause, to go on, to keep to limits.  Pure.

The run's `Steering` is what everybody wants of it together; `Orders` are one worker's part of that.  Who
gets which part is in `queues.crew`, how a worker keeps to it in `helm`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Final, Literal, NoReturn, TypeAlias

import msgspec

from loadgen.errors import UsageError, pointed
from loadgen.pace import rates
from loadgen.sample import Count

PAUSED: Final = "paused"
CONTINUED: Final = "continued"
CHANGED: Final = "changed"
"""The kinds of events that steering makes."""
BY_HAND = "by hand"
BY_BREAKER = "by the breaker"

MOST_IN_FLIGHT = 1_000_000
MOST_SLOTS = 10_000
"""Slots a process: as `--concurrency`."""

Rate: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
"""Items a second."""
Kind: TypeAlias = Literal["paused", "continued", "changed"]
Name: TypeAlias = Literal["rate", "concurrency", "max-in-flight"]
_NAMES: Mapping[str, Name] = MappingProxyType(
    {"rate": "rate", "concurrency": "concurrency", "max-in-flight": "max-in-flight"}
)


class Orders(msgspec.Struct, frozen=True, array_like=True):
    """What one worker is to keep to, until it hears otherwise."""

    serial: Count = 0
    """Later orders have a higher one; 0: none were given."""
    slots: Count | None = None
    """Items that it may have in flight; 0: it is to hold nothing; None: as many as it likes."""
    rate: Rate | None = None
    """Items that it may start a second; None: as many as it likes."""
    width: Count | None = None
    """Slots that each of its processes is to have; None: as many as it likes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run is kept to; None: to nothing."""

    rate: float | None = None
    """Items that are started a second, by all workers together."""
    in_flight: int | None = None
    """Items in flight at the same time, on all workers together."""
    concurrency: int | None = None
    """Slots of each process of each worker."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something is different now: an event of the run."""

    kind: Kind
    text: str


class Steering:
    """What the run is told.  Each method returns what it changed, for the record: at most one change."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.paused = ""
        """By whom; empty: it is not."""
        self.ramp: int | None = None
        """So many in flight at most by now, where that changes with time."""
        self.trial: int | None = None
        """So many in flight at most, until the breaker trusts the target again."""
        self.pace = ""
        """How items come by themselves, as people say it; empty: as fast as slots are free."""
        self._ending = False

    @property
    def idle(self) -> bool:
        """Nobody wants anything."""
        if self.paused or self._ending:
            return False
        return self.trial is None and self.ramp is None and self.limits == Limits()

    @property
    def in_flight(self) -> int | None:
        """How many items may be in flight, for whatever reason; None: any number."""
        if self.paused or self._ending:
            return 0
        caps = [cap for cap in (self.limits.in_flight, self.ramp, self.trial) if cap is not None]
        return min(caps, default=None)

    def pause(self, by: str, why: str = "") -> list[Change]:
        """Hand out nothing and start nothing until it is told to go on; people come before machines."""
        if self.paused and (by != BY_HAND or self.paused == by):
            return []
        self.paused, self.trial = by, None
        return [Change(PAUSED, f"{by}: {why}" if why else by)]

    def go_on(self, by: str, why: str = "", trial: int | None = None) -> list[Change]:
        """End the pause, whoever began it; with at most `trial` items in flight at first."""
        if not self.paused:
            return []
        self.paused, self.trial = "", trial
        more = "" if trial is None else f", with {trial} in flight at first"
        return [Change(CONTINUED, (f"{by}: {why}" if why else by) + more)]

    def end(self) -> None:
        """Start nothing more: workers hear of it in a beat, however long they would not ask for more."""
        self._ending = True

    def come(self, pace: str) -> list[Change]:
        """Items come like this by themselves, as people say it."""
        self.pace = pace
        return []

    def trust(self, by: str, why: str) -> list[Change]:
        """The trial is over."""
        if self.trial is None:
            return []
        before, self.trial = self.trial, None
        return [Change(CHANGED, f"in flight on trial from {before} to all, {by}: {why}")]

    def rate(self, most: float | None, by: str) -> list[Change]:
        """Start no more than so many items a second."""
        return self._limit("rate", replace(self.limits, rate=most), by)

    def cap(self, most: int | None, by: str) -> list[Change]:
        """Have no more than so many items in flight."""
        return self._limit("max-in-flight", replace(self.limits, in_flight=most), by)

    def concurrency(self, slots: int | None, by: str) -> list[Change]:
        """Have each process do so many items at a time."""
        return self._limit("concurrency", replace(self.limits, concurrency=slots), by)

    def _limit(self, name: str, limits: Limits, by: str) -> list[Change]:
        if limits == self.limits:
            return []
        before, after = (self._shown(each, name) for each in (self.limits, limits))
        self.limits = limits
        return [Change(CHANGED, f"{name} from {before} to {after}, {by}")]

    def _shown(self, limits: Limits, name: str) -> str:
        own = f"{self.pace} (its own)" if self.pace and name == "rate" and limits.rate is None else ""
        return own or shown(limits)[name]


@dataclass(frozen=True, slots=True)
class Setting:
    """One NAME=VALUE of `loadgen set`."""

    name: Name
    value: float | None
    """None: take the limit off."""

    def apply(self, steering: Steering, by: str) -> list[Change]:
        """Have the run keep to it."""
        if self.name == "rate":
            return steering.rate(self.value, by)
        whole = None if self.value is None else round(self.value)
        return steering.cap(whole, by) if self.name == "max-in-flight" else steering.concurrency(whole, by)


def parse_settings(words: Sequence[str]) -> tuple[Setting, ...]:
    """What `rate=50/s`, `concurrency=32`, `max-in-flight=100` and `rate=none` say.

    Raises UsageError, with a caret below what is wrong.
    """
    line = " ".join(words)
    found: dict[str, Setting] = {}
    at = 0
    for word in words:
        setting = _setting(word, line, at)
        if setting.name in found:
            raise UsageError(pointed(f"{setting.name} is said twice", line, at))
        found[setting.name] = setting
        at += len(word) + 1
    return tuple(found.values())


def _setting(word: str, line: str, at: int) -> Setting:
    said, equals, value = word.partition("=")
    place = at + len(said) + 1
    name = _NAMES.get(said.replace("_", "-"))
    if name is None:
        text = f"{said or word} cannot be set; there are {', '.join(_NAMES)}"
        raise UsageError(pointed(text, line, at))
    if not equals or not value:
        raise UsageError(pointed(f"expected {name}=VALUE, or {name}=none", line, min(place, len(line))))
    if value == "none":
        return Setting(name, None)
    if name == "rate":
        return Setting(name, _per_second(line, place, at + len(word)))
    most = MOST_SLOTS if name == "concurrency" else MOST_IN_FLIGHT
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise UsageError(pointed(f"{name}: expected a number from 1 to {most}, or none", line, place))
    return Setting(name, int(value))


def parse_rate(text: str, where: str) -> float:
    """Items a second of `100/s` or `30/m`; `where` it stands, for the message.  Raises UsageError."""
    return rates.parse_rate(text, where).points[0][1]


def rate_text(rate: float) -> str:
    """A rate, as it would be written.

    >>> rate_text(0.5)
    '30/m'
    """
    if rate < 1:
        return f"{rate * 60:.6g}/m"
    return f"{rate:.6g}/s"


def shown(limits: Limits) -> dict[str, str]:
    """The limits, for people, by their names on the command line."""
    return {
        "rate": "none" if limits.rate is None else rate_text(limits.rate),
        "max-in-flight": "none" if limits.in_flight is None else str(limits.in_flight),
        "concurrency": "none" if limits.concurrency is None else str(limits.concurrency),
    }


def _per_second(line: str, at: int, end: int) -> float:
    """The rate that stands there, or between there and the end."""

    def fail(place: int, message: str) -> NoReturn:
        raise UsageError(pointed(f"{message}; or none", line, place))

    rate, until = rates.read_rate(line, at, fail)
    if until != end:
        fail(until, "expected the end of the rate")
    if not rate:
        fail(at, "a limit of 0 would end the run")
    return rate
