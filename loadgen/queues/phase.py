"""The steps that are open at the same time, each with its lease machine: usually one, several in a mix.

Lease numbers go on from step to step, and no two machines have the same; so what is said of a lease is
said to whichever of them has it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from loadgen.pace.mixing import Turns
from loadgen.plan import Chunk, StepPlan, chunk_size
from loadgen.queues.decisions import Decisions, Grant, Rules, Wanted
from loadgen.queues.endless import EndlessMachine
from loadgen.queues.leases import LeaseMachine
from loadgen.queues.messages import LeaseRequest
from loadgen.queues.paced import Pacer
from loadgen.queues.supply import supply
from loadgen.queues.term import Term
from loadgen.record import ItemCounts, Past
from loadgen.steering import Steering

LARGEST_ROWS = 1024 * 1024
"""Bytes of rows in one lease: keeps the frame well below its limit."""
ROUNDS = 4
"""Of a mix, what a worker asks for comes in so many rounds, in each of which every step has its turn."""

Keys: TypeAlias = Sequence[Hashable] | Callable[[int], Hashable]
"""By item: a list, or, for a step without a number of items, a function."""
Made: TypeAlias = tuple[int, Decisions]
"""Of which step, and what was decided."""


@dataclass(frozen=True, slots=True)
class Part:
    """A step to be opened."""

    step: StepPlan
    rows: Sequence[Any] | None = None
    """What items are given, over and over again where there are more of them."""
    keys: Keys | None = None
    past: Past | None = None
    """What an earlier session left of it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A step that is open."""

    step: StepPlan
    machine: LeaseMachine
    rows: list[msgspec.Raw] | None
    pacer: Pacer | None
    most: int
    """Items in one lease."""

    def grant(self, message: LeaseRequest, share: float, slots: Mapping[str, int], at: At) -> Grant | None:
        """A chunk, as large as suits the worker and what is left; `share`: of what it would like."""
        if not self.machine.unleased:
            return None
        if self.pacer is not None:
            self.pacer.fill(at.now_us, slots)
        want = max(round(message.want * share), 1)
        size = self.step.chunk or chunk_size(self.machine.unleased, want, len(slots))
        return self.machine.grant(
            Wanted(message.session, min(size, self.most), message.lanes), at.monotonic_us
        )

    def data(self, chunk: Chunk) -> tuple[msgspec.Raw, ...]:
        """The rows of a chunk's items."""
        rows = self.rows
        return () if rows is None else tuple(rows[item % len(rows)] for item in chunk)

    @property
    def begins_us(self) -> int | None:
        """When its first item is meant to start; None: as soon as it is leased."""
        return None if self.pacer is None else self.pacer.begins_us

    def due_us(self, grant: Grant) -> bytes:
        """When a chunk's items are meant to start."""
        return b"" if self.pacer is None or grant.verifying else self.pacer.due_us(grant.chunk)


@dataclass(frozen=True, slots=True)
class At:
    """A moment, on two clocks."""

    now_us: int
    """Wall clock."""
    monotonic_us: int


