"""Steps without a fixed number of items: handed out from 0 on, until their time is over.

What was handed out and never armed when the time is over was never sent: it does not count.  What was
tried, and waits for another try or for its doubt to end, does: that is finished.

Memory does not grow with the items: those without keys are a cursor, and of those with keys no more are
looked at ahead than `LOOK_AHEAD`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from loadgen.plan import Chunk, StepPlan
from loadgen.queues.decisions import Decisions, Grant, Loss, Rules, Wanted
from loadgen.queues.leases import LeaseMachine
from loadgen.queues.states import State
from loadgen.queues.supply import PlainSupply, Supply
from loadgen.record import ItemCounts, Past
from loadgen.sample import Result

MANY = 1 << 40
"""Items that are still to be done, as long as there is time."""
LOOK_AHEAD = 10_000
"""Items with keys that wait for their keys, at most."""


class Endless(Supply, Protocol):
    """A supply that is ended by the clock."""

    def end(self) -> None:
        """Hand out nothing new any more; only what comes back."""
        ...


class EndlessMachine(LeaseMachine):
    """The items of one step that goes on for a time."""

    def __init__(self, rules: Rules, *, first_lease: int = 1) -> None:
        super().__init__(0, rules, first_lease=first_lease)
        self._again: set[int] = set()  # pending, and tried before
        self._endless: Endless | None = None
        self.ended = False
        """The time is over."""

    def restore(self, past: Past, now_us: int) -> None:
        """Load what the ledger knows of an earlier session."""
        self._states.reach(_past_end(past))
        super().restore(past, now_us)
        self._again = {known.item for known in past.opened if self._states[known.item] == State.PENDING}

    def stock_endless(
        self, step: StepPlan, key_of: Callable[[int], Hashable] | None, *, resumed: bool = False
    ) -> None:
        """Have items handed out; `key_of`: the key of each, None where they have none."""
        known = self.known if resumed else 0

        def make(is_free: Callable[[int], bool]) -> Supply:
            supply: Endless
            if key_of is None:
                supply = EndlessPlain(step, self._states.reach, is_free, known)
            else:
                supply = EndlessKeyed(step, self._states.reach, is_free, key_of)
                supply.give_back(item for item in range(known) if is_free(item))
                supply.start = known
            self._endless = supply
            return supply

        self.stock(make)

    @property
    def counts(self) -> ItemCounts:
        """How the items ended so far; planned are those that were or will be sent, as far as one knows."""
        states = self._states.counts
        counts = super().counts
        unsent = states[State.PENDING] - len(self._again)
        return ItemCounts(
            counts.planned - unsent,
            counts.done,
            counts.failed,
            counts.unknown,
            counts.dropped,
            counts.cancelled,
        )

    @property
    def unleased(self) -> int:
        """Items that wait to be handed out: there is no end of them, until the time is over."""
        if not self.ended:
            return MANY
        return len(self._again) + self._states.counts[State.IN_DOUBT]

    @property
    def settled(self) -> bool:
        """The time is over, and all that was sent has its outcome."""
        return self.ended and super().settled

    def end(self) -> Decisions:
        """The time is over: what was not armed is not to be done after all."""
        self.ended = True
        made = Decisions()
        if self._endless is not None:
            self._endless.end()
        for number, lease in list(self._leases.items()):
            for item in sorted(lease.outstanding):
                if self._states[item] == State.LEASED and self._attempts[item] == 1:
                    lease.outstanding.discard(item)
                    self._states[item] = State.PENDING
                    self._let_go(item)
            self._end_if_empty(number, made)
        return made

    def grant(self, wanted: Wanted, now_us: int) -> Grant | None:
        """Hand out a chunk."""
        grant = super().grant(wanted, now_us)
        if grant is not None and self._again:
            self._again.difference_update(grant.chunk.items)
        return grant

    def settle(self, number: int, results: Iterable[Result], now_us: int) -> Decisions:
        """Take results in; a late one settles what was to be tried again."""
        made = super().settle(number, results, now_us)
        if self._again:
            self._again = {item for item in self._again if self._states[item] == State.PENDING}
        return made

    def _try_again(self, item: int, attempt: int, at_us: int, made: Decisions) -> None:
        super()._try_again(item, attempt, at_us, made)
        self._again.add(item)

    def _take_back(self, number: int, now_us: int, made: Decisions) -> Loss:
        order = self._leases[number].order
        loss = super()._take_back(number, now_us, made)
        tried = self._attempts.further(order)
        self._again.update(item for item in tried if self._states[item] == State.PENDING)
        return loss

    def _is_free(self, item: int) -> bool:
        return super()._is_free(item) and (not self.ended or item in self._again)


class EndlessPlain(PlainSupply):
    """Items without keys."""

    def __init__(
        self, step: StepPlan, reach: Callable[[int], None], is_free: Callable[[int], bool], start: int
    ) -> None:
        """`reach`: is told how far items go; those below `start` are handed out if they are free."""
        super().__init__(step, is_free)
        self._reach = reach
        self._cursor = start
        if start:
            self._returned.append((0, start))
        self._ended = False

    def take(self, wanted: Wanted) -> Chunk | None:
        """What came back goes first."""
        returned = self._take_returned(wanted.size)
        if returned is not None or self._ended:
            return returned
        start, self._cursor = self._cursor, self._cursor + wanted.size
        self._reach(self._cursor)
        return Chunk(self._step.index, start, self._cursor)

    def end(self) -> None:
        """Hand out nothing new any more."""
        self._ended = True


class EndlessKeyed:
    """Items with keys: a lane for each key of which something waits, or is out."""

    def __init__(
        self,
        step: StepPlan,
        reach: Callable[[int], None],
        is_free: Callable[[int], bool],
        key_of: Callable[[int], Hashable],
    ) -> None:
        self.start = 0
        """The next item that is new."""
        self._step = step
        self._reach = reach
        self._is_free = is_free
        self._key_of = key_of
        self._lanes: dict[Hashable, deque[int]] = {}
        self._out: Counter[Hashable] = Counter()
        self._free: dict[Hashable, None] = {}  # in order: keys of which nothing is out, and something waits
        self._waiting = 0
        self._ended = False

    def take(self, wanted: Wanted) -> Chunk | None:
        """Evenly from keys that are free, the one that waits longest first."""
        lanes = max(1, min(wanted.size, wanted.lanes))
        self._look_ahead(wanted.size, lanes)
        share = max(1, wanted.size // max(min(lanes, len(self._free)), 1))
        taken: list[tuple[int, ...]] = []
        while self._free and len(taken) < lanes:
            key = next(iter(self._free))
            del self._free[key]
            run = self._next(key, share)
            if run:
                self._out[key] += len(run)
                taken.append(run)
        if not taken:
            return None
        return Chunk(self._step.index, lanes=tuple(taken))

    def settled(self, item: int) -> None:
        """The last item that is out frees its key."""
        self._give_up(self._key_of(item))

    def give_back(self, items: Iterable[int]) -> None:
        """Put them back in front, in order: nothing of the key may overtake them."""
        keys = set()
        for item in items:
            key = self._key_of(item)
            keys.add(key)
            self._lanes.setdefault(key, deque()).append(item)
            self._waiting += 1
            if key in self._out:
                self._give_up(key)
        for key in keys:
            self._lanes[key] = deque(sorted(self._lanes[key]))
            self._offer(key)

    def hold(self, item: int) -> None:
        """Its key is not free."""
        key = self._key_of(item)
        self._out[key] += 1
        self._free.pop(key, None)

    def end(self) -> None:
        """Hand out nothing new any more."""
        self._ended = True

    def _look_ahead(self, size: int, lanes: int) -> None:
        """Sort new items into their lanes, until there is enough, or too much waits for its keys."""
        while not self._ended and self._waiting < LOOK_AHEAD:
            if self._waiting >= size and len(self._free) >= lanes:
                break
            key = self._key_of(self.start)
            self._lanes.setdefault(key, deque()).append(self.start)
            self._waiting += 1
            self.start += 1
            self._offer(key)
        self._reach(self.start)

    def _next(self, key: Hashable, count: int) -> tuple[int, ...]:
        """The next items of a key; those that are not to be handed out are passed over."""
        lane, run = self._lanes[key], list[int]()
        while lane and len(run) < count:
            item = lane.popleft()
            self._waiting -= 1
            if self._is_free(item):
                run.append(item)
        if not lane:
            del self._lanes[key]
        return tuple(run)

    def _offer(self, key: Hashable) -> None:
        if key not in self._out and key in self._lanes:
            self._free[key] = None

    def _give_up(self, key: Hashable) -> None:
        """One item less of the key is out."""
        self._out[key] -= 1
        if not self._out[key]:
            del self._out[key]
            self._offer(key)


def _past_end(past: Past) -> int:
    """One past the last item that the ledger knows of."""
    ends: list[int] = [stop for _, stop in past.done]
    ends += [done.item + 1 for done in past.settled]
    ends += [known.item + 1 for known in past.opened]
    ends += [max(record.chunk.items, default=0) + 1 for record in past.leases]
    return max(ends, default=0)
