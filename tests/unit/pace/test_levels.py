"""How many items are in flight over time, and who has how many of them."""

import pytest

from loadgen.errors import UsageError
from loadgen.pace.levels import parse_ramp


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("30s", {0: 1, 10: 22, 15: 32, 29.9: 63, 30: 64, 1e6: 64}),
        ("0s", {0: 64}),
        ("0:1,30s:64,5m:64,5m30s:0", {0: 1, 30: 64, 200: 64, 315: 32, 330: 0, 1000: 0}),
        ("0:8, 10s:8, 10s:16", {9.99: 8, 10: 16}),
        ("0:1000", {0: 64, 5: 64}),
        ("0:0,23s:7", {115 / 7: 5}),
    ],
)
def test_straight_lines_between_the_points(text: str, levels: dict[float, int]) -> None:
    ramp = parse_ramp(text)
    assert {at: ramp.in_flight_at(at, slots=64) for at in levels} == levels


@pytest.mark.parametrize(
    ("text", "word", "at"),
    [
        ("thirty", "duration like 500ms, 30s, 2m, 1m30s or 1h, or points like 0:1,30s:64", 0),
        ("30", "or points like 0:1,30s:64", 2),
        ("30s up", "or points like 0:1,30s:64", 3),
        ("0:1,30:64", "then a colon and a number of items", 6),
        ("0:1,30s", "colon", 7),
        ("5s:1", "first point", 0),
        ("0:1,30s:2.5", "whole number", 8),
        ("0:1,30s:8,20s:9", "a point is not before", 10),
        ("0:0,30s:0", "all numbers are 0", 0),
    ],
)
def test_a_mistake_is_pointed_at(text: str, word: str, at: int) -> None:
    with pytest.raises(UsageError) as caught:
        parse_ramp(text, "--ramp")
    first, *rest = str(caught.value).splitlines()
    assert first.startswith("--ramp: ")
    assert word in first
    assert rest[1].index("^") - rest[0].index(text) == at


def test_what_a_ramp_comes_to() -> None:
    assert (parse_ramp("30s").most, parse_ramp("0:1,9s:7").most) == (None, 7)
    assert [parse_ramp(text).ends_at_none for text in ("30s", "0:1,9s:0")] == [False, True]
