"""Which part of what the run is told each worker gets.  Pure.

A limit on items in flight holds at every moment, also while it is dealt out anew: a worker is told less at
once, but more only when the others have said that they keep to less.  So what counts for a worker is the
most it was told since the orders that it said it obeys.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from loadgen.queues.members import Member
from loadgen.steering import Limits, Orders, Steering


class Crew:
    """The workers of a run, and what they were told."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.steering = Steering(limits)

    def enrol(self, member: Member) -> None:
        """A worker is new: where anything is limited, it may do nothing before it was told."""
        self._begin(member, 0)

    def admit(self, member: Member) -> None:
        """A worker is here (again): while it was gone, its part was given to others."""
        unlimited = self.steering.idle and member.told == [Orders(member.told[-1].serial)]
        if not member.here and not unlimited:
            self._begin(member, member.told[-1].serial)
            member.is_told = False
        member.here = True

    def orders(self, member: Member, members: Collection[Member]) -> Orders:
        """What the worker is to keep to now."""
        last = member.told[-1]
        if self.steering.idle and member.is_told and last == Orders(last.serial):
            return last
        slots, rate, width = self._part(member, members)
        if not member.is_told or (slots, rate, width) != (last.slots, last.rate, last.width):
            last = Orders(last.serial + 1, slots, rate, width)
            member.told.append(last)
            member.is_told = True
        return last

    def hear(self, member: Member, obeys: int) -> None:
        """The worker says which orders it keeps to: what it was told before them counts no more."""
        if obeys > member.told[-1].serial:  # those of an earlier master
            self._begin(member, obeys)
            member.is_told = False
        for place, orders in enumerate(member.told):
            if orders.serial == obeys:
                del member.told[:place]
                return

    def late(self, members: Collection[Member]) -> int:
        """Workers that do not keep yet to what they are to keep to in the end."""
        here = [member for member in members if member.here]
        parts = self._parts(here)
        rates = self._rates(here, parts)
        return sum(
            not member.is_told
            or len(member.told) > 1
            or (member.told[0].slots, member.told[0].rate, member.told[0].width)
            != (part, rate, self.steering.limits.concurrency)
            for member, part, rate in zip(here, parts, rates, strict=True)
        )

    def _begin(self, member: Member, serial: int) -> None:
        member.is_told = self.steering.idle
        member.told = [Orders(serial, slots=None if self.steering.idle else 0)]

    def _part(
        self, member: Member, members: Collection[Member]
    ) -> tuple[int | None, float | None, int | None]:
        here = [other for other in members if other.here]
        place = here.index(member)
        parts = self._parts(here)
        part, rate = parts[place], self._rates(here, parts)[place]
        cap = self.steering.in_flight
        if part is not None and cap is not None:
            held = _most(member)
            if held is not None and held < part:
                others = [_most(other) for other in here if other is not member]
                known = [most for most in others if most is not None]
                free = cap - sum(known) if len(known) == len(others) else 0
                part = max(held, min(part, free))
        return part, rate, self.steering.limits.concurrency

    def _parts(self, here: Sequence[Member]) -> Sequence[int | None]:
        """What each is to have in flight in the end."""
        cap = self.steering.in_flight
        return [None] * len(here) if cap is None else dealt(cap, [member.hello.slots for member in here])

    def _rates(self, here: Sequence[Member], parts: Sequence[int | None]) -> Sequence[float | None]:
        rate = self.steering.limits.rate
        slots = [
            member.hello.slots if part is None else part for member, part in zip(here, parts, strict=True)
        ]
        whole = sum(slots)
        return [rate * own / whole if rate is not None and own else None for own in slots]


def dealt(whole: int, weights: Sequence[int]) -> list[int]:
    """A whole number, parted by weight; the remainder goes to where most was cut off, first come first.

    >>> dealt(5, [4, 4, 2])
    [2, 2, 1]
    """
    total = sum(weights)
    if not total:
        weights, total = [1] * len(weights), len(weights)
    parts = [whole * weight // total for weight in weights]
    cut = sorted(range(len(weights)), key=lambda place: -(whole * weights[place] % total))
    for place in cut[: whole - sum(parts)]:
        parts[place] += 1
    return parts


def _most(member: Member) -> int | None:
    """What it may have in flight, as far as it has said; None: nobody knows."""
    slots = [orders.slots for orders in member.told]
    known = [each for each in slots if each is not None]
    return max(known) if len(known) == len(slots) else None
