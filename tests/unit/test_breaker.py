"""The circuit breaker, by itself: time is handed in."""

from __future__ import annotations

import pytest

from loadgen.breaker import Breaker, Decision, Rule, parse_breaker
from loadgen.errors import UsageError

SECOND = 1_000_000


class Story:
    """A breaker and its clock."""

    def __init__(self, text: str = "50% over 10s") -> None:
        self.it = Breaker(parse_breaker(text))
        self.now_us = 1_000 * SECOND

    def after(self, seconds: float, done: int = 0, failed: int = 0) -> str:
        """What it decides after so long, when so many have ended."""
        self.now_us += round(seconds * SECOND)
        self.it.record(done + failed, failed, self.now_us)
        decision = self.it.look(self.now_us)
        return "" if decision is None else decision.action

    def probed(self, why: str = "") -> Decision | None:
        return self.it.probed(why, self.now_us)

    def trip(self) -> Story:
        assert self.after(0, failed=20) == "pause"
        return self


def test_it_trips_at_its_share_of_enough_items() -> None:
    story = Story()
    assert story.after(0, done=9, failed=10) == "", "19 say nothing"
    assert story.after(0.1, done=2) == "", "10 of 21 are not half of them"
    assert story.after(0.1, failed=1) == "pause"
    assert story.it.state == "open"


def test_what_is_older_than_the_window_does_not_count() -> None:
    story = Story()
    assert story.after(0, failed=19) == ""
    assert story.after(11, done=19) == ""
    assert story.after(0, failed=18) == ""
    assert story.after(0, failed=1) == "pause"


def test_it_goes_on_when_the_probe_works_and_trusts_after_twenty() -> None:
    story = Story().trip()
    assert story.after(0.9) == ""
    assert story.after(0.1) == "probe"
    assert story.after(3) == "", "one probe at a time"
    decision = story.probed()
    assert decision is not None
    assert decision.action == "continue"
    assert story.it.state == "half"
    assert story.after(1, done=19) == ""
    assert story.after(1, done=1) == "trust"
    assert story.it.state == "closed"


def test_probes_come_after_1_2_4_8_10_10_seconds() -> None:
    story = Story("50% over 10s for 10m").trip()
    waits = []
    for _ in range(6):
        waits.append(next(tenths for tenths in range(1, 200) if story.after(0.1) == "probe") / 10)
        assert story.probed("refused") is None
    assert waits == [1, 2, 4, 8, 10, 10]


def test_a_trial_that_fails_trips_it_again_for_longer() -> None:
    story = Story().trip()
    assert story.after(1) == "probe"
    story.probed()
    assert story.after(0.1, done=5, failed=9) == ""
    assert story.after(0.1, failed=1) == "pause", "half of twenty: the rest cannot make it good"
    assert story.after(1.9) == ""
    assert story.after(0.1) == "probe"


def test_after_trust_it_is_as_new() -> None:
    story = Story().trip()
    story.after(1)
    story.probed("refused")
    story.after(2)
    story.probed()
    assert story.after(0, done=20) == "trust"
    story.trip()
    assert story.after(1) == "probe"


def test_patience_ends_with_the_last_reason() -> None:
    story = Story("50% over 10s for 5s").trip()
    assert story.after(1) == "probe"
    story.probed("nothing answers")
    assert story.after(2) == "probe"
    story.probed("nothing answers here")
    story.now_us += 2 * SECOND
    assert story.it.look(story.now_us) == Decision("stop", "nothing answers here")


def test_what_was_in_flight_says_nothing_while_it_is_open() -> None:
    story = Story().trip()
    assert story.after(0.5, failed=50) == ""
    assert story.after(0.5) == "probe"
    story.it.record(50, 50, story.now_us)
    story.probed()
    assert story.after(0, done=1) == ""


def test_people_reset_it() -> None:
    story = Story().trip()
    story.it.reset()
    assert story.after(60) == ""
    assert story.after(0, failed=19) == ""
    story.it.reset()
    assert story.after(0, failed=19) == ""
    assert story.probed() is None, "a probe that was under way finds nobody"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("50% over 10s", Rule(0.5, 10 * SECOND)),
        (" 12.5 %  over 1m for 500ms ", Rule(0.125, 60 * SECOND, 500_000)),
        ("100% over 1h for 2m", Rule(1.0, 3600 * SECOND, 120 * SECOND)),
    ],
)
def test_rules_are_read(text: str, rule: Rule) -> None:
    assert parse_breaker(text) == rule


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("", 0, "a share"),
        ("50", 0, "a share"),
        ("0% over 10s", 0, "a share"),
        ("101% over 10s", 0, "a share"),
        ("50%", 3, "expected over"),
        ("50% ovr 10s", 4, "expected over"),
        ("50% over", 8, "a duration"),
        ("50% over 10", 11, "a duration"),
        ("50% over 0s", 9, "a duration"),
        ("50% over 100ms", 4, "1s or longer"),
        ("50% over 10s after 2m", 13, "expected for"),
        ("50% over 10s for", 16, "a duration"),
        ("50% over 10s for 2m x", 20, "the end"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, at: int, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_breaker(text, "--breaker")
    message, line, caret = str(caught.value).split("\n")
    assert message.startswith("--breaker: ")
    assert what in message
    assert (line, caret) == (f"  {text}", f"  {' ' * at}^")
