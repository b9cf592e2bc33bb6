"""Who gets which part of a limit: never more in all than there is, whatever is lost or late."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen import __version__
from loadgen.queues.crew import Crew, dealt
from loadgen.queues.members import Member
from loadgen.queues.messages import PROTOCOL, Hello
from loadgen.steering import BY_HAND, Limits, Orders


def a_member(number: int, slots: int = 4) -> Member:
    return Member(number, Hello(f"w{number}", f"w{number}", "host", slots, PROTOCOL, __version__), 0, 0)


class Hand:
    """A worker that keeps to what it hears, as soon as it does."""

    def __init__(self, crew: Crew, member: Member, members: list[Member]) -> None:
        self.crew, self.member, self.members = crew, member, members
        self.told = Orders(0, slots=0)
        self.slots = 0
        """What it may have in flight."""
        crew.enrol(member)
        crew.admit(member)

    def call(self, *, answered: bool = True) -> None:
        """It says what it keeps to, and may hear what to keep to."""
        self.crew.admit(self.member)
        self.crew.hear(self.member, self.told.serial)
        orders = self.crew.orders(self.member, self.members)
        if answered and orders.serial > self.told.serial:
            self.told = orders
            self.slots = 10**6 if orders.slots is None else orders.slots

    def lose(self) -> None:
        """The master gives it up; it starts nothing before it was heard again."""
        self.member.here, self.slots = False, 0


@given(st.integers(0, 50), st.lists(st.integers(0, 20), min_size=1, max_size=8))
def test_a_number_is_dealt_whole_and_evenly(whole: int, weights: list[int]) -> None:
    parts = dealt(whole, weights)
    assert sum(parts) == whole
    total = sum(weights) or len(weights)
    for part, weight in zip(parts, weights if sum(weights) else [1] * len(weights), strict=True):
        assert abs(part - whole * weight / total) < 1


def test_where_nothing_is_limited_nobody_has_to_wait() -> None:
    crew, member = Crew(), a_member(1)
    crew.enrol(member)
    assert crew.orders(member, [member]) == Orders()
    assert crew.late([member]) == 0


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=80))
def test_a_limit_holds_at_every_moment(limit: int, moves: list[tuple[int, int]]) -> None:
    crew = Crew(Limits(in_flight=limit))
    members: list[Member] = []
    hands: list[Hand] = []
    for move, which in moves:
        if move == 0 and len(hands) < 4:
            members.append(a_member(len(members) + 1, slots=which + 1))
            hands.append(Hand(crew, members[-1], members))
        elif move == 1:
            crew.steering.pause(BY_HAND) if which else crew.steering.go_on(BY_HAND)
        elif hands:
            hand = hands[which % len(hands)]
            {2: hand.lose, 3: lambda hand=hand: hand.call(answered=False)}.get(move, hand.call)()
        assert sum(hand.slots for hand in hands) <= limit
    crew.steering.go_on(BY_HAND)
    for _ in range(5):
        for hand in hands:
            hand.call()
    if hands:
        assert sum(hand.slots for hand in hands) == limit, "and all of it is used in the end"
        assert crew.late(members) == 0


def test_a_newcomer_gets_what_the_other_has_given_up() -> None:
    crew = Crew(Limits(in_flight=4))
    members = [a_member(1), a_member(2)]
    first = Hand(crew, members[0], members[:1])
    first.call()
    assert first.slots == 4
    first.members = members
    second = Hand(crew, members[1], members)
    second.call()
    assert (second.slots, crew.late(members)) == (0, 2)
    first.call()
    second.call()
    assert (first.slots, second.slots) == (2, 0), "it was told, but has not said that it keeps to it"
    first.call()
    second.call()
    second.call()
    assert (first.slots, second.slots, crew.late(members)) == (2, 2, 0)


def test_a_rate_is_parted_by_slots() -> None:
    crew = Crew(Limits(rate=9.0))
    members = [a_member(1, 2), a_member(2, 4)]
    for member in members:
        crew.enrol(member)
    told = [crew.orders(member, members) for member in members]
    assert [orders.rate for orders in told] == [pytest.approx(3.0), pytest.approx(6.0)]
    assert [orders.slots for orders in told] == [None, None]


def test_the_orders_of_an_earlier_master_are_taken_back() -> None:
    crew, member = Crew(), a_member(1)
    crew.enrol(member)
    crew.hear(member, 7)
    assert crew.orders(member, [member]) == Orders(8)
    crew.hear(member, 8)
    assert crew.orders(member, [member]) == Orders(8)
    assert crew.late([member]) == 0
