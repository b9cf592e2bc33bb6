"""How long slots think, and when they have."""

import statistics

import pytest

from loadgen.columns import Harvest
from loadgen.errors import UsageError
from loadgen.pace.thinking import Think, parse_think
from loadgen.sample import Outcome, Result
from loadgen.worker.resting import Rests


def test_words() -> None:
    assert parse_think("1s") == Think(1_000_000, 1_000_000)
    assert parse_think(" 0.5s-1m2s ") == Think(500_000, 62_000_000)


@pytest.mark.parametrize(
    ("text", "word", "at"),
    [("a while", "duration", 0), ("1s to 2s", "expected the end", 2), ("2s-1s", "shorter", 3)],
)
def test_a_mistake_is_pointed_at(text: str, word: str, at: int) -> None:
    with pytest.raises(UsageError) as caught:
        parse_think(text)
    first, *rest = str(caught.value).splitlines()
    assert word in first
    assert rest[1].index("^") - rest[0].index(text) == at


def test_a_think_time_is_uniform_and_the_same_again() -> None:
    think = parse_think("1s-3s")
    seen = [think.after_us(7, 0, item) for item in range(2000)]
    assert seen == [think.after_us(7, 0, item) for item in range(2000)]
    assert seen != [think.after_us(8, 0, item) for item in range(2000)]
    assert min(seen) >= 1_000_000
    assert max(seen) <= 3_000_000
    assert statistics.fmean(seen) == pytest.approx(2_000_000, rel=0.03)
    assert statistics.pstdev(seen) == pytest.approx(2_000_000 / 12**0.5, rel=0.05)


def test_a_slot_rests_from_the_end_of_its_item() -> None:
    """However late the worker hears of it; items of steps without a think time let nobody rest."""
    rests = Rests({0: Think(1_000_000, 1_000_000)}, 0)
    wall_us = 1_700_000_000_000_000
    plain = [Result(item, 1, Outcome.DONE, wall_us + item, 500_000) for item in range(2)]
    failed = Result(2, 1, Outcome.FAILED, wall_us, 100_000, "no")
    rests.begin(0, Harvest.of([*plain, failed]), ahead_us=wall_us)
    rests.begin(1, Harvest.of([Result(9, 1, Outcome.DONE, wall_us, 1)]), ahead_us=wall_us)
    assert rests.count(600_000) == 3
    assert rests.wait_s(600_000) == 0.5
    assert rests.count(1_100_000) == 2, "the failed one was the first to end"
    assert rests.count(1_500_000) == 1
    assert rests.count(1_500_001) == 0
    assert rests.wait_s(1_500_001) is None
