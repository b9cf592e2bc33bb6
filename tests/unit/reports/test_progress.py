"""What people see while a run goes on."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadgen.record import (
    ItemCounts,
    StepFacts,
)
from loadgen.reports.progress import (
    LiveProgress,
    NoProgress,
    PlainProgress,
    display,
    plain_line,
)
from loadgen.reports.pulse import Progress, Pulse
from loadgen.reports.screen import Scene, State, where
from loadgen.view import QueueView, WorkerView

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
STEPS = [StepFacts(0, "create", 100, "verify"), StepFacts(1, "run", 1_000, "verify")]


def durations(*ms: float) -> list[int]:
    return [round(each * 1_000) for each in ms]


def a_view(counts: ItemCounts = ItemCounts(), workers: tuple[WorkerView, ...] = ()) -> QueueView:  # noqa: B008
    return QueueView(
        counts=counts,
        settled=counts.pending == 0,
        leased=0,
        first_lease_us=None,
        last_lease_us=None,
        workers=workers,
    )


def a_worker(**changes: object) -> WorkerView:
    fields = {"slots": 8, "items": 1, "calls": 1, "in_flight": 5, "cpu": 0.5, "here": True, "lost": False}
    return WorkerView(name="w", **{**fields, **changes})


def a_progress(**changes: object) -> Progress:
    made = Progress(
        elapsed_s=83.0,
        step="create_flow",
        number=2,
        steps=3,
        step_counts=ItemCounts(planned=10_000, done=4_700, failed=11),
        run_counts=ItemCounts(planned=11_100, done=4_800, failed=11, unknown=1),
        rate_now=312.4,
        rate_mean=298.0,
        p50_ms=12.34,
        p95_ms=45.6,
        in_flight=64,
        workers=3,
        eta_s=21.1,
        event="worker joined: loader-3:4003",
    )
    return replace(made, **changes)


def test_rate_now_is_of_the_last_seconds_and_mean_of_all():
    pulse = Pulse(STEPS, START)
    for second in range(20):
        pulse.record(10 if second < 10 else 40, [], START + second * SECOND)
    seen = pulse.progress(1, a_view(ItemCounts(planned=1_000)), START + 20 * SECOND)
    assert seen.rate_now == 40
    assert seen.rate_mean == 25
    later = pulse.progress(1, a_view(), START + 40 * SECOND)
    assert (later.rate_now, later.rate_mean) == (0, 12.5)
    assert later.elapsed_s == 40


def test_percentiles_are_of_the_last_seconds():
    pulse = Pulse(STEPS, START)
    pulse.record(0, durations(*[500] * 50), START)
    pulse.record(0, durations(*range(1, 101)), START + 10 * SECOND)
    seen = pulse.progress(0, a_view(), START + 11 * SECOND)
    assert (seen.p50_ms, seen.p95_ms) == (50, 95)
    assert pulse.progress(0, a_view(), START + 60 * SECOND).p50_ms is None


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3_000)), max_size=40))
def test_memory_is_bounded(reports):
    pulse = Pulse(STEPS, START)
    at_us = START
    for seconds, count in reports:
        at_us += seconds * SECOND
        pulse.record(1, durations(*[1] * count), at_us)
    assert len(pulse._seconds) <= 31
    assert all(len(second.durations_us) <= 2_000 for second in pulse._seconds)


def test_counts_of_the_run_are_those_of_all_steps():
    pulse = Pulse(STEPS, START)
    before = pulse.progress(None, a_view(), START)
    assert (before.step, before.number, before.steps) == ("", 0, 2)
    assert before.run_counts == ItemCounts(planned=1_100)
    pulse.progress(0, a_view(ItemCounts(planned=100, done=99, failed=1)), START)
    seen = pulse.progress(1, a_view(ItemCounts(planned=1_000, done=10)), START)
    assert (seen.step, seen.number) == ("run", 2)
    assert seen.step_counts == ItemCounts(planned=1_000, done=10)
    assert seen.run_counts == ItemCounts(planned=1_100, done=109, failed=1)


def test_the_end_is_estimated_from_the_last_half_minute():
    pulse = Pulse(STEPS, START)
    assert pulse.progress(None, a_view(), START).eta_s is None
    for second in range(60):
        pulse.record(100 if second < 30 else 10, [], START + second * SECOND)
    seen = pulse.progress(1, a_view(ItemCounts(planned=1_000, done=900)), START + 60 * SECOND)
    assert seen.eta_s == pytest.approx(20)  # 100 of step 0 and 100 of step 1, at 10/s


def test_only_workers_that_are_here_count():
    gone = a_worker(here=False, in_flight=7)
    seen = Pulse(STEPS, START).progress(0, a_view(workers=(a_worker(), a_worker(), gone)), START)
    assert (seen.workers, seen.in_flight) == (2, 10)


def test_reports_of_many_threads_are_all_counted():
    pulse = Pulse(STEPS, START)
    many = range(2_000)
    threads = [threading.Thread(target=lambda: [pulse.record(1, (), START) for _ in many]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pulse.progress(0, a_view(), START + SECOND).rate_mean == 8_000


def test_the_plain_line_says_it_all():
    assert plain_line(a_progress()) == (
        "create_flow (step 2 of 3): 4812 of 11100 (43 %), 11 failed, 1 unknown, 312/s now, 298/s mean,"
        " p50 12.3 ms, p95 45.6 ms, 64 in flight, 3 workers, after 1 min 23 s, 21 s left"
    )


def test_steps_that_all_run_side_by_side_are_not_counted():
    assert where(a_progress(step="browse + order", number=1, steps=2)) == "browse + order"
    assert where(a_progress(step="browse + order", number=1, steps=3)) == "browse + order (step 1 of 3)"


def plain(shows: list[Progress]) -> list[str]:
    file = io.StringIO()
    with PlainProgress(Console(file=file, width=40)) as progress:
        for each in shows:
            progress.show(Scene(each))
    return file.getvalue().splitlines()


def test_a_log_gets_a_line_at_once_and_then_every_five_seconds():
    shows = [
        a_progress(elapsed_s=tenth / 10, run_counts=ItemCounts(planned=500, done=tenth))
        for tenth in range(201)
    ]
    lines = plain(shows)
    assert [line.split(": ")[1].split(" of ")[0] for line in lines] == ["0", "50", "100", "150", "200"]


def test_a_log_gets_no_line_without_news_but_a_sign_of_life_each_minute():
    shows = [a_progress(elapsed_s=float(second), eta_s=100.0 + second) for second in range(121)]
    assert [line.split("after ")[1].split(",")[0] for line in plain(shows)] == [
        "0 s",
        "1 min 0 s",
        "2 min 0 s",
    ]


def test_a_log_hears_at_once_that_the_master_does_something_itself():
    ready = a_progress(step="", elapsed_s=0.0)
    setting_up = [replace(ready, task="setting up", task_calls=n, elapsed_s=n / 10) for n in range(1, 80)]
    first, *more = plain([ready, *setting_up, replace(ready, elapsed_s=8.1)])
    assert first.startswith("getting ready: 4812 of 11100 (43 %)")
    assert more == [
        "setting up: 1 call, after 0 s",
        "setting up: 51 calls, after 5 s",
    ]


def test_a_log_hears_at_once_that_the_run_stands_still_and_that_it_goes_on():
    file = io.StringIO()
    paused = State("PAUSED by breaker", well=False)
    with PlainProgress(Console(file=file)) as progress:
        for tenth in range(60):
            state = paused if tenth in range(10, 30) else State()
            progress.show(Scene(a_progress(elapsed_s=tenth / 10), state))
    lines = [line.partition("create_flow")[0] for line in file.getvalue().splitlines()]
    assert lines == ["", "PAUSED by breaker; ", ""]


def test_the_display_fits_the_console():
    assert isinstance(display(Console(file=io.StringIO()), quiet=True), NoProgress)
    assert isinstance(display(Console(file=io.StringIO()), quiet=False), PlainProgress)
    terminal = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})
    assert isinstance(display(terminal, quiet=False), LiveProgress)
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(display(dumb, quiet=False), PlainProgress)


def test_no_progress_shows_nothing(capsys):
    with NoProgress() as progress:
        progress.show(Scene(a_progress()))
        progress.hide()
    assert capsys.readouterr() == ("", "")
