"""The language of warm-ups: what is written comes back, and mistakes are pointed at."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen import Scenario
from loadgen.errors import ScenarioError, WarmUpError
from loadgen.warmup import NO_WARM_UP, WarmUp, parse


@given(
    st.one_of(
        st.builds(WarmUp, us=st.integers(1, 10**9).map(lambda ms: ms * 1000)),
        st.builds(WarmUp, items=st.integers(1, 10**9 - 1)),
    )
)
def test_what_is_written_is_read_again(warm_up: WarmUp) -> None:
    assert parse(str(warm_up)) == parse(f" {warm_up} ") == warm_up


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10s", WarmUp(us=10_000_000)),
        ("1.5 m", WarmUp(us=90_000_000)),
        ("1m30s", WarmUp(us=90_000_000)),
        ("500 items", WarmUp(items=500)),
        ("500", WarmUp(items=500)),
        ("1 item", WarmUp(items=1)),
        ("0", NO_WARM_UP),
    ],
)
def test_the_examples(text: str, said: WarmUp) -> None:
    assert parse(text) == said
    assert bool(parse(text)) == (text != "0")


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 0, "a time like 10s"),
        ("  ten", 2, "a time like 10s"),
        ("-5s", 0, "a time like 10s"),
        ("10sec", 2, "ms, s, m, h or items"),
        ("10 S", 3, "ms, s, m, h or items"),
        ("1.5 items", 1, "is whole"),
        ("10s long", 4, "the end"),
        ("10;", 2, "the end"),
        ("1m30s long", 6, "the end, as in 10s, 1m30s or 500 items"),
        ("1s30m", 4, "from large to small"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, at: int, words: str) -> None:
    with pytest.raises(WarmUpError) as caught:
        parse(text, "--warm-up")
    message, line, caret = str(caught.value).split("\n")
    assert message.startswith("--warm-up: ")
    assert words in message
    assert (line, caret) == (f"  {text}", f"  {' ' * at}^")


@given(st.text(alphabet="0123. smhitems\n;é", max_size=12))
def test_any_text_is_a_warm_up_or_a_mistake(text: str) -> None:
    with contextlib.suppress(WarmUpError):
        assert parse(str(parse(text))) == parse(text)


def test_a_scenario_has_one() -> None:
    assert Scenario(warm_up="10s").warm_up == WarmUp(us=10_000_000)
    assert not Scenario().warm_up
    with pytest.raises(WarmUpError, match=r"test_warmup\.py:\d+: expected ms"):
        Scenario(warm_up="10 apples")
    with pytest.raises(ScenarioError, match="warm_up=10 is no text"):
        Scenario(warm_up=10)  # type: ignore[arg-type]
