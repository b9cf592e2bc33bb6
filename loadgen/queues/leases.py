"""The lease machine: which item is in which state, and what may happen to it next.

Pure: events in, decisions out; the time is an argument, in microseconds of a clock that never jumps.
A worker may send an item only after its mark was acknowledged (ARMED), so
when a lease expires, only armed items without a result are in doubt; the rest was provably never sent.

    state       event                               next
    ----------  ----------------------------------  ------------------------------------------------
    PENDING     granted                             LEASED
    PENDING     late result                         DONE, FAILED
    LEASED      armed, lease live                   ARMED
    LEASED      armed, lease stale                  unchanged: refused, the worker drops the lease
    LEASED      late result of an older lease       DONE, FAILED: the worker is told to skip it
    LEASED      lease expired or released           PENDING, same attempt
    ARMED       result                              DONE, FAILED
    ARMED       result that asks for a retry        PENDING, attempt + 1, not before its time
    ARMED       result: no slot was free in time    DROPPED, never sent
    ARMED       lease released, item never started  PENDING, same attempt
    ARMED       lease expired, at_most_once         UNKNOWN
    ARMED       lease expired, at_least_once        PENDING, attempt + 1
    ARMED       lease expired, verify               IN_DOUBT, for the longest that a request can live
    IN_DOUBT    granted for verification            VERIFYING
    VERIFYING   exists / absent / cannot tell       DONE / PENDING, attempt + 1 / UNKNOWN
    VERIFYING   lease expired                       IN_DOUBT
    UNKNOWN, IN_DOUBT, VERIFYING  late result       DONE, FAILED: the doubt is resolved
    ARMED, VERIFYING  lost for the third time       FAILED (poison), or UNKNOWN where there is doubt
    DONE, FAILED      result of another attempt     unchanged: a duplicate execution
    DONE, FAILED      same attempt, other content   unchanged: a conflict, told to people

A key is held while any of its items is out, and after an expiry for as long as a request may still be
under way.

A new master loads the leases that are not over, and takes an open item for held and a settled one for
done with.  Where that is wrong, a mark that runs backwards says so: (p + 1, p), the item at p has left
the lease, for a retry or by a verdict; (p + 2, p), it was settled by a late result, and is still armed.
Such a lease is over for a new master only when the quarantine of its key is over.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from loadgen.plan import Chunk
from loadgen.queues.decisions import Decisions, Grant, Loss, Rules, Wanted
from loadgen.queues.states import Attempts, State, States
from loadgen.queues.supply import Supply
from loadgen.record import Fate, ItemCounts, LeaseRecord, OpenItem, Past
from loadgen.sample import Outcome, Presence, Result

FREE_RETRIES = 10
"""So many retries are within any budget: a small run must be able to use its Retry."""

MOST_LOSSES = 3
"""An item that was lost so often is not tried again: it may be what kills its workers."""

_LEFT, _STAYS = 1, 2
"""How far a mark runs backwards: see the end of the module's docstring."""


_BY_OUTCOME = {
    Outcome.DONE: State.DONE,
    Outcome.FAILED: State.FAILED,
    Outcome.UNKNOWN: State.UNKNOWN,
    Outcome.DROPPED: State.DROPPED,
    Outcome.CANCELLED: State.CANCELLED,
}
_FINAL = (State.DONE, State.FAILED, State.CANCELLED, State.DROPPED)


@dataclass(slots=True)
class _Lease:
    session: str
    order: Sequence[int]
    expires_us: int
    outstanding: set[int]
    verifying: bool = False