class Phase:
    """What is open."""

    def __init__(self, opened: Sequence[Opened] = (), term: Term | None = None, *, next_lease: int) -> None:
        self.opened = {each.step.index: each for each in opened}
        self.term = term or Term()
        self.next_lease = next_lease
        self._had_all: set[int] = set()
        """Steps of which all was handed out once: what comes back of them changes no rates again."""
        self._turns = Turns({each.step.index: each.step.weight or 1.0 for each in opened})

    @property
    def machines(self) -> dict[int, LeaseMachine]:
        """By step."""
        return {index: each.machine for index, each in self.opened.items()}

    @property
    def by_step(self) -> dict[int, ItemCounts]:
        """How the items of each step ended so far."""
        return {index: each.machine.counts for index, each in self.opened.items()}

    @property
    def settled(self) -> bool:
        """Every item has its outcome, and no late result may still end a doubt."""
        return all(machine.settled for machine in self)

    @property
    def leased(self) -> int:
        """Items that are out."""
        return sum(machine.leased for machine in self)

    def __iter__(self) -> Iterator[LeaseMachine]:
        """Each machine."""
        return (each.machine for each in self.opened.values())

    def grant(self, message: LeaseRequest, slots: Mapping[str, int], at: At) -> tuple[Opened, Grant] | None:
        """Hand out a chunk of the step whose turn it is, or the next that has one; None: nothing is free."""
        for index in self._turns.order():
            opened = self.opened[index]
            share = 1.0 if len(self.opened) == 1 else self._turns.share(index, self.opened) / ROUNDS
            opened.machine.next_lease = self.next_lease
            grant = opened.grant(message, share, slots, at)
            self.next_lease = opened.machine.next_lease
            if grant is not None:
                if not grant.verifying:
                    self._turns.took(index, len(grant.chunk))
                self.term.begin(at.monotonic_us)
                return opened, grant
        return None

    def obey(self, steering: Steering, at: At) -> None:
        """Keep to what the run was told: its time stands still in a pause."""
        self._had_all |= {index for index, each in self.opened.items() if not each.machine.unleased}
        going_on = self.opened.keys() - self._had_all
        for index, each in self.opened.items():
            if each.pacer is not None:
                each.pacer.obey(steering, at.now_us, self._turns.share(index, going_on))
        if steering.paused:
            self.term.hold(at.monotonic_us)

    @property
    def paced(self) -> bool:
        """Whether items are meant to start at times of their own."""
        return any(each.pacer is not None for each in self.opened.values())

    def arm(self, session: str, lease: int, span: tuple[int, int], now_us: int) -> tuple[int, ...] | None:
        """See `LeaseMachine.arm`."""
        tried = (machine.arm(session, lease, span, now_us) for machine in self)
        return next((skipped for skipped in tried if skipped is not None), None)

    def renew(self, session: str, leases: Iterable[int], now_us: int) -> tuple[int, ...]:
        """See `LeaseMachine.renew`."""
        dropped = tuple(leases)
        for machine in self:
            dropped = machine.renew(session, dropped, now_us)
        return dropped

    def release(self, session: str, lease: int, unstarted: Sequence[int], now_us: int) -> list[Made]:
        """See `LeaseMachine.release`."""
        return [(n, m.release(session, lease, unstarted, now_us)) for n, m in self.machines.items()]

    def expire(self, now_us: int) -> list[Made]:
        """Take back leases that were not renewed in time; end what has had its time."""
        made = [(index, machine.expire(now_us)) for index, machine in self.machines.items()]
        if self.term.over(now_us):
            for index, machine in self.machines.items():
                if isinstance(machine, EndlessMachine) and not machine.ended:
                    made.append((index, machine.end()))
        return made

    def wait_s(self, now_us: int, idle_s: float) -> float:
        """How long a worker waits that got nothing."""
        pacers = [each.pacer for each in self.opened.values()]
        return min((idle_s if p is None else p.wait_s(now_us, idle_s) for p in pacers), default=idle_s)


def opened(part: Part, rules: Rules, first_lease: int, at: At) -> Opened:
    """Open a step."""
    step, keys, past = part.step, part.keys, part.past
    rows = None if part.rows is None else [msgspec.Raw(msgspec.msgpack.encode(row)) for row in part.rows]
    most = max(1, LARGEST_ROWS // max(map(len, rows or ()), default=1))
    if step.endless:
        endless = EndlessMachine(rules, first_lease=first_lease)
        if past is not None:
            endless.restore(past, at.monotonic_us)
        endless.stock_endless(step, keys if callable(keys) else None, resumed=past is not None)
        return Opened(step, endless, rows, None, most)
    assert not callable(keys)
    machine = LeaseMachine(step.items, rules, first_lease=first_lease)
    if past is not None:
        machine.restore(past, at.monotonic_us)
    pacer = None if step.pace is None else Pacer(step, step.pace, keys, most)
    if pacer is None:
        machine.stock(lambda is_free: supply(step, keys, is_free, resumed=past is not None))
    else:
        machine.stock(pacer.start)
    return Opened(step, machine, rows, pacer, most)
