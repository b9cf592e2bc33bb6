"""Keys that steer a run: what they mean, and that the terminal is as before afterwards."""

from __future__ import annotations

import io
import os
import queue
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from loadgen.cli import keyboard
from loadgen.cli.bridge import Bridge, limits_text, state
from loadgen.cli.keyboard import Keyboard
from loadgen.cli.keys import Standing, explained, footer, order, pressed
from loadgen.clock import SystemClock
from loadgen.control import Continue, Pause, Set, Stop
from loadgen.record import ItemCounts
from loadgen.reports.pulse import Progress
from loadgen.reports.screen import Scene, State
from loadgen.steering import Limits, parse_settings
from loadgen.view import QueueView

CLOSED = Standing(slots=32, width=8)
OPEN = Standing(slots=32, width=8, own_rate=50.0)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("p", ["p"]),
        ("+++", ["+", "+", "+"]),
        ("p\r\n", ["p"]),
        ("\x1b[A\x1b[1;5C\x1bOP+", ["+"]),
        ("\x1b", []),
        ("please stop", []),
        ("sx", []),
    ],
)
def test_what_is_no_key_of_ours_is_ignored_with_all_that_came_with_it(typed, keys):
    assert pressed(typed) == keys


@pytest.mark.parametrize(
    ("key", "standing", "request_"),
    [
        ("p", CLOSED, Pause()),
        (" ", CLOSED, Pause()),
        ("p", replace(CLOSED, paused=True), Continue()),
        (" ", replace(CLOSED, paused=True), Continue()),
        ("s", CLOSED, Stop()),
        ("s", replace(CLOSED, stopping=True), None),
        ("p", replace(CLOSED, stopping=True), None),
        ("+", CLOSED, Set(("concurrency=9",))),
        ("=", CLOSED, Set(("concurrency=9",))),
        ("-", CLOSED, Set(("concurrency=7",))),
        ("-", replace(CLOSED, width=5), Set(("concurrency=4",))),
        ("-", replace(CLOSED, width=1), Set(("concurrency=1",))),
        ("+", replace(CLOSED, width=64), Set(("concurrency=70",))),
        ("-", replace(CLOSED, width=70), Set(("concurrency=64",))),
        ("+", replace(CLOSED, width=10_000), Set(("concurrency=10000",))),
        ("-", replace(CLOSED, width=None), Set(("max-in-flight=29",))),
        ("+", replace(CLOSED, width=None), None),
        ("+", replace(CLOSED, width=None, limits=Limits(in_flight=29)), Set(("max-in-flight=32",))),
        ("-", replace(CLOSED, limits=Limits(in_flight=100)), Set(("max-in-flight=91",))),
        ("-", replace(CLOSED, limits=Limits(in_flight=1)), Set(("max-in-flight=1",))),
        ("+", replace(CLOSED, limits=Limits(rate=20.0, in_flight=5)), Set(("rate=22/s",))),
        ("+", OPEN, Set(("rate=55/s",))),
        ("-", replace(OPEN, limits=Limits(rate=55.0)), Set(("rate=50/s",))),
        ("-", replace(OPEN, limits=Limits(rate=1 / 60)), Set(("rate=0.912/m",))),
        ("-", replace(OPEN, own_rate=0.0), None),
        ("+", Standing(), None),
    ],
)
def test_a_key_is_an_order(key, standing, request_):
    assert order(key, standing) == request_
    if isinstance(request_, Set):
        assert parse_settings(request_.settings), "as `loadgen set` takes it"


def test_the_keys_are_told():
    assert footer(CLOSED) == "p pause   s stop   + - concurrency 8   ? keys"
    assert footer(replace(OPEN, paused=True)) == "p continue   s stop   + - rate 50/s   ? keys"
    assert footer(replace(CLOSED, stopping=True)) == "Ctrl-C twice leaves at once"
    assert footer(replace(CLOSED, stopping=True, asked=True)) == "Ctrl-C leaves at once"
    assert footer(Standing()) == "p pause   s stop   ? keys"
    assert max(map(len, [*explained(OPEN), footer(OPEN)])) < 80
    assert "rate=55/s, rate=45.5/s" in "".join(explained(OPEN))


def a_progress(**changes: object) -> Progress:
    nothing = ItemCounts()
    first = (1.0, "put", 1, 1, nothing, nothing, 0.0, 0.0, None, None, 0, 1, None)
    return replace(Progress(*first), **changes)


@pytest.mark.parametrize(
    ("step", "progress", "view", "stopping", "expected"),
    [
        (0, {}, {}, False, State()),
        (0, {}, {"paused": "by hand"}, False, State("PAUSED by hand", well=False)),
        (0, {}, {"paused": "by hand"}, True, State("STOPPING", well=False)),
        (0, {"workers": 0}, {}, False, State("WAITING for workers")),
        (0, {}, {"counts": ItemCounts(), "left_s": 60.0}, False, State()),
        (0, {"workers": 0}, {"counts": ItemCounts(), "left_s": 60.0}, False, State("WAITING for workers")),
        (None, {}, {}, False, State("STARTING")),
        (None, {"task": "setting up", "task_calls": 1}, {}, False, State("SETTING UP", why="1 call")),
    ],
)
def test_the_state_in_a_word(step, progress, view, stopping, expected):
    seen = replace(QueueView(ItemCounts(planned=5), False, 0, None, None, ()), **view)
    assert state(step, a_progress(**progress), seen, stopping=stopping) == expected


