"""The states of many items, against a list that does the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.queues import states
from loadgen.queues.states import Attempts, State, States

ITEMS = 22
places = st.integers(0, ITEMS - 1)
kinds = st.sampled_from([State.PENDING, State.LEASED, State.DONE, State.DONE, State.FAILED])
changes = st.lists(
    st.tuples(places, kinds) | st.tuples(places, st.integers(0, ITEMS), kinds, kinds), max_size=40
)


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(states, "BLOCK", 4)
        patch.setattr(states, "FEW", 4)
        yield


@given(changes)
def test_they_are_as_a_list_would_have_them(changes):
    made, model = States(ITEMS), [State.PENDING] * ITEMS
    for change in changes:
        if len(change) == 2:
            item, state = change
            made[item] = model[item] = state
            continue
        start, stop, before, after = change
        alike = all(state == before for state in model[start:stop])
        assert made.are(range(start, stop), before) == alike
        assert made.move(range(start, stop), before, after) == alike
        if alike:
            model[start:stop] = [after] * len(model[start:stop])
    assert list(made) == [made[item] for item in range(ITEMS)] == model
    assert made.counts == [model.count(state) for state in State]
    assert len(made) == ITEMS


def test_blocks_that_are_all_done_take_no_room():
    made = States(ITEMS)
    for start in (8, 0, 4):
        assert made.move(range(start, start + 4), State.PENDING, State.LEASED)
    assert made.move(range(2, 12), State.LEASED, State.DONE)
    made[0] = made[1] = State.DONE
    assert [type(block) for block in made._blocks] == [int] * 6
    made[5] = State.FAILED
    assert [type(block) for block in made._blocks[:3]] == [int, bytes, int]
    made[5] = State.DONE
    assert [type(block) for block in made._blocks[:3]] == [int] * 3
    made[13] = State.ARMED
    assert [type(block) for block in made._blocks[:4]] == [int, int, int, bytearray]


@given(st.lists(st.tuples(places, st.sampled_from([1, 2, 3, 254, 255, 256, 257, 10**9])), max_size=40))
def test_attempts_are_as_a_dict_would_have_them(changes):
    made, model = Attempts(), dict.fromkeys(range(ITEMS), 1)
    for item, attempt in changes:
        made[item] = model[item] = attempt
        further = {item: attempt for item, attempt in model.items() if attempt > 1}
        assert {item: made[item] for item in range(ITEMS)} == model
        assert made.further(range(ITEMS)) == further
        assert made.further((3, item)) == {n: further[n] for n in (3, item) if n in further}
        for start in range(ITEMS):
            items = range(start, min(start + 6, ITEMS))
            assert made.are_further(items) == any(item in further for item in items)