class LeaseMachine:
    """The items of one step."""

    def __init__(self, items: int, rules: Rules, *, first_lease: int = 1) -> None:
        self._states = States(items)
        self._rules = rules
        self._leases: dict[int, _Lease] = {}
        self._next_lease = first_lease
        self._attempts = Attempts()
        self._lost: dict[int, int] = {}
        self._resultless: set[int] = set()  # settled without a result: a late one is still welcome
        self._later: list[tuple[int, int]] = []  # (time, item): what the supply gets back then
        self._waiting: set[int] = set()  # pending, and not before its time in _later
        self._lingering: dict[int, int] = {}  # settled, sent again by a lease that is over: that lease
        self._over: list[int] = []  # leases that nothing lingers of any more
        self._doubtful: deque[int] = deque()  # in doubt, and the quarantine is over
        self._tries = 0
        self._retries = 0
        self._supply: Supply | None = None

    # Loading what an earlier session left

    def restore(self, past: Past, now_us: int) -> None:
        """Load what the ledger knows of an earlier session."""
        for start, stop in past.done:
            self._states.move(range(start, stop), State.PENDING, State.DONE)
        for done in past.settled:
            self._states[done.item] = _BY_OUTCOME[done.outcome]
            self._attempts[done.item] = done.attempt
            if not done.has_result:
                self._resultless.add(done.item)
        for known in past.opened:
            if self._states[known.item] != State.PENDING:
                continue
            self._attempts[known.item] = known.attempt
            if known.lost:
                self._lost[known.item] = known.lost
            if known.in_doubt:
                self._states[known.item] = State.IN_DOUBT
        for record in past.leases:
            self._reload(record, now_us)
        self._resume_quarantines(past, now_us)

    def _reload(self, record: LeaseRecord, now_us: int) -> None:
        """A lease from before the restart lives on, with its full life."""
        order = tuple(record.chunk)
        left = {stop for start, stop in record.armed if start == stop + _LEFT}
        stays = {stop for start, stop in record.armed if start == stop + _STAYS} - left
        idle = State.IN_DOUBT if record.verifying else State.PENDING
        held = {item for at, item in enumerate(order) if self._states[item] == idle and at not in left}
        for item in held:
            self._states[item] = State.VERIFYING if record.verifying else State.LEASED
        for start, stop in record.armed:
            for item in order[start:stop]:
                if item in held and self._states[item] == State.LEASED:
                    self._states[item] = State.ARMED
        held |= {order[at] for at in stays}
        expires_us = now_us + self._rules.ttl_us
        self._leases[record.lease] = _Lease(record.session, order, expires_us, held, record.verifying)

    def _resume_quarantines(self, past: Past, now_us: int) -> None:
        """Nobody knows how long the old master has been gone: its quarantines start again.

        Not those of a step that is all settled: what was in them is known as UNKNOWN already.
        """
        quiet_us = now_us + self._rules.quarantine_us
        waiting = [known.item for known in past.opened if self._states[known.item] == State.IN_DOUBT]
        if self._rules.keyed and self._rules.delivery == "at_least_once":
            again = [known.item for known in past.opened if known.lost]
            self._waiting = {item for item in again if self._states[item] == State.PENDING}
            waiting += self._waiting
        if self.counts.pending:
            doubtful = (Outcome.UNKNOWN, Outcome.FAILED)
            waiting += [d.item for d in past.settled if not d.has_result and d.outcome in doubtful]
        self._later = [(quiet_us, item) for item in sorted(waiting)]

    def stock(self, make: Callable[[Callable[[int], bool]], Supply]) -> None:
        """Give it the supply that it hands out from; made knowing which items are pending."""
        self._supply = make(self._is_free)
        for item in {item for lease in self._leases.values() for item in lease.outstanding}:
            self._supply.hold(item)
        for _, item in self._later:
            self._supply.hold(item)

    def retire(self) -> None:
        """The step is over: there is nothing to hand out, a late result may still end a doubt."""
        self._supply = None

    # What there is

    @property
    def next_lease(self) -> int:
        """The number of the next lease: lease numbers go on from step to step."""
        return self._next_lease

    @next_lease.setter
    def next_lease(self, number: int) -> None:
        self._next_lease = number  # another step, open at the same time, had those before

    @property
    def known(self) -> int:
        """Items that there can be results of."""
        return len(self._states)

    @property
    def counts(self) -> ItemCounts:
        """How the items ended so far."""
        counts = self._states.counts
        return ItemCounts(
            planned=len(self._states),
            done=counts[State.DONE],
            failed=counts[State.FAILED],
            unknown=counts[State.UNKNOWN],
            dropped=counts[State.DROPPED],
            cancelled=counts[State.CANCELLED],
        )

    @property
    def leased(self) -> int:
        """Items that are out: not armed yet, armed, or being verified."""
        return sum(self._states.counts[state] for state in (State.LEASED, State.ARMED, State.VERIFYING))

    @property
    def unleased(self) -> int:
        """Items that wait to be handed out, to be done or to be verified."""
        return self._states.counts[State.PENDING] + self._states.counts[State.IN_DOUBT]

    @property
    def settled(self) -> bool:
        """Every item has its outcome, and no late result may still end a doubt."""
        return self.counts.pending == 0 and not self._later

    def state(self, item: int) -> State:
        """Where an item stands."""
        return State(self._states[item])

    # Events

    def grant(self, wanted: Wanted, now_us: int) -> Grant | None:
        """Hand out a chunk; None: nothing is free now.

        Items to be verified go first: keys and the end of the run wait for them.
        """
        self._return_due(now_us)
        doubtful = self._take_doubtful(wanted.size)
        if doubtful:
            chunk: Chunk | None = Chunk(self._rules.step, lanes=tuple((item,) for item in doubtful))
        else:
            chunk = self._supply.take(wanted) if self._supply else None
        if chunk is None:
            return None
        order = chunk.items
        if not (_neighbours(order) and self._states.move(order, State.PENDING, State.LEASED)):
            for item in order:
                self._states[item] = State.VERIFYING if doubtful else State.LEASED
        number, self._next_lease = self._next_lease, self._next_lease + 1
        expires_us = now_us + self._rules.ttl_us
        self._leases[number] = _Lease(wanted.session, order, expires_us, set(order), bool(doubtful))
        return Grant(number, chunk, self._attempts.further(order), bool(doubtful))

    def arm(self, session: str, number: int, span: tuple[int, int], now_us: int) -> tuple[int, ...] | None:
        """Mark the items at these positions as about to be sent; None: the lease is stale.

        Returns the items among them that must not be sent after all.
        """
        lease = self._live(session, number, now_us)
        if lease is None or lease.verifying:
            return None
        if self._arm_range(lease, span):
            return ()
        skip = []
        for item in lease.order[span[0] : span[1]]:
            state = self._states[item] if item in lease.outstanding else None
            if state == State.LEASED:
                self._states[item] = State.ARMED
            elif state != State.ARMED:
                skip.append(item)
        return tuple(skip)

    def _arm_range(self, lease: _Lease, span: tuple[int, int]) -> bool:
        """Arm neighbouring items that are all ours and all LEASED: the usual case, at a tenth of the cost."""
        items = lease.order[span[0] : span[1]]
        if not _neighbours(items) or not lease.outstanding.issuperset(items):
            return False
        return self._states.move(items, State.LEASED, State.ARMED)

    def settle_plain(self, number: int, spans: Iterable[tuple[int, int]]) -> Decisions | None:
        """Take in that these items were done at their first attempt, if the lease has them all ARMED.

        None: it has not, and nothing was changed; each result has to be looked at by itself, with `settle`.
        """
        lease = self._leases.get(number)
        if lease is None or lease.verifying:
            return None
        ranges = [range(*span) for span in spans]
        for items in ranges:
            if not self._states.are(items, State.ARMED):
                return None
            if not lease.outstanding.issuperset(items) or self._attempts.are_further(items):
                return None
        for items in ranges:
            self._states.move(items, State.ARMED, State.DONE)
            lease.outstanding.difference_update(items)
            self._tries += len(items)
            if self._supply and self._rules.keyed:
                for item in items:
                    self._supply.settled(item)
        made = Decisions()
        self._end_if_empty(number, made)
        return made

    def settle(self, number: int, results: Iterable[Result], now_us: int) -> Decisions:
        """Take results in: of the lease that holds their items, or late ones of a lease that is over."""
        made = Decisions()
        for result in results:
            self._settle_one(number, result, now_us, made)
        self._end_if_empty(number, made)
        return made

    def verdict(
        self, session: str, number: int, answers: Iterable[tuple[int, Presence]], now_us: int
    ) -> Decisions | None:
        """What was found when items in doubt were looked for; None: the lease is stale, nothing changes."""
        lease = self._live(session, number, now_us)
        if lease is None or not lease.verifying:
            return None
        made = Decisions()
        for item, presence in answers:
            if item not in lease.outstanding:
                continue
            lease.outstanding.discard(item)
            attempt = self._attempts[item]
            if presence is Presence.EXISTS:
                self._decide(Fate(item, Outcome.DONE, attempt, "found on the target"), made)
                self._let_go(item)
            elif presence is Presence.ABSENT:
                self._note(number, item, _LEFT, made)
                self._try_again(item, attempt + 1, now_us, made)
            else:
                self._decide(Fate(item, Outcome.UNKNOWN, attempt, "could not be looked for"), made)
                self._let_go(item)
        self._end_if_empty(number, made)
        return made

    def renew(self, session: str, leases: Iterable[int], now_us: int) -> tuple[int, ...]:
        """Keep the session's leases alive; returns those that it does not have (any more)."""
        dropped = []
        for number in leases:
            lease = self._live(session, number, now_us)
            if lease is None:
                dropped.append(number)
            else:
                lease.expires_us = now_us + self._rules.ttl_us
        return tuple(dropped)

    def release(self, session: str, number: int, unstarted: Iterable[int], now_us: int) -> Decisions:
        """The session gives a lease back; `unstarted`: armed items that it did not start after all."""
        made = Decisions()
        lease = self._leases.get(number)
        if lease is None or lease.session != session:
            return made
        for item in unstarted if lease.expires_us > now_us else ():
            if item in lease.outstanding and self._states[item] == State.ARMED:
                self._states[item] = State.LEASED
        for item in [item for item in lease.outstanding if self._states[item] == State.VERIFYING]:
            lease.outstanding.discard(item)
            self._states[item] = State.IN_DOUBT
            self._doubtful.append(item)
        self._take_back(number, now_us, made)
        return made

    def expire(self, now_us: int) -> Decisions:
        """Take back the leases that were not renewed in time."""
        made = Decisions()
        for number in [number for number, lease in self._leases.items() if lease.expires_us <= now_us]:
            made.losses.append(self._take_back(number, now_us, made))
        self._return_due(now_us)
        made.ended += self._over
        self._over.clear()
        return made

    # How it is done

    def _is_free(self, item: int) -> bool:
        """Whether it may be handed out."""
        return self._states[item] == State.PENDING and item not in self._waiting

    def _settle_one(self, number: int, result: Result, now_us: int, made: Decisions) -> None:
        item, state = result.item, State(self._states[result.item])
        self._tries += result.outcome is not Outcome.DROPPED
        lease = self._leases.get(number)
        ours = lease is not None and item in lease.outstanding and not lease.verifying
        for_holder = result.retry_ms is not None or result.outcome is Outcome.DROPPED
        if state in _FINAL and not self._welcome(result, state):
            if result.attempt == self._attempts[item] and _BY_OUTCOME[result.outcome] != state:
                made.conflicts.add(item)
        elif result.retry_ms is not None and ours and self._may_retry():
            self._note(number, item, _LEFT, made)
            lease.outstanding.discard(item)  # type: ignore[union-attr]
            self._try_again(item, result.attempt + 1, now_us + result.retry_ms * 1000, made)
            return
        elif for_holder and not ours and state in (State.PENDING, State.LEASED, State.ARMED):
            return  # its next attempt is on its way already
        else:
            if state not in (State.LEASED, State.ARMED, State.PENDING):
                made.resolved.add(item)
            if not ours:
                self._leave_holder(item, state, made)
            self._states[item] = _BY_OUTCOME[result.outcome]
            self._attempts[item] = result.attempt
            self._lost.pop(item, None)
            self._resultless.discard(item)
            made.counted.add((item, result.attempt))
        if ours:
            if (item, result.attempt) not in made.counted:
                self._note(number, item, _LEFT, made)
            lease.outstanding.discard(item)  # type: ignore[union-attr]
            self._let_go(item)

    def _welcome(self, result: Result, state: State) -> bool:
        """Whether a result still counts for an item that was settled without one.

        Found on the target is found: a result that says otherwise does not change that.
        """
        if result.item not in self._resultless:
            return False
        return state != State.DONE or result.outcome is Outcome.DONE

    def _may_retry(self) -> bool:
        allowed = FREE_RETRIES + self._rules.retry_budget * self._tries
        if self._retries >= allowed:
            return False
        self._retries += 1
        return True

    def _leave_holder(self, item: int, state: State, made: Decisions) -> None:
        """A late result settles an item that another lease holds: only an armed one is really under way."""
        if state not in (State.LEASED, State.ARMED, State.VERIFYING):
            return
        number = next(number for number, lease in self._leases.items() if item in lease.outstanding)
        if state == State.ARMED:
            self._note(number, item, _STAYS, made)
            return
        self._leases[number].outstanding.discard(item)
        self._let_go(item)
        self._end_if_empty(number, made)

    def _note(self, number: int, item: int, how: int, made: Decisions) -> None:
        """What a new master could not tell from the items and the marks."""
        position = self._leases[number].order.index(item)
        made.marks.append((number, position + how, position))

    def _take_back(self, number: int, now_us: int, made: Decisions) -> Loss:
        """A lease is over: what was not sent is handed out again, what was armed is in doubt."""
        lease = self._leases.pop(number)
        self._end(number, lease, made)
        armed = 0
        unsent = []
        for item in sorted(lease.outstanding):
            state = self._states[item]
            if state == State.LEASED:
                self._states[item] = State.PENDING
                unsent.append(item)
            elif state == State.ARMED:
                armed += 1
                self._lose(item, now_us, made)
            elif state == State.VERIFYING:
                self._lose_verification(item, made)
            else:  # settled by a late result while this lease may have been sending it again
                heapq.heappush(self._later, (now_us + self._rules.quarantine_us, item))
        if unsent and self._supply:
            self._supply.give_back(unsent)
        return Loss(number, lease.session, len(unsent), armed)

    def _end(self, number: int, lease: _Lease, made: Decisions) -> None:
        """A lease is over; for a new master only when no key waits for what it has sent of settled items."""
        lingering = {item for item in lease.outstanding if self._states[item] in _BY_OUTCOME.values()}
        if not lingering or not self._rules.keyed:
            made.ended.append(number)
            return
        self._lingering |= dict.fromkeys(lingering, number)
        position = {item: at for at, item in enumerate(lease.order)}
        left = [position[item] for item in sorted(lease.outstanding - lingering)]
        made.marks += [(number, at + _LEFT, at) for at in left]

    def _lose(self, item: int, now_us: int, made: Decisions) -> None:
        attempt, lost = self._attempts[item], self._lost.get(item, 0) + 1
        self._lost[item] = lost
        quiet_us = now_us + self._rules.quarantine_us
        if self._rules.delivery == "at_least_once":
            if lost >= MOST_LOSSES:
                self._decide(Fate(item, Outcome.FAILED, attempt, f"lost with its worker {lost} times"), made)
                heapq.heappush(self._later, (quiet_us, item))
            else:
                self._try_again(item, attempt + 1, quiet_us if self._rules.keyed else now_us, made)
        elif self._rules.delivery == "verify" and lost < MOST_LOSSES:
            self._states[item] = State.IN_DOUBT
            heapq.heappush(self._later, (quiet_us, item))
            made.opened.append(OpenItem(item, attempt, lost, in_doubt=True))
        else:
            self._decide(
                Fate(item, Outcome.UNKNOWN, attempt, "lost with its worker after it was armed"), made
            )
            heapq.heappush(self._later, (quiet_us, item))

    def _lose_verification(self, item: int, made: Decisions) -> None:
        attempt, lost = self._attempts[item], self._lost.get(item, 0) + 1
        self._lost[item] = lost
        if lost >= MOST_LOSSES:
            self._decide(Fate(item, Outcome.UNKNOWN, attempt, "lost while it was looked for"), made)
            self._let_go(item)
        else:
            self._states[item] = State.IN_DOUBT
            self._doubtful.append(item)
            made.opened.append(OpenItem(item, attempt, lost, in_doubt=True))

    def _try_again(self, item: int, attempt: int, at_us: int, made: Decisions) -> None:
        """Hand an item out again, as this attempt, not before this time."""
        self._states[item] = State.PENDING
        self._attempts[item] = attempt
        self._waiting.add(item)
        made.opened.append(OpenItem(item, attempt, self._lost.get(item, 0), in_doubt=False))
        heapq.heappush(self._later, (at_us, item))

    def _decide(self, fate: Fate, made: Decisions) -> None:
        self._states[fate.item] = _BY_OUTCOME[fate.outcome]
        self._attempts[fate.item] = fate.attempt
        self._resultless.add(fate.item)
        made.fates.append(fate)

    def _return_due(self, now_us: int) -> None:
        """Give the supply what had to wait: for its time to be tried again, or for a quarantine to end."""
        again = []
        while self._later and self._later[0][0] <= now_us:
            _, item = heapq.heappop(self._later)
            self._waiting.discard(item)
            number = self._lingering.pop(item, None)
            if number is not None and number not in self._lingering.values():
                self._over.append(number)
            state = self._states[item]
            if state == State.PENDING:
                again.append(item)
            elif state == State.IN_DOUBT:
                self._doubtful.append(item)
            else:
                self._let_go(item)
        if again and self._supply:
            self._supply.give_back(again)  # together: neighbours go out in one chunk

    def _take_doubtful(self, size: int) -> list[int]:
        taken: list[int] = []
        while self._doubtful and len(taken) < size:
            item = self._doubtful.popleft()
            if self._states[item] == State.IN_DOUBT:
                taken.append(item)
            else:  # a late result came first
                self._let_go(item)
        return taken

    def _live(self, session: str, number: int, now_us: int) -> _Lease | None:
        lease = self._leases.get(number)
        return lease if lease and lease.session == session and lease.expires_us > now_us else None

    def _end_if_empty(self, number: int, made: Decisions) -> None:
        lease = self._leases.get(number)
        if lease is not None and not lease.outstanding:
            del self._leases[number]
            made.ended.append(number)

    def _let_go(self, item: int) -> None:
        """The item is not out any more: its key may be free."""
        if self._supply:
            self._supply.settled(item)


def _neighbours(items: Sequence[int]) -> TypeGuard[range]:
    """Whether they are items in a row."""
    return isinstance(items, range) and items.step == 1
