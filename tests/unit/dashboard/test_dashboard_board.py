"""What the browsers are told: the terminal's numbers, in one message for all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loadgen.columns import Harvest
from loadgen.control import Answer
from loadgen.dashboard.board import About, Board, Sources, end_of
from loadgen.record import Event, ItemCounts, StepFacts
from loadgen.reports.pulse import Pulse
from loadgen.reports.schema import Verdict
from loadgen.reports.watch import Standing
from loadgen.sample import Outcome, Result, Sample
from loadgen.view import QueueView, WorkerView

BEGAN_S = 1_700_000_000
STEPS = (StepFacts(0, "put", 100, "at_most_once"),)


class Run:
    """A run that a test moves on."""

    def __init__(self) -> None:
        self.now_us = BEGAN_S * 1_000_000
        self.pulse = Pulse(STEPS, self.now_us)
        self.events: list[Event] = []
        self.answer = Answer(planned=100, limits={"rate": "none"})
        self.workers: tuple[WorkerView, ...] = ()
        self.counts = ItemCounts(planned=100)
        self.standings = [Standing("p95<1s", 12.0, "ms", holds=True)]
        self.board = Board("server", lambda: self.now_us)

    def open(self) -> None:
        about = About("id", "scenario", "title", "http://t", {"password": "***"}, {}, STEPS, "runs/id")
        sources = Sources(
            self.pulse, lambda: self.answer, lambda: self.standings, lambda known: self.events[known:]
        )
        self.board.open(about, sources)

    def see(self) -> None:
        view = QueueView(self.counts, False, 0, None, None, self.workers)
        self.board.show(0, self.pulse.progress(0, view, self.now_us), view)

    def pass_seconds(self, seconds: int) -> None:
        self.now_us += seconds * 1_000_000

    def tick(self, *, watched: bool = True) -> dict[str, Any]:
        return read(self.board.tick(watched=watched))

    def whole(self) -> dict[str, Any]:
        return read(self.board.whole())


def read(message: bytes | None) -> dict[str, Any]:
    assert message is not None
    assert message.startswith(b"data: ")
    assert message.endswith(b"\n\n")
    assert message.count(b"\n") == 2, "a line break in it would end the event"
    return dict(json.loads(message[6:]))


def harvest(durations_us: list[int], failed: int = 0) -> Harvest:
    ends = [Outcome.FAILED] * failed + [Outcome.DONE] * (len(durations_us) - failed)
    results = [Result(n, 1, end, 1, us) for n, (end, us) in enumerate(zip(ends, durations_us, strict=True))]
    samples = [
        Sample(0, 1, "put", 1, us, error="refused" if end is Outcome.FAILED else "")
        for end, us in zip(ends, durations_us, strict=True)
    ]
    return Harvest.of(results, samples)


def worker(name: str, items: int, *, here: bool = True, lost: bool = False) -> WorkerView:
    return WorkerView(name, 4, items, items, 2, 0.5, here, lost)


@pytest.fixture
def run() -> Run:
    made = Run()
    made.open()
    return made


def test_before_it_begins_there_is_a_page_all_the_same() -> None:
    message = Run().whole()
    assert (message["now"]["phase"], message["points"], message["about"]["run"]) == ("starting", [], "")


def test_points_are_what_was_reported_in_each_second(run: Run) -> None:
    run.pulse.take(harvest([10_000, 20_000, 30_000, 40_000], failed=1), run.now_us)
    run.pass_seconds(2)
    run.see()
    message = run.whole()
    assert message["points"] == [], "seconds are told when the clock's thread has taken them in"
    assert run.tick()["about"]["run"] == "id", "the first message after the beginning has all"
    (first, second) = run.whole()["points"]
    assert first == [0, [4, 1, 4, 1, 20.0, 40.0, 40.0]]
    assert second == [1, [0, 0, 0, 0, None, None, None]]


def test_later_messages_have_only_what_is_new(run: Run) -> None:
    run.see()
    run.pass_seconds(3)
    run.tick()
    run.events.append(Event(run.now_us, "worker joined", "a <b>joined</b>"))
    run.pass_seconds(1)
    message = run.tick()
    assert [point[0] for point in message["points"]] == [2, 3]
    assert message["events"] == [[1, run.now_us - 1_000_000, "worker joined", "a <b>joined</b>"]]
    assert "about" not in message
    assert "events" not in run.tick()
    assert [event[0] for event in run.whole()["events"]] == [1]


def test_points_are_kept_while_nobody_watches(run: Run) -> None:
    run.see()
    for _ in range(40):  # longer than the pulse remembers
        run.pulse.take(harvest([1000]), run.now_us)
        run.pass_seconds(1)
        assert run.board.tick(watched=False) is None
    assert [point[1][0] for point in run.whole()["points"]] == [1] * 40


def test_when_points_are_put_together_everybody_gets_them_anew(run: Run) -> None:
    run.see()
    run.tick()
    run.pass_seconds(500)
    message = run.tick()
    assert (message["width"], len(message["points"]), message["about"]["run"]) == (2, 250, "id")


def test_the_last_message_has_all_for_who_was_told_now_and_then(run: Run) -> None:
    """A page in the background misses what comes while somebody else watches, and cannot ask any more."""
    run.see()
    for _ in range(3):
        run.tick()
        run.pass_seconds(1)
    run.board.close()
    run.board.end(end_of(Verdict(ok=True, exit_code=0, reasons=()), None))
    message = run.tick()
    assert (message["about"]["run"], message["points"][0][0]) == ("id", 0)


@pytest.mark.parametrize(
    ("answer", "counts", "phase"),
    [
        (Answer(), ItemCounts(planned=100, done=5), "running"),
        (Answer(paused="by hand"), ItemCounts(planned=100, done=5), "paused"),
        (Answer(stopping=True, paused="by hand"), ItemCounts(planned=100, done=5), "draining"),
        (Answer(), ItemCounts(planned=100, done=99), "draining"),
    ],
)
def test_phases(run: Run, answer: Answer, counts: ItemCounts, phase: str) -> None:
    run.answer, run.counts, run.workers = answer, counts, (worker("a", 5),)
    run.see()
    assert run.whole()["now"]["phase"] == phase


def test_workers_with_those_first_that_need_a_look(run: Run) -> None:
    run.workers = (worker("a", 0), worker("b", 0), worker("c", 0))
    run.see()
    run.tick()
    run.pass_seconds(2)
    run.workers = (worker("a", 20), worker("b", 4, here=False, lost=True), worker("c", 0, here=False))
    run.see()
    told = run.tick()["workers"]
    assert [(name, state, rate) for name, state, _, _, _, rate, _, _ in told] == [
        ("b", "lost", 2.0),
        ("a", "here", 10.0),
        ("c", "left", 0.0),
    ]


def test_the_end_stays_to_be_seen(run: Run) -> None:
    run.workers = (worker("a", 3),)
    run.see()
    run.pulse.take(harvest([1000]), run.now_us)
    run.board.close()
    run.board.end(end_of(Verdict(ok=False, exit_code=3, reasons=("1 item failed",)), None))
    message = run.whole()
    assert message["now"]["phase"] == "done"
    assert message["end"]["reasons"] == ["1 item failed"]
    assert message["workers"][0][:2] == ["a", "left"]
    assert [point[1][0] for point in message["points"]] == [1], "also the second that was not over"
