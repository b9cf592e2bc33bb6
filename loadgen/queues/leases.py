"""The lease machine: which item is in which state, and what may happen to it next.

Pure: events in, decisions out; no lock, no clock, no I/O.  The time is an argument, in microseconds of
a clock that never jumps.

    state     event                          next       note
    --------  -----------------------------  ---------  ------------------------------------------
    PENDING   granted                        LEASED
    PENDING   late result                    DONE/FAILED  of a lease that had expired
    LEASED    result                         DONE/FAILED  counted once
    LEASED    result before a retry          LEASED     attempt + 1; the worker goes on by itself
    LEASED    lease released                 PENDING    never started: same attempt
    LEASED    lease expired                  PENDING    attempt + 1; it may have been sent
    DONE      result                         DONE       a duplicate execution: noted, not counted
    FAILED    result                         FAILED     the same
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from loadgen.plan import Chunk
from loadgen.queues.supply import Supply
from loadgen.record import ItemCounts
from loadgen.sample import Outcome, Result


class State(IntEnum):
    """Where an item stands.  Kept in one byte an item."""

    PENDING = 0
    LEASED = 1
    DONE = 2
    FAILED = 3


TERMINAL = frozenset({State.DONE, State.FAILED})


@dataclass(frozen=True, slots=True)
class Grant:
    """A chunk is handed out."""

    lease: int
    chunk: Chunk
    attempts: dict[int, int]
    """The attempt to make, where it is not the first."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A lease was not renewed in time."""

    lease: int
    session: str
    items: int
    """How many went back."""


@dataclass(slots=True)
class _Lease:
    session: str
    expires_us: int
    outstanding: set[int]


class LeaseMachine:
    """The items of one step."""

    def __init__(self, items: int, *, ttl_us: int, first_lease: int = 1) -> None:
        self._states = bytearray(items)
        self._attempts: dict[int, int] = {}
        self._leases: dict[int, _Lease] = {}
        self._supply: Supply | None = None
        self._ttl_us = ttl_us
        self._next_lease = first_lease
        self._done = 0
        self._failed = 0

    def restore(self, settled: Iterable[tuple[int, Outcome]], attempts: Iterable[tuple[int, int]]) -> None:
        """Load what the ledger knows of an earlier session: outcomes, and attempts made so far."""
        for item, outcome in settled:
            self._settle(item, outcome)
        for item, attempt in attempts:
            if self._states[item] == State.PENDING:
                self._attempts[item] = attempt + 1

    def stock(self, make: Callable[[Callable[[int], bool]], Supply]) -> None:
        """Give it the supply that it hands out from; made knowing which items are pending."""
        self._supply = make(lambda item: self._states[item] == State.PENDING)

    @property
    def next_lease(self) -> int:
        """The number of the next lease: lease numbers go on from step to step."""
        return self._next_lease

    @property
    def counts(self) -> ItemCounts:
        """How the items ended so far."""
        return ItemCounts(len(self._states), self._done, self._failed)

    @property
    def leased(self) -> int:
        """Items that are out."""
        return sum(len(lease.outstanding) for lease in self._leases.values())

    @property
    def unleased(self) -> int:
        """Items that wait to be handed out."""
        return self.counts.pending - self.leased

    def grant(self, session: str, size: int, lanes: int, now_us: int) -> Grant | None:
        """Hand out a chunk of at most `size` items in at most `lanes` lanes; None: nothing is free now."""
        chunk = self._supply.take(size, lanes) if self._supply else None
        if chunk is None:
            return None
        items = set(chunk)
        for item in items:
            self._states[item] = State.LEASED
        number, self._next_lease = self._next_lease, self._next_lease + 1
        self._leases[number] = _Lease(session, now_us + self._ttl_us, items)
        attempts = self._attempts and {item: self._attempts[item] for item in items if item in self._attempts}
        return Grant(number, chunk, attempts)

    def settle(self, lease: int, results: Sequence[Result]) -> frozenset[tuple[int, int]]:
        """Take results in; returns the (item, attempt) pairs that settle their item now."""
        counted = set()
        for result in results:
            state = self._states[result.item]
            if state in TERMINAL:
                continue
            if not result.final:
                self._attempts[result.item] = result.attempt + 1
                continue
            if state == State.LEASED:
                self._take_from_holder(lease, result.item)
            self._settle(result.item, result.outcome)
            counted.add((result.item, result.attempt))
        return frozenset(counted)

    def renew(self, session: str, leases: Iterable[int], now_us: int) -> tuple[int, ...]:
        """Keep the session's leases alive; returns those that it does not have (any more)."""
        dropped = []
        for number in leases:
            lease = self._leases.get(number)
            if lease is None or lease.session != session:
                dropped.append(number)
            else:
                lease.expires_us = now_us + self._ttl_us
        return tuple(dropped)

    def release(self, session: str, number: int) -> int:
        """The session gives a lease back; returns how many items were never started."""
        lease = self._leases.get(number)
        if lease is None or lease.session != session:
            return 0
        del self._leases[number]
        return self._give_back(lease)

    def expire(self, now_us: int) -> list[Expired]:
        """Take back the leases that were not renewed in time."""
        late = [number for number, lease in self._leases.items() if lease.expires_us <= now_us]
        return [self._expire(number) for number in late]

    def _expire(self, number: int) -> Expired:
        lease = self._leases.pop(number)
        for item in lease.outstanding:
            self._attempts[item] = self._attempts.get(item, 1) + 1
        return Expired(number, lease.session, self._give_back(lease))

    def _give_back(self, lease: _Lease) -> int:
        for item in lease.outstanding:
            self._states[item] = State.PENDING
        if self._supply and lease.outstanding:
            self._supply.give_back(lease.outstanding)
        return len(lease.outstanding)

    def _take_from_holder(self, number: int, item: int) -> None:
        """Remove a leased item from the lease that holds it: the reporting one, or a later one."""
        lease = self._leases.get(number)
        if lease is None or item not in lease.outstanding:
            number, lease = next(
                (other, held) for other, held in self._leases.items() if item in held.outstanding
            )
        lease.outstanding.discard(item)
        if not lease.outstanding:
            del self._leases[number]
        if self._supply:
            self._supply.settled(item)

    def _settle(self, item: int, outcome: Outcome) -> None:
        if outcome is Outcome.DONE:
            self._states[item] = State.DONE
            self._done += 1
        else:
            self._states[item] = State.FAILED
            self._failed += 1
        self._attempts.pop(item, None)