def test_limits_in_words():
    view = QueueView(ItemCounts(), False, 0, None, None, (), late=1)
    assert limits_text(Limits(rate=2.0), view, 3) == "rate 2/s, not yet on 1 of 3 workers"
    assert limits_text(Limits(), view, 3) == ""
    assert limits_text(Limits(), replace(view, paused="by hand"), 3) == "not yet on 1 of 3 workers"


# The keyboard


@pytest.fixture
def terminal(monkeypatch):
    """A terminal whose other end we hold; it is nobody's controlling one, so the foreground is ours."""
    pytest.importorskip("termios")
    import pty

    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield ours, theirs
    os.close(ours)


def settings(descriptor: int) -> list[object]:
    import termios

    return termios.tcgetattr(descriptor)


def test_keys_come_one_by_one_and_the_terminal_is_as_before(terminal):
    import termios

    ours, theirs = terminal
    before, came = settings(theirs), queue.SimpleQueue()
    assert keyboard.is_there()
    with Keyboard(came.put) as keys:
        now = settings(theirs)[3]
        assert not now & (termios.ICANON | termios.ECHO)
        assert now & termios.ISIG, "Ctrl-C stays Ctrl-C"
        os.write(ours, b"p")
        assert came.get(timeout=10) == "p"
        keys.release()
        assert settings(theirs) == before
        keys.take_again()
        assert settings(theirs)[3] == now
        os.write(ours, b"+")
        assert came.get(timeout=10) == "+"
    assert settings(theirs) == before
    keys.release()
    assert settings(theirs) == before, "twice does no harm"


def test_it_is_put_back_whatever_happens(terminal):
    _, theirs = terminal
    before, meanwhile = settings(theirs), []

    def break_down() -> None:
        with Keyboard(lambda _: None):
            meanwhile.append(settings(theirs))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_down()
    assert meanwhile != [before]
    assert settings(theirs) == before


def test_ctrl_z_leaves_a_sane_terminal_and_coming_back_takes_it_again(terminal, monkeypatch):
    _, theirs = terminal
    before, while_stopped = settings(theirs), []
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, _environ={"TERM": "x"})
    session = SimpleNamespace(prepared=SimpleNamespace(pace=None))
    bridge = Bridge(console, None, session, SimpleNamespace(quiet=False), SystemClock())
    monkeypatch.setattr(
        signal, "raise_signal", lambda _: while_stopped.append((settings(theirs), screen.getvalue()[-6:]))
    )
    handler = signal.getsignal(signal.SIGTSTP)
    with bridge:
        bridge.listen()
        bridge._display.show(Scene(a_progress()))
        ours = settings(theirs)
        bridge._on_suspend(signal.SIGTSTP, None)
        assert while_stopped == [(before, "\x1b[?25h")], "the cursor is there, too"
        assert settings(theirs) == ours
        bridge._drawing = True
        bridge._on_suspend(signal.SIGTSTP, None)
        assert len(while_stopped) == 1, "not in the middle of a line"
    assert settings(theirs) == before
    assert signal.getsignal(signal.SIGTSTP) == handler


def test_what_is_said_again_while_the_run_stands_still_is_listed_once():
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "x"})
    session = SimpleNamespace(prepared=SimpleNamespace(pace=None))
    stage = SimpleNamespace(
        gates=SimpleNamespace(standings=lambda _: ()), pulse=SimpleNamespace(seconds=lambda *_: ())
    )
    bridge = Bridge(console, stage, session, SimpleNamespace(quiet=False), SystemClock())
    for text in ("paused", "paused; go on?", "from 8 to 9", "paused; go on?", "from 9 to 8"):
        bridge._remember(a_progress(event=text), lasting=True)
    assert [text for _, text in bridge._notices] == ["from 9 to 8", "from 8 to 9", "paused; go on?"]
    for text in ("from 8 to 9", "from 9 to 8"):
        bridge._remember(a_progress(event=text), lasting=False)
    assert [text for _, text in bridge._notices] == ["from 9 to 8", "from 8 to 9", "from 9 to 8"]


def test_in_the_background_nothing_is_touched_and_nothing_read(terminal, monkeypatch):
    ours, theirs = terminal
    before, came, foreground = settings(theirs), queue.SimpleQueue(), []
    monkeypatch.setattr(keyboard, "LOOK_S", 0.001)
    looks = queue.SimpleQueue()
    monkeypatch.setattr(keyboard, "in_foreground", lambda _: (looks.put(1), bool(foreground))[1])
    with Keyboard(came.put):
        os.write(ours, b"p\n")
        for _ in range(5):
            looks.get(timeout=10)
        assert came.empty()
        assert settings(theirs) == before
        foreground.append(True)
        assert came.get(timeout=10).startswith("p"), "it is ours again"
        foreground.clear()
    assert came.empty()
