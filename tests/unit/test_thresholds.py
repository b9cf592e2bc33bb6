"""The language of thresholds: what is written comes back, and mistakes are pointed at."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgen.errors import ThresholdError
from loadgen.thresholds import Threshold, check_steps, parse

STEPS = st.from_regex(r"[A-Za-z_]\w{0,12}", fullmatch=True).filter(
    lambda name: name != "calls" and name.isidentifier()
)
LABELS = st.one_of(
    st.text(min_size=1).map(str.strip).filter(bool),
    st.sampled_from(
        ["POST /manager", "GET /a.b?x>=1", "p95", "a.p99", "GET /.", "over 3s", "a<1s abort", "calls.x"]
    ),
)
NUMBERS = st.integers(0, 10**15 - 1).map(lambda n: n / 10**6)
SHARES = st.integers(0, 10**8).map(lambda n: n / 10**6)
PERCENTILES = st.integers(1, 99_999).map(lambda n: f"p{n / 1000:g}")
SPANS = st.integers(1, 10**6).map(lambda ms: ms * 1000)


@st.composite
def thresholds(draw: st.DrawFn) -> Threshold:
    of = draw(st.sampled_from(["items", "calls"]))
    kind = draw(st.sampled_from(["time", "rate", "number"]))
    words = {"items": ["done", "failed", "unknown", "dropped", "cancelled"], "calls": ["errors"]}[of]
    times = st.one_of(PERCENTILES, st.sampled_from(["min", "mean", "max"]))
    measure = draw({"time": times, "rate": st.just("rate"), "number": st.sampled_from(words)}[kind])
    units = {"time": ["us", "ms", "s"], "rate": ["/s"], "number": ["", "%"]}[kind]
    unit = draw(st.sampled_from(units))
    has_windows = measure not in ("unknown", "dropped", "cancelled")
    action = draw(st.sampled_from(["", "abort", "pause"]))
    return Threshold(
        of,
        draw(st.one_of(st.just(""), STEPS if of == "items" else LABELS)),
        measure,
        draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="])),
        draw(SHARES if unit == "%" else NUMBERS),
        unit,
        draw(st.one_of(st.none(), SPANS.filter(lambda us: us >= 10**6))) if has_windows else None,
        action,
        draw(st.one_of(st.just(0), SPANS)) if action else 0,
    )


@settings(max_examples=60)
@given(thresholds())
def test_what_is_written_is_read_again(threshold: Threshold) -> None:
    assert parse(str(threshold)) == threshold
    assert parse(f"  {threshold}  ") == threshold


@given(st.text(alphabet="p95<=>. 1%s/overabtcllms\n", max_size=30))
def test_any_text_is_a_threshold_or_a_mistake_with_a_place(text: str) -> None:
    try:
        threshold = parse(text)
    except ThresholdError as error:
        _, line, caret = str(error).split("\n")
        assert len(line) == len(text) + 2
        assert 2 <= caret.index("^") <= len(line)
    else:
        assert parse(str(threshold)) == threshold


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("create_flow.p95<800ms", Threshold("items", "create_flow", "p95", "<", 800, "ms")),
        ("create_flow.p99.9<1s", Threshold("items", "create_flow", "p99.9", "<", 1, "s")),
        ("failed<1%", Threshold("items", "", "failed", "<", 1, "%")),
        ("unknown==0", Threshold("items", "", "unknown", "==", 0, "")),
        ("rate >= 50 /s", Threshold("items", "", "rate", ">=", 50, "/s")),
        ("calls.POST /manager.p99.9<2s", Threshold("calls", "POST /manager", "p99.9", "<", 2, "s")),
        ("calls.p95.rate>1/s", Threshold("calls", "p95", "rate", ">", 1, "/s")),
        ("calls.errors==0", Threshold("calls", "", "errors", "==", 0, "")),
        ("p95<800ms over 30s", Threshold("items", "", "p95", "<", 800, "ms", 30_000_000)),
        ("p95<1s over 1m abort", Threshold("items", "", "p95", "<", 1, "s", 60_000_000, action="abort")),
        ("failed<5 abort after 10s", Threshold("items", "", "failed", "<", 5, "", None, "abort", 10_000_000)),
        ("failed<5 pause after 2s", Threshold("items", "", "failed", "<", 5, "", None, "pause", 2_000_000)),
    ],
)
def test_the_examples(text: str, said: Threshold) -> None:
    assert parse(text) == said


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("", 0, "a comparison"),
        ("failed", 6, "a comparison"),
        ("failed=1", 6, "a comparison"),
        ("<1%", 0, "what is measured"),
        ("faild<1", 0, "did you mean failed?"),
        ("put.p95x<1s", 4, "items have no p95x"),
        ("p100<1s", 0, "items have no p100"),
        ("p0<1s", 0, "above 0"),
        ("calls.GET /.failed<1", 12, "calls have no failed"),
        ("GET /.p95<1s", 0, "calls.LABEL.p95"),
        ("p95<", 4, "a number"),
        ("p95<-1s", 4, "a number"),
        ("p95<800", 7, "needs a unit"),
        ("p95<800 over 3s", 8, "needs a unit"),
        ("p95<5%", 5, "needs a unit"),
        ("p95<5sec", 5, "needs a unit"),
        ("rate<5", 6, "ends in /s"),
        ("failed<10ms", 9, "no unit, or %"),
        ("failed<150%", 7, "at most 100%"),
        ("p95<1s over", 11, "a duration"),
        ("p95<1s over 30", 14, "a duration"),
        ("p95<1s over 100ms", 12, "1s or longer"),
        ("unknown<1 over 30s", 10, "no windows"),
        ("p95<1s abort after", 18, "a duration"),
        ("p95<1s after 3s", 7, "over, abort, pause or the end"),
        ("p95<1s pause abort", 13, "after or the end"),
        ("p95<1s abort over 3s", 13, "after or the end"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, at: int, words: str) -> None:
    with pytest.raises(ThresholdError) as caught:
        parse(text, "--threshold")
    message, line, caret = str(caught.value).split("\n")
    assert message.startswith("--threshold: ")
    assert words in message
    assert (line, caret) == (f"  {text}", f"  {' ' * at}^")


def test_a_step_that_is_not_there_is_pointed_at() -> None:
    known = [parse("put.p95<1s"), parse("calls.get.p95<1s"), parse("failed<1")]
    check_steps(known, ["put"])
    with pytest.raises(ThresholdError, match=r"no step putt; did you mean put\?\n   putt\.p95<1s\n   \^$"):
        check_steps([*known, parse(" putt.p95<1s")], ["put"])


@pytest.mark.parametrize(
    ("text", "values", "worst"),
    [
        ("p95<1s", (1, 3, 2), 3),
        ("rate>=5/s", (7, 4, 6), 4),
        ("failed==0", (0, 2, 0), 2),
        ("done!=3", (3, 5), 3),
    ],
)
def test_the_worst_value_is_on_the_wrong_side(text: str, values: tuple[int, ...], worst: int) -> None:
    threshold = parse(text)
    found = values[0]
    for value in values[1:]:
        found = value if threshold.worse(value, found) else found
    assert found == worst
