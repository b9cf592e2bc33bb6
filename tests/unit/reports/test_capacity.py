"""What `loadgen selftest` makes of its levels."""

from typing import Any

import pytest

from loadgen.reports.capacity import HEADING, Level, calls, conclusion, is_over, steps


def a_level(in_flight: int, verdict: str | None = "ok", **changes: Any) -> Level:
    told: dict[str, Any] = {
        "in_flight": in_flight,
        "delay_ms": 20.0,
        "rate_per_s": in_flight * 49.0,
        "p50_ms": 20.4,
        "p99_ms": 22.0,
        "late_p50_ms": 0.0,
        "late_p99_ms": 1.0,
        "probe_ms": 0.2,
        "verdict": verdict,
        "reasons": () if verdict in ("ok", None) else (f"too many: {in_flight}",),
    }
    return Level(**{**told, **changes})


def test_levels_grow_by_four_up_to_the_most() -> None:
    assert steps(1000) == [1, 4, 16, 64, 256, 1000]
    assert steps(64) == [1, 4, 16, 64]
    assert steps(1) == [1]


def test_a_level_takes_as_long_as_it_should_where_the_machine_keeps_up() -> None:
    assert calls(16, 20, 2.0, None) == 1600
    assert calls(16, 20, 2.0, a_level(4)) == pytest.approx(1600, rel=0.03)
    assert calls(64, 20, 0.0, None) == 64, "at least one each"


def test_and_where_it_is_at_its_end() -> None:
    slow = a_level(256, rate_per_s=3000.0)
    assert calls(1000, 20, 2.0, slow) == 6000, "more in flight gives no more calls"
    assert calls(1000, 20, 2.0, a_level(64)) == pytest.approx(4 * 64 * 49 * 2, rel=0.03)


def test_a_row_tells_the_error_beyond_what_the_server_was_late() -> None:
    row = a_level(64, p50_ms=30.0, p99_ms=42.0, late_p50_ms=5.0).row
    assert row.split() == ["64", "3136", "30.0", "42.0", "+20%", "+100%", "1.00", "0.20", "ok"]
    assert a_level(1, None).row.endswith("not told")
    assert len(HEADING) <= 110


def test_the_sentence_names_the_last_level_that_was_true() -> None:
    ok = [a_level(1), a_level(4), a_level(16)]
    (all_well,) = conclusion(ok, "Python")
    assert all_well == (
        "This machine drives 16 in flight / 784 calls a second truly with Python steps, and perhaps more:"
        " no more was tried."
    )
    (found,) = conclusion([*ok, a_level(64, "suspect"), a_level(256, "invalid")], "described")
    assert found == (
        "This machine drives up to about 16 in flight / 784 calls a second truly with described steps;"
        " beyond that the verdict turns suspect: too many: 64"
    )
    (hiccup,) = conclusion([a_level(1, "suspect"), a_level(4), a_level(16, "invalid")], "Python")
    assert "up to about 4 in flight" in hiccup, "a hiccup at the first level is not the end"


def test_where_nothing_is_true_or_nothing_was_seen() -> None:
    (sentence,) = conclusion([a_level(1, None), a_level(4, "invalid")], "Python")
    assert sentence == "Now, this machine takes no times that are true, with 4 in flight: too many: 4"
    assert conclusion([a_level(1, None)], "Python") == [
        "Too little was seen to say anything: give it more --seconds."
    ]


def test_a_server_that_was_late_itself_is_named() -> None:
    _, sentence = conclusion([a_level(1), a_level(4, late_p99_ms=3.0)], "Python")
    assert sentence.startswith("With 4 in flight the built-in server")


def test_two_invalid_levels_are_enough() -> None:
    assert not is_over([a_level(1, "invalid")])
    assert not is_over([a_level(1, "invalid"), a_level(4, "suspect"), a_level(16, "invalid")])
    assert is_over([a_level(1), a_level(4, "invalid"), a_level(16, "invalid")])
