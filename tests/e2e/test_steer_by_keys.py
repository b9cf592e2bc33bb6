"""A run is steered by the keys of its own terminal, which is as before when it is over."""

from __future__ import annotations

import pytest
from harness import Cli, Target, adds_up, until
from test_interrupt import run_on_terminal
from test_steer import kinds

termios = pytest.importorskip("termios")


def settings(terminal: object) -> list[object]:
    """Of the terminal; its other end shares them."""
    found: list[object] = termios.tcgetattr(terminal._ours)  # type: ignore[attr-defined]
    return found


def test_pause_continue_more_and_stop_by_keys(cli: Cli, target: Target) -> None:
    target.delay_s = 0.01
    terminal = run_on_terminal(cli, target, "--set", "things=5000")
    try:
        before = settings(terminal)
        until(lambda: terminal.shows(r"p pause   s stop   \+ - concurrency 1   \? keys"), "the keys are told")
        until(lambda: len(target.seen) > 5, "it is under way")
        assert settings(terminal) != before
        for key, event, sight in (
            ("p", "paused: by hand", "PAUSED by hand"),
            (" ", "continued: by hand", r"\d s  continued by hand"),
            ("+", "changed: concurrency from none to 2, by hand", "kept to concurrency 2"),
        ):
            terminal.press(key)
            until(lambda sight=sight: terminal.shows(sight), sight)
            until(lambda event=event: (terminal.read(), event in kinds(cli))[1], event)
        terminal.press("?")
        until(
            lambda: terminal.shows("what is in flight settles, a resume does the rest"), "keys are explained"
        )
        terminal.press("\x1a")  # no shell is there that could wake it: the kernel does not let it stop
        seen = len(target.seen)
        until(lambda: len(target.seen) > seen, "it goes on")
        terminal.press("s")
        assert terminal.wait() == 4
        assert settings(terminal) == before
        assert terminal.shows("INCOMPLETE +stopped by hand")
        adds_up(cli.summary())
        assert terminal.shown.rfind("\x1b[?25h") > terminal.shown.rfind("\x1b[?25l"), "the cursor is back"
    finally:
        terminal.close()
