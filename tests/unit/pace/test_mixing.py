"""Whose turn it is among steps that run side by side."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageError
from loadgen.pace.mixing import Turns, parse_mix, parts

WEIGHTS = st.dictionaries(st.integers(0, 9), st.integers(1, 50).map(float), min_size=1, max_size=5)


def test_smoothly() -> None:
    turns, seen = Turns({0: 3, 1: 1}), []
    for _ in range(8):
        step = turns.order()[0]
        turns.took(step, 1)
        seen.append(step)
    assert seen == [0, 0, 0, 1] * 2


@given(WEIGHTS, st.integers(1, 300))
def test_each_step_has_its_share_within_an_item_or_two(weights: dict[int, float], items: int) -> None:
    turns, had = Turns(weights), dict.fromkeys(weights, 0)
    for _ in range(items):
        first, *_ = turns.order()
        turns.took(first, 1)
        had[first] += 1
    assert all(abs(had[step] - items * turns.share(step, weights)) < len(weights) for step in weights)


def test_who_has_no_more_leaves_its_share_to_the_others() -> None:
    assert parts({0: 3, 1: 1}, {0: 30, 1: 30}) == {0: [(0, 0.75)], 1: [(0, 0.25), (40, 1)]}
    assert parts({0: 2, 1: 1, 2: 1}, {0: 10, 1: 9, 2: 0}) == {
        0: [(0, 2 / 3)],
        1: [(0, 1 / 3), (15, 1)],
        2: [],
    }
    endless = {0: math.inf, 1: math.inf}
    assert parts({0: 3, 1: 1}, endless) == {0: [(0, 0.75)], 1: [(0, 0.25)]}
    assert Turns({0: 3, 1: 1, 2: 4}).share(0, (1,)) == 0.75


def test_words() -> None:
    assert parse_mix("browse=3, order = 0.5") == {"browse": 3, "order": 0.5}


@pytest.mark.parametrize(
    ("text", "word", "at"),
    [
        ("browse", "= and the weight of browse", 6),
        ("browse=x", "= and the weight of browse", 6),
        ("browse:3,order:1", "= and the weight of browse", 6),
        ("3=browse", "expected STEP=WEIGHT", 0),
        ("browse=3,", "expected STEP=WEIGHT", 9),
        ("browse=3;order=1", "comma", 8),
        ("browse=3,order=0", "above 0", 15),
        ("browse=3,order=-1", "above 0", 15),
        ("browse=3,browse=1", "already", 9),
    ],
)
def test_a_mistake_is_pointed_at(text: str, word: str, at: int) -> None:
    with pytest.raises(UsageError) as caught:
        parse_mix(text)
    first, *rest = str(caught.value).splitlines()
    assert word in first
    assert rest[1].index("^") - rest[0].index(text) == at
