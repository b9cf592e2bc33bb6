"""What a run is told: who pauses whom, which words say what, and an event for each change."""

from __future__ import annotations

import pytest

from loadgen.cli.steer import said as in_words
from loadgen.control import Answer
from loadgen.errors import UsageError
from loadgen.steering import (
    BY_BREAKER,
    BY_HAND,
    Limits,
    Setting,
    Steering,
    parse_rate,
    parse_settings,
    rate_text,
)


def said(changes: list) -> list[tuple[str, str]]:
    return [(change.kind, change.text) for change in changes]


def test_a_pause_stops_all_and_is_told_once() -> None:
    it = Steering(Limits(in_flight=8))
    assert (it.in_flight, it.idle) == (8, False)
    assert said(it.pause(BY_HAND)) == [("paused", "by hand")]
    assert it.pause(BY_HAND) == []
    assert (it.in_flight, it.paused) == (0, "by hand")
    assert said(it.go_on(BY_HAND)) == [("continued", "by hand")]
    assert it.go_on(BY_HAND) == []
    assert it.in_flight == 8


def test_people_come_before_machines() -> None:
    it = Steering()
    it.pause(BY_BREAKER, "12 of 20 failed")
    assert said(it.pause(BY_HAND)) == [("paused", "by hand")]
    assert it.pause(BY_BREAKER) == []
    assert it.paused == BY_HAND


def test_a_trial_is_a_cap_of_its_own_and_ends_with_a_pause() -> None:
    it = Steering(Limits(in_flight=8))
    it.pause(BY_BREAKER)
    assert said(it.go_on(BY_BREAKER, "it answers", trial=2)) == [
        ("continued", "by the breaker: it answers, with 2 in flight at first")
    ]
    assert it.in_flight == 2
    it.cap(1, BY_HAND)
    assert it.in_flight == 1
    it.cap(8, BY_HAND)
    assert said(it.trust(BY_BREAKER, "all done")) == [
        ("changed", "in flight on trial from 2 to all, by the breaker: all done")
    ]
    assert (it.in_flight, it.trust(BY_BREAKER, "")) == (8, [])
    it.pause(BY_BREAKER)
    it.go_on(BY_BREAKER, trial=2)
    it.pause(BY_HAND)
    it.go_on(BY_HAND)
    assert it.in_flight == 8


def test_each_limit_says_what_it_was() -> None:
    it = Steering()
    assert said(it.rate(50.0, BY_HAND)) == [("changed", "rate from none to 50/s, by hand")]
    assert it.rate(50.0, BY_HAND) == []
    assert said(it.rate(0.5, BY_HAND)) == [("changed", "rate from 50/s to 30/m, by hand")]
    assert said(it.cap(7, BY_HAND)) == [("changed", "max-in-flight from none to 7, by hand")]
    assert said(it.concurrency(3, BY_HAND)) == [("changed", "concurrency from none to 3, by hand")]
    assert said(it.cap(None, BY_HAND)) == [("changed", "max-in-flight from 7 to none, by hand")]
    assert it.limits == Limits(rate=0.5, concurrency=3)


def test_a_rate_that_items_have_of_their_own_is_named() -> None:
    it = Steering()
    assert it.come("40/s") == []
    assert said(it.rate(4.0, BY_HAND)) == [("changed", "rate from 40/s (its own) to 4/s, by hand")]
    assert said(it.rate(None, BY_HAND)) == [("changed", "rate from 4/s to 40/s (its own), by hand")]
    assert said(it.cap(7, BY_HAND)) == [("changed", "max-in-flight from none to 7, by hand")]
    assert it.idle is False


def test_in_the_end_nothing_may_be_in_flight_whatever_else_is_said() -> None:
    it = Steering()
    it.end()
    assert (it.idle, it.in_flight, it.paused) == (False, 0, "")
    it.cap(3, BY_HAND)
    assert it.in_flight == 0


@pytest.mark.parametrize(
    ("limits", "pace", "words"),
    [
        ({"rate": "none"}, "", "no limits"),
        ({"rate": "none"}, "its own rate, 40/s", "its own rate, 40/s"),
        ({"rate": "4/s"}, "", "rate 4/s"),
        (
            {"rate": "4/s", "max-in-flight": "3"},
            "not its own, 40/s",
            "rate 4/s, max-in-flight 3 (not its own, 40/s)",
        ),
    ],
)
def test_how_a_run_stands_is_said_with_its_pace(limits: dict[str, str], pace: str, words: str) -> None:
    assert in_words(Answer(limits=limits, pace=pace), "r1") == f"running: no item yet; {words}"


def test_settings_are_read() -> None:
    assert parse_settings(["rate=50/s", "concurrency=32", "max_in_flight=100"]) == (
        Setting("rate", 50.0),
        Setting("concurrency", 32),
        Setting("max-in-flight", 100),
    )
    assert parse_settings(["rate=none"]) == (Setting("rate", None),)
    it = Steering()
    for setting in parse_settings(["rate=6/m", "concurrency=3", "max-in-flight=4"]):
        setting.apply(it, BY_HAND)
    assert it.limits == Limits(rate=0.1, in_flight=4, concurrency=3)


@pytest.mark.parametrize(
    ("words", "at", "what"),
    [
        (["rat=5/s"], 0, "rat cannot be set; there are rate, concurrency, max-in-flight"),
        (["rate=5/s", "rate=6/s"], 9, "said twice"),
        (["rate=5"], 6, "write 5/s"),
        (["rate=0/s"], 5, "a limit of 0"),
        (["rate=5/sec"], 6, "needs its time, /s"),
        (["rate=5/ss"], 6, "needs its time"),
        (["rate=x"], 5, "a rate like 50/s"),
        (["rate"], 4, "rate=VALUE"),
        (["rate=1/s", "concurrency="], 21, "concurrency=none"),
        (["concurrency=0"], 12, "from 1 to 10000"),
        (["rate=1/s", "max-in-flight=x"], 23, "from 1 to 1000000"),
        (["max-in-flight=-1"], 14, "from 1"),
    ],
)
def test_a_mistake_in_a_setting_is_pointed_at(words: list[str], at: int, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_settings(words)
    message, line, caret = str(caught.value).split("\n")
    assert what in message
    assert (line, caret) == (f"  {' '.join(words)}", f"  {' ' * at}^")


@pytest.mark.parametrize(("text", "rate"), [("100/s", 100.0), ("30/m", 0.5), (" 2.5 / s ", 2.5)])
def test_rates_are_read_and_written(text: str, rate: float) -> None:
    assert parse_rate(text, "--max-rate") == rate
    assert parse_rate(rate_text(rate), "again") == rate


@pytest.mark.parametrize("text", ["", "100", "/s", "0/s", "-1/s", "1/d", "1e3/s", "inf/s"])
def test_what_is_no_rate_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=r"--max-rate: .*(rate|rates)\b.*\n.*\n *\^"):
        parse_rate(text, "--max-rate")
