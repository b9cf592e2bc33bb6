"""The workers of a run, as the queue knows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from loadgen.errors import Refused
from loadgen.lag import NO_LAG, Lag
from loadgen.queues.messages import PROTOCOL, Beat, Hello, Report
from loadgen.record import WorkerLoad
from loadgen.steering import Orders
from loadgen.version import __version__
from loadgen.view import WorkerView


@dataclass(frozen=True, slots=True)
class Restored:
    """What an earlier session of the run left behind."""

    sessions: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By session: the worker's number and the last report acknowledged."""
    workers: int = 0
    """The highest worker number."""
    leases: int = 0
    """The highest lease number."""
    step: int = 0
    """The first that is not all settled: leases that live on are of this one."""


@dataclass(slots=True)
class Member:
    """A worker, by what it said and when."""

    number: int
    """In this run, from 1."""
    hello: Hello
    seen_us: int
    """When it was heard of last, by the monotonic clock."""
    joined_us: int
    seq: int = 0
    """The last of its batches that was taken in."""
    items: int = 0
    calls: int = 0
    in_flight: int = 0
    cpu_before_s: float | None = 0.0
    """What it had used when it joined; None: that is what it says first."""
    cpu_s: float = 0.0
    """Since then."""
    alive_s: float = 0.0
    lost: bool = False
    """It was not heard of in time, at least once."""
    here: bool = True
    lag: Lag = NO_LAG
    clock_error_us: int | None = None
    told: list[Orders] = field(default_factory=lambda: [Orders()])
    """The orders that it said it obeys, and those that it was told since."""
    is_told: bool = True
    """False: whatever it is to keep to, it must hear it (again)."""

    def note(self, message: Beat | Report) -> None:
        """What it says of itself.  Beats and reports overtake each other: more CPU time is later."""
        self.in_flight = message.in_flight
        if isinstance(message, Beat) and message.clock_error_us is not None:
            self.clock_error_us = message.clock_error_us
        if self.cpu_before_s is None:
            self.cpu_before_s = message.cpu_s
        if message.cpu_s - self.cpu_before_s >= self.cpu_s:
            self.cpu_s, self.lag = message.cpu_s - self.cpu_before_s, message.lag

    def load(self) -> WorkerLoad:
        """For the ledger."""
        return WorkerLoad(self.number, self.cpu_s, self.alive_s, self.lost, self.lag)

    def view(self) -> WorkerView:
        """For people."""
        return WorkerView(
            name=self.hello.name,
            slots=self.hello.slots,
            items=self.items,
            calls=self.calls,
            in_flight=self.in_flight,
            cpu=self.cpu_s / self.alive_s if self.alive_s else 0.0,
            here=self.here,
            lost=self.lost,
            number=self.number,
            lag=self.lag,
        )


def check_version(message: Hello) -> None:
    """Raise Refused when the worker speaks another protocol."""
    if message.protocol != PROTOCOL or message.version != __version__:
        raise Refused(
            f"worker {message.name} runs loadgen {message.version} (protocol {message.protocol}), "
            f"the master runs {__version__} (protocol {PROTOCOL}): install the same version"
        )
