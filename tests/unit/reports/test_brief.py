"""The end report on one screen: what it says, that it fits, and what it leaves to --verbose."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import fake_records
import pytest
from fake_records import STARTED_US, a_run
from rich.cells import cell_len
from rich.console import Console
from test_terminal import KINDS, flat
from test_terminal import shown as shown_as

from loadgen.clock import SystemClock
from loadgen.lag import BUCKETS, Lag, bucket
from loadgen.record import Event, ItemCounts, WorkerFacts
from loadgen.reports.waiting import Waiting

SCREEN = 23
"""Lines of a terminal of 24: the prompt has one."""


def shown(record, width=80, **options) -> str:
    return shown_as(record, width, form="terminal", **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_no_line_is_wider_than_the_terminal(kind, width, encoding):
    lines = shown(getattr(fake_records, kind)(), width, encoding=encoding).split("\n")
    assert max(map(cell_len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_a_run_that_went_well_fits_the_screen():
    record = fake_records.good()
    assert len(shown(record).splitlines()) <= SCREEN
    late = [0] * BUCKETS
    late[bucket(80_000)] = 500
    record.crew[0] = replace(record.crew[0], lag=Lag(tuple(late)))
    record.run.settings["thresholds"] = ["failed<1%", "create_flow.p95<10s"]
    text = shown(record)
    assert len(text.splitlines()) <= SCREEN, "also with a warning and thresholds"
    assert flat(text).index("Generator INVALID: loader-1:4001: about") < text.index("Steps"), "before times"


def test_the_verdict_comes_first_and_what_to_type_last():
    lines = shown(fake_records.good()).splitlines()
    assert lines[0] == "OK  11100 of 11100 items done in 37.2 s (exit code 0)"
    assert lines[1] == "Items      11100 planned: 11100 done, 0 failed, 0 unknown"
    assert [line.split()[0] for line in lines[-3:]] == ["Files", "Report", "Undo"]
    assert lines[-2].endswith("loadgen report 20231114-221320-azkaban --verbose")
    text = flat("\n".join(lines))
    for fact in (
        "10000 of 10000 expected found, 0 missing, 0 unexpected",
        "Workers 2 with 64 slots, none lost",
        "http://127.0.0.1:8081",
    ):
        assert fact in text
    for rest in ("Versions", "Options", "Over time", "Attempts", "Time  "):
        assert rest not in text


def test_a_run_that_went_badly_says_why_and_folds():
    record = fake_records.bad()
    record.tries = [
        replace(row, error=f"kind {chr(97 + n % 9)}") if row.error else row
        for n, row in enumerate(record.tries)
    ]
    record.log = [Event(STARTED_US + n, "changed", f"change {n}") for n in range(9)]
    record.log += [Event(STARTED_US + n, "lease expired", f"lease {n}") for n in range(9)]
    text = shown(record)
    assert text.startswith("FAILED  60 of 3100 items failed (exit code 3)\n")
    for fact in (
        "40 of 3100 items have an unknown outcome",
        "1 LOST: loader-2:4002",
        "Errors (63)",
        "of 7 other kinds, with --verbose",
        "Events (UTC; 7 earlier, with --verbose)",
        "changed: change 8",
        "lease expired: 9 times, the last: lease 8",
    ):
        assert fact in flat(text)
    assert "change 6" not in text
    assert "e.g." not in text


def test_many_of_anything_are_folded():
    record = a_run({f"step{n}": 2 for n in range(9)}, workers=2)
    record.run.settings["thresholds"] = [f"failed<{n}" for n in range(1, 8)] + ["done>99"]
    lost = [WorkerFacts(n, f"w{n}", "h", 1, 0, 0, 0.0, 1.0, lost=True) for n in range(3, 9)]
    record.crew += lost
    text = flat(shown(record))
    assert "and 3 steps more, with --verbose" in text
    assert "6 LOST: w3, w4, w5 and 3 more" in text
    assert "Thresholds 7 of 8 held: failed<1 (0), failed<2 (0)" in text
    assert "Thresholds value held done>99 18 NO" in text


def test_reasons_and_crossed_thresholds_are_folded():
    record = a_run({"put": 3})
    record.run.settings["thresholds"] = [f"done>{n}" for n in range(3, 10)]
    text = flat(shown(record))
    assert text.startswith("THRESHOLD done>3: it was 3")
    assert "and 2 reasons more, with --verbose" in text
    assert "and 3 thresholds more, with --verbose" in text
    assert "with --verbose" not in flat(shown_as(record))


def test_an_interrupted_run_says_how_to_go_on():
    text = shown(fake_records.interrupted(), incomplete="stopped by Ctrl-C")
    assert "8000 pending" in flat(text)
    assert text.splitlines()[-3].startswith("Go on      loadgen resume ")


def test_words_tell_without_colour(monkeypatch):
    """NO_COLOR takes every colour away, and not one word."""
    record = a_run({"put": 3}, outcomes={"put": ItemCounts(planned=3, done=2, failed=1)})
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = shown(record, force_terminal=True, color_system="256")
    assert "\x1b[1;38;5;" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shown(record, force_terminal=True, color_system="256")
    assert "38;5" not in plain
    assert Console(file=io.StringIO()).render_str(plain).plain.startswith("\x1b[1mFAILED")


# What takes long


class SlowClock(SystemClock):
    """Each look at it is a second later."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic_us(self) -> int:
        self.now += 1_000_000
        return self.now


def test_what_is_quick_leaves_no_trace_in_a_log():
    file = io.StringIO()
    with Waiting(Console(file=file), SystemClock(), "reading"):
        pass
    with Waiting(Console(file=file, force_terminal=True), SystemClock(), "reading", quiet=True):
        pass
    assert file.getvalue() == ""


def test_what_is_slow_is_told_to_a_log_when_it_shows_and_when_it_is_over(monkeypatch):
    monkeypatch.setattr("loadgen.reports.waiting.SLOW_S", 0)
    file, told = io.StringIO(), threading.Event()
    waiting = Waiting(Console(file=file), SlowClock(), "reading")
    said = waiting._say
    monkeypatch.setattr(waiting, "_say", lambda text: (said(text), told.set()))
    with waiting:
        assert told.wait(10)
    assert file.getvalue() == "reading ...\nreading: took 1 s\n"


def test_a_terminal_has_one_line_and_it_is_gone_before_anything_else():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system=None, width=40, _environ={"TERM": "x"})
    with Waiting(console, SlowClock(), "reading " + "long " * 20) as waiting:
        waiting._live.refresh()
        assert cell_len(waiting._line().plain) <= 40
        waiting.before(file).write("the report")
    assert "reading" in file.getvalue()
    assert file.getvalue().endswith("\x1b[1A\x1b[2Kthe report")
